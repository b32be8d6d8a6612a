/**
 * The journal and the results of attempts, one folder each (`entry.ts` says what lies in it). What is promised here is
 * on the disk first: an attempt is journalled before anything is done for it and never starts twice, a result is fsynced
 * before it is sent, and only a verdict makes it go [I5]. `kill -9` on any line loses no finished result.
 *
 * What one would get wrong: a verdict does not delete the folder. The log may still be on its way [I17], so the folder
 * goes when both are done, and many go together: one fsync for all of them.
 */
import { join } from 'node:path'
import type { AttemptId } from '../../schema/job.ts'
import type { Assignment, AttemptResult, Verdict } from '../../schema/sync.ts'
import { measureLog, type LogEnd } from '../log/measure.ts'
import type { Clock, Disk } from '../platform.ts'
import { encodeResult, encodeSpec, encodeStarted, encodeVerdict, spoolResult, type SpooledResult, type StartedProcess } from './entry.ts'
import { StateError, unwritable } from './identity.ts'
import { openKnown } from './known.ts'
import { replaySpool, type Held, type LostAttempt } from './replay.ts'
import { fillReserve, withReserve } from './reserve.ts'

export type { SpooledResult, StartedProcess } from './entry.ts'
export type { LostAttempt } from './replay.ts'

export interface Spool {
  /** What an earlier boot left behind. */
  readonly replayed: {
    /** Oldest first; also what `pending` begins with. */
    readonly finished: readonly SpooledResult[]
    /** Journalled, but without a result that can be read: for `lost[]` of the first sync. */
    readonly lost: readonly LostAttempt[]
    /** Logs that the coordinator may not have whole: upload each, then `logSealed`. */
    readonly unsealedLogs: readonly AttemptId[]
  }
  /** Durable before it resolves. `known`: this attempt was journalled here before, perhaps by an earlier boot; it must not be started. */
  journal(assignment: Assignment): Promise<'new' | 'known'>
  /** Null: the attempt is about to spawn and has no process yet. Durable before it resolves; naming the process afterwards is a help only, and costs no fsync. */
  markStarted(attempt: AttemptId, process: StartedProcess | null): Promise<void>
  /** Where the log lies, whether or not there is one. */
  logPath(attempt: AttemptId): string
  /** Durable before it resolves; on a full disk the reserve makes room. A second result of one attempt is ignored: the first is returned. */
  finish(attempt: AttemptId, result: AttemptResult): Promise<SpooledResult>
  /** Results without a verdict, oldest first. A snapshot: it does not change under whoever reads it. */
  pending(): readonly SpooledResult[]
  /** The verdict is durable when this resolves. `accepted`: the folder goes with its log's seal; otherwise it is kept in `rejected/` for 7 days. */
  settle(attempt: AttemptId, verdict: Verdict): Promise<void>
  /** The attempt was journalled, and there will be no result: handed back, abandoned, or lost by an earlier boot and all that it left running ended. */
  giveUp(attempt: AttemptId): Promise<void>
  /** The coordinator has the whole log, or will never take it. Also to be said for an attempt without a log. Never rejects. */
  logSealed(attempt: AttemptId): Promise<void>
  /** Length and SHA-256 of a log that no longer grows: what its result says, or, without one, what is on the disk. */
  logEnd(attempt: AttemptId): Promise<LogEnd>
  /** What opens the attempt's log at the coordinator; null when the attempt or its token is not here. */
  token(attempt: AttemptId): string | null
  /** Bytes that wait here for the coordinator, the reserve not counted; a log counts from its attempt's result on. */
  bytes(): number
  /** Puts away what is settled and stops: when it resolves nothing is being written, and only a new promise (`finish`, `settle`) would be. Losing the process instead costs nothing but a little work at the next start. */
  close(): Promise<void>
}

/** How long settled folders are gathered, so that one fsync serves many. */
const GATHER_MS = 1000
const KEPT_FOR_MS = 7 * 24 * 3600 * 1000

