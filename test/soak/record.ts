/**
 * What was seen while a soak lasted, noted where it happens: each start of a command, each verdict on the wire, each time
 * that a slot stood empty, each harm that was done. Nothing is judged here (`judge.ts`), and nothing is asked of those
 * that are watched.
 */
import { parseAttemptId, type AttemptId } from '../../schema/job.ts'

export type QueueName = 'deep' | 'short'

/** A time in which a figure says more about a harm than about anybody's pace. */
interface Harm {
  readonly from: number
  until: number
}

export interface Gap {
  readonly ms: number
  /** What the agent had been told last. */
  readonly paceMs: number
  readonly isCalm: boolean
}

export interface Sync {
  readonly ms: number
  /** It brought work. */
  readonly isClaim: boolean
  readonly queue: QueueName
  /** Waiting in the deep queue at that moment. */
  readonly depth: number
  readonly isCalm: boolean
}

/** Afterwards a thousand agents come back, each when its backoff says so [C7]. */
const RECOVERY_MS = 30_000

export class Record {
  /** Numbers of the builds that were acknowledged, by queue. */
  readonly asked: { readonly [queue in QueueName]: Set<number> } = { deep: new Set(), short: new Set() }
  /** How often a command was started for an attempt. */
  readonly starts = new Map<AttemptId, number>()
  readonly startedBuilds: { readonly [queue in QueueName]: Set<number> } = { deep: new Set(), short: new Set() }
  /** Attempts whose result was accepted, as protocol-true agents heard it. */
  readonly accepted = new Set<AttemptId>()
  /** Builds of the deep queue that have such a result. */
  readonly done = new Set<number>()
  /** What commands of protocol-true agents printed. */
  readonly printed = new Map<AttemptId, string>()
  readonly otherVerdicts = new Map<string, number>()
  readonly gaps: Gap[] = []
  readonly syncs: Sync[] = []
  /** By what was asked for: `sync`, `log`, `register`, `spec`. */
  readonly requests = new Map<string, number>()
  /** Without an answer, kills of the agent itself left out. */
  unanswered = 0
  /** Syncs of agents of the deep queue while it had work. */
  busySyncs = 0
  busyBuilds = 0
  busySeconds = 0
  /** When an agent was made to end, by its id, in milliseconds since 1970. */
  readonly ends = new Map<string, number[]>()
  readonly harms: { agentsKilled: number; agentsStopped: number; realKilled: number; runtime: number; both: number } = { agentsKilled: 0, agentsStopped: 0, realKilled: 0, runtime: 0, both: 0 }
  /** Sentences that an agent would not say if all were well. */
  readonly complaints: string[] = []
  readonly #harms: Harm[] = []

  get depth(): number {
    return this.waiting('deep')
  }

  /** Acknowledged and never started; what was lost and waits again is not among them. */
  waiting(queue: QueueName): number {
    return this.asked[queue].size - this.startedBuilds[queue].size
  }

  started(attempt: AttemptId, queue: QueueName): void {
    this.starts.set(attempt, (this.starts.get(attempt) ?? 0) + 1)
    const key = parseAttemptId(attempt)
    if (key !== null) this.startedBuilds[queue].add(key.build)
  }

  verdict(attempt: AttemptId, verdict: string, queue: QueueName): void {
    if (verdict === 'accepted') {
      this.accepted.add(attempt)
      const key = parseAttemptId(attempt)
      if (queue === 'deep' && key !== null) this.done.add(key.build)
    } else this.otherVerdicts.set(verdict, (this.otherVerdicts.get(verdict) ?? 0) + 1)
  }

  request(what: string): void {
    this.requests.set(what, (this.requests.get(what) ?? 0) + 1)
  }

  /** A slot stood empty from then until now, and a job waited all the while. */
  gap(from: number, paceMs: number): void {
    const now = performance.now()
    this.gaps.push({ ms: now - from, paceMs, isCalm: this.#isCalm(from, now) })
  }

  sync(since: number, { isClaim, queue }: Pick<Sync, 'isClaim' | 'queue'>): void {
    const now = performance.now()
    this.syncs.push({ ms: now - since, isClaim, queue, depth: this.depth, isCalm: this.#isCalm(since, now) })
    if (queue === 'deep' && this.depth > 0) this.busySyncs += 1
  }

  end(agent: string): void {
    const ends = this.ends.get(agent)
    if (ends === undefined) this.ends.set(agent, [Date.now()])
    else ends.push(Date.now())
  }

  /** The coordinator is away; call what comes back when it answers again. */
  outage(): () => void {
    const harm: Harm = { from: performance.now(), until: Infinity }
    this.#harms.push(harm)
    return () => (harm.until = performance.now())
  }

  complain(sentence: string): void {
    this.complaints.push(sentence)
  }

  #isCalm(from: number, until: number): boolean {
    return this.#harms.every((harm) => harm.from > until || harm.until + RECOVERY_MS < from)
  }
}
