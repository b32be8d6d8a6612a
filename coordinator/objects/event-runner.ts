/**
 * Runs the events of a cluster, one at a time: all steps of one in one transaction, and after them whoever is to hear of
 * what they changed (the build whose trigger it was, a gate, a forge). Memory lives here, and is forgotten when an event
 * throws; so does the next deadline.
 */
import { jobId, type AgentId } from '../../schema/job.ts'
import type { Change, Effect, LostWhy } from '../core/decision.ts'
import { concernedGate } from '../core/gate.ts'
import type { Lease } from '../core/lease.ts'
import type { Told } from '../core/notify.ts'
import type { Numbers } from '../core/numbers.ts'
import { apply } from '../store/apply.ts'
import * as load from '../store/load.ts'
import { Memory } from '../store/memory.ts'
import type { Sql } from '../store/sql.ts'
import { Deliveries, type Delivery } from './deliveries.ts'
import type { Event } from './event.ts'
import { Expiry } from './expiry.ts'
import { openGates } from './gates.ts'
import { noteTold, Touched, wantToTell } from './notifying.ts'
import { tellParents, type Turned } from './parents.ts'
import { flushSeen, loseAttempt } from './sync.ts'

export interface EventRunnerParts {
  readonly sql: Sql
  readonly numbers: Numbers
  readonly sign: Event['sign']
  /** Runs synchronously, all or nothing. */
  readonly transaction: <T>(run: () => T) => T
  /** Agents whose doorbell is open. */
  readonly attached: () => ReadonlySet<AgentId>
}

/** What an event leaves to do, in this order: arm the alarm, ring. */
export interface Outcome<T> {
  readonly value: T
  readonly effects: readonly Effect[]
  /** The next deadline, or null; the shell arms the alarm when it is earlier than the armed one [C10.1]. */
  readonly deadline: number | null
}

export class EventRunner {
  readonly #parts: EventRunnerParts
  readonly #expiry: Expiry
  readonly #deliveries = new Deliveries()
  #memory: Memory | null = null

  constructor(parts: EventRunnerParts) {
    this.#parts = parts
    this.#expiry = new Expiry(parts.numbers)
  }

  /** Rebuilt from SQLite when an event threw or the object woke. */
  get memory(): Memory {
    this.#memory ??= new Memory(this.#parts.sql, this.#parts.numbers, this.#parts.attached())
    return this.#memory
  }

  /** Forgets all that is not stored, as an eviction does. */
  evict(): void {
    this.#memory = null
  }

  /** The next deadline, without an event. */
  peek(): { readonly deadline: number | null } {
    return { deadline: this.#deadline(this.memory, null) }
  }

  /** `now`: of an event that is followed; null: of none. */
  #deadline(memory: Memory, now: number | null): number | null {
    const lease = this.#expiry.next(memory)
    const delivery = this.#deliveries.next(memory, now)
    return lease === null || delivery === null ? (lease ?? delivery) : Math.min(lease, delivery)
  }

  run<T>(now: number, steps: (event: Event) => T): Outcome<T> {
    const { sql, numbers, sign } = this.#parts
    const effects: Effect[] = []
    const gates = new Set<number>()
    const turned: Turned[] = []
    const touched = new Touched()
    try {
      const memory = this.memory
      const event: Event = {
        on: sql,
        memory,
        now,
        numbers,
        effects,
        gates,
        sign,
        apply(change: Change) {
          apply(sql, change)
          memory.fold(change, now)
          const gate = concernedGate(change)
          if (gate !== null) gates.add(gate)
          if (change.kind === 'build.set' && change.set.state !== undefined) turned.push(change)
          touched.note(change)
        },
      }
      const value = this.#parts.transaction(() => {
        if (memory.noticeClock(now)) {
          flushSeen(event)
          if (memory.grace !== null) event.apply({ kind: 'grace', grace: memory.grace })
        }
        const answer = steps(event)
        tellParents(event, turned)
        openGates(event)
        wantToTell(event, touched)
        return answer
      })
      return { value, effects, deadline: this.#deadline(memory, now) }
    } catch (error) {
      this.#memory = null // memory may have followed changes that were rolled back
      throw error
    }
  }

  /** Every sync that is not refused and every alarm also ends what is due, each in an event of its own [I21]. */
  withExpired<T>(now: number, outcome: Outcome<T>): Outcome<T> {
    const due = this.#expiry.due(this.memory, now)
    if (due.length === 0) return outcome
    const effects = [...outcome.effects]
    for (const { lease, why } of due) {
      try {
        effects.push(...this.run(now, (event) => expire(event, lease, why)).effects)
        this.#expiry.ended(lease)
      } catch (error) {
        console.error(`kedge: the lease of ${jobId(lease)} could not be ended and is put off`, error)
        this.#expiry.putOff(lease, now)
      }
    }
    this.run(now, flushSeen)
    return { value: outcome.value, effects, deadline: this.#deadline(this.memory, now) }
  }

  /** What others are to be told now. Each is under way from then on, until its outcome is told to `told`. */
  toTell(now: number): readonly Delivery[] {
    return this.#deliveries.begin(this.#parts.sql, this.memory, now)
  }

  told(now: number, delivery: Delivery, outcome: Told): Outcome<null> {
    this.#deliveries.ended(delivery)
    return this.run(now, (event) => {
      noteTold(event, delivery.build, delivery.at, { word: delivery.word, nth: delivery.notice.nth }, outcome)
      return null
    })
  }
}

function expire(event: Event, lease: Lease, why: LostWhy): void {
  const job = load.job(event.on, lease)
  if (job && job.state === 'live' && job.fence === lease.fence) loseAttempt(event, job, why)
  else event.memory.leases.delete(jobId(lease)) // memory fell behind the rows: the rows are right
}
