/**
 * What an agent sends for one attempt, read and judged as far as its log is not needed for it. Plain functions of what
 * was sent; the routes, and the bytes of a log with their limits, are in `attempt.ts`.
 */
import { sealRequest, type SealRequest } from '../../schema/attempt.ts'
import type { AttemptId } from '../../schema/job.ts'
import { parseJson } from '../../schema/parse-json.ts'
import type { AgentAnswer } from '../objects/scheduler-api.ts'
import { attemptOf, type Verification } from './agent-credentials.ts'

/** An honest seal has a hundred bytes. */
export const SEAL_BYTES = 4096

/** The parts of a request as they came; what is absent is undefined. */
export interface SentForLog {
  readonly authorization: string | undefined
  /** As the path names it. */
  readonly attempt: string
  readonly epoch: string | undefined
}

export interface SentPut extends SentForLog {
  readonly offset: string | undefined
  readonly contentEncoding: string | undefined
}

export interface LogCall {
  readonly attempt: AttemptId
  /** 2 when all of the log is sent again. */
  readonly epoch: 1 | 2
}

export interface PutCall extends LogCall {
  /** How many bytes come before these. */
  readonly offset: number
  readonly encoding: 'identity' | 'gzip'
}

export function readPut(sent: SentPut, verification: Verification): AgentAnswer<PutCall> {
  const attempt = attemptOf(sent.authorization, sent.attempt, verification)
  if (!attempt.ok) return attempt
  const { offset = '', contentEncoding: encoding = 'identity' } = sent
  if (!/^\d{1,15}$/.test(offset)) return { ok: false, code: 'bad_request', message: `offset must be the number of bytes before these, not "${offset.slice(0, 40)}"` }
  const epoch = epochOf(sent.epoch)
  if (!epoch.ok) return epoch
  if (encoding !== 'identity' && encoding !== 'gzip') return { ok: false, code: 'bad_request', message: `content-encoding must be gzip or absent, not "${encoding.slice(0, 40)}"` }
  return { ok: true, value: { attempt: attempt.value, epoch: epoch.value, offset: Number(offset), encoding } }
}

export function readSeal(sent: SentForLog, verification: Verification): AgentAnswer<LogCall> {
  const attempt = attemptOf(sent.authorization, sent.attempt, verification)
  if (!attempt.ok) return attempt
  const epoch = epochOf(sent.epoch)
  return epoch.ok ? { ok: true, value: { attempt: attempt.value, epoch: epoch.value } } : epoch
}

/** `body` is null when it has more than `SEAL_BYTES`. */
export function readSealBody(body: Uint8Array | null): AgentAnswer<SealRequest> {
  const seal = body === null ? null : sealRequest.safeParse(parseJson(new TextDecoder().decode(body)))
  return seal?.success ? { ok: true, value: seal.data } : { ok: false, code: 'bad_request', message: 'a seal is {"bytes": number, "sha256": 64 hex digits in lower case}' }
}

function epochOf(epoch = '1'): AgentAnswer<1 | 2> {
  if (epoch === '1') return { ok: true, value: 1 }
  if (epoch === '2') return { ok: true, value: 2 }
  return { ok: false, code: 'bad_request', message: 'epoch is 1, or 2 when all of the log is sent again' }
}
