/**
 * That no step starts before those that it waits for are over, and well [I28], with all that those uploaded; that each
 * step that was uploaded is there once; and that a build is what its steps are. By the plan of the build.
 */
import type { Problem } from '../../../schema/api.ts'
import { uploadsOf } from '../acts.ts'
import type { JobCallsOnlooker } from '../job-calls.ts'
import type { People } from '../people.ts'
import type { Act, StepPlace, StepPlan, Upload } from '../step-plan.ts'
import { whyNotBroken, whyNotYet, type Standing, type Standings } from '../steps.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

const GOOD = new Set(['passed', 'skipped'])
const FAILED = new Set(['failed', 'timed_out', 'errored'])

/** An upload that the build has taken. */
interface Seen {
  readonly nth: number
  /** Commands of steps that had begun by then: they wait for none of it. */
  readonly begun: ReadonlySet<string>
}

export class Steps implements JobCallsOnlooker {
  readonly #truth: Truth
  readonly #people: () => People
  /** By build and upload. */
  readonly #seen = new Map<string, Seen>()

  constructor(truth: Truth, people: () => People) {
    this.#truth = truth
    this.#people = people
  }

  /** `was` is null for a new one. */
  jobChanged(was: Job | null, job: Job): void {
    const place = this.#people().stepOf(job.command)
    if (place === null) return
    const { build, plans, number } = place
    const plan = plans[number]
    if (plan?.kind === 'trigger' && numberOf(job) > 1) return // a person has that build tried again, whatever became of its parent
    if (was === null && plan?.kind === 'command') this.#isThere(place, job)
    const now = this.#standings(build)
    const name = `${job.id}, step ${plan?.key} of ${build},`
    const begins = (job.state === 'gated' || job.state === 'queued' || job.state === 'live') && (was === null || was.state === 'waiting')
    const why = begins ? whyNotYet(place, now) : null
    if (why !== null) this.#truth.violate('I28', `${name} became ${job.state}, but ${why}`)
    const whyNot = job.state === 'broken' && was?.state !== 'broken' ? whyNotBroken(place, now) : null
    if (whyNot !== null) this.#truth.violate('I8', `${name} is not run for a failure, but ${whyNot}`)
  }

  /** A job that is new: of an upload that is new as well, or it is tried again. */
  #isThere(place: StepPlace, job: Job): void {
    const { build, upload } = place
    const others = [...this.#truth.jobs.values()].filter((other) => other !== job && other.build === job.build)
    const twice = others.find((other) => !isFinal(other) && other.command === job.command)
    if (twice !== undefined) this.#truth.violate('I2', `${job.id} is made for ${job.command}, which ${twice.id} is for already`)
    if (this.#seen.has(nameOf(build, upload))) return
    const begun = new Set(others.filter(({ state }) => state !== 'waiting').map((other) => other.command))
    this.#truth.learn(this.#seen, nameOf(build, upload), { nth: this.#seen.size, begun })
  }

  #standings(build: string): Standings {
    const people = this.#people()
    return {
      job: ({ key }) => this.#standing(`${build}/${key}`),
      hasBegun: ({ key }) => this.#newest(`${build}/${key}`) !== null,
      isUnblocked: ({ key }) => people.hasUnblocked(`${build}/${key}`),
      isReplaced: () => false,
      uploadsOf: (plan, waiter) => uploadsOf(plan).filter((upload) => this.#isWaitedFor(build, upload, waiter)),
      placeOf: (key) => people.stepOf(`${build}/${key}`),
    }
  }

  /** Whoever waited for the uploader when the upload came waits for that too. */
  #isWaitedFor(build: string, upload: Upload, waiter: StepPlan): boolean {
    const seen = this.#seen.get(nameOf(build, upload))
    const own = this.#people().stepOf(`${build}/${waiter.key}`)?.upload
    const since = own === undefined ? undefined : this.#seen.get(nameOf(build, own))
    return seen !== undefined && (since?.nth ?? -1) < seen.nth && !seen.begun.has(`${build}/${waiter.key}`)
  }

  refused(build: string, act: Act, { detail }: Problem): void {
    this.#truth.violate('I28', `${build} is refused what its job asks for (${act.kind}): ${detail}`)
  }

  /** Everything is over: what a build is must follow from what its jobs, and the builds that it waited for, came to. */
  judge(): void {
    for (const { plan, numbers } of this.#people().builds.values()) {
      const first = this.#newest(plan.key)
      const state = first === null ? undefined : this.#truth.builds.get(first.build)
      if (plan.steps.length === 0 || first === null || numbers.size !== 1) continue
      const places = this.#people().placesOf(plan.key).filter(({ upload }) => upload.name === '' || this.#seen.has(nameOf(plan.key, upload)))
      const steps = places.flatMap(({ plans, number }) => plans[number] ?? []).filter((step) => !step.isLeftOut)
      const waited = steps.filter((step) => step.kind === 'trigger' && !step.isAsync && !step.softFail)
      const failed = waited.find((step) => this.#newest(`${plan.key}/${step.key}`) !== null && this.#childState(plan.key, step) !== 'passed')
      if (state === 'passed' && failed !== undefined) this.#truth.violate('I28', `${plan.key} passed, and the build that its step ${failed.key} waits for is ${this.#childState(plan.key, failed)}`)
      const isAllGood = this.#standing(plan.key) === 'good' && steps.every((step) => step.isAsync || this.#ranWell(plan.key, step))
      if (state === 'failed' && isAllGood && !this.#people().hasCanceled(plan.key)) this.#truth.violate('I28', `${plan.key} failed, and nothing of it did`)
      for (const step of steps) {
        const job = step.kind === 'command' ? this.#newest(`${plan.key}/${step.key}`) : null
        if (job === null) continue
        const isFailure = job.state === 'broken' || (FAILED.has(job.state) && !step.softFail)
        if (isFailure ? state !== 'failed' : job.state === 'canceled' && state === 'passed') this.#truth.violate('I28', `${plan.key} is ${state}, and its step ${step.key} is ${job.state}`)
      }
    }
  }

  #ranWell(build: string, step: StepPlan): boolean {
    const newest = this.#newest(`${build}/${step.key}`)
    return newest === null || step.softFail || (step.kind === 'trigger' ? this.#childState(build, step) === 'passed' : GOOD.has(newest.state))
  }

  /** Of the newest build that the trigger started. */
  #childState(build: string, { key }: StepPlan): string | null | undefined {
    const newest = this.#newest(`${build}/${key}`)
    return newest === null ? undefined : this.#truth.builds.get(newest.build)
  }

  #standing(command: string): Standing {
    const newest = this.#newest(command)
    if (newest === null || !isFinal(newest)) return 'open'
    if (GOOD.has(newest.state)) return 'good'
    return newest.state === 'canceled' || newest.state === 'broken' ? 'unrun' : 'bad'
  }

  /** A retry of a trigger's step starts a build that is newer. */
  #newest(command: string): Job | null {
    let newest: Job | null = null
    for (const job of this.#truth.jobs.values()) if (job.command === command && (newest === null || placeOf(job) > placeOf(newest))) newest = job
    return newest
  }
}

function nameOf(build: string, { name }: Upload): string {
  return `${build} ${name}`
}

/** Sorts the jobs of one command by their age. */
function placeOf(job: Job): number {
  return Number(job.build.slice(job.build.lastIndexOf('-') + 1)) * 1e6 + numberOf(job)
}

function numberOf({ id }: Job): number {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}
