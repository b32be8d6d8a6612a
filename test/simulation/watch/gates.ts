/**
 * Concurrency groups [I28]: never more jobs in the queue or in agents' hands than the newest upload allows, in their
 * order, and no place left free that somebody waits for. By the plans of the builds, not by what the coordinator stores
 * about groups.
 */
import { standsBefore } from '../acts.ts'
import type { People } from '../people.ts'
import type { StepPlace } from '../step-plan.ts'
import { isInLine } from '../standings.ts'
import { limitOf } from '../steps.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

interface Member {
  readonly job: Job
  readonly place: StepPlace
  readonly method: 'ordered' | 'eager'
}

export class Gates {
  readonly #truth: Truth
  readonly #people: () => People
  /** By group. */
  readonly #limits = new Map<string, number>()
  /** Uploads that have set those, by group, build and name. */
  readonly #heard = new Map<string, true>()
  /** Groups with a job that changed in the event that is under way. */
  readonly #changed = new Set<string>()
  /** Steps of builds of which a job that was inside has ended in that event. */
  readonly #ended = new Set<string>()

  constructor(truth: Truth, people: () => People) {
    this.#truth = truth
    this.#people = people
  }

  /** `was` is null for a new one. */
  jobChanged(was: Job | null, job: Job): void {
    const place = this.#people().stepOf(job.name)
    const concurrency = place?.plans[place.number]?.concurrency ?? null
    if (place === null || concurrency === null) return
    const { group, method } = concurrency
    this.#changed.add(group)
    this.#hear(group, place)
    const step = `${job.build} ${job.name}`
    if (was !== null && isInside(was) && isFinal(job)) this.#ended.add(step)
    // By a rule: it goes on in the place of the one before it, whatever the limit has become.
    const isRetry = was === null && this.#ended.has(step)
    if (isRetry && !isInside(job)) this.#truth.violate('I28', `${job.id} is a retry by a rule and became ${job.state}: its place is given away`)
    if (!isRetry && isInside(job) && (was === null || !isInside(was))) this.#judge({ job, place, method }, group)
  }

  /** The first jobs of an upload's steps are the upload. */
  #hear(group: string, { build, plans, upload }: StepPlace): void {
    const name = `${group} ${build} ${upload.name}`
    if (this.#heard.has(name)) return
    this.#truth.learn(this.#heard, name, true)
    const limit = limitOf(plans, group)
    if (limit !== null) this.#truth.learn(this.#limits, group, limit)
  }

  #judge(member: Member, group: string): void {
    const { job } = member
    const members = this.#members(group)
    const inside = members.filter((other) => isInside(other.job)).length
    const limit = this.#limits.get(group) ?? 0
    if (inside > limit) this.#truth.violate('I28', `${job.id} is the ${inside}th inside the group ${group}, whose limit is ${limit}`)
    const passed = members.find((other) => other.method === member.method && other.job !== job && isOutside(other) && isBefore(other, member))
    if (passed !== undefined) this.#truth.violate('I28', `${job.id} was let in to the group ${group} before ${passed.job.id}, which is ${passed.job.state}`)
  }

  eventEnded(how: 'committed' | 'undone'): void {
    const changed = [...this.#changed]
    this.#changed.clear()
    this.#ended.clear()
    if (how === 'undone') return
    for (const group of changed) {
      const members = this.#members(group)
      if (members.filter(({ job }) => isInside(job)).length >= (this.#limits.get(group) ?? 0)) continue
      const left = members.find((member) => member.job.state === 'gated' && (member.method === 'eager' || !members.some((other) => other.method === 'ordered' && isOutside(other) && mayBeBefore(other, member))))
      if (left !== undefined) this.#truth.violate('I8', `${left.job.id} stands before the gate of ${group}, which has a free place for it`)
    }
  }

  #members(group: string): readonly Member[] {
    return [...this.#truth.jobs.values()].flatMap((job) => {
      const place = this.#people().stepOf(job.name)
      const concurrency = place?.plans[place.number]?.concurrency
      return place !== null && concurrency?.group === group ? [{ job, place, method: concurrency.method }] : []
    })
  }
}

function isInside({ state }: Job): boolean {
  return state === 'queued' || state === 'live'
}

/** It has not been let in, and stands in the line of its kind. */
function isOutside({ job, place, method }: Member): boolean {
  return job.state === 'gated' || (job.state === 'waiting' && method === 'ordered' && isInLine(place.plans, place.number))
}

/** Whether one stands before another of its kind; neither of two builds of the same instant does. */
function isBefore(one: Member, other: Member): boolean {
  if (one.method === 'eager') return one.job.ord < other.job.ord
  if (one.job.build !== other.job.build) return one.job.buildCreatedAt < other.job.buildCreatedAt
  return standsBefore(one.place, other.place)
}

function mayBeBefore(one: Member, other: Member): boolean {
  return isBefore(one, other) || (one.job.build !== other.job.build && one.job.buildCreatedAt === other.job.buildCreatedAt)
}
