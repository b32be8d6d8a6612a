/** A spool on a disk that is watched and may refuse, under a clock that the test turns. */
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Assignment, AttemptResult } from '../../schema/sync.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import { openSpool, type Spool } from '../../agent/spool/results.ts'
import { ownFolder } from './folder.ts'
import { turnedClock, type TurnedClock } from './turned-clock.ts'
import { watchDisk, type WatchedDisk } from './watched-disk.ts'

export const id = (n: number, fence = 1): AttemptId => attemptId({ project: 1, build: 82, n, fence })
export const A = id(1)
export const assignmentOf = (attempt: AttemptId): Assignment => ({ attempt, token: `kdg_att_${attempt}` })
export const resultOf = (changes: Partial<AttemptResult> = {}): AttemptResult => ({ outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: 1, finished_at: 2, log_bytes: 0, log_sha256: 'e3b0', ...changes })

export interface Bench {
  readonly folder: string
  readonly disk: WatchedDisk
  readonly clock: TurnedClock
  /** As after `kill -9`: a new process over the same folder. */
  open(): Promise<Spool>
}

export async function bench(): Promise<Bench> {
  const folder = await ownFolder()
  const disk = watchDisk(nodePlatform().disk)
  const clock = turnedClock()
  return { folder, disk, clock, open: () => openSpool(folder, disk, clock) }
}

export async function finished(spool: Spool, attempt: AttemptId, changes: Partial<AttemptResult> = {}) {
  await spool.journal(assignmentOf(attempt))
  await spool.markStarted(attempt, null)
  return await spool.finish(attempt, resultOf(changes))
}
