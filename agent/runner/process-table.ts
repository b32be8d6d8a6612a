/**
 * What the operating system says about the processes on this machine, behind one small interface, so that the rules about
 * whom to end (`process-tree.ts`) are the same everywhere. It only looks; nothing here signals anybody.
 *
 * A snapshot is not a moment: processes come and go while it is read. It therefore says whether it missed somebody.
 */

/** A process. Snapshots leave zombies out: nothing is left of them that could be ended. */
export interface ProcessRow {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** 0 where the platform does not tell. */
  readonly session: number
  /** Orders processes by birth within one start of the machine; unit and zero are the platform's own. */
  readonly startedAt: number
  /** The program's bare name. Never its arguments: they may hold a secret, and the name goes to a log [I22]. */
  readonly name: string
}

export interface Snapshot {
  readonly rows: ReadonlyMap<number, ProcessRow>
  /** False when a process was there but could not be read any more: it may have left a child that was not listed. */
  readonly isComplete: boolean
  /** Whether its environment holds all of these `NAME=value` entries; null when just now it has none (it is being replaced by exec). */
  carries(row: ProcessRow, entries: readonly string[]): boolean | null
  /** Whether it holds the file that was opened at `path` and deleted since, on any of its descriptors. */
  holds(row: ProcessRow, path: string): boolean
}

/** Taken right before a process is started; with its pid it tells which pids cannot be older than it. */
export interface Birth {
  readonly pid: number
  /** Processes and threads ever started on this machine, as counted before `pid` was. */
  readonly births: number
}

export interface ProcessTable {
  /** For `Birth.births`. */
  births(): number
  /** All processes that can be younger than the oldest of `since`; all there are where one of them is null. */
  snapshot(since: readonly (Birth | null)[]): Promise<Snapshot>
  /** One process now, also a zombie; null when there is none. */
  row(pid: number): ProcessRow | null
  /** Distinguishes starts of the machine: a pid and a time since boot may both come again after one. */
  readonly machineStart: string
}
