/**
 * When an agent should sync next [C8]. The fleet polls, not the agent: the more idle agents there are, the slower each.
 * Nothing that is correct depends on this; it is only latency against cost.
 */
import type { Numbers } from './numbers.ts'

export interface Situation {
  /** It was told something that it should acknowledge soon: an assignment, a cancel. */
  readonly toldSomething: boolean
  /** It has not proved that it hears replies: it gets a fresh token and comes back with it. */
  readonly isHearing: boolean
  readonly holdsAttempts: boolean
  readonly hasDoorbell: boolean
  /** Idle agents that can run the same jobs, itself included. */
  readonly idleAgents: number
  /** Since a job of its classes was last queued, ms; null: not known since the object woke. */
  readonly quietForMs: number | null
  /** It has work that it does not know of: its next message gets that, or shows by its token that it never will. */
  readonly hasMissedWork: boolean
  /** A queued job would match, but another agent is preferred for it. */
  readonly passedOver: boolean
}

/** Milliseconds until the next sync; the agent takes 80–100 % of it. */
export function nextSyncMs(situation: Situation, numbers: Numbers): number {
  return Math.round(pace(situation, numbers))
}

function pace(situation: Situation, numbers: Numbers): number {
  if (!situation.isHearing) return numbers.provenMs
  if (situation.toldSomething || situation.passedOver || situation.hasMissedWork) return numbers.soonMs
  if (situation.holdsAttempts) return numbers.heartbeatMs
  const agents = Math.max(1, situation.idleAgents)
  if (situation.hasDoorbell) return clamp(agents * numbers.doorbellStepMs, numbers.doorbellFloorMs, numbers.doorbellCapMs)
  const ms = clamp(agents * numbers.idleStepMs, numbers.idleStepMs, numbers.idleCapMs)
  return situation.quietForMs !== null && situation.quietForMs > numbers.quietMs ? Math.min(ms * 2, numbers.idleCapMs) : ms
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
