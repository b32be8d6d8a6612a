/**
 * The log objects of an installation and the bucket that logs move to: the real store of each over counted SQLite. Who
 * follows one keeps its object awake, and makes it ask the Scheduler while nothing comes, as `objects/job-log.ts` does.
 */
import { LogStore, ARCHIVE_AFTER_MS } from '../../coordinator/objects/log-store.ts'
import type { AgentAnswer } from '../../coordinator/objects/scheduler-api.ts'
import { jobId, parseAttemptId, type AttemptId, type JobId } from '../../schema/job.ts'
import type { SealRequest } from '../../schema/attempt.ts'
import { Wakefulness, type Cause, type Meter } from './meter.ts'
import { countingSqlite, type CountedRows, type CountingSqlite } from './rows.ts'
import type { Timeline } from './timeline.ts'

/** As `objects/job-log.ts` asks. */
const ASK_FIRST_MS = 500
const ASK_LAST_MS = 3000

export interface LogHost {
  readonly meter: Meter
  readonly timeline: Timeline
  worker(cause: Cause): void
  /** The Scheduler is told that somebody watches. */
  watch(attempt: AttemptId): Promise<void>
  /** The Scheduler is asked how the attempt stands. */
  hasEnded(job: JobId): Promise<void>
}

interface Kept {
  readonly storage: CountingSqlite
  readonly rows: CountedRows
  store: LogStore
}

interface LogObject {
  readonly attempt: AttemptId
  readonly time: Wakefulness
  readonly followers: Set<Follower>
  askedAt: number
  /** Null once it is archived: then only how many rows it reads when it wakes matters. */
  kept: Kept | null
  rowsOfWaking: number
}

interface Follower {
  askMs: number
  /** The wait that began last; an older one does nothing any more. */
  wait: number
}

export class LogObjects {
  readonly #host: LogHost
  readonly #objects = new Map<AttemptId, LogObject>()
  /** Of archived logs, emptied; making a database costs more than all that a log does with it. */
  readonly #empty: { readonly storage: CountingSqlite; readonly rows: CountedRows }[] = []
  /** What all objects together store at the end of their lives. */
  bytes = 0

  constructor(host: LogHost) {
    this.#host = host
  }

  /** `PUT /v1/attempts/…/log`. */
  async put(attempt: AttemptId, offset: number, bytes: Uint8Array): Promise<{ readonly watched: boolean }> {
    this.#host.worker('log')
    const log = this.#open(attempt)
    await this.#event(log, 'log', (kept) => taken(kept?.store.put({ attempt, epoch: 1, offset, bytes })))
    for (const follower of log.followers) {
      follower.askMs = ASK_FIRST_MS
      this.#askLater(log, follower)
    }
    return { watched: log.followers.size > 0 }
  }

