/**
 * Every credential's form: random ones, of which only the SHA-256 is ever stored, and signed ones, which are stored
 * nowhere and checked without asking the Scheduler, so that garbage traffic never costs it a request [C1].
 *
 * A signature says who made the claims and when they end, not that they still hold: `read…` does not look at a clock,
 * and the Scheduler re-checks the credential's version. All of it is synchronous, because a sync may not wait.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { AGENT_ID, parseAttemptId, type AgentId, type AttemptId } from '../../schema/job.ts'

/** The tag after `kdg_`, and what a person calls such a token: a refusal can say which kind it was given. */
export const TOKEN_NAMES = {
  adm: 'admin token',
  reg: 'registration token',
  api: 'API token',
  web: 'page session',
  lgn: 'sign-in link',
  sec: "agent's secret",
  ses: "agent's session token",
  att: "attempt's token",
  job: "job's token",
} as const
export type TokenTag = keyof typeof TOKEN_NAMES

export interface SessionClaims {
  readonly agent: AgentId
  readonly bootSeq: number
  /** Rises when sessions must end: secret rotated, agent revoked. */
  readonly credentialVersion: number
  /** When, and with which pace, it was given: presenting it soon enough proves that the reply was heard [C4.10]. */
  readonly issuedAt: number
  readonly paceMs: number
  readonly expiresAt: number
}

export interface AttemptClaims {
  readonly attempt: AttemptId
  readonly agent: AgentId
  readonly expiresAt: number
}

/** SHA-256 of the text's UTF-8, in lower-case hex: the only form in which a random token is stored. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A random token of 256 bits: `kdg_{kind}_` and 43 characters of base64url. */
export function newToken(kind: 'adm' | 'reg' | 'api' | 'ses' | 'web' | 'lgn'): string {
  return `kdg_${kind}_${randomBytes(32).toString('base64url')}`
}

/** Names an admin token without telling it. */
export function adminIdOf(adminToken: string): string {
  return `admin-${sha256Hex(adminToken).slice(0, 16)}`
}

/** The kind that a token claims to be by its prefix, or null when it is none of ours. */
export function tokenTag(token: string): TokenTag | null {
  const tag = /^kdg_([a-z]{3})_/.exec(token)?.[1]
  return tag !== undefined && Object.hasOwn(TOKEN_NAMES, tag) ? (tag as TokenTag) : null // just found among the keys
}

/** Whether two texts are equal, in a time that tells nothing about where they differ, nor of the length of either. */
export function sameText(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}

/** An agent's session token, `kdg_ses_…`; `key` is the secret KEDGE_SIGNING_KEY. */
export function signSession(claims: SessionClaims, key: string): string {
  return sign('ses', [claims.agent, claims.bootSeq, claims.credentialVersion, claims.issuedAt, claims.paceMs, claims.expiresAt], key)
}

/** The claims of a session token that this key signed, or null. The caller compares `expiresAt` with its own clock. */
export function readSession(token: string, key: string): SessionClaims | null {
  const fields = readSigned('ses', token, key)
  if (fields?.length !== 6) return null
  const [agent, ...numbers] = fields
  if (typeof agent !== 'string' || !AGENT_ID.test(agent) || !numbers.every((number) => Number.isSafeInteger(number))) return null
  const [bootSeq, credentialVersion, issuedAt, paceMs, expiresAt] = numbers as [number, number, number, number, number] // five, each checked above
  return { agent: agent as AgentId, bootSeq, credentialVersion, issuedAt, paceMs, expiresAt }
}

/** The token of one attempt, `kdg_att_…`: opens this attempt's spec and log, and nothing else. */
export function signAttempt(claims: AttemptClaims, key: string): string {
  return sign('att', [claims.attempt, claims.agent, claims.expiresAt], key)
}

/** The claims of an attempt's token that this key signed, or null. The caller compares `expiresAt` with its own clock. */
export function readAttempt(token: string, key: string): AttemptClaims | null {
  const fields = readSigned('att', token, key)
  if (fields?.length !== 3) return null
  const [attempt, agent, expiresAt] = fields
  if (typeof attempt !== 'string' || parseAttemptId(attempt) === null || typeof agent !== 'string' || !AGENT_ID.test(agent)) return null
  if (typeof expiresAt !== 'number' || !Number.isSafeInteger(expiresAt)) return null
  return { attempt: attempt as AttemptId, agent: agent as AgentId, expiresAt }
}

/**
 * The claims of a job's token, or null. An agent makes it of its attempt's token (`agent/runner/job-token.ts`): the same
 * claims, signed with that token's own signature. So it is narrower, cannot be turned back, and needs no word on the wire.
 */
export function readJob(token: string, key: string): AttemptClaims | null {
  const dot = token.indexOf('.')
  if (!token.startsWith('kdg_job_') || dot < 0 || token.length > 1024) return null
  const attempts = `kdg_att_${token.slice('kdg_job_'.length, dot)}`
  const signature = mac(attempts, key)
  return token.slice(dot + 1) === '' || !sameText(token.slice(dot + 1), mac(token.slice(0, dot), signature)) ? null : readAttempt(`${attempts}.${signature}`, key)
}

/** The prefix is signed too: a token of one kind never reads as one of another. */
function sign(tag: 'ses' | 'att', fields: readonly (string | number)[], key: string): string {
  const signed = `kdg_${tag}_${Buffer.from(JSON.stringify(fields)).toString('base64url')}`
  return `${signed}.${mac(signed, key)}`
}

function readSigned(tag: 'ses' | 'att', token: string, key: string): readonly unknown[] | null {
  const prefix = `kdg_${tag}_`
  const dot = token.indexOf('.')
  if (!token.startsWith(prefix) || dot < 0 || token.length > 1024) return null
  const signed = token.slice(0, dot)
  // The signature is compared as text: decoding base64url would forgive stray characters.
  const [given, right] = [Buffer.from(token.slice(dot + 1)), Buffer.from(mac(signed, key))]
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  const fields: unknown = JSON.parse(Buffer.from(signed.slice(prefix.length), 'base64url').toString())
  return Array.isArray(fields) ? fields : null
}

function mac(signed: string, key: string): string {
  return createHmac('sha256', key).update(signed).digest('base64url')
}
