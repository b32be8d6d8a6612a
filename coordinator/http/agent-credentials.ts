/**
 * How an agent proves itself, by the header `authorization` [C1]. Whatever is not what is needed is refused by the name
 * of what came, so that a person who mixed up two tokens sees which.
 */
import { parseAttemptId, type AttemptId } from '../../schema/job.ts'
import type { AgentAnswer, Caller } from '../objects/scheduler-api.ts'
import type { Refusal } from '../refusal.ts'
import { readAttempt, readJob, readSession, sha256Hex, tokenTag, TOKEN_NAMES, type AttemptClaims, type TokenTag } from '../trust/tokens.ts'

/** What a signed token is checked with. */
export interface Verification {
  /** The secret KEDGE_SIGNING_KEY. */
  readonly key: string
  readonly now: number
}

/** The SHA-256 of a registration token; only the Scheduler knows whether it holds. */
export function registrationOf(authorization: string | undefined): AgentAnswer<string> {
  const token = bearer(authorization)
  return token !== null && tokenTag(token) === 'reg' ? { ok: true, value: sha256Hex(token) } : wrongToken(token, 'a registration token (kdg_reg_…)')
}

/** A session token that we signed, or the agent's secret, which only the Scheduler can check. */
export function callerOf(authorization: string | undefined, { key, now }: Verification): AgentAnswer<Caller> {
  const token = bearer(authorization)
  if (token?.startsWith('kdg_sec_')) return { ok: true, value: { via: 'secret', sha256: sha256Hex(token) } }
  if (token === null || tokenTag(token) !== 'ses') return wrongToken(token, 'a session token or agent secret (kdg_ses_…, kdg_sec_…)')
  const claims = readSession(token, key)
  if (claims === null || claims.expiresAt <= now) return { ok: false, code: 'session_expired', message: 'the session has ended; present the agent secret' }
  const { agent, bootSeq, credentialVersion, issuedAt, paceMs } = claims
  return { ok: true, value: { via: 'session', agent, bootSeq, credentialVersion, issuedAt, paceMs } }
}

/** The attempt that the path names, if the token is this very attempt's. */
export function attemptOf(authorization: string | undefined, named: string, verification: Verification): AgentAnswer<AttemptId> {
  return namedBy(authorization, named, { ...verification, tag: 'att', read: readAttempt, wanted: "the attempt's token (kdg_att_…)" })
}

/** The attempt that the path names, if the token is that of its job. */
export function jobOf(authorization: string | undefined, named: string, verification: Verification): AgentAnswer<AttemptId> {
  return namedBy(authorization, named, { ...verification, tag: 'job', read: readJob, wanted: "the job's own token (kdg_job_…, KEDGE_JOB_TOKEN of its environment)" })
}

interface Signed extends Verification {
  readonly tag: TokenTag
  read(token: string, key: string): AttemptClaims | null
  readonly wanted: string
}

function namedBy(authorization: string | undefined, named: string, { key, now, tag, read, wanted }: Signed): AgentAnswer<AttemptId> {
  if (parseAttemptId(named) === null) return { ok: false, code: 'bad_request', message: `"${named.slice(0, 80)}" is not an attempt id; one looks like J1-82-1.3` }
  const token = bearer(authorization)
  if (token === null || tokenTag(token) !== tag) return wrongToken(token, wanted)
  const claims = read(token, key)
  if (claims === null || claims.expiresAt <= now) return { ok: false, code: 'token_invalid', message: `the ${TOKEN_NAMES[tag]} is not valid, or not any more` }
  if (claims.attempt !== named) return { ok: false, code: 'token_invalid', message: `this token belongs to attempt ${claims.attempt}, not to ${named}`, status: 403 } // known, but not let in here
  return { ok: true, value: claims.attempt }
}

function bearer(authorization: string | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? null
}

function wrongToken(token: string | null, wanted: string): Refusal {
  const tag = token === null ? null : tokenTag(token)
  const got = token === null ? 'none was sent' : tag === null ? 'what was sent is not a token of Kedge' : `this is the ${TOKEN_NAMES[tag]}`
  return { ok: false, code: 'token_invalid', message: `${wanted} is needed here, but ${got}` }
}
