/**
 * What agents call, but for their attempts' logs (`attempt.ts`): registration, the sync, the doorbell. All that can be
 * refused without the Scheduler is refused here, so that garbage costs it nothing [C4.1].
 */
import { Hono } from 'hono'
import type { z } from 'zod'
import { PROTOCOL } from '../../schema/refusal.ts'
import { attemptResult, registerRequest, syncRequest, SYNC_BODY_BYTES, type ProtoReply } from '../../schema/sync.ts'
import type { ReadResult } from '../core/judge.ts'
import type { Caller } from '../objects/scheduler-api.ts'
import type { ParsedSync } from '../objects/sync.ts'
import { readSession, sha256Hex, tokenTag, TOKEN_NAMES } from '../trust/tokens.ts'
import { scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'

export const FEATURES = ['cancel', 'drain', 'resume', 'doorbell'] as const

export const agentRoutes = new Hono<HttpEnvironment>()

agentRoutes.get('/v1/proto', (c) => c.json({ ...PROTOCOL, features: [...FEATURES] } satisfies ProtoReply, 200, PROTOCOL_HEADERS))

agentRoutes.post('/v1/agents/register', async (c) => {
  const body = await readBody(c)
  if (body instanceof Response) return body
  const parsed = parse(registerRequest, body)
  if (parsed instanceof Response) return parsed
  const token = bearer(c)
  if (token === null || tokenTag(token) !== 'reg') return wrongToken(token, 'registration token', 'kdg_reg_…')
  const answer = await scheduler(c.env).register(parsed, sha256Hex(token))
  return answer.ok ? c.json(answer.value, 200, PROTOCOL_HEADERS) : refusal(answer.code, answer.message, answer.extra)
})

agentRoutes.post('/v1/agents/rotate', async (c) => {
  const body = await readBody(c)
  if (body instanceof Response) return body
  const parsed = parse(registerRequest.pick({ proto: true, agent_id: true, secret_sha256: true }), body)
  if (parsed instanceof Response) return parsed
  const caller = callerOf(c)
  if (caller instanceof Response) return caller
  const answer = await scheduler(c.env).rotate(parsed.agent_id, caller, parsed.secret_sha256)
  return answer.ok ? c.json(answer.value, 200, PROTOCOL_HEADERS) : refusal(answer.code, answer.message, answer.extra)
})

agentRoutes.post('/v1/agent/sync', async (c) => {
  const caller = callerOf(c)
  if (caller instanceof Response) return caller
  const body = await readBody(c)
  if (body instanceof Response) return body
  const parsed = parse(syncRequest, body)
  if (parsed instanceof Response) return parsed
  const sync: ParsedSync = { ...parsed, finished: parsed.finished.map(({ attempt, digest, result }) => ({ attempt, digest, ...readResult(result) })) }
  return scheduler(c.env).fetch(new Request('https://scheduler/sync', { method: 'POST', headers: { 'x-kedge-caller': JSON.stringify(caller) }, body: JSON.stringify(sync) }))
})

agentRoutes.get('/v1/agent/doorbell', async (c) => {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') return refusal('bad_request', 'the doorbell is a WebSocket: ask for an upgrade')
  const caller = callerOf(c)
  if (caller instanceof Response) return caller
  return scheduler(c.env).fetch(new Request('https://scheduler/doorbell', { headers: { upgrade: 'websocket', 'x-kedge-caller': JSON.stringify(caller) } }))
})

function bearer(c: HttpContext): string | null {
  return /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? null
}

function wrongToken(token: string | null, wanted: string, form: string): Response {
  const tag = token === null ? null : tokenTag(token)
  const got = token === null ? 'none was sent' : tag === null ? 'what was sent is not a token of Kedge' : `this is the ${TOKEN_NAMES[tag]}`
  return refusal('token_invalid', `a ${wanted} (${form}) is needed here, but ${got}`)
}

/** How the agent proves itself: a session token that we signed, or its secret, which only the Scheduler can check. */
function callerOf(c: HttpContext): Caller | Response {
  const token = bearer(c)
  if (token?.startsWith('kdg_sec_')) return { via: 'secret', sha256: sha256Hex(token) }
  if (token === null || tokenTag(token) !== 'ses') return wrongToken(token, 'session token or agent secret', 'kdg_ses_…, kdg_sec_…')
  const claims = readSession(token, c.env.KEDGE_SIGNING_KEY ?? '')
  if (claims === null || claims.expiresAt <= Date.now()) return refusal('session_expired', 'the session has ended; present the agent secret')
  return { via: 'session', agent: claims.agent, bootSeq: claims.bootSeq, credentialVersion: claims.credentialVersion, issuedAt: claims.issuedAt, paceMs: claims.paceMs }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** The parsed body, or a refusal. An agent of another protocol is told so before its shapes are looked at [C2.2]. */
async function readBody(c: HttpContext): Promise<unknown> {
  const declared = Number(c.req.header('content-length') ?? '0')
  if (declared > SYNC_BODY_BYTES) return tooLarge(declared)
  const bytes = await c.req.arrayBuffer()
  if (bytes.byteLength > SYNC_BODY_BYTES) return tooLarge(bytes.byteLength)
  let body: unknown
  try {
    body = JSON.parse(utf8.decode(bytes))
  } catch (error) {
    return refusal('bad_request', `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const proto = typeof body === 'object' && body !== null && 'proto' in body ? body.proto : undefined
  if (typeof proto === 'number' && Number.isInteger(proto) && (proto < PROTOCOL.min || proto > PROTOCOL.max)) {
    const advice = proto > PROTOCOL.max ? 'update the coordinator' : 'update the agent'
    return refusal('proto_unsupported', `the agent speaks protocol ${proto}, this coordinator ${PROTOCOL.min} to ${PROTOCOL.max}: ${advice}`, { proto: { ...PROTOCOL } })
  }
  return body
}

function tooLarge(bytes: number): Response {
  return refusal('payload_too_large', `the body has ${bytes} bytes; at most ${SYNC_BODY_BYTES} are taken, so send fewer results at once`)
}

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> | Response {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const first = parsed.error.issues[0]
  return refusal('bad_request', `${first?.path.join('.') || 'the body'}: ${first?.message ?? 'is not valid'}`)
}

/**
 * A result that cannot be read is taken all the same, as an error that names it: refusing the whole sync would keep the
 * agent from ever delivering anything again, and storing what it sent would keep its build from ever being shown.
 */
function readResult(text: string): { readonly text: string; readonly result: ReadResult } {
  try {
    const parsed = attemptResult.safeParse(JSON.parse(text))
    if (parsed.success) return { text, result: parsed.data }
  } catch {
    // Not JSON: the same as not of the right shape.
  }
  const result: ReadResult = { outcome: 'errored', exit_status: null, signal: null, reason: { code: 'result_unreadable', message: 'the agent delivered a result that cannot be read' }, commit: null, started_at: null, finished_at: Date.now(), log_bytes: null, log_sha256: '' }
  return { text: JSON.stringify(result), result }
}
