/** What a build ends as: it must follow from what its jobs, and the builds that it waited for, came to [I28]. By its plan. */
import type { People } from '../people.ts'
import type { StepPlan, Upload } from '../step-plan.ts'
import { FAILED, GOOD, isSoft, mayFail, type StepJobs } from './step-jobs.ts'
import type { Truth } from './truth.ts'

interface Around {
  readonly truth: Truth
  readonly people: () => People
  readonly jobs: StepJobs
  /** The build has taken the upload. */
  isThere(build: string, upload: Upload): boolean
  /** A job cancelled a trigger of the build; its build may pass all the same, when a person has that tried again. */
  isCutShort(build: string): boolean
}

export class BuildEnds {
  readonly #around: Around

  constructor(around: Around) {
    this.#around = around
  }

  /** Everything is over. */
  judge(): void {
    const { truth, people, jobs, isThere, isCutShort } = this.#around
    for (const { plan, numbers } of people().builds.values()) {
      const first = jobs.newest(plan.key)
      const state = first === null ? undefined : truth.builds.get(first.build)
      if (plan.steps.length === 0 || first === null || numbers.size !== 1) continue
      const places = people().placesOf(plan.key).filter(({ upload }) => isThere(plan.key, upload))
      const steps = places.flatMap(({ plans, number }) => plans[number] ?? []).filter((step) => !step.isLeftOut)
      const waited = steps.filter((step) => step.kind === 'trigger' && !step.isAsync && !mayFail(step, 1))
      const failed = waited.find((step) => this.#childStates(plan.key, step).some((child) => child !== 'passed'))
      if (state === 'passed' && failed !== undefined) truth.violate('I28', `${plan.key} passed, and a build that its step ${failed.key} waits for is ${this.#childStates(plan.key, failed).join(' and ')}`)
      const isAllGood = first.state === 'passed' && steps.every((step) => step.isAsync || this.#ranWell(plan.key, step))
      if (state === 'failed' && isAllGood && !people().hasCanceled(plan.key) && !isCutShort(plan.key)) truth.violate('I28', `${plan.key} failed, and nothing of it did`)
      if (state === 'canceled' && !people().hasCanceled(plan.key) && !isCutShort(plan.key) && !jobs.ofBuild(first.build).some((job) => job.cancel)) truth.violate('I28', `${plan.key} is cancelled, and nothing of it was`)
      for (const step of steps) {
        if (step.kind !== 'command') continue
        for (const [nth, job] of jobs.newestOf(plan.key, step)) {
          const isFailure = job.state === 'broken' || (FAILED.has(job.state) && !isSoft(step, nth, job))
          if (isFailure ? state !== 'failed' : job.state === 'canceled' && state === 'passed') truth.violate('I28', `${plan.key} is ${state}, and ${job.id} of its step ${step.key} is ${job.state}`)
        }
      }
    }
  }

  #ranWell(build: string, step: StepPlan): boolean {
    if (step.kind === 'trigger') return mayFail(step, 1) || this.#childStates(build, step).every((state) => state === 'passed')
    return this.#around.jobs.newestOf(build, step).every(([nth, job]) => !job.cancel && (GOOD.has(job.state) || (FAILED.has(job.state) && isSoft(step, nth, job)))) // one that passed all the same may count as cancelled
  }

  /** Of the newest builds that the trigger started, as far as they are its affair: one that passed is so no more. */
  #childStates(build: string, step: StepPlan): readonly (string | null)[] {
    const { jobs, truth } = this.#around
    return jobs.newestOf(build, step).map(([, job]) => (jobs.hasPassed(job) ? 'passed' : (truth.builds.get(job.build) ?? null)))
  }
}
