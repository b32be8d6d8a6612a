/**
 * What keeps a cluster going around its events: sound tables before anything is served, an armed alarm for as long as
 * anything can fall due, bells and messages to others after each event. It knows no platform, so that the very same code runs in the object
 * (`scheduler.ts`) and under simulation.
 *
 * The order is part of the protocol: the alarm first, with no `await` between an event and arming it, so that on the
 * platform both commit together; then the bells; then what others are told.
 */
import type { SyncReply } from '../../schema/sync.ts'
import type { Cluster } from './cluster.ts'
import type { Outcome } from './event-runner.ts'
import type { Doorbell } from './doorbell.ts'
import { STORAGE_NOT_READY, type AgentAnswer, type Caller } from './scheduler-api.ts'
import type { ParsedSync } from './sync.ts'

/** The platform gives up an alarm that failed this often. */
const LAST_RETRY = 4
const PUT_OFF_MS = 30_000
/** Far more than an alarm is ever late by while its object serves requests. */
const OVERDUE_MS = 10_000

/** The one alarm of an object; it is disarmed by firing. */
export interface Alarm {
  get(): Promise<number | null>
  set(at: number): void
}

export interface UpkeepParts {
  readonly cluster: Cluster
  readonly doorbell: Doorbell
  readonly alarm: Alarm
  /** Brings the tables up to this version, all or nothing; throws when it must not. */
  readonly migrate: () => void
  readonly now: () => number
  /** Tells others what is due (`courier.ts`). */
  readonly tell?: () => void
}

export class Upkeep {
  readonly #parts: UpkeepParts
  #armed: number | null = null
  /** When it was set, or found set. */
  #armedAt = 0
  #broken: string | null = null

  constructor(parts: UpkeepParts) {
    this.#parts = parts
  }

  /** Why nothing may be served, as a sentence for people, or null. */
  get broken(): string | null {
    return this.#broken
  }

  /** Throws when nothing may be served: a cluster is never asked over tables that are not this version's. */
  get cluster(): Cluster {
    if (this.#broken !== null) throw new Error(`${STORAGE_NOT_READY}${this.#broken}`)
    return this.#parts.cluster
  }

  /** Brings the tables up to date before anything is served, and re-arms a missing alarm [C10.2]. Touches no lease. */
  async wake(): Promise<void> {
    try {
      this.#parts.migrate()
    } catch (error) {
      // A stranger's tables, or newer ones: serving could damage them. Every request is answered 503 with the reason.
      this.#broken = `The stored data could not be brought up to this version: ${error instanceof Error ? error.message : String(error)}. Nothing was changed.`
      console.error(`kedge: ${this.#broken}`)
      return
    }
    this.#armed = await this.#parts.alarm.get()
    this.#armedAt = this.#parts.now()
    this.#arm(this.cluster.peek().deadline)
  }

  #arm(deadline: number | null): void {
    if (deadline === null) return
    const now = this.#parts.now()
    // One that is long overdue was dropped by the platform: nothing would fall due any more but by chance.
    const isDropped = this.#armed !== null && now - Math.max(this.#armed, this.#armedAt) >= OVERDUE_MS
    if (this.#armed !== null && this.#armed <= deadline && !isDropped) return
    this.#armed = deadline
    this.#armedAt = now
    this.#parts.alarm.set(deadline)
  }

  /** Does what an event left to do; call it in the same breath as the event. */
  follow<T>(outcome: Outcome<T>): T {
    this.#arm(outcome.deadline)
    this.#parts.doorbell.follow(outcome.effects, this.#parts.cluster.memory)
    this.#parts.tell?.()
    return outcome.value
  }

  sync(request: ParsedSync, caller: Caller): AgentAnswer<SyncReply> {
    const { cluster } = this
    const { doorbell, now } = this.#parts
    const outcome = cluster.sync(now(), request, caller)
    // Before the bells that this sync rings: those it does not answer. Nor does a stranger or a copy answer the agent's.
    const call = outcome.value.ok ? doorbell.answered(request.agent) : null
    const answer = this.follow(outcome)
    if (call !== null && cluster.hasQueued(call.class)) doorbell.ringNext(call, cluster.memory)
    return answer
  }

  /** The alarm has fired; `retryCount` says how often it failed before. What it throws, the platform is to try again. */
  alarm(retryCount: number): void {
    if (this.#broken !== null) return
    const { cluster, now } = this.#parts
    this.#armed = null
    try {
      this.follow(cluster.alarm(now()))
    } catch (error) {
      // The platform retries a failed alarm a few times and then gives up; ours must never be without one [I21].
      if (retryCount < LAST_RETRY) throw error
      console.error('kedge: the alarm failed again and is put off', error)
      this.#arm(now() + PUT_OFF_MS)
    } finally {
      // A deadline that this alarm did not handle keeps one armed, whatever happened.
      this.#arm(cluster.peek().deadline)
    }
  }
}
