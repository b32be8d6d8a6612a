/**
 * What agents send, but for their attempts' logs (`attempt-calls.ts`), read and judged as far as the Scheduler is not
 * needed for it: garbage costs it nothing [C4.1]. Plain functions of header, body and time; the routes are in `agent.ts`.
 *
 * The order of the checks is seen by agents. One of another protocol is told so before its shapes are looked at [C2.2],
 * and a sync shows who it is before its body is even waited for.
 */
import type { z } from 'zod'
import type { AgentId } from '../../schema/job.ts'
import { PROTOCOL } from '../../schema/refusal.ts'
import { attemptResult, registerRequest, syncRequest, SYNC_BODY_BYTES, type RegisterRequest } from '../../schema/sync.ts'
import type { AgentAnswer, Caller } from '../objects/scheduler-api.ts'
import type { ParsedSync } from '../objects/sync.ts'
import type { Refusal } from '../refusal.ts'
import { callerOf, registrationOf, type Verification } from './agent-credentials.ts'

export interface RegisterCall {
  readonly request: RegisterRequest
  readonly tokenSha256: string
}

export function readRegister(authorization: string | undefined, body: Uint8Array): AgentAnswer<RegisterCall> {
  const request = read(registerRequest, body)
  if (!request.ok) return request
  const token = registrationOf(authorization)
  return token.ok ? { ok: true, value: { request: request.value, tokenSha256: token.value } } : token
}

export interface RotateCall {
  readonly agent: AgentId
  readonly caller: Caller
  readonly newSecretSha256: string
}

const rotateRequest = registerRequest.pick({ proto: true, agent_id: true, secret_sha256: true })

export function readRotate(authorization: string | undefined, body: Uint8Array, verification: Verification): AgentAnswer<RotateCall> {
  const request = read(rotateRequest, body)
  if (!request.ok) return request
  const caller = callerOf(authorization, verification)
  return caller.ok ? { ok: true, value: { agent: request.value.agent_id, caller: caller.value, newSecretSha256: request.value.secret_sha256 } } : caller
}

/** The body of a sync, whose sender `callerOf` has let in already. */
export function readSync(body: Uint8Array, now: number): AgentAnswer<ParsedSync> {
  const request = read(syncRequest, body)
  if (!request.ok) return request
  return { ok: true, value: { ...request.value, finished: request.value.finished.map(({ attempt, digest, result }) => ({ attempt, digest, ...readResult(result, now) })) } }
}

/** Why a body of so many bytes is not taken, or null: one that announces its length need not be waited for. */
export function refuseLength(bytes: number): Refusal | null {
  return bytes > SYNC_BODY_BYTES ? { ok: false, code: 'payload_too_large', message: `the body has ${bytes} bytes; at most ${SYNC_BODY_BYTES} are taken, so send fewer results at once` } : null
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

function read<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array): AgentAnswer<z.infer<Schema>> {
  const tooLong = refuseLength(bytes.byteLength)
  if (tooLong) return tooLong
  let body: unknown
  try {
    body = JSON.parse(utf8.decode(bytes))
  } catch (error) {
    return { ok: false, code: 'bad_request', message: `the body is not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
  const otherProtocol = refuseProtocol(body)
  if (otherProtocol) return otherProtocol
  const parsed = schema.safeParse(body)
  if (parsed.success) return { ok: true, value: parsed.data }
  const first = parsed.error.issues[0]
  return { ok: false, code: 'bad_request', message: `${first?.path.join('.') || 'the body'}: ${first?.message ?? 'is not valid'}` }
}

function refuseProtocol(body: unknown): Refusal | null {
  const proto = typeof body === 'object' && body !== null && 'proto' in body ? body.proto : undefined
  if (typeof proto !== 'number' || !Number.isInteger(proto) || (proto >= PROTOCOL.min && proto <= PROTOCOL.max)) return null // what is no number has no shape
  const advice = proto > PROTOCOL.max ? 'update the coordinator' : 'update the agent'
  return { ok: false, code: 'proto_unsupported', message: `the agent speaks protocol ${proto}, this coordinator ${PROTOCOL.min} to ${PROTOCOL.max}: ${advice}`, extra: { proto: { ...PROTOCOL } } }
}

/**
 * A result that cannot be read is taken all the same, as an error that names it: refusing the whole sync would keep the
 * agent from ever delivering anything again, and storing what it sent would keep its build from ever being shown.
 */
function readResult(text: string, now: number): Pick<ParsedSync['finished'][number], 'text' | 'result'> {
  try {
    const parsed = attemptResult.safeParse(JSON.parse(text))
    if (parsed.success) return { text, result: parsed.data }
  } catch {
    // Not JSON: the same as not of the right shape.
  }
  const result: ParsedSync['finished'][number]['result'] = { outcome: 'errored', exit_status: null, signal: null, reason: { code: 'result_unreadable', message: 'the agent delivered a result that cannot be read' }, commit: null, started_at: null, finished_at: now, log_bytes: null, log_sha256: '' }
  return { text: JSON.stringify(result), result }
}
