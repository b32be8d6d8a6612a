/**
 * Leases. One belongs to an attempt, not to its agent, and only a sync that names the attempt renews it: "the agent is
 * alive" says nothing about a build that it does not know of [C4.6]. When leases end, and when a silence is rather our
 * own outage than everybody's death (the gap rule), is decided here.
 */
import type { AgentId, AttemptKey } from '../../schema/job.ts'
import type { Hearing } from './assign.ts'
import { holdBack } from './boot.ts'
import { changed, type AgentRow, type BuildRow, type Change, type Decision, type Effect, type Grace, type JobRow, type LostWhy } from './decision.ts'
import { LOST_CAP, type Numbers } from './numbers.ts'
import type { StoredSpec } from './plan.ts'

/** What memory knows of a live attempt. Rebuilt from `job` and the heartbeat row after an eviction. */
export interface Lease extends AttemptKey {
  readonly agent: AgentId
  readonly bootSeq: number
  assignedAt: number
  /** The last sync that named it; null until the first: it may never have arrived. */
  seenAt: number | null
  /** What of it is stored. */
  storedAt: number | null
  /** When even a talking agent has overrun its time limit by far. */
  hardAt: number
}

/** When the lease ends, by the object's clock in ms. A grace moves every end [C10.3]. */
export function leaseEnd(lease: Lease, grace: Grace | null, numbers: Numbers): number {
  return Math.max((lease.seenAt ?? lease.assignedAt) + numbers.leaseMs, grace?.until ?? 0)
}

/** The hard end waits for a grace too: after an outage the agent must be able to deliver what it finished meanwhile. */
function hardEnd(lease: Lease, grace: Grace | null): number {
  return Math.max(lease.hardAt, grace?.until ?? 0)
}

export function deadline(lease: Lease, grace: Grace | null, numbers: Numbers): number {
  return Math.min(leaseEnd(lease, grace, numbers), hardEnd(lease, grace))
}

/** Earliest deadline of all, or null when nothing is live [I20]. */
export function nextDeadline(leases: Iterable<Lease>, grace: Grace | null, numbers: Numbers): number | null {
  let earliest: number | null = null
  for (const lease of leases) {
    const at = deadline(lease, grace, numbers)
    if (earliest === null || at < earliest) earliest = at
  }
  return earliest
}

/**
 * Gap rule [C10.3], first in every sync and alarm: attempts are live and nobody was heard for GAP, so more likely we
 * were away than everybody died. Grants a grace, once for each silence, because GRACE is shorter than GAP.
 */
export function graceForGap(leases: Iterable<Lease>, grace: Grace | null, now: number, numbers: Numbers): Grace | null {
  let heard = grace?.givenAt ?? Number.NEGATIVE_INFINITY
  let any = false
  for (const lease of leases) {
    any = true
    heard = Math.max(heard, lease.seenAt ?? lease.assignedAt)
  }
  return any && now - heard > numbers.gapMs ? { givenAt: now, until: now + numbers.graceMs } : null
}

/**
 * Flush rule [C7.3]: whether one of the attempts that this sync names is stored too long ago. Per attempt on purpose: a
 * global "last flush" could be reset for ever by another agent's syncs, and this agent would lose its lease at the next
 * eviction.
 */
export function mustFlush(named: Iterable<Lease>, now: number, numbers: Numbers): boolean {
  for (const lease of named) if (now - Math.max(lease.storedAt ?? 0, lease.assignedAt) >= numbers.flushMs) return true
  return false
}

/**
 * An assignment that a message of its agent does not name, so its reply was lost: whether it is sent again. Whoever takes
 * it up at last may be cut off at once: what must not run in two places it ends in time only if the lease goes on for so
 * long [C16.2]. After that it is given away, but only by a message that shows by its session token that it is newer than
 * all replies that carried it: an older one, come late, says nothing.
 */
export function whenMissed(job: JobRow, lease: Lease | null, proof: Hearing | null, now: number, numbers: Numbers): 'again' | 'lost' | 'unknown' {
  const { onPartition } = JSON.parse(job.spec) as StoredSpec // written by `openBuild` or an upload
  if (onPartition === 'continue' || lease === null) return 'again'
  const sentUntil = leaseEnd(lease, null, numbers) - numbers.selfFenceMs - numbers.killMs
  if (now <= sentUntil) return 'again'
  return proof !== null && proof.bootSeq === job.bootSeq && proof.issuedAt > sentUntil && proof.issuedAt <= now ? 'lost' : 'unknown'
}

