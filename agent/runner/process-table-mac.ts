/**
 * Processes as macOS shows them through `ps`. Written from the manual and unproved: it was never run on a Mac.
 *
 * Two things are weaker there than on Linux: start times have whole seconds, and `ps -E` hides the environment of
 * Apple's own signed programs (`/bin/sleep`), which are then found by group and descent alone.
 */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import type { ProcessRow, ProcessTable, Snapshot } from './process-table.ts'

const run = promisify(execFile)
const COLUMNS = 'pid=,ppid=,pgid=,stat=,lstart=,ucomm='
/** `Tue Nov 24 21:38:00 2026`, in the C locale. */
const LINE = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w{3}\s+\w{3}\s+\d+\s+[\d:]+\s+\d{4})\s+(.*)$/
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' }
const OUTPUT_BYTES = 64 * 1024 * 1024

export function macProcessTable(): ProcessTable {
  async function snapshot(): Promise<Snapshot> {
    const options = { env: ENVIRONMENT, maxBuffer: OUTPUT_BYTES }
    const [listed, environments] = await Promise.all([run('ps', ['-axo', COLUMNS], options), run('ps', ['-axEwwo', 'pid=,command='], options)])
    const rows = new Map<number, ProcessRow>()
    for (const found of parsePs(listed.stdout)) rows.set(found.pid, found)
    const texts = new Map<number, string>()
    for (const line of environments.stdout.split('\n')) {
      const [, pid, text] = /^\s*(\d+)\s(.*)$/.exec(line) ?? []
      if (pid !== undefined && text !== undefined) texts.set(Number(pid), `${text} `)
    }
    return {
      rows,
      isComplete: true,
      carries: ({ pid }, entries) => entries.every((entry) => texts.get(pid)?.includes(` ${entry} `) ?? false),
      holds: () => false,
    }
  }

  return {
    births: () => 0,
    snapshot,
    row: (pid) => {
      try {
        return parsePs(execFileSync('ps', ['-o', COLUMNS, '-p', String(pid)], { env: ENVIRONMENT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))[0] ?? null
      } catch {
        return null // ps fails when there is no such process
      }
    },
    // Start times are absolute there: they do not come again.
    machineStart: 'mac',
  }
}

/** Rows of `ps -o pid=,ppid=,pgid=,stat=,lstart=,ucomm=` without zombies. */
export function parsePs(text: string): ProcessRow[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, group, state, started, name] = LINE.exec(line) ?? []
    if (state === undefined || started === undefined || name === undefined || state.startsWith('Z')) return []
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), session: 0, startedAt: Date.parse(`${started} UTC`), name: name.trim() }]
  })
}
