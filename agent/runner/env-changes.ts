/**
 * What `kedge env set` and `unset` leave for the later phases of their job: a file of records, each ended by a zero byte,
 * `NAME=value` to set and `NAME` to unset; of several for one name the last counts. The script around hooks takes them
 * over after each phase and empties the file (`hook-script.ts`), by builtins only, and without evaluating any of it.
 */
import { appendFileSync, readFileSync } from 'node:fs'

/** Null unsets. */
export type EnvChanges = ReadonlyMap<string, string | null>

/** The kernel takes no longer `NAME=value` for a process. */
export const VARIABLE_BYTES = 128 * 1024 - 1

/** By these a job is found, speaks to its coordinator, and knows what its agent gave it. */
const PROTECTED: ReadonlySet<string> = new Set(
  [
    'KEDGE KEDGE_ATTEMPT KEDGE_AGENT_ID KEDGE_AGENT_NAME KEDGE_JOB_ID KEDGE_JOB_TOKEN KEDGE_FENCE KEDGE_URL KEDGE_ENV_CHANGES KEDGE_REDACTIONS KEDGE_LOCKS KEDGE_CACHE_DIR',
    'BUILDKITE_AGENT_ENDPOINT BUILDKITE_AGENT_ACCESS_TOKEN BUILDKITE_AGENT_DEBUG BUILDKITE_AGENT_PID BUILDKITE_BIN_PATH BUILDKITE_CONFIG_PATH BUILDKITE_BUILD_PATH',
    'BUILDKITE_HOOKS_PATH BUILDKITE_PLUGINS_PATH BUILDKITE_COMMAND_EVAL BUILDKITE_PLUGINS_ENABLED BUILDKITE_LOCAL_HOOKS_ENABLED BUILDKITE_SSH_KEYSCAN BUILDKITE_SHELL',
    // Bash's own.
    '_ PWD OLDPWD SHLVL SHELLOPTS BASHOPTS',
  ].flatMap((line) => line.split(' ')),
)

/** Why the variable cannot be changed, as it goes on after its name; null: it can. */
export function mistakeInChange(name: string, value: string | null): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return 'is no name of a variable: letters, digits and "_" make one, and it does not begin with a digit'
  if (PROTECTED.has(name)) return 'is protected: it says which job this is and what its agent gave it'
  if (value === null) return null
  if (value.includes('\0')) return 'cannot hold a zero byte; encode its value, for example as base64'
  return Buffer.byteLength(`${name}=${value}`) > VARIABLE_BYTES ? 'is larger than a process can be given (128 KiB); put large values into files' : null
}

/** Throws what the disk says. */
export function appendChanges(path: string, changes: EnvChanges): void {
  const records = [...changes].map(([name, value]) => `${name}${value === null ? '' : `=${value}`}\0`)
  if (records.length > 0) appendFileSync(path, records.join(''), { mode: 0o600 }) // one write: others may append at the same time
}

/** What waits to be taken over; throws what the disk says. */
export function readChanges(path: string): EnvChanges {
  const records = readFileSync(path, 'utf8').split('\0').slice(0, -1) // what is not ended is not whole
  return new Map(records.map((record) => {
    const end = record.indexOf('=')
    return end < 0 ? [record, null] : [record.slice(0, end), record.slice(end + 1)]
  }))
}
