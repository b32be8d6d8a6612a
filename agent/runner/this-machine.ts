/**
 * The process table of the machine that the agent runs on: the one place that chooses by platform. The tables know
 * nothing of each other, and what they have in common (`process-table.ts`) knows none of them.
 */
import { linuxProcessTable } from './process-table-linux.ts'
import { macProcessTable } from './process-table-mac.ts'
import type { ProcessTable } from './process-table.ts'

let ofThisMachine: ProcessTable | null = null

/** The process table that all trees of this agent share. */
export function thisMachine(): ProcessTable {
  return (ofThisMachine ??= processTable(process.platform))
}

/** Windows has none: the agent refuses to start there. */
export function processTable(platform: NodeJS.Platform): ProcessTable {
  if (platform === 'linux') return linuxProcessTable()
  if (platform === 'darwin') return macProcessTable()
  throw new Error(`cannot look at the processes of a build on ${platform}: only Linux and macOS are supported. On Windows, run the agent in WSL.`)
}
