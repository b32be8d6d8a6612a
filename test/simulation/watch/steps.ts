/** That no step starts before those that it waits for are over, and well [I28]; by the plan of its build. */
import type { People } from '../people.ts'
import { whyNotYet, type Standing } from '../steps.ts'
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
    const place = this.#people().stepOf(commandOf(job))
    if (place === null) return
    const { build, plans, number } = place
    const why = whyNotYet(plans, number, {
      job: ({ key }) => this.#standing(job.build, `${build}/${key}`),
      isUnblocked: ({ key }) => this.#people().hasUnblocked(`${build}/${key}`),
    })
    if (why !== null) this.#truth.violate('I28', `${job.id}, step s${number} of ${build}, became ${job.state}, but ${why}`)
  }

  #standing(build: string, command: string): Standing {
    let newest: Job | null = null
    for (const job of this.#truth.jobs.values()) if (job.build === build && commandOf(job) === command && (newest === null || numberOf(job) > numberOf(newest))) newest = job
    if (newest === null || !isFinal(newest)) return 'open'
    return GOOD.has(newest.state) ? 'good' : 'bad'
  }
}

export function commandOf({ spec }: Job): string {
  return (JSON.parse(spec) as { command: string }).command // as the coordinator wrote it
}

function numberOf({ id }: Job): number {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}
