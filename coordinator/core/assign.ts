/**
 * Gives queued jobs to an agent inside its own sync, so that a dead agent can never be given anything [C4.10]. The fence
 * rises here and nowhere else: at the moment of assignment, not when a lease ends, or its holder could not come back.
 */
import type { AgentId } from '../../schema/job.ts'
import type { AgentRow, Change, JobRow } from './decision.ts'
import type { Numbers } from './numbers.ts'

/** The session token by which an agent proves that it hears us. */
export interface Hearing {
  /** By the object's clock, ms: when the session token that it presents was issued, and the pace given with it. */
  readonly issuedAt: number
  readonly paceMs: number
  readonly bootSeq: number
}

/**
 * Hearing gate [C4.10]: the session token of a recent reply, of this very boot, proves that replies arrive. Without it a
 * partition that lets only requests through would swallow a batch of jobs every lease. One of the future, of before the
 * clock was set back, proves nothing now.
 */
export function hears(proof: Hearing, bootSeq: number, now: number, numbers: Numbers): boolean {
  const age = now - proof.issuedAt
  return proof.bootSeq === bootSeq && age >= 0 && age <= Math.max(numbers.hearingMs, 3 * proof.paceMs)
}

export type Unfit = { readonly code: 'draining' | 'unhealthy' | 'standby' | 'held_back'; readonly message: string }

/** Why the agent may take no work now, or null. */
export function unfit(agent: AgentRow, now: number): Unfit | null {
  if (agent.drain) return { code: 'draining', message: 'told to drain: it takes no more work' }
  if (agent.state === 'draining') return { code: 'draining', message: agent.reason ?? 'it is stopping: it takes no more work' }
  if (agent.state === 'unhealthy') return { code: 'unhealthy', message: agent.reason ?? 'it reports that it is not fit for work' }
  if (agent.state === 'standby') return { code: 'standby', message: 'another process with the same identity is at work' }
  if (agent.heldBackUntil !== null && agent.heldBackUntil > now) {
    return { code: 'held_back', message: agent.failures > 0 ? `held back after ${agent.failures} failures of the machine in a row` : 'held back because it was started too often in a short time' }
  }
  return null
}

export interface Candidate {
  readonly job: JobRow
  /** Another agent that could run it was seen lately: whoever lost its last attempt is passed over. */
  readonly hasAlternative: boolean
}

/** The jobs that the agent gets, best first: priority, then age (both folded in `ord`), at most `free`. */
export function choose(candidates: readonly Candidate[], agent: AgentId, free: number): readonly JobRow[] {
  return candidates
    .filter(({ job, hasAlternative }) => !(job.avoidAgent === agent && hasAlternative))
    .map(({ job }) => job)
    .sort((a, b) => a.ord - b.ord || a.project - b.project || a.build - b.build || a.n - b.n)
    .slice(0, Math.max(0, free))
}

/** `fence + 1` is the new attempt [C1.4]. */
export function assign(job: JobRow, agent: AgentRow, now: number): Change & { readonly kind: 'job.set' } {
  return { kind: 'job.set', was: job, set: { state: 'live', fence: job.fence + 1, agent: agent.id, bootSeq: agent.bootSeq, assignedAt: now } }
}
