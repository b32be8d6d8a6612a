/**
 * What an agent calls for one attempt: its spec, its log. The attempt's token is verified here, in the Worker, so that
 * log traffic costs the Scheduler nothing.
 */
import { Hono } from 'hono'
import { LOG_PUT_BYTES, sealRequest } from '../../schema/attempt.ts'
import { parseAttemptId, type AttemptId } from '../../schema/job.ts'
import { parseJson } from '../../schema/parse-json.ts'
import { readAttempt, tokenTag, TOKEN_NAMES } from '../trust/tokens.ts'
import { scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'

/** An honest seal has a hundred bytes. */
const SEAL_BYTES = 4096

type Body = ArrayBuffer | Uint8Array

export const attemptRoutes = new Hono<HttpEnvironment>()

attemptRoutes.get('/v1/attempts/:attempt/spec', async (c) => {
  const attempt = attemptOf(c)
  if (attempt instanceof Response) return attempt
  const answer = await scheduler(c.env).spec(attempt)
  return answer.ok ? c.body(answer.value, 200, { ...PROTOCOL_HEADERS, 'content-type': 'application/json' }) : refusal(answer.code, answer.message, answer.extra)
})

attemptRoutes.put('/v1/attempts/:attempt/log', async (c) => {
  const attempt = attemptOf(c)
  if (attempt instanceof Response) return attempt
  const offset = c.req.query('offset') ?? ''
  if (!/^\d{1,15}$/.test(offset)) return refusal('bad_request', `offset must be the number of bytes before these, not "${offset.slice(0, 40)}"`)
  const epoch = epochOf(c)
  if (epoch instanceof Response) return epoch
  const body = await plainBody(c)
  if (body instanceof Response) return body
  return jobLog(c, attempt, `log?attempt=${attempt}&offset=${offset}&epoch=${epoch}`, { method: 'PUT', body })
})

attemptRoutes.post('/v1/attempts/:attempt/log/seal', async (c) => {
  const attempt = attemptOf(c)
  if (attempt instanceof Response) return attempt
  const epoch = epochOf(c)
  if (epoch instanceof Response) return epoch
  const body = await boundedBody(c, SEAL_BYTES)
  const seal = body === null ? null : sealRequest.safeParse(parseJson(new TextDecoder().decode(body)))
  if (!seal?.success) return refusal('bad_request', 'a seal is {"bytes": number, "sha256": 64 hex digits in lower case}')
  return jobLog(c, attempt, `seal?attempt=${attempt}&epoch=${epoch}`, { method: 'POST', body: JSON.stringify(seal.data) })
})

function jobLog(c: HttpContext, attempt: AttemptId, path: string, init: { readonly method: string; readonly body: Body | string }): Promise<Response> {
  return c.env.JOB_LOG.get(c.env.JOB_LOG.idFromName(attempt)).fetch(new Request(`https://log/${path}`, init))
}

function epochOf(c: HttpContext): '1' | '2' | Response {
  const epoch = c.req.query('epoch') ?? '1'
  return epoch === '1' || epoch === '2' ? epoch : refusal('bad_request', 'epoch is 1, or 2 when all of the log is sent again')
}

/** The attempt of the path, if the token is this very attempt's. */
function attemptOf(c: HttpContext): AttemptId | Response {
  const named = c.req.param('attempt') ?? ''
  if (parseAttemptId(named) === null) return refusal('bad_request', `"${named.slice(0, 80)}" is not an attempt id; one looks like J1-82-1.3`)
  const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
  if (token === undefined) return refusal('token_invalid', "the attempt's token (kdg_att_…) is needed here, but none was sent")
  const tag = tokenTag(token)
  if (tag !== 'att') return refusal('token_invalid', `the attempt's token (kdg_att_…) is needed here, but ${tag === null ? 'what was sent is not a token of Kedge' : `this is the ${TOKEN_NAMES[tag]}`}`)
  const claims = readAttempt(token, c.env.KEDGE_SIGNING_KEY ?? '')
  if (claims === null || claims.expiresAt <= Date.now()) return refusal('token_invalid', "the attempt's token is not valid, or not any more")
  if (claims.attempt !== named) return refusal('token_invalid', `this token belongs to attempt ${claims.attempt}, not to ${named}`, {}, { status: 403 }) // known, but not let in here
  return claims.attempt
}

/** The plain bytes of a PUT; gzip is undone here. */
async function plainBody(c: HttpContext): Promise<Body | Response> {
  const encoding = c.req.header('content-encoding') ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') return refusal('bad_request', `content-encoding must be gzip or absent, not "${encoding.slice(0, 40)}"`)
  const tooLarge = () => refusal('payload_too_large', `one PUT takes at most ${LOG_PUT_BYTES} plain bytes`)
  if (encoding === 'identity') return (await boundedBody(c, LOG_PUT_BYTES)) ?? tooLarge()
  if (c.req.raw.body === null) return refusal('bad_request', 'a body with content-encoding gzip cannot be empty')
  try {
    return (await firstBytes((c.req.raw.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new DecompressionStream('gzip')), LOG_PUT_BYTES)) ?? tooLarge() // a request's body is bytes
  } catch {
    return refusal('bad_request', 'the body is not whole gzip, as its content-encoding says')
  }
}

/** The body, or null when it has more than `most` bytes, of which no more than that are ever held. */
async function boundedBody(c: HttpContext, most: number): Promise<Body | null> {
  const length = c.req.header('content-length')
  if (length !== undefined) return Number(length) > most ? null : c.req.arrayBuffer() // the platform keeps a body to its announced length
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
