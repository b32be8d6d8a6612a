/**
 * What the object may hold in memory: only what SQLite can rebuild, or what merely sets a pace. Any throw inside an
 * event drops it whole, and the next event rebuilds it. The queue is never in memory.
 */
import { attemptId, jobId, type AgentId } from '../../schema/job.ts'
import type { Offer } from '../../schema/sync.ts'
import type { AgentRow, BuildRow, Change, ClassRow, Grace, JobRow, ProjectRow } from '../core/decision.ts'
import { classesOf, offerKey } from '../core/matching.ts'
import type { Numbers } from '../core/numbers.ts'
import { timeLimitMs } from '../core/plan.ts'
import { Leases } from './leases.ts'
import * as load from './load.ts'
import type { Sql } from './sql.ts'

/** What was seen of an agent since the object woke. Lossy: only pace, preference and display use it. */
export interface Presence {
  lastSyncAt: number
  nextSyncMs: number
  seq: number
  bootSeq: number
  free: number
  fit: boolean
  offerKey: string
  queue: string
}

export interface BuildToTell extends Pick<BuildRow, 'project' | 'number'> {
  readonly at: number
}

/** What `toTell` knows it by. */
export function buildName({ project, number }: Pick<BuildRow, 'project' | 'number'>): string {
  return `${project}-${number}`
}

/** A clock that is disciplined goes back by less. */
const CLOCK_SHAKES_MS = 1000

export class Memory {
  readonly leases = new Leases()
  /** Every sync and every view asks for these; there are few, and they change seldom. */
  readonly agents = new Map<string, AgentRow>()
  readonly projects = new Map<number, ProjectRow>()
  readonly presence = new Map<AgentId, Presence>()
  readonly classes = new Map<number, ClassRow>()
  /** Attempts whose log somebody watches. */
  readonly watched = new Set<string>()
  /** Classes that may have a queued job; a seek that finds none removes its class. */
  readonly maybeQueued = new Set<number>()
  grace: Grace | null
  /** When a job of the queue was last put in line, by queue name. */
  readonly lastQueuedAt = new Map<string, number>()
  /** Agents whose doorbell was open when memory was built. Lossy, as presence is: only the pace uses it. */
  readonly attachedAtWake: ReadonlySet<AgentId>
  /** When builds that have something to tell, or may get it, are due. */
  readonly toTell = new Map<string, BuildToTell>()
  readonly #served = new Map<string, readonly number[]>()
  readonly #numbers: Numbers
  /** What the clock showed at the event before; the first one looks at what was stored under an earlier clock. */
  #clockShowed = Number.POSITIVE_INFINITY
  /** Last-seen of agents as stored, for those not seen since the object woke. */
  readonly agentsSeen = new Map<string, number>()

  constructor(on: Sql, numbers: Numbers, attached: ReadonlySet<AgentId>) {
    this.#numbers = numbers
    this.attachedAtWake = attached
    for (const row of load.allProjects(on)) this.projects.set(row.id, row)
    for (const row of load.allAgents(on)) this.agents.set(row.id, row)
    for (const row of load.allClasses(on)) this.addClass(row)
    this.grace = load.grace(on)
    const seen = load.seen(on)
    for (const [id, at] of Object.entries(seen.agents)) this.agentsSeen.set(id, at)
    for (const row of load.buildsToTell(on)) this.#setToTell(row, row.notifyAt)
    // A wake rebuilds leases from what is stored; it never renews one [C10.2].
    for (const job of load.allLiveJobs(on)) {
      const at = seen.attempts[attemptId(job)] ?? null
      this.#setLease(job, at, at)
    }
  }

  projectBySlug(slug: string): ProjectRow | null {
    for (const row of this.projects.values()) if (row.slug === slug) return row
    return null
  }

  /** By slug. */
  allProjects(): readonly ProjectRow[] {
    return [...this.projects.values()].sort((a, b) => (a.slug < b.slug ? -1 : 1))
  }

  addClass(row: ClassRow): void {
    this.classes.set(row.id, row)
    this.maybeQueued.add(row.id)
    this.#served.clear()
  }

