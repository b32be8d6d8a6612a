/**
 * The JobLog object: the log of one attempt, while it grows. What it stores is always a prefix of the file that the
 * agent spooled [I16]: a PUT beyond the end is refused, the known part of an overlap is skipped. Once sealed the log
 * moves to R2 and the rows go; the object keeps only that it is sealed.
 *
 * Followers get Server-Sent Events: `id` is the offset after the bytes, `data` the bytes in base64 (an event cannot hold
 * every byte as text); `event: end` when nothing will follow. A follower reads at its own pace from the rows, so a slow
 * one costs no memory. It may begin before the first byte.
 */
import { createHash } from 'node:crypto'
import { DurableObject } from 'cloudflare:workers'
import { LOG_LIMIT_BYTES, LOG_PUT_BYTES, LOG_TAIL_BYTES, type LogReply, type SealReply } from '../../schema/attempt.ts'
import { parseAttemptId, jobId, type AttemptId } from '../../schema/job.ts'
import { archiveLog } from '../blobs.ts'
import type { Environment } from '../environment.ts'
import { PROTOCOL_HEADERS, refusal } from '../http/refusal.ts'
import type { JobLogApi } from './scheduler-api.ts'

const ROW_BYTES = 256 * 1024
/** Small PUTs are gathered in one row up to this size: each row is paid for when written and again when deleted. */
const GATHER_BYTES = 64 * 1024
const FOLLOW_BYTES = 64 * 1024
/** Head, marker and tail of a log that was cut by its agent. */
const MOST_BYTES = LOG_LIMIT_BYTES + LOG_TAIL_BYTES + 64 * 1024
/** How long a follower waits for bytes before it asks whether the attempt has ended. */
const ASK_FIRST_MS = 500
const ASK_LAST_MS = 3000
const ARCHIVE_AGAIN_MS = 30_000

export class JobLog extends DurableObject<Environment> implements JobLogApi {
  readonly #sql: SqlStorage
  #attempt = ''
  #epoch = 1
  #size = 0
  #isSealed = false
  #isArchived = false
  #lastRow = { start: 0, bytes: 0 }
  #followers = 0
  /** Called at each new byte and at the seal. */
  #wakeFollowers: (() => void)[] = []

