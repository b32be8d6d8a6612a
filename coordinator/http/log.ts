/**
 * Logs for people: `GET /api/v1/jobs/{id}/log[?attempt=N]`, whole, by range, or followed live as Server-Sent Events
 * (their form is in `objects/job-log.ts`). `worker.ts` lets only those in who may read.
 */
import { Hono } from 'hono'
import { parseJobId, type AttemptId } from '../../schema/job.ts'
import { readArchivedLog } from '../blobs.ts'
import type { Environment } from '../environment.ts'
import type { JobLogs } from '../objects/scheduler-api.ts'
import { untilFirstAttempt, type FirstAttempt } from './first-attempt.ts'
import { scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { problem, valueOf } from './problem.ts'

export const logRoutes = new Hono<HttpEnvironment>()

export interface LogRead {
  readonly size: number
  /** Offset of the first byte of `body`. */
  readonly from: number
  readonly isSealed: boolean
  readonly body: ReadableStream<Uint8Array>
}

/** `from` inclusive (negative: from the end), `to` exclusive. `hasEnded` only says where to look first. */
export async function readLog(env: Environment, attempt: AttemptId, { from = 0, to = Number.MAX_SAFE_INTEGER, hasEnded = false } = {}): Promise<LogRead> {
  const archived = async () => {
    const stored = await readArchivedLog(env, attempt, from, to)
    return stored && { ...stored, isSealed: true }
  }
  const early = hasEnded ? await archived() : null
  if (early) return early
  const response = await env.JOB_LOG.get(env.JOB_LOG.idFromName(attempt)).fetch(new Request(`https://log/read?from=${from}&to=${to}`))
  const state = response.headers.get('x-kedge-state')
  if (state === 'archived') {
    const late = await archived()
    if (late) return late
    throw problem(404, { code: 'log-gone', detail: `The log of ${attempt} was archived, but it is in the bucket no more. A lifecycle rule of the bucket may have removed it.` })
  }
  return { size: Number(response.headers.get('x-kedge-size')), from: Number(response.headers.get('x-kedge-from')), isSealed: state !== 'open', body: (response.body ?? new Response('').body) as ReadableStream<Uint8Array> } // bytes
}

logRoutes.get('/api/v1/jobs/:job/log', async (c) => {
  const id = c.req.param('job')
  if (parseJobId(id) === null) throw problem(404, { code: 'job-unknown', detail: `"${id.slice(0, 80)}" is not a job id; one looks like J1-82-1.` })
  const look = async () => valueOf(await scheduler(c.env).job(id))
  const attempt = chosen(await look(), c.req.query('attempt'))
  if ((c.req.header('accept') ?? '').includes('text/event-stream')) {
    const offset = offsetOf(c)
    return attempt === null ? events(untilFirstAttempt({ look, follow: async (first) => (await follow(c, first, offset)).body, pause: pauseOf(c) })) : follow(c, attempt, offset)
  }
  if (attempt === null) return empty()
  if (attempt.ended && attempt.logBytes === 0) return empty() // it printed nothing, so there is no object to ask
  return whole(c, attempt)
})

type Attempt = JobLogs['attempts'][number]

function chosen(job: JobLogs, asked: string | undefined): Attempt | null {
  if (asked === undefined) return job.attempts.at(-1) ?? null
  const attempt = job.attempts.find(({ fence }) => String(fence) === asked)
  if (attempt) return attempt
  const known = job.attempts.length === 0 ? 'It has not been given to an agent yet.' : `There ${job.attempts.length === 1 ? 'is' : 'are'}: ${job.attempts.map(({ fence }) => fence).join(', ')}.`
  throw problem(404, { code: 'attempt-unknown', detail: `Job ${job.id} has no attempt ${JSON.stringify(asked.slice(0, 20))}. ${known}` })
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8', 'accept-ranges': 'bytes', 'cache-control': 'no-store' } as const

function empty(): Response {
  return new Response('', { headers: PLAIN })
}

async function whole(c: HttpContext, attempt: Attempt): Promise<Response> {
  const header = c.req.header('range')
  const range = header === undefined ? null : parseRange(header)
  const log = await readLog(c.env, attempt.id, { hasEnded: attempt.ended, ...range })
  if (range === null) return new Response(log.body, { headers: PLAIN })
  if (log.from >= log.size) {
    await log.body.cancel()
    throw problem(416, { code: 'range-invalid', detail: `The log has ${log.size} bytes so far; the range begins at ${log.from}.`, headers: { 'content-range': `bytes */${log.size}` } })
  }
  const end = Math.min(range.to ?? log.size, log.size)
  return new Response(log.body, { status: 206, headers: { ...PLAIN, 'content-range': `bytes ${log.from}-${end - 1}/${log.size}` } })
}

/** One range, as RFC 9110 has it; anything else is ignored, as it says, and the whole is sent. */
function parseRange(header: string): { readonly from: number; readonly to?: number } | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim())
  if (!match) return null
  const [, first, last] = match
  if (first) return last ? (Number(last) < Number(first) ? null : { from: Number(first), to: Number(last) + 1 }) : { from: Number(first) }
  return last && Number(last) > 0 ? { from: -Number(last) } : null
}

/** Where a follower goes on. */
function offsetOf(c: HttpContext): number {
  const asked = c.req.header('last-event-id') ?? c.req.query('offset') ?? '0'
  if (!/^\d{1,15}$/.test(asked)) throw problem(400, { code: 'offset-invalid', detail: `The place to go on from must be a number of bytes, not ${JSON.stringify(asked.slice(0, 40))}.` })
  return Number(asked)
}

async function follow(c: HttpContext, attempt: Attempt, offset: number): Promise<Response> {
  if (attempt.ended && attempt.logBytes === 0) return events('event: end\ndata: {"size":0,"sealed":true}\n\n')
  const response = await c.env.JOB_LOG.get(c.env.JOB_LOG.idFromName(attempt.id)).fetch(new Request(`https://log/follow?attempt=${attempt.id}&offset=${offset}`))
  if (response.status !== 204 && response.body !== null) return events(response.body as ReadableStream<Uint8Array>) // bytes
  return replay(await readLog(c.env, attempt.id, { from: offset, hasEnded: true }))
}

const EVENTS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' } as const

function events(body: string | ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: EVENTS })
}

function pauseOf(c: HttpContext): FirstAttempt['pause'] {
  const scale = Number(c.env.KEDGE_TIME_SCALE ?? '1')
  return (ms, signal) =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms / scale)
      signal.addEventListener('abort', end)
    })
}

/** A finished log in the form of a followed one. */
function replay(log: LogRead): Response {
  const text = new TextEncoder()
  let offset = log.from
  const toEvents = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      offset += piece.byteLength
      controller.enqueue(text.encode(`id: ${offset}\ndata: ${Buffer.from(piece).toString('base64')}\n\n`))
    },
    flush(controller) {
      controller.enqueue(text.encode(`event: end\ndata: ${JSON.stringify({ size: offset, sealed: true })}\n\n`))
    },
  })
  return events(log.body.pipeThrough(toEvents))
}
