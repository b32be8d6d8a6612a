/**
 * Uploads that take the place of what has not begun [I28]: all of that goes, nothing else does, and none of it ever comes
 * back. Which waits, blocks and triggers go is worked out from the plan; of steps with jobs, their rows tell.
 */
import type { People } from '../people.ts'
import { standingOf, type Standings } from '../standings.ts'
import type { StepPlace, StepPlan } from '../step-plan.ts'
import { commandOf, jobNamesOf } from '../steps.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

interface Onlooking {
  readonly truth: Truth
  people(): People
  /** Those of one name, oldest first. */
  jobsOf(name: string): readonly Job[]
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
    const gone = new Set<StepPlan>()
    const places = this.#on.people().placesOf(build).filter((place) => place.upload !== upload && this.#on.isThere(place))
    for (const place of places) {
      const plan = place.plans[place.number]
      if (plan === undefined || plan.isLeftOut || plan.kind === 'group') continue
      const goes = !this.has(commandOf(build, plan)) && (plan.kind === 'command' ? this.#goes(build, plan, skipped) : !standings.hasBegun(plan) && standingOf(place, standings) === 'open')
      if (goes) gone.add(plan)
    }
    for (const { plans, number } of places) {
      const group = plans[number]
      if (group?.kind === 'group' && plans.every((plan) => plan.group !== number || gone.has(plan))) gone.add(group)
    }
    for (const plan of gone) this.#gone.add(commandOf(build, plan))
  }

  /** Of a step with jobs: all of them do, as far as they are not over. */
  #goes(build: string, plan: StepPlan, skipped: Map<string, Job>): boolean {
    const { truth } = this.#on
    const all = jobNamesOf(build, plan).map((name) => this.#on.jobsOf(name))
    const hasBegun = all.flat().some(({ fence }) => fence > 0)
    let goes = false
    for (const jobs of all) {
      const newest = jobs.at(-1)
      if (newest === undefined) continue
      const was = skipped.get(newest.id)
      if (was === undefined) {
        if (!isFinal(newest) && (newest.state === 'waiting' || !hasBegun)) truth.violate('I28', `${newest.id} (${newest.name}) has not begun, is ${newest.state}, and was to be replaced`)
        continue
      }
      goes = true
      skipped.delete(newest.id)
      if (was.state === 'live' || (was.state !== 'waiting' && hasBegun)) truth.violate('I28', `${newest.id} (${newest.name}) had begun, was ${was.state}, and was replaced`)
    }
    return goes
  }
}
