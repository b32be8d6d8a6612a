/**
 * Processes as Linux shows them in `/proc`. Read synchronously, as one file there costs some microseconds and a trip
 * through the thread pool ten times that.
 *
 * Cost matters: every job ends with a snapshot. Most of it would go to processes that are older than the job, so those
 * are skipped by pid alone. Pids are handed out in rising order until they wrap around, and whether they can have wrapped
 * since then follows from the machine's count of births; when in doubt, everything is read.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import type { Birth, ProcessRow, ProcessTable, Snapshot } from './process-table.ts'

/** One process's line in `stat` is far shorter. */
const STAT_BYTES = 2048

export function linuxProcessTable(proc = '/proc'): ProcessTable {
  const buffer = Buffer.alloc(STAT_BYTES)
  let zombies: ReadonlyMap<number, number> = new Map()
  const text = (path: string): string => readFileSync(`${proc}/${path}`, 'latin1')

  /** Throws when it cannot be read for any reason but that it is gone: "too many open files" must not pass for an empty machine. */
  function stat(pid: number): Stat | null {
    let file: number | null = null
    try {
      file = openSync(`${proc}/${pid}/stat`, 'r')
      return parseStat(pid, buffer.toString('latin1', 0, readSync(file, buffer, 0, STAT_BYTES, 0)))
    } catch (error) {
      if (isGone(error)) return null
      throw error
    } finally {
      if (file !== null) closeSync(file)
    }
  }

  function births(): number {
    return Number(/^processes (\d+)$/m.exec(text('stat'))?.[1] ?? Number.NaN)
  }

  /** The lowest pid that can belong to a process younger than all of `since`. */
  function floor(since: readonly (Birth | null)[]): number {
    const pidMax = Number(text('sys/kernel/pid_max'))
    // Pids in use are skipped, so each thread alive may have brought the wrap one step closer.
    const threads = Number(/\/(\d+) /.exec(text('loadavg'))?.[1] ?? Number.NaN)
    const now = births()
    const floors = since.map((birth) => (birth !== null && now - birth.births + threads < pidMax - birth.pid ? birth.pid : 0))
    return Math.min(...floors)
  }

  async function snapshot(since: readonly (Birth | null)[]): Promise<Snapshot> {
    const lowest = since.length === 0 ? 0 : floor(since)
    const rows = new Map<number, ProcessRow>()
    const dead = new Map<number, number>()
    let isComplete = true
    for (const name of readdirSync(proc)) {
      const pid = Number(name)
      if (!(pid >= lowest)) continue // older, or no pid at all (NaN)
      const found = stat(pid)
      if (found?.state === 'alive') rows.set(pid, found.row)
      if (found?.state === 'zombie') dead.set(pid, found.row.startedAt)
      // Gone, or newly dead: it may have been alive when the list was made, and have left a child that is not on it.
      if (found === null || (found.state === 'zombie' && zombies.get(pid) !== found.row.startedAt)) isComplete = false
    }
    zombies = dead
    return { rows, isComplete, ...details() }
  }

  /** What is only asked about few; several trees may ask about the same process in one snapshot. */
  function details(): Pick<Snapshot, 'carries' | 'holds'> {
    const environments = new Map<number, string | null>()
    const open = new Map<number, readonly string[]>()
    return {
      carries({ pid }, entries) {
        if (!environments.has(pid)) environments.set(pid, environment(pid))
        const found = environments.get(pid) ?? null
        if (found === null || found === '') return null
        return found !== SECRET && entries.every((entry) => `\0${found}`.includes(`\0${entry}\0`))
      },
      holds({ pid }, path) {
        if (!open.has(pid)) open.set(pid, openFiles(pid))
        return open.get(pid)?.includes(`${path} (deleted)`) ?? false
      },
    }
  }

  function environment(pid: number): string | null {
    try {
      return text(`${pid}/environ`)
    } catch (error) {
      if (isDenied(error)) return SECRET
      if (isGone(error)) return null
      throw error
    }
  }

  function openFiles(pid: number): readonly string[] {
    const folder = `${proc}/${pid}/fd`
    try {
      return readdirSync(folder).map((fd) => linkText(`${folder}/${fd}`))
    } catch (error) {
      if (isGone(error) || isDenied(error)) return [] // another user's: the other signs must do
      throw error
    }
  }

  return {
    births,
    snapshot,
    row: (pid) => stat(pid)?.row ?? null,
    machineStart: text('sys/kernel/random/boot_id').trim(),
  }
}

/** Stands for an environment that this user may not read. Contains no NUL, so no entry is found in it. */
const SECRET = 'denied'

interface Stat {
  readonly row: ProcessRow
  readonly state: 'alive' | 'zombie' | 'kernel thread'
}

function parseStat(pid: number, line: string): Stat {
  // The name may hold spaces and parentheses; only the last ")" ends it. Fields: proc_pid_stat(5), from the third on.
  const end = line.lastIndexOf(')')
  const fields = line.slice(end + 2).split(' ')
  const row = { pid, parent: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]), startedAt: Number(fields[19]), name: line.slice(line.indexOf('(') + 1, end) }
  // A process whose first thread has ended shows as a zombie while other threads still work.
  const isZombie = (fields[0] === 'Z' || fields[0] === 'X') && Number(fields[17]) <= 1
  return { row, state: isZombie ? 'zombie' : row.group === 0 && row.session === 0 ? 'kernel thread' : 'alive' }
}

function linkText(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed in between
  }
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(codeOf(error))
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
