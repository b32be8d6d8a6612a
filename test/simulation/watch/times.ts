/**
 * What may not take longer than it may: I6, I7, I11, I18, I20, I23, C4.8 and C4.11, looked at every few seconds and after
 * each event. A bound counts only the time in which nothing was wrong with those whom it concerns; without that every
 * fault would break it.
 */
import type { SimProcess } from '../machine.ts'
import { attemptOf, LEASE_MS, SECOND, type Job, type Spoken, type Truth } from './truth.ts'

/** GRACE and HB of [C7], and the longest that the world keeps a message back. */
const GRACE_MS = 45 * SECOND
const HEARTBEAT_MS = 15 * SECOND
const MOST_LATE_MS = 100 * SECOND
/** How long it takes to look again, to wake and to be heard. */
const SLACK_MS = 15 * SECOND

interface Bound {
  /** What is bounded, and of whom: said once. */
  readonly key: string
  readonly lastedMs: number
  readonly mostMs: number
  readonly rule: string
  readonly text: string
}

export class Times {
  readonly #truth: Truth
  /** By what is waited for: since when. */
  readonly #waits = new Map<string, number>()
  readonly #said = new Set<string>()

  constructor(truth: Truth) {
    this.#truth = truth
  }

  /** What is due has an alarm, and a sync that is answered ends what was due before it. */
  committed({ wasSync }: { readonly wasSync: boolean }): void {
    const truth = this.#truth
    const coordinator = truth.coordinator()
    const { alarmAt } = coordinator
    const deadline = coordinator.peek((cluster) => cluster.peek().deadline) ?? null
    if (deadline !== null && (alarmAt === null || alarmAt > deadline)) truth.violate('I20', `the next deadline is at ${deadline}, and the alarm is ${alarmAt === null ? 'not armed' : `${alarmAt - deadline} ms later`}`)
    if (wasSync && deadline !== null && deadline <= coordinator.now()) truth.violate('C4.11', 'a sync has passed, and a lease that had ended before it is still live')
    if (alarmAt === null && truth.live().length > 0) truth.violate('I20', 'attempts are live and no alarm is armed')
  }

  look(): void {
    if (!this.#truth.coordinator().isUp) return
    const live = this.#truth.live()
    for (const job of live) this.#lookAtLive(job)
    this.#lookAtSuperseded()
    this.#lookAtAbandoned()
    this.#lookForIdle(live)
  }

  #lookAtLive(job: Job): void {
    const truth = this.#truth
    const { now } = truth
    const attempt = attemptOf(job)
    const quietMs = truth.quietFor('coordinator')
    if (job.namedAt === null) this.#bound({ key: `untaken ${attempt}`, lastedMs: Math.min(now - job.since, quietMs), mostMs: LEASE_MS + 2 * GRACE_MS + SLACK_MS, rule: 'C4.8', text: `nobody ever named ${attempt}, and it is still live` })
    const holder = truth.processOf(job.agent, job.bootSeq)
    if (holder === null || !holder[0].isAlive) {
      // I6: it goes back to the queue within L, with late messages and a grace for each silence.
      const since = this.#waitingSince(`gone ${attempt}`)
      this.#bound({ key: `gone ${attempt}`, lastedMs: Math.min(now - since, quietMs), mostMs: LEASE_MS + MOST_LATE_MS + 2 * GRACE_MS + SLACK_MS, rule: 'I6', text: `${attempt} has no holder, and is still live` })
      return
    }
    const [process, spoken] = holder
    const { name } = process.machine.plan
    const bothQuietMs = truth.quietFor('coordinator', name)
    if (!spoken.held.has(attempt)) this.#bound({ key: `unheard ${attempt}`, lastedMs: Math.min(now - job.since, bothQuietMs), mostMs: 30 * SECOND, rule: 'I11', text: `${name} was given ${attempt}, nothing is wrong, and it does not have it` })
    if (job.canceledAt !== null) this.#bound({ key: `cancel ${attempt}`, lastedMs: Math.min(now - job.canceledAt, bothQuietMs), mostMs: HEARTBEAT_MS + 40 * SECOND, rule: 'I18', text: `${job.id} was cancelled, nothing is wrong, and it is still live` })
  }

