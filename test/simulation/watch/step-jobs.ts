/** The jobs of steps by their names, and how a step stands by the newest of them. */
import { parseJson } from '../../../schema/parse-json.ts'
import type { StepPlan } from '../step-plan.ts'
import { worst, type Standing } from '../standings.ts'
import { nameOf } from '../steps.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

export const GOOD: ReadonlySet<string> = new Set(['passed', 'skipped'])
export const FAILED: ReadonlySet<string> = new Set(['failed', 'timed_out', 'errored'])

export class StepJobs {
  readonly #truth: Truth

  constructor(truth: Truth) {
    this.#truth = truth
  }

  /** `canceled`: how what was cancelled stands, whatever it came to after that. */
  standing(build: string, plan: StepPlan, { canceled }: { readonly canceled?: Standing } = {}): Standing {
    const standings = plan.jobs.map((job, nth): Standing => {
      const newest = job === null ? null : this.newest(nameOf(build, plan, nth))
      if (job === null) return 'good'
      if (plan.kind === 'trigger' && newest !== null && this.hasPassed(newest)) return 'good'
      if (newest?.cancel === true && canceled !== undefined) return canceled
      if (newest === null || !isFinal(newest)) return 'open'
      if (GOOD.has(newest.state)) return 'good'
      if (plan.kind === 'trigger') return mayFail(plan, 1) ? 'good' : newest.state === 'canceled' ? 'unrun' : 'bad'
      return newest.state === 'canceled' || newest.state === 'broken' ? 'unrun' : isSoft(plan, nth, newest) ? 'good' : 'bad'
    })
    return worst(standings)
  }

  /** A trigger has gone on when its build has passed, whatever becomes of that when a person has it tried again. */
  hasPassed({ name, build }: Job): boolean {
    return this.named(name).some((job) => job.build === build && GOOD.has(job.state))
  }

  /** With their numbers. */
  newestOf(build: string, plan: StepPlan): readonly (readonly [number, Job])[] {
    return plan.jobs.flatMap((_, nth) => {
      const newest = this.newest(nameOf(build, plan, nth))
      return newest === null ? [] : [[nth, newest] as const]
    })
  }

  /** A retry of a trigger's step starts a build that is newer. */
  newest(name: string, { but = null }: { readonly but?: Job | null } = {}): Job | null {
    let newest: Job | null = null
    for (const job of this.#truth.jobs.values()) if (job.name === name && job !== but && (newest === null || placeOf(job) > placeOf(newest))) newest = job
    return newest
  }

  ofBuild(build: string): readonly Job[] {
    return [...this.#truth.jobs.values()].filter((job) => job.build === build)
  }

  /** Oldest first. */
  named(name: string): readonly Job[] {
    return [...this.#truth.jobs.values()].filter((job) => job.name === name).sort((one, other) => placeOf(one) - placeOf(other))
  }
}

/** Whether the exit status is one that does not fail the step. */
export function mayFail({ softFail }: StepPlan, exitStatus: number): boolean {
  return softFail === 'any' || (softFail !== 'none' && softFail.includes(exitStatus))
}

/** Whether the failure of its `nth` job is one that does not count. */
export function isSoft(plan: StepPlan, nth: number, { result }: Job): boolean {
  const { exit_status: exitStatus } = (result === null ? {} : parseJson(result)) as { readonly exit_status?: number | null } // as the agent or the coordinator made it
  return plan.parallel?.soft.includes(nth) === true || mayFail(plan, exitStatus ?? LOST_STATUS)
}

/** Of what has none: its agent was lost, or a signal ended it. */
const LOST_STATUS = -1

/** Sorts the jobs of one command by their age. */
function placeOf(job: Job): number {
  return Number(job.build.slice(job.build.lastIndexOf('-') + 1)) * 1e6 + numberOf(job)
}

export function numberOf({ id }: Job): number {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}