  /** `POST /v1/attempts/…/log/seal`. */
  async seal(attempt: AttemptId, seal: SealRequest): Promise<void> {
    this.#host.worker('log')
    const log = this.#open(attempt)
    await this.#event(log, 'log', (kept) => {
      taken(kept?.store.seal(attempt, 1, seal))
      if (kept !== null) kept.rows.written += 1 // the alarm that is set
    })
    for (const follower of log.followers) this.#leave(log, follower)
    this.#host.timeline.after(ARCHIVE_AFTER_MS, () => this.#archive(log))
  }

  async #archive(log: LogObject): Promise<void> {
    const { meter } = this.#host
    await this.#event(log, 'alarm', (kept) =>
      kept?.store.archive(async (_, { size, piece }) => {
        for (let bytes = piece(0), at = 0; bytes !== null; bytes = piece(at)) at += bytes.byteLength
        meter.addR2('class_a', size)
      }, () => 0.5),
    )
    const { kept } = log
    if (kept === null) return
    const { storage, rows } = kept
    if (meter.isOn) this.bytes += storage.bytes()
    rows.read = 0
    kept.store = new LogStore(storage)
    log.rowsOfWaking = rows.read
    log.kept = null
    for (const table of ['log', 'piece']) storage.run(`drop table ${table}`, [])
    this.#empty.push({ storage, rows })
  }

  /** Reads the end of a log for its page. */
  async read(attempt: AttemptId): Promise<void> {
    const log = this.#objects.get(attempt)
    if (log === undefined || log.kept === null) this.readArchived()
    else await this.#event(log, 'people', (kept) => kept?.store.piece(Math.max(0, kept.store.known.size - 1), 1))
  }

  /** From the bucket: how long it is, then its bytes. */
  readArchived(): void {
    const { meter } = this.#host
    meter.addR2('class_b')
    meter.addR2('class_b')
  }

  /** Follows until the log is sealed or `leave` is called. */
  async follow(attempt: AttemptId): Promise<{ leave(): void }> {
    const { timeline } = this.#host
    const log = this.#open(attempt)
    const state = await this.#event(log, 'people', (kept) => kept?.store.known.state ?? 'archived')
    if (state === 'archived') this.readArchived()
    if (state !== 'open') return { leave: () => undefined }
    const follower: Follower = { askMs: ASK_FIRST_MS, wait: 0 }
    log.followers.add(follower)
    log.time.hold(timeline.now)
    this.#askLater(log, follower)
    if (log.followers.size === 1) await this.#host.watch(attempt)
    return { leave: () => this.#leave(log, follower) }
  }

  #askLater(log: LogObject, follower: Follower): void {
    const { timeline } = this.#host
    const mine = (follower.wait += 1)
    timeline.after(follower.askMs, async () => {
      if (follower.wait !== mine || !log.followers.has(follower)) return
      follower.askMs = Math.min(2 * follower.askMs, ASK_LAST_MS)
      const key = parseAttemptId(log.attempt)
      // All followers share one question.
      if (key !== null && timeline.now - log.askedAt >= ASK_FIRST_MS) {
        log.askedAt = timeline.now
        await this.#host.hasEnded(jobId(key))
      }
      this.#askLater(log, follower)
    })
  }

  #leave(log: LogObject, follower: Follower): void {
    if (log.followers.delete(follower)) log.time.release(this.#host.timeline.now)
  }

  #open(attempt: AttemptId): LogObject {
    let log = this.#objects.get(attempt)
    if (log === undefined) {
      const { storage, rows } = this.#empty.pop() ?? newStorage()
      log = { attempt, time: new Wakefulness(this.#host.meter), followers: new Set(), askedAt: -Infinity, kept: { storage, rows, store: new LogStore(storage) }, rowsOfWaking: 0 }
      this.#objects.set(attempt, log)
    }
    return log
  }

  /** A request to the object, or its alarm. */
  async #event<T>(log: LogObject, cause: Cause, act: (kept: Kept | null) => T | Promise<T>): Promise<T> {
    const { meter, timeline } = this.#host
    meter.cause = cause
    meter.add('object_requests')
    const isAsleep = !log.time.isInMemory(timeline.now)
    log.time.busy(timeline.now)
    const { kept } = log
    if (kept === null) {
      meter.add('rows_read', isAsleep ? log.rowsOfWaking : 0)
      return await act(null)
    }
    kept.rows.read = kept.rows.written = 0
    if (isAsleep) kept.store = new LogStore(kept.storage)
    const value = await act(kept)
    meter.add('rows_read', kept.rows.read)
    meter.add('rows_written', kept.rows.written)
    return value
  }
}

function taken<T>(answer: AgentAnswer<T> | undefined): void {
  if (!answer?.ok) throw new Error(answer?.message ?? 'the log is archived already')
}

function newStorage(): { readonly storage: CountingSqlite; readonly rows: CountedRows } {
  const rows = { read: 0, written: 0 }
  return { storage: countingSqlite(rows), rows }
}
