/** What the steps of one event share: its open transaction, its instant, and what it leaves to do. */
import type { AgentId, AttemptId } from '../../schema/job.ts'
import type { Change, Decision, Effect } from '../core/decision.ts'
import type { Numbers } from '../core/numbers.ts'
import type { Memory } from '../store/memory.ts'
import type { Sql } from '../store/sql.ts'

/** The open transaction of one event. */
export interface Event {
  readonly on: Sql
  readonly memory: Memory
  readonly now: number
  readonly numbers: Numbers
  readonly effects: Effect[]
  /** Gates at which somebody may be let in by what was changed (`gates.ts`). */
  readonly gates: Set<number>
  /** Writes the change and folds it into memory. */
  apply(change: Change): void
  /** Signs the session and attempt tokens of a reply. */
  readonly sign: {
    session(claims: { readonly agent: AgentId; readonly bootSeq: number; readonly credentialVersion: number; readonly issuedAt: number; readonly paceMs: number }): string
    attempt(attempt: AttemptId, agent: AgentId, timeLimitS: number): string
  }
}

/** Does what was decided. */
export function carryOut(event: Event, { changes, effects }: Decision): void {
  for (const change of changes) event.apply(change)
  event.effects.push(...effects)
}
