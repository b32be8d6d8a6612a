/**
 * Which leases end now, each on its own: one that cannot be ended (a damaged row) is put off with a backoff of its own
 * and holds up neither the others nor the sync or alarm that found it [I21].
 */
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { LostWhy } from '../core/decision.ts'
import { deadline, dueLeases, nextDeadline, type Lease } from '../core/lease.ts'
import { DUE_PER_ALARM, type Numbers } from '../core/numbers.ts'
import type { Memory } from '../store/memory.ts'

const FIRST_WAIT_MS = 30_000
const LONGEST_WAIT_MS = 3_600_000

export class Expiry {
  readonly #numbers: Numbers
  /** Outlives `Memory`, which each failure drops. */
  readonly #putOff = new Map<AttemptId, { readonly until: number; readonly waitMs: number }>()

  constructor(numbers: Numbers) {
    this.#numbers = numbers
  }

  /** At most as many as one alarm may handle; the rest stay due. */
  due(memory: Memory, now: number): readonly { readonly lease: Lease; readonly why: LostWhy }[] {
    if (memory.leases.size === 0) return []
    return dueLeases(this.#leases(memory, now), memory.grace, now, this.#numbers).slice(0, DUE_PER_ALARM)
  }

  putOff(lease: Lease, now: number): void {
    const attempt = attemptId(lease)
    const waitMs = Math.min(LONGEST_WAIT_MS, 2 * (this.#putOff.get(attempt)?.waitMs ?? FIRST_WAIT_MS / 2))
    this.#putOff.set(attempt, { until: now + waitMs, waitMs })
  }

  ended(lease: Lease): void {
    this.#putOff.delete(attemptId(lease))
  }

  /** The next deadline, or null when nothing is live [I20]. */
  next(memory: Memory): number | null {
    let earliest = nextDeadline(this.#leases(memory, Number.NEGATIVE_INFINITY), memory.grace, this.#numbers)
    if (this.#putOff.size === 0) return earliest
    for (const lease of memory.leases.values()) {
      const putOff = this.#putOff.get(attemptId(lease))
      if (putOff === undefined) continue
      // Its own end too: a grace may have moved that beyond the wait.
      const at = Math.max(putOff.until, deadline(lease, memory.grace, this.#numbers))
      if (earliest === null || at < earliest) earliest = at
    }
    return earliest
  }

  /** All but those that are put off beyond `now`. */
  #leases(memory: Memory, now: number): Iterable<Lease> {
    const all = memory.leases.values()
    if (this.#putOff.size === 0) return all
    return [...all].filter((lease) => (this.#putOff.get(attemptId(lease))?.until ?? Number.NEGATIVE_INFINITY) <= now)
  }
}
