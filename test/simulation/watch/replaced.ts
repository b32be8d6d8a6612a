/**
 * Uploads that take the place of what has not begun [I28]: all of that goes, nothing else does, and none of it ever comes
 * back. Which waits, blocks and triggers go is worked out from the plan; of steps with jobs, their rows tell.
 */
import type { People } from '../people.ts'
import type { StepPlace } from '../step-plan.ts'
import { commandOf as nameOf, standingOf, type Standings } from '../steps.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

interface Onlooking {
  readonly truth: Truth
  people(): People
  /** Oldest first. */
  jobsOf(command: string): readonly Job[]
  isThere(place: StepPlace): boolean
  /** With these jobs as if they had not ended. */
  standings(build: string, unended: ReadonlySet<string>): Standings
}

export class Replaced {
  readonly #on: Onlooking
  /** By what their command is, or would be. */
  readonly #gone = new Set<string>()
  /** In the event that is under way: jobs that were skipped, as they were; and uploads that replace, by a step of each. */
  #skipped = new Map<string, Job>()
  #came: StepPlace[] = []

  constructor(on: Onlooking) {
    this.#on = on
  }

  has(command: string): boolean {
    return this.#gone.has(command)
  }

  jobChanged(was: Job | null, job: Job): void {
    if (was !== null && !isFinal(was) && job.state === 'skipped') this.#skipped.set(job.id, was)
  }

  /** The first job of an upload is there. */
  uploaded(place: StepPlace): void {
    if (place.upload.replaces) this.#came.push(place)
    const { truth } = this.#on
    const late = place.upload.steps.flatMap(({ alsoOn }) => alsoOn).find(({ key }) => this.has(`${place.build}/${key}`))
    if (late !== undefined) truth.violate('I28', `a step of ${place.build} was taken that waits for ${late.key}, which was replaced`)
  }

  eventEnded(how: 'committed' | 'undone'): void {
    const [skipped, came] = [this.#skipped, this.#came]
    if (skipped.size === 0 && came.length === 0) return
    this.#skipped = new Map()
    this.#came = []
    if (how === 'undone') return
    for (const place of came) this.#judge(place, skipped)
    for (const { id } of skipped.values()) this.#on.truth.violate('I28', `${id} is skipped, and nothing took its place`)
  }

  /** What it has judged is taken from `skipped`. */
  #judge({ build, upload }: StepPlace, skipped: Map<string, Job>): void {
    const standings = this.#on.standings(build, new Set(skipped.keys()))
    const gone: string[] = []
    for (const place of this.#on.people().placesOf(build)) {
      const plan = place.plans[place.number]
      if (plan === undefined || plan.isLeftOut || place.upload === upload || !this.#on.isThere(place)) continue
      const command = nameOf(build, plan)
      const goes = !this.has(command) && (plan.kind === 'command' ? this.#goes(command, skipped) : !standings.hasBegun(plan) && standingOf(place, standings) === 'open')
      if (goes) gone.push(command)
    }
    for (const command of gone) this.#gone.add(command)
  }

  /** Of a step with jobs. */
  #goes(command: string, skipped: Map<string, Job>): boolean {
    const { truth } = this.#on
    const jobs = this.#on.jobsOf(command)
    const newest = jobs.at(-1)
    if (newest === undefined) return false
    const hasBegun = jobs.some(({ fence }) => fence > 0)
    const was = skipped.get(newest.id)
    if (was === undefined) {
      if (!isFinal(newest) && (newest.state === 'waiting' || !hasBegun)) truth.violate('I28', `${newest.id} (${command}) has not begun, is ${newest.state}, and was to be replaced`)
      return false
    }
    skipped.delete(newest.id)
    if (was.state === 'live' || (was.state !== 'waiting' && hasBegun)) truth.violate('I28', `${newest.id} (${command}) had begun, was ${was.state}, and was replaced`)
    return true
  }
}