  #lookAtSuperseded(): void {
    const { superseded, now } = this.#truth
    for (const [process, at] of superseded) {
      if (!canAct(process, now)) continue
      const { table, plan } = process.machine
      for (const { attempt, startedBy } of table) if (startedBy === process) this.#bound({ key: `superseded ${attempt}`, lastedMs: now - at, mostMs: 20 * SECOND, rule: 'I23', text: `${plan.name} was superseded, and its command of ${attempt} still runs` })
    }
  }

  #lookAtAbandoned(): void {
    const { abandoned, now } = this.#truth
    for (const [attempt, { process, at }] of abandoned) {
      const { table, plan } = process.machine
      if (!canAct(process, now) || ![...table].some((command) => command.attempt === attempt)) abandoned.delete(attempt)
      else this.#bound({ key: `abandoned ${attempt}`, lastedMs: now - at, mostMs: 20 * SECOND, rule: 'I23', text: `${plan.name} was told to abandon ${attempt}, and its command still runs` })
    }
  }

  #lookForIdle(live: readonly Job[]): void {
    const { processes, now } = this.#truth
    for (const [process, spoken] of processes) {
      if (!process.isAlive) processes.delete(process)
      else if (process.frozenUntil <= now) this.#lookIfIdle(process, spoken, live)
    }
  }

  /** I7: an agent with room does not stay idle beyond its own pace while a job that it can run waits. */
  #lookIfIdle({ machine }: SimProcess, spoken: Spoken, live: readonly Job[]): void {
    const truth = this.#truth
    const { now } = truth
    const { name } = machine.plan
    const reply = spoken.lastReply
    const waiting = this.#waitingFor(machine.plan.tags, spoken, live)
    const key = `idle ${name}`
    if (waiting === undefined || reply === null) {
      this.#waits.delete(key)
      return
    }
    const since = this.#waitingSince(key)
    const idleMs = Math.min(now - since, now - waiting.since, truth.quietFor('coordinator', name))
    // A ring that was lost costs no more than the pace [C9].
    const areRingsHeard = spoken.doorbell && truth.quietFor('coordinator', 'object', `rings ${name}`) > Math.max(LEASE_MS, reply.next_sync_ms)
    const mostMs = (areRingsHeard ? 20 * SECOND : reply.next_sync_ms) + SLACK_MS
    if (idleMs > mostMs) truth.violate('I7', `${name} has been idle for ${Math.round(idleMs / SECOND)} s, its pace is ${Math.round(reply.next_sync_ms / SECOND)} s, and ${waiting.id} waits`)
  }

  /** The first job that the agent could be running. */
  #waitingFor(tags: readonly string[], { agent, state, slots, held, lastReply }: Spoken, live: readonly Job[]): Job | undefined {
    const truth = this.#truth
    if (lastReply === null || state !== 'ready' || lastReply.drain || lastReply.held_back !== null) return undefined
    const occupied = live.filter((job) => job.agent === agent).length + [...held].filter((attempt) => truth.jobOf(attempt)?.state !== 'live').length
    if (occupied >= slots) return undefined
    for (const job of truth.jobs.values()) if (job.state === 'queued' && job.avoidAgent !== agent && (!this.#needsLinux(job.class) || tags.includes('os=linux'))) return job
    return undefined
  }

  /** Of a class by its number; jobs here have that tag or none. */
  #needsLinux(jobClass: number): boolean {
    return (this.#truth.coordinator().peek((cluster) => cluster.memory.classes.get(jobClass)?.tags) ?? []).length > 0
  }

  #waitingSince(key: string): number {
    const since = this.#waits.get(key) ?? this.#truth.now
    this.#waits.set(key, since)
    return since
  }

  #bound({ key, lastedMs, mostMs, rule, text }: Bound): void {
    if (lastedMs <= mostMs || this.#said.has(key)) return
    this.#said.add(key)
    this.#truth.violate(rule, `${text} after ${Math.round(lastedMs / SECOND)} s`)
  }
}

/** It is not dead, nor has it only just thawed. */
function canAct(process: SimProcess, now: number): boolean {
  return process.isAlive && process.frozenUntil <= now - 60 * SECOND
}
