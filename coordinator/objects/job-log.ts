/**
 * The JobLog object: the log of one attempt, while it grows. A shell around `LogStore`, which says what is stored: it
 * gives it the object's SQLite and alarm, and R2 to move to, also from under whoever still reads: what they lack comes
 * from R2 then. And it feeds those who follow.
 *
 * Followers get Server-Sent Events: `id` is the offset after the bytes, `data` the bytes in base64 (an event cannot hold
 * every byte as text). An id that is not the last one plus the length of the bytes means that the agent sends all of it
 * again: begin anew. `event: end` with `{"size":N,"sealed":true|false}` when nothing will follow. A follower reads at its
 * own pace, so a slow one costs no memory. It may begin before the first byte.
 */
import { DurableObject } from 'cloudflare:workers'
import type { LogReply, SealReply, SealRequest } from '../../schema/attempt.ts'
import { jobId, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import { archiveLog, readArchivedPiece } from '../blobs.ts'
import type { Environment } from '../environment.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'
import { ROW_BYTES } from './log-rows.ts'
import { ARCHIVE_AFTER_MS, LogStore, type LogPut } from './log-store.ts'
import { sqlOf } from './object-sql.ts'
import type { JobLogApi } from './scheduler-api.ts'

const FOLLOW_BYTES = 64 * 1024
/** How long a follower waits for bytes before it asks whether the attempt has ended. */
const ASK_FIRST_MS = 500
const ASK_LAST_MS = 3000
/** An ended attempt whose log stays away this long is followed no more: its machine may be gone. A log that comes later is stored all the same. */
const PATIENCE_MS = 30_000

/** `open`: more may come. `whole`: nothing will. `late`: the attempt has ended, but bytes that it announced are missing. */
type Prospect = 'open' | 'whole' | 'late'

export class JobLog extends DurableObject<Environment> implements JobLogApi {
  readonly #log: LogStore
  #followers = 0
  /** Called at each new byte, at the seal and when a viewer leaves. */
  readonly #waiting = new Set<() => void>()
  /** All followers share one question to the Scheduler. */
  #asked: { readonly at: number; readonly prospect: Promise<Prospect> } | null = null

  constructor(state: DurableObjectState, env: Environment) {
    super(state, env)
    this.#log = new LogStore(sqlOf(state.storage))
  }

  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const attempt = url.searchParams.get('attempt') ?? ''
    const epoch = url.searchParams.get('epoch') === '2' ? 2 : 1
    switch (`${request.method} ${url.pathname}`) {
      case 'PUT /log':
        return this.#put({ attempt, epoch, offset: Number(url.searchParams.get('offset')), bytes: new Uint8Array(await request.arrayBuffer()) })
      case 'POST /seal':
        return this.#seal(attempt, epoch, (await request.json()) as SealRequest) // validated by the Worker
      case 'GET /read':
        return this.#read(Number(url.searchParams.get('from')), Number(url.searchParams.get('to')))
      case 'GET /follow':
        return this.#follow(attempt as AttemptId, Number(url.searchParams.get('offset'))) // validated by the Worker
      default:
        return new Response('not found', { status: 404 })
    }
  }

  #put(put: LogPut): Response {
    const before = this.#log.known
    const answer = this.#log.put(put)
    if (this.#log.known !== before) this.#wake()
    return answer.ok ? reply({ ...answer.value, watched: this.#followers > 0 }) : refusal(answer)
  }

  async #seal(attempt: string, epoch: number, seal: SealRequest): Promise<Response> {
    const before = this.#log.known
    const answer = this.#log.seal(attempt, epoch, seal)
    if (this.#log.known !== before) {
      // Only the alarm archives: it comes again if the object dies meanwhile, and never twice at a time.
      await this.ctx.storage.setAlarm(Date.now() + ARCHIVE_AFTER_MS)
      this.#wake()
    }
    return answer.ok ? reply(answer.value) : refusal(answer)
  }

  override async alarm(): Promise<void> {
    const againMs = await this.#log.archive((attempt, log) => archiveLog(this.env, attempt, log), Math.random)
    if (againMs !== null) await this.ctx.storage.setAlarm(Date.now() + againMs)
  }

  /** Bytes from `offset`, at most `most`, wherever they are by now; null where there are none. */
  async #piece(offset: number, most: number): Promise<Uint8Array | null> {
    const { state, attempt, size } = this.#log.known
    if (offset >= size) return null
    return state === 'archived' ? readArchivedPiece(this.env, attempt, offset, Math.min(most, size - offset)) : this.#log.piece(offset, most)
  }

  /** `from` inclusive, `to` exclusive; negative `from` counts from the end. Archived logs are in R2 and only said to be. */
  #read(from: number, to: number): Response {
    const { size, state, epoch } = this.#log.known
    const headers = { 'x-kedge-size': String(size), 'x-kedge-state': state }
    if (state === 'archived') return new Response(null, { headers })
    const { start, end } = this.#log.range(from, to)
    let offset = start
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (offset >= end) return controller.close()
        const piece = this.#log.known.epoch === epoch ? await this.#piece(offset, Math.min(ROW_BYTES, end - offset)) : null
        // An error, so that nobody takes a part for the whole.
        if (piece === null) throw new Error(`the log changed while it was read: ${offset} of ${end} bytes were sent`)
        offset += piece.byteLength
        controller.enqueue(piece)
      },
    })
    return new Response(body, { headers: { ...headers, 'x-kedge-from': String(start) } })
  }

  #follow(attempt: AttemptId, offset: number): Response {
    const { state } = this.#log.known
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
    let { epoch } = this.#log.known
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
        if (this.#log.known.epoch !== epoch) offset = 0
        epoch = this.#log.known.epoch
        const { size } = this.#log.known
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
        if (offset < this.#log.known.size) continue // it came just now
        if (this.#log.known.state !== 'open') break
        if ((await this.#wokenWithin(askMs / scale)) || isGone) continue
        askMs = Math.min(askMs * 2, ASK_LAST_MS)
        const prospect = await this.#prospect(attempt, scale)
        if (offset < this.#log.known.size) continue // it came while we asked
        if (prospect === 'whole') break
        lateSince = prospect === 'late' ? (lateSince ?? Date.now()) : null
        if (lateSince !== null && Date.now() - lateSince > PATIENCE_MS / scale) break
        await writer.write(text.encode(': waits\n\n'))
      }
      await writer.write(text.encode(`event: end\ndata: ${JSON.stringify({ size: offset, sealed: this.#log.known.state !== 'open' })}\n\n`))
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
      return own.logBytes === null || own.logBytes <= this.#log.known.size ? 'whole' : 'late'
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

function reply(body: LogReply | SealReply): Response {
  return Response.json(body, { headers: PROTOCOL_HEADERS })
}
