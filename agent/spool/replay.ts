/**
 * Reads the spool back at a start. Every folder becomes exactly one of: a result to deliver, an attempt that is lost, a
 * leftover to put away, or an entry moved to `corrupt/`, whose attempt is lost as well [D34]. Nothing that is found here
 * may stop the agent from starting; only what cannot be looked at does, as it may be a result.
 */
import { join } from 'node:path'
import { parseAttemptId, type AttemptId } from '../../schema/job.ts'
import type { Clock, Disk } from '../platform.ts'
import { isOfTheDisk, readEntry, type SpooledResult, type StartedProcess, type VerdictRecord } from './entry.ts'
import { unreadable, unwritable } from './identity.ts'
import type { Known } from './known.ts'
import { withReserve } from './reserve.ts'

export interface LostAttempt {
  readonly attempt: AttemptId
  readonly why: 'process_restart' | 'corrupt_spool'
  /** What led its process group, when that is known: for killing leftovers. */
  readonly process: StartedProcess | null
  /** For a person: what was found. */
  readonly detail: string
}

/** An attempt that has a folder here. Changes as it lives; only `results.ts` changes it. */
export interface Held {
  readonly token: string | null
  spooled: SpooledResult | null
  verdict: VerdictRecord | null
  isStarted: boolean
  isLogSealed: boolean
  /** There will be no result. */
  isGivenUp: boolean
  bytes: number
}

export interface Replay {
  readonly held: Map<AttemptId, Held>
  /** Without a verdict, oldest first. */
  readonly finished: readonly SpooledResult[]
  readonly lost: readonly LostAttempt[]
  readonly unsealedLogs: readonly AttemptId[]
}

/** Files open at once while reading. */
const AT_ONCE = 32

export async function replaySpool({ folder, disk, clock, known }: { readonly folder: string; readonly disk: Disk; readonly clock: Clock; readonly known: Known }): Promise<Replay> {
  const held = new Map<AttemptId, Held>()
  const finished: SpooledResult[] = []
  const lost: LostAttempt[] = []
  const unsealedLogs: AttemptId[] = []
  const corrupt: { readonly name: string; readonly attempt: AttemptId | null; readonly why: string }[] = []

  await forEachAtOnce(await disk.list(join(folder, 'spool')), async (name) => {
    if (parseAttemptId(name) === null) return void corrupt.push({ name, attempt: null, why: 'it is not the folder of an attempt' })
    const attempt = name as AttemptId // the line above says so
    const path = join(folder, 'spool', name)
    // Settled before the crash, only not put away yet. Its verdict still decides where it goes.
    const entry = await readEntry(disk, path, attempt).catch((error: unknown) => {
      if (isOfTheDisk(error)) throw unreadable(path, error) // it may hold a result
      return { state: 'corrupt', why: error instanceof Error ? error.message : String(error) } as const
    })
    const isSettled = known.has(attempt)
    switch (entry.state) {
      case 'blank':
        held.set(attempt, { token: null, spooled: null, verdict: null, isStarted: true, isLogSealed: true, isGivenUp: true, bytes: 0 })
        if (!isSettled) lost.push({ attempt, why: 'process_restart', process: null, detail: 'it was being journalled when the agent stopped' })
        return
      case 'corrupt':
        return void corrupt.push({ name, attempt, why: entry.why })
      case 'unfinished':
        held.set(attempt, { token: entry.token, spooled: null, verdict: null, isStarted: true, isLogSealed: entry.isLogSealed || isSettled, isGivenUp: isSettled, bytes: entry.logBytes })
        if (isSettled) return
        lost.push({ attempt, why: 'process_restart', process: entry.process, detail: 'it had no result when the agent stopped' })
        if (!entry.isLogSealed) unsealedLogs.push(attempt)
        return
      case 'finished': {
        const verdict = entry.verdict ?? (isSettled ? ({ verdict: 'accepted', at: clock.wall() } as const) : null)
        held.set(attempt, { token: entry.token, spooled: entry.spooled, verdict, isStarted: true, isLogSealed: entry.isLogSealed || isSettled, isGivenUp: false, bytes: entry.logBytes + entry.spooled.text.length })
        if (verdict === null) {
          // An agent that was killed may have named the file, and not yet made the name durable [C15.1].
          await disk.syncFolder(path).catch((error: unknown) => Promise.reject(unwritable(folder, error)))
          finished.push(entry.spooled)
        }
        if (!entry.isLogSealed && !isSettled) unsealedLogs.push(attempt)
        return
      }
      default:
        entry satisfies never
    }
  })

  for (const { attempt, why } of corrupt) if (attempt && !known.has(attempt)) lost.push({ attempt, why: 'corrupt_spool', process: null, detail: why })
  const gone = corrupt.flatMap(({ attempt }) => (attempt ? [attempt] : []))
  await withReserve(disk, folder, () => known.add(gone)) // before their folders move: never started again
  for (const { name } of corrupt) await disk.rename(join(folder, 'spool', name), join(folder, 'corrupt', `${name}@${clock.wall()}`))

  finished.sort((a, b) => a.result.finished_at - b.result.finished_at || (a.attempt < b.attempt ? -1 : 1))
  return { held, finished, lost, unsealedLogs }
}

async function forEachAtOnce<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (const item of queue) await each(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}
