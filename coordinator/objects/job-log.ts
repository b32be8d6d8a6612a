/**
 * The JobLog object: the log of one attempt, while it grows. What it stores is always a prefix of the file that the
 * agent spooled [I16]: a PUT beyond the end is refused, the known part of an overlap is skipped. Once sealed the log
 * moves to R2 and the rows go, also from under whoever still reads: what they lack comes from R2 then.
 *
 * Followers get Server-Sent Events: `id` is the offset after the bytes, `data` the bytes in base64 (an event cannot hold
 * every byte as text). An id that is not the last one plus the length of the bytes means that the agent sends all of it
 * again: begin anew. `event: end` with `{"size":N,"sealed":true|false}` when nothing will follow. A follower reads at its
 * own pace, so a slow one costs no memory. It may begin before the first byte.
 */
import { createHash } from 'node:crypto'
import { DurableObject } from 'cloudflare:workers'
import { LOG_LIMIT_BYTES, LOG_PUT_BYTES, LOG_TAIL_BYTES, type LogReply, type SealReply } from '../../schema/attempt.ts'
import { jobId, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import { archiveLog, readArchivedPiece } from '../blobs.ts'
import type { Environment } from '../environment.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'
import { LogRows, ROW_BYTES } from './log-rows.ts'
import type { JobLogApi } from './scheduler-api.ts'

const FOLLOW_BYTES = 64 * 1024
/** Head, marker and tail of a log that was cut by its agent. */
const MOST_BYTES = LOG_LIMIT_BYTES + LOG_TAIL_BYTES + 64 * 1024
/** How long a follower waits for bytes before it asks whether the attempt has ended. */
const ASK_FIRST_MS = 500
const ASK_LAST_MS = 3000
/** An ended attempt whose log stays away this long is followed no more: its machine may be gone. A log that comes later is stored all the same. */
const PATIENCE_MS = 30_000
/** A moment in which viewers get the last bytes from the rows. */
const ARCHIVE_AFTER_MS = 2000
const ARCHIVE_AGAIN_MS = 30_000
const ARCHIVE_SLOWEST_MS = 3_600_000

/** `open`: more may come. `whole`: nothing will. `late`: the attempt has ended, but bytes that it announced are missing. */
type Prospect = 'open' | 'whole' | 'late'

export class JobLog extends DurableObject<Environment> implements JobLogApi {
  readonly #rows: LogRows
  #followers = 0
  /** Called at each new byte, at the seal and when a viewer leaves. */
  readonly #waiting = new Set<() => void>()
  /** All followers share one question to the Scheduler. */
  #asked: { readonly at: number; readonly prospect: Promise<Prospect> } | null = null

  constructor(state: DurableObjectState, env: Environment) {
    super(state, env)
    this.#rows = new LogRows(state.storage)
  }

  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const attempt = url.searchParams.get('attempt') ?? ''
    const epoch = url.searchParams.get('epoch') === '2' ? 2 : 1
    switch (`${request.method} ${url.pathname}`) {
      case 'PUT /log':
        return this.#put(attempt, epoch, Number(url.searchParams.get('offset')), new Uint8Array(await request.arrayBuffer()))
      case 'POST /seal':
        return this.#seal(attempt, epoch, (await request.json()) as { bytes: number; sha256: string }) // validated by the Worker
      case 'GET /read':
        return this.#read(Number(url.searchParams.get('from')), Number(url.searchParams.get('to')))
      case 'GET /follow':
        return this.#follow(attempt as AttemptId, Number(url.searchParams.get('offset'))) // validated by the Worker
      default:
        return new Response('not found', { status: 404 })
    }
  }

  #put(attempt: string, epoch: number, offset: number, bytes: Uint8Array): Response {
    if (bytes.byteLength > LOG_PUT_BYTES) return refusal('payload_too_large', `one PUT takes at most ${LOG_PUT_BYTES} bytes`)
    if (epoch < this.#rows.known.epoch) return refusal('log_mismatch', 'this log is being sent again from the start')
    const size = this.#rows.sizeIn(epoch)
    if (offset > size) return refusal('log_gap', `the log has ${size} bytes; go on there`, { size })
    const fresh = bytes.subarray(size - offset)
    if (fresh.byteLength === 0) return this.#stored(size)
    if (this.#rows.known.state !== 'open') return refusal('log_sealed', 'the log is sealed', { size })
    if (size + fresh.byteLength > MOST_BYTES) return refusal('payload_too_large', `a log has at most ${MOST_BYTES} bytes`)
    this.#rows.append(attempt, epoch, fresh)
    this.#wake()
    return this.#stored(this.#rows.known.size)
  }

  #stored(size: number): Response {
    return answer({ size, watched: this.#followers > 0 } satisfies LogReply)
  }

  async #seal(attempt: string, epoch: number, { bytes, sha256 }: { readonly bytes: number; readonly sha256: string }): Promise<Response> {
    const { known } = this.#rows
    if (epoch < known.epoch) return refusal('log_mismatch', 'this log is being sent again from the start')
    const size = this.#rows.sizeIn(epoch)
    if (bytes > size) return known.state === 'open' ? refusal('log_gap', `the log has only ${size} of ${bytes} bytes`, { size }) : refusal('log_sealed', 'the log is sealed', { size })
    if (bytes < size) return refusal('log_mismatch', `the log has ${size} bytes, more than the ${bytes} of its seal`)
    if ((known.sha256 ?? this.#hash(size)) !== sha256) return refusal('log_mismatch', 'the stored bytes have another SHA-256 than the seal')
    if (known.state === 'open') {
      this.#rows.seal(attempt, epoch, sha256)
      // Only the alarm archives: it comes again if the object dies meanwhile, and never twice at a time.
      await this.ctx.storage.setAlarm(Date.now() + ARCHIVE_AFTER_MS)
      this.#wake()
    }
    return answer({ size, sealed: true } satisfies SealReply)
  }

  #hash(size: number): string {
    const hash = createHash('sha256')
    if (size > 0) for (const bytes of this.#rows.all()) hash.update(bytes)
    return hash.digest('hex')
  }

  override async alarm(): Promise<void> {
    const { attempt, size, sha256, state } = this.#rows.known
    if (state !== 'sealed' || sha256 === null) return
    try {
      await archiveLog(this.env, attempt, { size, sha256, piece: (offset) => this.#rows.piece(offset, ROW_BYTES) })
      this.#rows.giveAway()
    } catch (error) {
      // R2 is away: the rows stay, readable. All logs of an outage must not come back at the same instant.
      const afterMs = Math.min(ARCHIVE_SLOWEST_MS, ARCHIVE_AGAIN_MS * 2 ** (this.#rows.countFailure() - 1)) * (0.75 + Math.random() / 4)
      console.error(`kedge: the log of ${attempt} could not be archived; it stays here and is tried again in ${Math.round(afterMs / 1000)} s`, error)
      await this.ctx.storage.setAlarm(Date.now() + afterMs)
    }
  }

  /** Bytes from `offset`, at most `most`; null where there are none. */
  async #piece(offset: number, most: number): Promise<Uint8Array | null> {
    const { state, attempt, size } = this.#rows.known
    if (offset >= size) return null
    return state === 'archived' ? readArchivedPiece(this.env, attempt, offset, Math.min(most, size - offset)) : this.#rows.piece(offset, most)
  }

  /** `from` inclusive, `to` exclusive; negative `from` counts from the end. Archived logs are in R2 and only said to be. */
  #read(from: number, to: number): Response {
    const { size, state, epoch } = this.#rows.known
    const headers = { 'x-kedge-size': String(size), 'x-kedge-state': state }
    if (state === 'archived') return new Response(null, { headers })
    const start = from < 0 ? Math.max(0, size + from) : from
    const end = Math.min(to, size)
    let offset = start
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (offset >= end) return controller.close()
        const piece = this.#rows.known.epoch === epoch ? await this.#piece(offset, Math.min(ROW_BYTES, end - offset)) : null
        // An error, so that nobody takes a part for the whole.
        if (piece === null) throw new Error(`the log changed while it was read: ${offset} of ${end} bytes were sent`)
        offset += piece.byteLength
        controller.enqueue(piece)
      },
    })
    return new Response(body, { headers: { ...headers, 'x-kedge-from': String(start) } })
  }

  #follow(attempt: AttemptId, offset: number): Response {
    const { state } = this.#rows.known
    if (state === 'archived') return new Response(null, { status: 204 }) // the Worker reads it from R2
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    this.#followers += 1
    if (this.#followers === 1 && state === 'open') this.ctx.waitUntil(this.#askToSendAtOnce(attempt))
    void this.#feed(attempt, offset, writable.getWriter()).finally(() => (this.#followers -= 1))
    return new Response(readable, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' } })
  }

  async #askToSendAtOnce(attempt: AttemptId): Promise<void> {
    try {
      await this.#scheduler().watch(attempt)
    } catch (error) {
      console.error(`kedge: the agent of ${attempt} was not told that somebody watches; its log comes at its usual pace`, error)
    }
  }

  async #feed(attempt: AttemptId, from: number, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    const text = new TextEncoder()
    const scale = Number(this.env.KEDGE_TIME_SCALE ?? '1')
    let { epoch } = this.#rows.known
    let offset = from
    let askMs = ASK_FIRST_MS
    let lateSince: number | null = null
    let isGone = false
    void writer.closed.catch(() => {
      isGone = true
      this.#wake()
    })
    try {
      await writer.write(text.encode(': follows\n\n'))
      for (;;) {
        if (isGone) return
        // A log that is sent again begins anew; the client sees it by the id.
        if (this.#rows.known.epoch !== epoch) offset = 0
        epoch = this.#rows.known.epoch
        const { size } = this.#rows.known
        offset = Math.min(offset, size)
        const piece = await this.#piece(offset, FOLLOW_BYTES)
        if (piece !== null) {
          offset += piece.byteLength
          askMs = ASK_FIRST_MS
          lateSince = null
          await writer.write(text.encode(`id: ${offset}\ndata: ${base64(piece)}\n\n`))
          continue
        }
        if (offset < size) throw new Error(`the log of ${attempt} is in R2 no more`)
        if (offset < this.#rows.known.size) continue // it came just now
        if (this.#rows.known.state !== 'open') break
        if ((await this.#wokenWithin(askMs / scale)) || isGone) continue
        askMs = Math.min(askMs * 2, ASK_LAST_MS)
        const prospect = await this.#prospect(attempt, scale)
        if (offset < this.#rows.known.size) continue // it came while we asked
        if (prospect === 'whole') break
        lateSince = prospect === 'late' ? (lateSince ?? Date.now()) : null
        if (lateSince !== null && Date.now() - lateSince > PATIENCE_MS / scale) break
        await writer.write(text.encode(': waits\n\n'))
      }
      await writer.write(text.encode(`event: end\ndata: ${JSON.stringify({ size: offset, sealed: this.#rows.known.state !== 'open' })}\n\n`))
      await writer.close()
    } catch (error) {
      // A viewer who leaves is how following usually ends; one who is cut off comes again, from where he was.
      if (isGone) return
      console.error(`kedge: following the log of ${attempt} broke off at ${offset}`, error)
      await writer.abort(error).catch(() => undefined) // gone meanwhile
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #wokenWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        resolve(true)
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(wake)
        resolve(false)
      }, ms)
      this.#waiting.add(wake)
    })
  }

  #prospect(attempt: AttemptId, scale: number): Promise<Prospect> {
    const now = Date.now()
    if (this.#asked === null || now - this.#asked.at >= ASK_FIRST_MS / scale) this.#asked = { at: now, prospect: this.#askScheduler(attempt) }
    return this.#asked.prospect
  }

  async #askScheduler(attempt: AttemptId): Promise<Prospect> {
    const key = parseAttemptId(attempt)
    if (key === null) return 'whole'
    try {
      const job = await this.#scheduler().job(jobId(key))
      if (!job.ok) return 'whole'
      const own = job.value.attempts.find(({ fence }) => fence === key.fence)
      if (own === undefined || !own.ended) return 'open'
      return own.logBytes === null || own.logBytes <= this.#rows.known.size ? 'whole' : 'late'
    } catch (error) {
      console.error(`kedge: whether ${attempt} has ended could not be asked; its followers wait`, error)
      return 'open'
    }
  }

  #scheduler() {
    return this.env.SCHEDULER.get(this.env.SCHEDULER.idFromName('default'))
  }
}

/** Without a copy of the bytes. */
function base64({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

function answer(body: LogReply | SealReply): Response {
  return Response.json(body, { headers: PROTOCOL_HEADERS })
}
