/** What lies in an agent's spool, read from the outside: its files are what survives `kill -9`, so tests look at them. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Attempts that have a folder there. */
export function spooled(state: string): readonly string[] {
  const folder = join(state, 'spool')
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('J')) : []
}

/** What was put aside, kept for a week. */
export function rejected(state: string): readonly string[] {
  const folder = join(state, 'rejected')
  return existsSync(folder) ? readdirSync(folder) : []
}

export function hasFile(state: string, attempt: string, file: 'spec.json' | 'started' | 'result.json' | 'verdict'): boolean {
  return existsSync(join(state, 'spool', attempt, file))
}
