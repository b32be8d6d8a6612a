/**
 * What the Scheduler signs for agents, and for how long it holds. Only the Scheduler signs; the Worker reads
 * (`tokens.ts`) with the same key.
 */
import type { AgentId, AttemptId } from '../../schema/job.ts'
import { signAttempt, signSession, type SessionClaims } from './tokens.ts'

/** Sessions last 15 minutes, and are renewed in each reply [C1.3]. */
const SESSION_MS = 15 * 60_000
/** Logs and results may arrive long after the attempt's own time limit. */
const ATTEMPT_TOKEN_MS = 7 * 24 * 3_600_000

export interface Signing {
  session(claims: Omit<SessionClaims, 'expiresAt'>): string
  attempt(attempt: AttemptId, agent: AgentId, timeLimitS: number): string
}

/** `key` is the secret KEDGE_SIGNING_KEY, `now` the Scheduler's clock. */
export function signing(key: string, now: () => number): Signing {
  return {
    session: (claims) => signSession({ ...claims, expiresAt: claims.issuedAt + SESSION_MS }, key),
    attempt: (attempt, agent, timeLimitS) => signAttempt({ attempt, agent, expiresAt: now() + timeLimitS * 1000 + ATTEMPT_TOKEN_MS }, key),
  }
}
