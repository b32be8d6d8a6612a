/**
 * The folder on each job's PATH that holds the command `kedge`, and `buildkite-agent` as another name of it, so that
 * scripts which were written for that one run as they are. Both start the very program that the agent is.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { shellWord } from '../shell-word.ts'

const NAMES = ['kedge', 'buildkite-agent']

/** Makes what is missing or different, atomically: jobs may be running with it. Throws what the disk says. */
export function placeTools(folder: string, [program, ...first]: readonly [string, ...string[]]): void {
  const own = [program, ...first.filter((word) => !/^--(watch|inspect)/.test(word))]
  // What a job's environment gives to its own Node programs is not for this one; `kedge env` shows it all the same.
  const script = `#!/bin/sh\n[ -z "\${NODE_OPTIONS+set}" ] || export KEDGE_NODE_OPTIONS="$NODE_OPTIONS"\nNODE_OPTIONS= exec ${own.map(shellWord).join(' ')} "$@"\n`
  for (const name of NAMES) {
    const path = join(folder, name)
    if (contentOf(path) === script) continue
    mkdirSync(folder, { recursive: true })
    const temporary = `${path}.${process.pid}`
    writeFileSync(temporary, script)
    chmodSync(temporary, 0o755)
    renameSync(temporary, path)
  }
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null // not there, or unreadable: it is made anew
  }
}
