/**
 * What the onlooker knows: the jobs as rows tell of them, what each process said and heard, and what is wrong with whom
 * until when. It judges nothing; the files beside it do. What is found within an event counts only when the event commits,
 * and what was learnt from the rows of one that is undone is forgotten again.
 */
import type { ParsedSync } from '../../../coordinator/objects/sync.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import type { SimCoordinator } from '../coordinator.ts'
import type { SimMachine, SimProcess } from '../machine.ts'
import type { VirtualTime } from '../time.ts'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
/** L of [C7]. The onlooker has its own: it shares no number with what it watches. */
export const LEASE_MS = 120 * SECOND

const FINAL = new Set(['passed', 'failed', 'timed_out', 'canceled', 'skipped', 'broken', 'errored'])

export interface Violation {
  /** An invariant or a rule of docs/protocol.md, or what is wrong in a word. */
  readonly rule: string
  readonly at: number
  readonly text: string
}

export interface Job {
  readonly id: string
  readonly build: string
  readonly class: number
  readonly ord: number
  readonly avoidAgent: string | null
  readonly state: string
  readonly fence: number
  readonly agent: string | null
  readonly bootSeq: number | null
  readonly cancel: boolean
  readonly digest: string | null
  readonly spec: string
  /** Its command and, of several of one step or trigger, its number. */
  readonly name: string
  readonly result: string | null
  /** By the object's clock, of the job and of its build. */
  readonly createdAt: number
  readonly buildCreatedAt: number
  /** When it came into its state. */
  readonly since: number
  readonly canceledAt: number | null
  /** Last sync that named its current attempt. */
  readonly namedAt: number | null
}

/** What is known of one agent process by what it said and heard. */
export interface Spoken {
  readonly agent: string
  readonly bootSeq: number
  /** Named in its last message, or given to it since. */
  held: Set<string>
  lastReplyAt: number | null
  lastReply: SyncReply | null
  state: ParsedSync['state']
  slots: number
  doorbell: boolean
}

export class Truth {
  readonly violations: Violation[] = []
  readonly jobs = new Map<string, Job>()
  /** By build: its state once that is final; null before. */
  readonly builds = new Map<string, string | null>()
  /** By build: its commit. */
  readonly pins = new Map<string, string>()
  /** Of each attempt, once it was given: `agent/boot`. */
  readonly owners = new Map<string, string>()
  /** By `agent/boot`: when each attempt was given to it. */
  readonly givenAt = new Map<string, readonly number[]>()
  /** In the event that is under way. */
  newlyGiven: string[] = []
  /** By job. */
  readonly accepted = new Map<string, { readonly attempt: string; readonly digest: string }>()
  /** Verdicts that left the coordinator, by attempt. */
  readonly verdicts = new Map<string, string>()
  /** Those that live and have spoken. */
  readonly processes = new Map<SimProcess, Spoken>()
  /** When each attempt's assignment was first heard. */
  readonly heardAt = new Map<string, number>()
  /** When each attempt's command ended. */
  readonly endedAt = new Map<string, number>()
  /** Attempts that a process heard to abandon, and when. */
  readonly abandoned = new Map<string, { readonly process: SimProcess; readonly at: number }>()
  /** Processes that heard that another is their agent now. */
  readonly superseded = new Map<SimProcess, number>()
  readonly outages: { readonly from: number; readonly to: number }[] = []
  readonly machines: () => Iterable<SimMachine>
  readonly coordinator: () => SimCoordinator
  readonly #time: VirtualTime
  /** When the last fault of each ends. */
  readonly #faultyUntil = new Map<string, number>()
  #isInEvent = false
  #undo: (() => void)[] = []
  #suspected: Violation[] = []

  constructor(time: VirtualTime, machines: () => Iterable<SimMachine>, coordinator: () => SimCoordinator) {
    this.#time = time
    this.machines = machines
    this.coordinator = coordinator
  }

  get now(): number {
    return this.#time.now
  }

  // What is wrong with whom.

  /** `who` is a machine, "coordinator", "object" (its memory or its clock) or the rings of a machine; it goes on for so long. */
  fault(who: string, forMs = 0): void {
    this.#faultyUntil.set(who, Math.max(this.#faultyUntil.get(who) ?? -Infinity, this.now + forMs))
  }

  outage(forMs: number): void {
    this.outages.push({ from: this.now, to: this.now + forMs })
  }

  /** For how long nothing has been wrong with all of these. */
  quietFor(...whos: readonly string[]): number {
    return this.now - Math.max(...whos.map((who) => this.#faultyUntil.get(who) ?? -Infinity))
  }

  // Events.

  violate(rule: string, text: string): void {
    const violation = { rule, at: this.now, text }
    if (this.#isInEvent) this.#suspected.push(violation)
    else this.violations.push(violation)
  }

  beginEvent(): void {
    this.#isInEvent = true
  }

  /** Of what the event's rows tell: it is taken back with them. */
  learn<K, V>(of: Map<K, V>, key: K, value: V): void {
    const was = of.get(key)
    of.set(key, value)
    this.#undo.push(() => (was === undefined ? of.delete(key) : of.set(key, was)))
  }

  /** The event has changed a job or the commit of a build. */
  hasLearnt(): boolean {
    return this.#undo.length > 0
  }

  endEvent(how: 'committed' | 'undone'): void {
    this.#isInEvent = false
    if (how === 'undone') for (const undo of this.#undo.reverse()) undo()
    else this.violations.push(...this.#suspected)
    this.#undo = []
    this.#suspected = []
    this.newlyGiven = []
  }

  // Who holds what.

  jobOf(attempt: string): Job | null {
    return this.jobs.get(attempt.slice(0, attempt.lastIndexOf('.'))) ?? null
  }

  /** The job whose current attempt this is, where it is that agent's. */
  currentOf(attempt: string, agent: string): Job | null {
    const job = this.jobOf(attempt)
    return job !== null && attemptOf(job) === attempt && job.agent === agent ? job : null
  }

  live(): readonly Job[] {
    const live: Job[] = []
    for (const job of this.jobs.values()) if (job.state === 'live') live.push(job) // without a copy of all of them
    return live
  }

  /** The process that speaks as this boot. */
  processOf(agent: string | null, bootSeq: number | null): readonly [SimProcess, Spoken] | null {
    for (const [process, spoken] of this.processes) if (spoken.agent === agent && spoken.bootSeq === bootSeq) return [process, spoken]
    return null
  }
}

/** The current one [C1.4]. */
export function attemptOf({ id, fence }: Job): string {
  return `${id}.${fence}`
}

export function isFinal({ state }: { readonly state: string }): boolean {
  return FINAL.has(state)
}

/** All that a message says the agent still has to do with. */
export function namedIn({ running, finished, spooled }: ParsedSync): Set<string> {
  return new Set<string>([...running.map(({ attempt }) => attempt), ...finished.map(({ attempt }) => attempt), ...spooled])
}
