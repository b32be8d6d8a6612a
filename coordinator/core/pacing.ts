/**
 * When an agent should sync next [C8]. The fleet polls, not the agent: the more idle agents there are, the slower each.
 * Nothing that is correct depends on this; it is only latency against cost.
 */
import type { Numbers } from './numbers.ts'

export interface Situation {
  /** It was told something that it should acknowledge soon: an assignment, a cancel, a fresh token after deafness. */
  readonly toldSomething: boolean
  readonly holdsAttempts: boolean
  readonly hasDoorbell: boolean
  /** Idle agents that can run the same jobs, itself included. */
  readonly idleAgents: number
  /** Since a job of its classes was last queued, ms; null: not known since the object woke. */
  readonly quietForMs: number | null
  /** A queued job would match, but another agent is preferred for it. */
  readonly passedOver: boolean
}

/** Milliseconds until the next sync; the agent takes 80–100 % of it. */
export function nextSyncMs(situation: Situation, numbers: Numbers): number {
  if (situation.toldSomething || situation.passedOver) return numbers.soonMs
  if (situation.holdsAttempts) return numbers.heartbeatMs
  const agents = Math.max(1, situation.idleAgents)
  if (situation.hasDoorbell) return clamp(agents * numbers.doorbellStepMs, numbers.doorbellFloorMs, numbers.doorbellCapMs)
  const pace = clamp(agents * numbers.idleStepMs, numbers.idleStepMs, numbers.idleCapMs)
  return situation.quietForMs !== null && situation.quietForMs > numbers.quietMs ? Math.min(pace * 2, numbers.idleCapMs) : pace
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
