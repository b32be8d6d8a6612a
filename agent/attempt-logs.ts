/**
 * The logs of all attempts: each masked and spooled while its build prints, and on its way to the coordinator until that
 * has it whole. They go their own way: no result, no verdict and no next job waits for one [C12.3].
 *
 * What one would get wrong is to send all that is left at once: after a long outage it is thousands. A log whose build
 * runs, or has just ended, has an uploader to itself; all others stand in one line for a few places, and a log that gets
 * no answer goes to the line's end and leaves its wait to the place, so that neither a dead coordinator nor one log that
 * it will not take keeps the others.
 */
import type { AttemptId } from '../schema/job.ts'
import type { Assignment } from '../schema/sync.ts'
import { createGrowingMask } from './log/mask.ts'
import { jobTokenOf } from './runner/job-token.ts'
import type { LogEnd } from './log/measure.ts'
import { createUploader, type Uploader } from './log/upload.ts'
import { openLog, type LogLimits } from './log/writer.ts'
import type { Backoff } from './loop/backoff.ts'
import type { Platform } from './platform.ts'
import type { AttemptLog } from './runner/attempt.ts'
import type { Spool } from './spool/results.ts'

export interface AttemptLogsOptions {
  readonly spool: Pick<Spool, 'logPath' | 'logEnd' | 'logSealed' | 'token'>
  readonly platform: Pick<Platform, 'disk' | 'network' | 'clock'>
  readonly url: string
  readonly limits: LogLimits
  /** Of the agent itself; an attempt's own token and its job's are masked as well [I22]. */
  readonly secrets: readonly string[]
  /** Of one call. */
  readonly callTimeoutMs: number
  newBackoff(): Backoff
  /** Milliseconds between sends that nobody watches, as the last reply said. */
  pace(): number
  note(text: string): void
  /** One more log needs nothing any more. */
  sealed(): void
}

export interface AttemptLogs {
  /** `added` is asked for what the job wants to be hidden, each time before anything is let go. */
  open(assignment: Assignment, added?: () => readonly string[]): AttemptLog
  /** Goes on with those of an earlier boot, in this order. */
  resume(attempts: readonly AttemptId[]): void
  watch(attempt: AttemptId): void
  isOnItsWay(attempt: AttemptId): boolean
  /** On their way. */
  count(): number
  /** Resolves when no call and no write of theirs is in flight any more. */
  stop(): Promise<void>
}

/** Logs of ended builds that are sent at the same time, and builds that may just have ended besides. */
export const AT_ONCE = 4

/** A log on its way. */
interface Parcel {
  readonly attempt: AttemptId
  readonly token: string
  /** Null: it still grows, or was not measured yet. */
  end: LogEnd | null
  /** `live`: its build runs. `last`: its build has just ended, and nothing has failed since. `over`: the coordinator wants no more of it. */
  stage: 'live' | 'last' | 'line' | Place | 'over'
  uploader: Uploader | null
}

interface Place {
  readonly backoff: Backoff
  /** Also while it rests. */
  isTaken: boolean
  takeBack: () => void
}