/** Live attempts whose time is over, the most overdue first. */
export function dueLeases(leases: Iterable<Lease>, grace: Grace | null, now: number, numbers: Numbers): readonly { readonly lease: Lease; readonly why: LostWhy }[] {
  const due: { lease: Lease; why: LostWhy; at: number }[] = []
  for (const lease of leases) {
    const end = leaseEnd(lease, grace, numbers)
    if (end <= now) due.push({ lease, why: lease.seenAt === null ? 'never_taken' : 'silent', at: end })
    else if (hardEnd(lease, grace) <= now) due.push({ lease, why: 'overran', at: hardEnd(lease, grace) })
  }
  return due.sort((a, b) => a.at - b.at)
}

const SENTENCES: Record<LostWhy, string> = {
  restarted: 'the agent was restarted and no longer had the job',
  silent: 'the agent was not heard of until the lease ended',
  never_taken: 'the agent never took the job up',
  reported: 'the agent said that it had lost the job',
  handed_back: 'the agent handed the job back before it started',
  agent_stopping: 'the agent was stopped by its owner',
  overran: 'the job went on far beyond its time limit',
}

/** Whether the job, and not only chance, may be what ended the attempt: those count towards the cap [C5.2]. */
const COUNTS: Record<LostWhy, boolean> = { restarted: true, silent: true, never_taken: false, reported: true, handed_back: false, agent_stopping: false, overran: true }

/**
 * An attempt is lost: the job goes back to the queue at its old place with the same fence (so that its holder can still
 * come back), or ends when it was cancelled or lost too often [C5.2].
 */
export function lose(job: JobRow, why: LostWhy, now: number): Decision & { readonly job: JobRow } {
  const detail = { code: why, message: SENTENCES[why] }
  const lostCount = job.lostCount + (COUNTS[why] ? 1 : 0)
  const set: Partial<JobRow> = job.cancel
    ? { state: 'canceled', finishedAt: now, result: JSON.stringify({ reason: { code: 'canceled', message: `cancelled; ${detail.message}` } }) }
    : why === 'overran'
      ? { state: 'timed_out', finishedAt: now, result: JSON.stringify({ reason: detail }) }
      : lostCount >= LOST_CAP
        ? { state: 'errored', lostCount, finishedAt: now, result: JSON.stringify({ reason: { code: 'agent_lost', message: `lost ${lostCount} times, last because ${detail.message}; the job may be what ends its agents` } }) }
        : { state: 'queued', lostCount, avoidAgent: job.agent }
  const changes: Change[] = [{ kind: 'job.set', was: job, set }]
  if (job.agent !== null && job.bootSeq !== null && job.assignedAt !== null) {
    // The record of a lost attempt; a re-adoption takes it back (`readopt`).
    changes.push({ kind: 'attempt.insert', row: { project: job.project, build: job.build, n: job.n, fence: job.fence, agent: job.agent, bootSeq: job.bootSeq, assignedAt: job.assignedAt, endedAt: now, state: 'lost', detail: JSON.stringify(detail) } })
  }
  const effects: Effect[] = set.state === 'queued' ? [{ kind: 'ring-class', class: job.class, count: 1 }] : []
  return { changes, effects, job: changed(job, set) }
}

/** A build began with the first attempt that ran: when that is lost, its start is kept here, as the job's row will speak of the next. */
export function startOf(build: BuildRow, job: JobRow, why: LostWhy): Partial<BuildRow> {
  const hasRun = why !== 'never_taken' && why !== 'handed_back'
  return hasRun && build.startedAt === null && job.assignedAt !== null ? { startedAt: job.assignedAt } : {}
}

/** The holder of an expired attempt that nobody took came back: live again, with the same fence [C4.6]. */
export function readopt(job: JobRow, agent: AgentId, bootSeq: number, now: number): Decision {
  return { changes: [{ kind: 'job.set', was: job, set: { state: 'live', agent, bootSeq, assignedAt: job.assignedAt ?? now } }], effects: [] }
}

/** Held back after failures of the machine in a row [C15.3]. */
export function noteFailure(agent: AgentRow, isMachineFailure: boolean, now: number, numbers: Numbers, cap: number): Partial<AgentRow> | null {
  if (!isMachineFailure) return agent.failures === 0 ? null : { failures: 0 }
  const failures = agent.failures + 1
  return failures >= cap ? { failures, ...holdBack(agent, now, numbers) } : { failures }
}
