/**
 * What an agent calls for one attempt: its spec, its log. The routes and the bytes only; what is let in is told in
 * `agent-credentials.ts` and `attempt-calls.ts`. The attempt's token is verified here, in the Worker, so that log traffic costs
 * the Scheduler nothing.
 */
import { Hono } from 'hono'
import { LOG_PUT_BYTES } from '../../schema/attempt.ts'
import type { AgentAnswer } from '../objects/scheduler-api.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'
import { readPut, readSeal, readSealBody, SEAL_BYTES, type LogCall, type PutCall, type SentForLog } from './attempt-calls.ts'
import { scheduler, verification, type HttpContext, type HttpEnvironment } from './context.ts'
import { attemptOf } from './agent-credentials.ts'

export const attemptRoutes = new Hono<HttpEnvironment>()

attemptRoutes.get('/v1/attempts/:attempt/spec', async (c) => {
  const attempt = attemptOf(c.req.header('authorization'), c.req.param('attempt'), verification(c))
  if (!attempt.ok) return refusal(attempt)
  const answer = await scheduler(c.env).spec(attempt.value)
  return answer.ok ? c.body(answer.value, 200, { ...PROTOCOL_HEADERS, 'content-type': 'application/json' }) : refusal(answer)
})

attemptRoutes.put('/v1/attempts/:attempt/log', async (c) => {
  const call = readPut({ ...sentFor(c), offset: c.req.query('offset'), contentEncoding: c.req.header('content-encoding') }, verification(c))
  if (!call.ok) return refusal(call)
  const body = await plainBody(c, call.value.encoding)
  if (!body.ok) return refusal(body)
  return jobLog(c, call.value, `log?offset=${call.value.offset}`, { method: 'PUT', body: body.value })
})

attemptRoutes.post('/v1/attempts/:attempt/log/seal', async (c) => {
  const call = readSeal(sentFor(c), verification(c))
  if (!call.ok) return refusal(call)
  const seal = readSealBody(await boundedBody(c, SEAL_BYTES))
  if (!seal.ok) return refusal(seal)
  return jobLog(c, call.value, 'seal?', { method: 'POST', body: JSON.stringify(seal.value) })
})

function sentFor(c: HttpContext): SentForLog {
  return { authorization: c.req.header('authorization'), attempt: c.req.param('attempt') ?? '', epoch: c.req.query('epoch') }
}

function jobLog(c: HttpContext, { attempt, epoch }: LogCall, path: string, init: { readonly method: string; readonly body: Uint8Array | string }): Promise<Response> {
  return c.env.JOB_LOG.get(c.env.JOB_LOG.idFromName(attempt)).fetch(new Request(`https://log/${path}&attempt=${attempt}&epoch=${epoch}`, init))
}

/** The plain bytes of a PUT; gzip is undone here. */
async function plainBody(c: HttpContext, encoding: PutCall['encoding']): Promise<AgentAnswer<Uint8Array>> {
  if (encoding === 'identity') return atMost(LOG_PUT_BYTES, await boundedBody(c, LOG_PUT_BYTES))
  if (c.req.raw.body === null) return { ok: false, code: 'bad_request', message: 'a body with content-encoding gzip cannot be empty' }
  const plain = (c.req.raw.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new DecompressionStream('gzip')) // a request's body is bytes
  try {
    return atMost(LOG_PUT_BYTES, await firstBytes(plain, LOG_PUT_BYTES))
  } catch {
    return { ok: false, code: 'bad_request', message: 'the body is not whole gzip, as its content-encoding says' }
  }
}

function atMost(most: number, bytes: Uint8Array | null): AgentAnswer<Uint8Array> {
  return bytes === null ? { ok: false, code: 'payload_too_large', message: `one PUT takes at most ${most} plain bytes` } : { ok: true, value: bytes }
}

/** The body, or null when it has more than `most` bytes, of which no more than that are ever held. */
async function boundedBody(c: HttpContext, most: number): Promise<Uint8Array | null> {
  const length = c.req.header('content-length')
  if (length !== undefined) return Number(length) > most ? null : new Uint8Array(await c.req.arrayBuffer()) // the platform keeps a body to its announced length
  return c.req.raw.body === null ? new Uint8Array() : firstBytes(c.req.raw.body as ReadableStream<Uint8Array>, most) // a request's body is bytes
}

/** All bytes of a stream, or null, and the stream is left, as soon as there are more than `most`. */
async function firstBytes(stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of stream) {
    length += piece.byteLength
    if (length > most) return null
    pieces.push(piece)
  }
  return Buffer.concat(pieces, length)
}