export function createAttemptLogs({ spool, platform: { disk, network, clock }, url, limits, secrets, callTimeoutMs, newBackoff, pace, note, sealed }: AttemptLogsOptions): AttemptLogs {
  const parcels = new Map<AttemptId, Parcel>()
  const places: readonly Place[] = Array.from({ length: AT_ONCE }, () => ({ backoff: newBackoff(), isTaken: false, takeBack: () => undefined }))
  const line: Parcel[] = []
  /** Somebody waits for the first byte of these. */
  const watched = new Set<AttemptId>()
  /** Of every uploader that was started: settles when nothing of it is in flight, its seal in the spool included. */
  const ends = new Set<Promise<void>>()
  let lastOnes = 0
  let isStopped = false

  function add(attempt: AttemptId, token: string, stage: 'live' | 'line'): Parcel {
    const parcel: Parcel = { attempt, token, end: null, stage, uploader: null }
    parcels.set(attempt, parcel)
    return parcel
  }

  function begin(parcel: Parcel, own: Backoff): Uploader {
    const { attempt, token } = parcel
    const backoff = {
      next: (retryAfterMs?: number) => {
        const ms = own.next(retryAfterMs)
        if (parcel.uploader === uploader && (parcel.stage === 'last' || (typeof parcel.stage === 'object' && line.length > 0))) stepAside(parcel, ms)
        return ms
      },
      reset: () => own.reset(),
    }
    const uploader = createUploader({ path: spool.logPath(attempt), attempt, token, url, network, disk, clock, callTimeoutMs, backoff, pace, note })
    parcel.uploader = uploader
    const end = uploader.done.then(async (how) => {
      if (how === 'stopped') return
      const { stage } = parcel
      parcels.delete(attempt)
      parcel.stage = 'over'
      if (stage === 'last') lastOnes -= 1
      if (typeof stage === 'object') stage.isTaken = false
      fill()
      await spool.logSealed(attempt)
      sealed()
    }).finally(() => ends.delete(end))
    ends.add(end)
    return uploader
  }

  /** Into the line: at its head when its build has just ended, since people look at those. The wait that it was to keep is kept by the place that it leaves, or by one that is free. */
  function stepAside(parcel: Parcel, ms: number): void {
    const { stage, uploader } = parcel
    const place = typeof stage === 'object' ? stage : places.find(({ isTaken }) => !isTaken)
    parcel.stage = 'line'
    parcel.uploader = null
    uploader?.stop()
    if (stage === 'last') {
      lastOnes -= 1
      line.unshift(parcel)
    } else line.push(parcel)
    if (place === undefined || isStopped) return
    place.isTaken = true
    place.takeBack = clock.after(ms, () => {
      place.isTaken = false
      fill()
    })
  }

  function fill(): void {
    for (const place of places) {
      if (isStopped || line.length === 0) return
      if (!place.isTaken) void carry(place)
    }
  }

  /** Takes the first of the line; measured only now, as thousands would open as many files. */
  async function carry(place: Place): Promise<void> {
    const parcel = line.shift()
    if (parcel === undefined) return
    place.isTaken = true
    parcel.stage = place
    try {
      parcel.end ??= await spool.logEnd(parcel.attempt)
    } catch (error) {
      // Too many open files, or a disk that fails for a while: the others go first, and then it is tried again.
      note(`the log of ${parcel.attempt} cannot be read, and is tried again later: ${error instanceof Error ? error.message : String(error)}`)
      return stepAside(parcel, place.backoff.next())
    }
    if (!isStopped) begin(parcel, place.backoff).finish(parcel.end)
  }

  return {
    open: ({ attempt, token }, added = () => []) => {
      const writer = openLog(spool.logPath(attempt), { mask: createGrowingMask([...secrets, token, jobTokenOf(token)], added), disk, limits })
      let parcel: Parcel | null = null // not before there is a byte: a silent job costs nothing
      let bytes = 0
      writer.onGrowth((grown) => {
        bytes = grown
        if (isStopped) return
        if (parcel === null) begin((parcel = add(attempt, token, 'live')), newBackoff())
        if (watched.delete(attempt)) parcel.uploader?.watch()
        parcel.uploader?.grow(grown)
      })
      return {
        write: (chunk) => writer.write(chunk),
        bytes: () => bytes,
        harden: () => writer.harden(),
        end: async () => {
          const end = await writer.end()
          watched.delete(attempt)
          // A disk that failed within the first write may have taken a part of it.
          if (parcel === null && end.bytes > 0 && !isStopped) begin((parcel = add(attempt, token, 'live')), newBackoff())
          if (parcel?.stage !== 'live') return end // never begun, or over: the coordinator wants no more of it
          parcel.end = end
          parcel.uploader?.finish(end)
          parcel.stage = 'last'
          lastOnes += 1
          if (lastOnes > AT_ONCE) stepAside(parcel, 0)
          return end
        },
      }
    },
    resume: (attempts) => {
      for (const attempt of attempts) {
        const token = spool.token(attempt)
        if (token === null) void spool.logSealed(attempt) // nothing opens it at the coordinator any more
        else line.push(add(attempt, token, 'line'))
      }
      fill()
    },
    watch: (attempt) => {
      const parcel = parcels.get(attempt)
      if (parcel === undefined) watched.add(attempt)
      else parcel.uploader?.watch()
    },
    isOnItsWay: (attempt) => parcels.has(attempt),
    count: () => parcels.size,
    stop: async () => {
      isStopped = true
      for (const { takeBack } of places) takeBack()
      for (const { uploader } of parcels.values()) uploader?.stop()
      while (ends.size > 0) await Promise.all(ends)
    },
  }
}
