/**
 * What an agent calls for one attempt: its spec, its log. The attempt's token is verified here, in the Worker, so that
 * log traffic costs the Scheduler nothing.
 */
import { Hono } from 'hono'
import { LOG_PUT_BYTES, sealRequest } from '../../schema/attempt.ts'
import { parseAttemptId, type AttemptId } from '../../schema/job.ts'
import { readAttempt, tokenTag, TOKEN_NAMES } from '../trust/tokens.ts'
import { scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { PROTOCOL_HEADERS, refusal } from './refusal.ts'

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
  const text = await c.req.text()
  const seal = text.length > 4096 ? null : sealRequest.safeParse(parseJson(text))
  if (!seal?.success) return refusal('bad_request', 'a seal is {"bytes": number, "sha256": 64 hex digits}')
  return jobLog(c, attempt, `seal?attempt=${attempt}&epoch=${epoch}`, { method: 'POST', body: JSON.stringify(seal.data) })
})

function jobLog(c: HttpContext, attempt: AttemptId, path: string, init: { readonly method: string; readonly body: ArrayBuffer | Uint8Array | string }): Promise<Response> {
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
  if (claims.attempt !== named) return refusal('token_invalid', `this token belongs to attempt ${claims.attempt}, not to ${named}`)
  return claims.attempt
}

/** The bytes of a PUT; gzip is undone, and never beyond what one PUT may hold. */
async function plainBody(c: HttpContext): Promise<ArrayBuffer | Uint8Array | Response> {
  const tooLarge = () => refusal('payload_too_large', `one PUT takes at most ${LOG_PUT_BYTES} plain bytes`)
  if (Number(c.req.header('content-length') ?? '0') > LOG_PUT_BYTES) return tooLarge()
  const encoding = c.req.header('content-encoding') ?? 'identity'
  if (encoding === 'identity') {
    const bytes = await c.req.arrayBuffer()
    return bytes.byteLength > LOG_PUT_BYTES ? tooLarge() : bytes
  }
  if (encoding !== 'gzip' || c.req.raw.body === null) return refusal('bad_request', 'content-encoding must be gzip or absent')
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for await (const piece of (c.req.raw.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new DecompressionStream('gzip'))) {
      length += piece.byteLength
      if (length > LOG_PUT_BYTES) return tooLarge()
      pieces.push(piece)
    }
  } catch {
    return refusal('bad_request', 'the body is not gzip, as its content-encoding says')
  }
  return Buffer.concat(pieces)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