  /** Classes that an offer can run, remembered per distinct offer. */
  served(offer: Pick<Offer, 'queue' | 'tags'>): readonly number[] {
    const key = offerKey(offer)
    let served = this.#served.get(key)
    if (!served) {
      served = classesOf(offer, this.classes.values())
      this.#served.set(key, served)
    }
    return served
  }

  /** Follows the changes that `apply` writes. */
  fold(change: Change, now: number): void {
    switch (change.kind) {
      case 'job.insert':
        if (change.row.state === 'queued') this.#queued(change.row.class, now)
        return
      case 'job.set': {
        const state = change.set.state
        if (state === undefined) return
        const job = { ...change.was, ...change.set }
        // A re-adopted attempt (same fence) was just named; its last-seen is not stored yet, so this sync flushes it.
        if (state === 'live') this.#setLease(job, change.set.fence === undefined ? now : null, null)
        else this.leases.delete(jobId(job))
        if (state === 'queued') this.#queued(job.class, now)
        return
      }
      case 'build.set':
        if (change.set.notifyAt !== undefined) this.#setToTell(change.was, change.set.notifyAt)
        return
      case 'project.insert':
        this.projects.set(change.row.id, change.row)
        return
      case 'agent.insert':
        this.agents.set(change.row.id, change.row)
        return
      case 'agent.set': {
        const agent = this.agents.get(change.id)
        if (agent) this.agents.set(change.id, { ...agent, ...change.set })
        return
      }
      case 'grace':
        this.grace = change.grace
        return
      default:
        return
    }
  }

  #setToTell({ project, number }: Pick<BuildRow, 'project' | 'number'>, at: number | null): void {
    const name = buildName({ project, number })
    if (at === null) this.toTell.delete(name)
    else this.toTell.set(name, { project, number, at })
  }

  #queued(jobClass: number, now: number): void {
    this.maybeQueued.add(jobClass)
    const row = this.classes.get(jobClass)
    if (row) this.lastQueuedAt.set(row.queue, now)
  }

  #setLease(job: JobRow, seenAt: number | null, storedAt: number | null): void {
    if (job.agent === null || job.bootSeq === null || job.assignedAt === null) return
    const assignedAt = Math.min(job.assignedAt, seenAt ?? Infinity) // seen before it was assigned: the clock was set back
    this.leases.set({
      project: job.project,
      build: job.build,
      n: job.n,
      fence: job.fence,
      agent: job.agent,
      bootSeq: job.bootSeq,
      assignedAt,
      seenAt,
      storedAt,
      hardAt: assignedAt + timeLimitMs(job) + this.#numbers.hardLimitMs,
    })
  }

  /**
   * A clock that was set back: nothing was seen later than it shows now and no grace lasts longer than one does, or the
   * leases of the dead would last until it has caught up [C16.1]. True when something had to be changed: that is to be
   * stored, or each wake would renew it [C10.2].
   */
  noticeClock(now: number): boolean {
    const wasSetBack = now < this.#clockShowed
    this.#clockShowed = now
    if (!wasSetBack) return false
    let isChanged = false
    for (const lease of this.leases.values()) {
      if ((lease.seenAt ?? lease.assignedAt) <= now + CLOCK_SHAKES_MS) continue
      lease.hardAt = Math.min(lease.hardAt, now + lease.hardAt - lease.assignedAt)
      lease.assignedAt = Math.min(lease.assignedAt, now)
      lease.seenAt = now
      isChanged = true
    }
    if (this.grace !== null && this.grace.until > now + this.#numbers.graceMs + CLOCK_SHAKES_MS) {
      this.grace = { givenAt: now, until: now + this.#numbers.graceMs }
      isChanged ||= this.leases.size > 0
    }
    return isChanged
  }

  /** What the heartbeat row holds now. */
  snapshot(): load.Seen {
    const attempts: Record<string, number> = {}
    for (const lease of this.leases.values()) if (lease.seenAt !== null) attempts[attemptId(lease)] = lease.seenAt
    const agents: Record<string, number> = Object.fromEntries(this.agentsSeen)
    for (const [id, presence] of this.presence) agents[id] = presence.lastSyncAt
    return { attempts, agents }
  }

  lastSeen(agent: AgentId): number | null {
    return this.presence.get(agent)?.lastSyncAt ?? this.agentsSeen.get(agent) ?? null
  }
}