/** Opens `folder/spool`, reads it back, and makes the reserve. Damaged entries are moved to `folder/corrupt` [D34]. Throws `StateError` when the disk does not let it. */
export async function openSpool(folder: string, disk: Disk, clock: Clock): Promise<Spool> {
  try {
    return await open(folder, disk, clock)
  } catch (error) {
    throw error instanceof Error && 'code' in error && !(error instanceof StateError) ? unwritable(folder, error) : error // what has no code is a mistake of ours
  }
}

async function open(folder: string, disk: Disk, clock: Clock): Promise<Spool> {
  const spoolFolder = join(folder, 'spool')
  const folderOf = (attempt: AttemptId) => join(spoolFolder, attempt)
  for (const name of ['spool', 'rejected', 'corrupt']) await withReserve(disk, folder, () => disk.makeFolder(join(folder, name)))
  const known = await openKnown(join(folder, 'known'), disk)
  const replay = await replaySpool({ folder, disk, clock, known })
  const held = replay.held

  let snapshot: readonly SpooledResult[] | null = null
  let total = [...held.values()].reduce((sum, each) => sum + each.bytes, 0)
  const waiting = new Map(replay.finished.map((spooled) => [spooled.attempt, spooled]))
  /** What nothing is needed of any more, until its folder has gone. */
  const left = new Set<AttemptId>()
  /** Whose journal could not be written: something of its folder may be there. */
  const unbegun = new Set<AttemptId>()
  let takeBack: (() => void) | null = null
  let clearing: Promise<void> = Promise.resolve()
  let isClosed = false
  const underway = new Map<string, Promise<unknown>>()

  const durably = (attempt: AttemptId, name: string, bytes: Uint8Array) => withReserve(disk, folder, () => disk.writeDurably(join(folderOf(attempt), name), bytes))

  /** Asked for twice at once, it is done once; after a failure it may be asked for again. */
  const once = <T>(file: string, act: () => Promise<T>): Promise<T> => {
    const begun = (underway.get(file) as Promise<T> | undefined) ?? act().finally(() => underway.delete(file)) // one file, one kind of act
    underway.set(file, begun)
    return begun
  }

  const isDone = (each: Held): boolean => each.isLogSealed && (each.verdict !== null || each.isGivenUp)
  const gather = (attempt: AttemptId, each: Held): void => {
    if (!isDone(each) || isClosed) return // the next start puts away what is settled after the close
    left.add(attempt)
    takeBack ??= clock.after(GATHER_MS, () => void clear())
  }
  /** One after the other. What could not be put away stays in the list for the next time. */
  const clear = (): Promise<void> => {
    takeBack?.()
    takeBack = null
    clearing = clearing.then(async () => {
      const batch = [...left]
      if (batch.length > 0) await known.add(batch)
      for (const attempt of batch) await putAway(attempt)
      for (const attempt of unbegun) {
        if (!held.has(attempt)) await disk.remove(folderOf(attempt))
        unbegun.delete(attempt)
      }
      await fillReserve(disk, folder)
      await purge()
    }).catch(() => {
      // A disk that is full or read-only: nothing is lost, and the claim gate tells people [C15.2].
      if (left.size + unbegun.size > 0 && !isClosed) takeBack ??= clock.after(30 * GATHER_MS, () => void clear())
    })
    return clearing
  }
  const putAway = async (attempt: AttemptId): Promise<void> => {
    const each = held.get(attempt)
    if (each?.verdict && each.verdict.verdict !== 'accepted') await disk.rename(folderOf(attempt), join(folder, 'rejected', `${attempt}@${each.verdict.at}`))
    else await disk.remove(folderOf(attempt))
    held.delete(attempt)
    left.delete(attempt)
    total -= each?.bytes ?? 0
  }
  const purge = async (): Promise<void> => {
    for (const place of ['rejected', 'corrupt']) {
      for (const name of await disk.list(join(folder, place))) {
        const at = Number(name.slice(name.lastIndexOf('@') + 1))
        if (Number.isFinite(at) && clock.wall() - at > KEPT_FOR_MS) await disk.remove(join(folder, place, name))
      }
    }
  }

  for (const [attempt, each] of held) gather(attempt, each)
  await fillReserve(disk, folder)
  await purge()

  return {
    replayed: { finished: replay.finished, lost: replay.lost, unsealedLogs: replay.unsealedLogs },

    journal: async (assignment) => {
      const { attempt } = assignment
      if (held.has(attempt) || known.has(attempt)) return 'known'
      held.set(attempt, { token: assignment.token, spooled: null, verdict: null, isStarted: false, isLogSealed: false, isGivenUp: false, bytes: 0 }) // at once: a second call must not start it either
      try {
        if (unbegun.has(attempt)) await clearing // its folder may be going this very moment
        await disk.makeFolder(folderOf(attempt))
        await Promise.all([disk.syncFolder(spoolFolder), disk.writeDurably(join(folderOf(attempt), 'spec.json'), encodeSpec(assignment))])
      } catch (error) {
        held.delete(attempt) // nothing was done for it, so it may be offered again
        unbegun.add(attempt)
        takeBack ??= clock.after(GATHER_MS, () => void clear())
        throw error
      }
      return 'new'
    },

    markStarted: async (attempt, process) => {
      const each = held.get(attempt)
      const bytes = encodeStarted(process)
      if (each?.isStarted) return await once(`${attempt}/started by ${process?.pid}`, () => disk.write(join(folderOf(attempt), 'started'), bytes)) // torn, it reads as null
      await durably(attempt, 'started', bytes)
      if (each) each.isStarted = true
    },

    logPath: (attempt) => join(folderOf(attempt), 'log'),

    finish: async (attempt, result) => {
      const each = held.get(attempt)
      if (each === undefined) throw new Error(`${attempt} was never journalled, so it has no result`)
      if (each.spooled !== null) return each.spooled
      return await once(`${attempt}/result.json`, async () => {
        const spooled = spoolResult(attempt, result)
        await durably(attempt, 'result.json', encodeResult(spooled))
        each.spooled = spooled
        each.bytes = result.log_bytes + spooled.text.length
        total += each.bytes
        waiting.set(attempt, spooled)
        snapshot = null
        return spooled
      })
    },

    pending: () => (snapshot ??= [...waiting.values()]),

    settle: async (attempt, verdict) => {
      const each = held.get(attempt)
      if (each === undefined || each.spooled === null || each.verdict !== null) return // told twice
      await once(`${attempt}/verdict`, async () => {
        const record = { verdict, at: clock.wall() }
        await durably(attempt, 'verdict', encodeVerdict(record)) // I5: only a verdict may remove a spooled result
        each.verdict = record
        waiting.delete(attempt)
        snapshot = null
        gather(attempt, each)
      })
    },

    giveUp: async (attempt) => {
      const each = held.get(attempt)
      if (each === undefined || each.spooled !== null || each.isGivenUp) return
      each.isGivenUp = true
      gather(attempt, each)
    },

    logSealed: async (attempt) => {
      const each = held.get(attempt)
      if (each === undefined || each.isLogSealed) return
      each.isLogSealed = true
      gather(attempt, each)
      if (isDone(each) || each.spooled?.result.log_bytes === 0) return
      // Without it the seal is asked for once more after a restart, which changes nothing: worth neither an fsync nor an error.
      await once(`${attempt}/log.sealed`, () => disk.write(join(folderOf(attempt), 'log.sealed'), new Uint8Array())).catch(() => undefined)
    },

    logEnd: async (attempt) => {
      const result = held.get(attempt)?.spooled?.result
      return result ? { bytes: result.log_bytes, sha256: result.log_sha256 } : await measureLog(join(folderOf(attempt), 'log'), disk)
    },

    token: (attempt) => held.get(attempt)?.token ?? null,
    bytes: () => total,
    close: async () => {
      isClosed = true
      await Promise.allSettled(underway.values())
      await clear()
    },
  }
}