  constructor(state: DurableObjectState, env: Environment) {
    super(state, env)
    this.#sql = state.storage.sql
    this.#sql.exec('create table if not exists piece (start integer primary key, bytes blob not null)')
    this.#sql.exec('create table if not exists log (id integer primary key, attempt text not null, epoch integer not null, size integer, state text not null)')
    const row = this.#sql.exec<{ attempt: string; epoch: number; size: number | null; state: string }>('select attempt, epoch, size, state from log').toArray()[0]
    if (!row) return
    this.#attempt = row.attempt
    this.#epoch = row.epoch
    this.#isSealed = row.state !== 'open'
    this.#isArchived = row.state === 'archived'
    const last = this.#sql.exec<{ start: number; bytes: number }>('select start, length(bytes) as bytes from piece order by start desc limit 1').toArray()[0]
    if (last) this.#lastRow = last
    this.#size = row.size ?? (last ? last.start + last.bytes : 0)
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
        return this.#follow(attempt as AttemptId, Number(url.searchParams.get('offset')))
      default:
        return new Response('not found', { status: 404 })
    }
  }

  #put(attempt: string, epoch: number, offset: number, bytes: Uint8Array): Response {
    if (bytes.byteLength > LOG_PUT_BYTES) return refusal('payload_too_large', `one PUT takes at most ${LOG_PUT_BYTES} bytes`)
    const refused = this.#enter(attempt, epoch)
    if (refused) return refused
    if (offset > this.#size) return refusal('log_gap', `the log has ${this.#size} bytes; go on there`, { size: this.#size })
    const fresh = bytes.subarray(this.#size - offset)
    if (fresh.byteLength > 0) {
      if (this.#isSealed) return refusal('log_sealed', 'the log is sealed', { size: this.#size })
      if (this.#size + fresh.byteLength > MOST_BYTES) return refusal('payload_too_large', `a log has at most ${MOST_BYTES} bytes`)
      this.ctx.storage.transactionSync(() => this.#append(fresh))
      this.#notify()
    }
    return answer({ size: this.#size, watched: this.#followers > 0 } satisfies LogReply)
  }

  /** Makes the row of the log at its first message, and empties it once when the agent sends all of it again. */
  #enter(attempt: string, epoch: number): Response | null {
    if (this.#attempt === '') {
      this.#attempt = attempt
      this.#epoch = epoch
      this.#sql.exec("insert or replace into log (id, attempt, epoch, size, state) values (1, ?, ?, null, 'open')", attempt, epoch)
    }
    if (epoch < this.#epoch) return refusal('log_mismatch', 'this log is being sent again from the start')
    if (epoch > this.#epoch && !this.#isSealed) {
      this.#epoch = epoch
      this.#size = 0
      this.#lastRow = { start: 0, bytes: 0 }
      this.ctx.storage.transactionSync(() => {
        this.#sql.exec('delete from piece')
        this.#sql.exec('update log set epoch = ?', epoch)
      })
    }
    return null
  }

  #append(bytes: Uint8Array): void {
    let rest = bytes
    const { start, bytes: length } = this.#lastRow
    if (length > 0 && length + rest.byteLength <= GATHER_BYTES) {
      const before = this.#sql.exec<{ bytes: ArrayBuffer }>('select bytes from piece where start = ?', start).one().bytes
      const joined = new Uint8Array(length + rest.byteLength)
      joined.set(new Uint8Array(before))
      joined.set(rest, length)
      this.#sql.exec('update piece set bytes = ? where start = ?', joined, start)
      this.#lastRow = { start, bytes: joined.byteLength }
      this.#size += rest.byteLength
      return
    }
    while (rest.byteLength > 0) {
      const piece = rest.subarray(0, ROW_BYTES)
      this.#sql.exec('insert into piece (start, bytes) values (?, ?)', this.#size, piece)
      this.#lastRow = { start: this.#size, bytes: piece.byteLength }
      this.#size += piece.byteLength
      rest = rest.subarray(piece.byteLength)
    }
  }

  async #seal(attempt: string, epoch: number, seal: { readonly bytes: number; readonly sha256: string }): Promise<Response> {
    const refused = this.#enter(attempt, epoch)
    if (refused) return refused
    if (this.#isSealed) return seal.bytes === this.#size ? answer({ size: this.#size, sealed: true } satisfies SealReply) : refusal('log_sealed', 'the log is sealed', { size: this.#size })
    if (seal.bytes > this.#size) return refusal('log_gap', `the log has only ${this.#size} of ${seal.bytes} bytes`, { size: this.#size })
    if (seal.bytes < this.#size) return refusal('log_mismatch', `the log has ${this.#size} bytes, more than the ${seal.bytes} of its seal`)
    if (this.#hash() !== seal.sha256) return refusal('log_mismatch', 'the stored bytes have another SHA-256 than the seal')
    this.#isSealed = true
    this.#sql.exec("update log set state = 'sealed', size = ?", this.#size)
    // Armed first: if the object dies while it archives, the alarm goes on.
    void this.ctx.storage.setAlarm(Date.now() + ARCHIVE_AGAIN_MS)
    this.ctx.waitUntil(this.#archive())
    this.#notify()
    return answer({ size: this.#size, sealed: true } satisfies SealReply)
  }

  /** One row at a time: memory stays flat however long the log is. */
  #hash(): string {
    const hash = createHash('sha256')
    for (const { bytes } of this.#sql.exec<{ bytes: ArrayBuffer }>('select bytes from piece order by start')) hash.update(new Uint8Array(bytes))
    return hash.digest('hex')
  }

  async #archive(): Promise<void> {
    if (!this.#isSealed || this.#isArchived) return
    try {
      await archiveLog(this.env, this.#attempt, this.#size, (offset) => this.#piece(offset, ROW_BYTES))
    } catch (error) {
      // R2 is away: the rows stay, readable, and the alarm tries again.
      console.error(`kedge: the log of ${this.#attempt} could not be archived yet`, error)
      return
    }
    this.#isArchived = true
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("update log set state = 'archived'")
      this.#sql.exec('delete from piece')
    })
    await this.ctx.storage.deleteAlarm()
  }

  override async alarm(): Promise<void> {
    await this.#archive()
    if (this.#isSealed && !this.#isArchived) await this.ctx.storage.setAlarm(Date.now() + 2 * ARCHIVE_AGAIN_MS)
  }

  /** Bytes from `offset`, at most `most`, from one row; null at the end. */
  #piece(offset: number, most: number): Uint8Array | null {
    if (offset >= this.#size) return null
    const row = this.#sql.exec<{ start: number; bytes: ArrayBuffer }>('select start, bytes from piece where start <= ? order by start desc limit 1', offset).toArray()[0]
    return row ? new Uint8Array(row.bytes).subarray(offset - row.start, offset - row.start + most) : null
  }

  /** `from` inclusive, `to` exclusive; negative `from` counts from the end. Archived logs are in R2 and only said to be. */
  #read(from: number, to: number): Response {
    const headers = { 'x-kedge-size': String(this.#size), 'x-kedge-state': this.#isArchived ? 'archived' : this.#isSealed ? 'sealed' : 'open' }
    if (this.#isArchived) return new Response(null, { headers })
    const start = from < 0 ? Math.max(0, this.#size + from) : from
    const end = Math.min(to, this.#size)
    let offset = start
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const piece = offset < end ? this.#piece(offset, Math.min(ROW_BYTES, end - offset)) : null
        if (piece === null) return controller.close()
        offset += piece.byteLength
        controller.enqueue(piece)
      },
    })
    return new Response(body, { headers: { ...headers, 'x-kedge-from': String(start) } })
  }

  #notify(): void {
    const waiting = this.#wakeFollowers
    this.#wakeFollowers = []
    for (const wake of waiting) wake()
  }

  #follow(attempt: AttemptId, offset: number): Response {
    if (this.#isArchived) return new Response(null, { status: 204 }) // the Worker reads it from R2
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    this.#followers += 1
    if (this.#followers === 1 && !this.#isSealed) this.ctx.waitUntil(this.env.SCHEDULER.get(this.env.SCHEDULER.idFromName('default')).watch(attempt))
    void this.#feed(attempt, offset, writable.getWriter()).finally(() => (this.#followers -= 1))
    return new Response(readable, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' } })
  }

  async #feed(attempt: AttemptId, from: number, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    const text = new TextEncoder()
    let offset = Math.min(from, this.#size)
    let askMs = ASK_FIRST_MS
    let isGone = false
    void writer.closed.catch(() => {
      isGone = true
      this.#notify()
    })
    try {
      await writer.write(text.encode(': follows\n\n'))
      while (!isGone) {
        offset = Math.min(offset, this.#size) // a log that is sent again begins anew
        const piece = this.#piece(offset, FOLLOW_BYTES)
        if (piece !== null) {
          offset += piece.byteLength
          askMs = ASK_FIRST_MS
          await writer.write(text.encode(`id: ${offset}\ndata: ${Buffer.from(piece).toString('base64')}\n\n`))
          continue
        }
        if (this.#isSealed) break
        const heard = await this.#nextByteWithin(askMs)
        if (heard || isGone) continue
        askMs = Math.min(askMs * 2, ASK_LAST_MS)
        if (await this.#hasEnded(attempt)) break
        await writer.write(text.encode(': waits\n\n'))
      }
      await writer.write(text.encode(`event: end\ndata: ${JSON.stringify({ size: offset, sealed: this.#isSealed })}\n\n`))
      await writer.close()
    } catch {
      // The viewer is gone; that is how following usually ends.
    }
  }

  #nextByteWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms)
      this.#wakeFollowers.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  /** Nothing more will come: the attempt was lost, or it ended and all that it announced is here. */
  async #hasEnded(attempt: AttemptId): Promise<boolean> {
    const key = parseAttemptId(attempt)
    if (!key) return true
    const job = await this.env.SCHEDULER.get(this.env.SCHEDULER.idFromName('default')).job(jobId(key))
    if (!job.ok) return true
    const own = job.value.attempts.find(({ fence }) => fence === key.fence)
    return own !== undefined && own.ended && (own.logBytes === null || own.logBytes <= this.#size)
  }
}

function answer(body: LogReply | SealReply): Response {
  return Response.json(body, { headers: PROTOCOL_HEADERS })
}
