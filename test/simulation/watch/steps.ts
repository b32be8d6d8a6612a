/** That no step starts before those that it waits for are over, and well [I28], and that a build is what its steps are; by the plan of the build. */
import type { People } from '../people.ts'
import { whyNotYet, type Standing, type StepPlan } from '../steps.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

const GOOD = new Set(['passed', 'skipped'])

export class Steps {
  readonly #truth: Truth
  readonly #people: () => People

  constructor(truth: Truth, people: () => People) {
    this.#truth = truth
    this.#people = people
  }

  /** `was` is null for a new one. */
  jobChanged(was: Job | null, job: Job): void {
    const begins = (job.state === 'gated' || job.state === 'queued' || job.state === 'live') && (was === null || was.state === 'waiting')
    if (!begins) return
    const place = this.#people().stepOf(job.command)
    if (place === null) return
    const { build, plans, number } = place
    if (plans[number]?.kind === 'trigger' && numberOf(job) > 1) return // a person has that build tried again, whatever became of its parent
    const why = whyNotYet(plans, number, {
      job: ({ key }) => this.#standing(`${build}/${key}`),
      hasBegun: ({ key }) => this.#newest(`${build}/${key}`) !== null,
      isUnblocked: ({ key }) => this.#people().hasUnblocked(`${build}/${key}`),
    })
    if (why !== null) this.#truth.violate('I28', `${job.id}, step s${number} of ${build}, became ${job.state}, but ${why}`)
  }

  /** Everything is over: what a build is must follow from what its jobs, and the builds that it waited for, came to. */
  judge(): void {
    for (const { plan, numbers } of this.#people().builds.values()) {
      const first = this.#newest(plan.key)
      const state = first === null ? undefined : this.#truth.builds.get(first.build)
      if (plan.steps.length === 0 || first === null || numbers.size !== 1) continue
      const waited = plan.steps.filter((step) => step.kind === 'trigger' && !step.isAsync && !step.isLeftOut && !step.softFail)
      const failed = waited.find((step) => this.#newest(`${plan.key}/${step.key}`) !== null && this.#childState(plan.key, step) !== 'passed')
      if (state === 'passed' && failed !== undefined) this.#truth.violate('I28', `${plan.key} passed, and the build that its step ${failed.key} waits for is ${this.#childState(plan.key, failed)}`)
      const isAllGood = this.#standing(plan.key) === 'good' && plan.steps.every((step) => step.isLeftOut || step.isAsync || this.#ranWell(plan.key, step))
      if (state === 'failed' && isAllGood && !this.#people().hasCanceled(plan.key)) this.#truth.violate('I28', `${plan.key} failed, and nothing of it did`)
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

/** Sorts the jobs of one command by their age. */
function placeOf(job: Job): number {
  return Number(job.build.slice(job.build.lastIndexOf('-') + 1)) * 1e6 + numberOf(job)
}

function numberOf({ id }: Job): number {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}
