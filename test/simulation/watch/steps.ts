/**
 * That no step starts before those that it waits for are over, and well [I28], with all that those uploaded; that each
 * step that was uploaded is there once, and its jobs are made for a reason. By the plan of the build.
 */
import type { Problem } from '../../../schema/api.ts'
import { uploadsOf } from '../acts.ts'
import type { People, PeopleOnlooker } from '../people.ts'
import type { Act, StepPlace, StepPlan, Upload } from '../step-plan.ts'
import { whyNotBroken, whyNotYet, type Standings } from '../standings.ts'
import { jobNamesOf } from '../steps.ts'
import { BuildEnds } from './build-ends.ts'
import { Replaced } from './replaced.ts'
import { FAILED, GOOD, numberOf, StepJobs } from './step-jobs.ts'
import { isFinal, type Job, type Truth } from './truth.ts'

/** An upload that the build has taken. */
interface Seen {
  readonly nth: number
  /** Commands of steps that waited for nobody by then: they wait for none of it either. */
  readonly begun: ReadonlySet<string>
}

export class Steps {
  readonly #truth: Truth
  readonly #people: () => People
  readonly #jobs: StepJobs
  readonly #ends: BuildEnds
  /** By build and upload. */
  readonly #seen = new Map<string, Seen>()
  /** Jobs that waited for nobody once. */
  readonly #ready = new Map<string, true>()
  readonly #replaced: Replaced
  /** Commands of which a job that an agent had has ended in the event that is under way. */
  readonly #ended = new Set<string>()
  /** Likewise: jobs that were cancelled, and uploads that came. */
  readonly #canceled = new Set<string>()
  readonly #came = new Set<StepPlace>()
  /** What a person has tried again in that event. */
  #retried: Parameters<PeopleOnlooker['retries']>[0] | null = null
  /** The command of the step that a job cancels in that event. */
  #canceling: string | null = null
  /** By command: triggers that a job cancelled before they began. */
  readonly #neverBegan = new Set<string>()
  /** Builds of which a job cancelled a trigger. */
  readonly #cutShort = new Set<string>()
  /** By name: how often a rule had the job tried again. */
  readonly #byRule = new Map<string, number>()

  constructor(truth: Truth, people: () => People) {
    this.#truth = truth
    this.#people = people
    this.#jobs = new StepJobs(truth)
    this.#ends = new BuildEnds({ truth, people, jobs: this.#jobs, isThere: (build, upload) => this.#isThere(build, upload), isCutShort: (build) => this.#cutShort.has(build) })
    this.#replaced = new Replaced({
      truth,
      people,
      jobsOf: (name) => this.#jobs.named(name),
      isThere: ({ build, upload }) => this.#isThere(build, upload),
      standings: (build, unended) => {
        const standings = this.#standings(build)
        return { ...standings, jobs: (plan) => (jobNamesOf(build, plan).some((name) => unended.has(this.#jobs.newest(name)?.id ?? '')) ? 'open' : standings.jobs(plan)) }
      },
    })
  }

  /** `was` is null for a new one. */
  jobChanged(was: Job | null, job: Job): void {
    const place = this.#people().stepOf(job.name)
    if (place === null) return
    const { build, plans, number } = place
    const plan = plans[number]
    if (plan?.kind === 'trigger' && numberOf(job) > 1) return // a person has that build tried again, whatever became of its parent
    if (job.cancel && was?.cancel !== true) this.#canceled.add(job.name)
    if (was === null && plan?.kind === 'command') this.#made(place, plan, job)
    this.#replaced.jobChanged(was, job)
    const now = this.#standings(build)
    // What was told to end, and ended otherwise, may count as either.
    const canceled: Standings = { ...now, jobs: (one) => this.#jobs.standing(build, one, { canceled: 'unrun' }) }
    const name = `${job.id}, step ${plan?.key} of ${build},`
    if (isPastWaiting(job) && !this.#ready.has(job.id)) this.#truth.learn(this.#ready, job.id, true)
    if (was !== null && was.fence > 0 && !isFinal(was) && isFinal(job)) this.#ended.add(job.name) // also by a result that comes when its lease has ended
    if (was === null && this.#replaced.has(`${build}/${plan?.key ?? ''}`)) this.#truth.violate('I28', `${name} is there, and the step was replaced`)
    const isByRule = was === null && this.#ended.has(job.name) // what it waited for was over once, whatever has been tried again since
    const begins = isPastWaiting(job) && (was === null ? !isByRule && !this.#isUnderWay(place, job) : was.state === 'waiting')
    const why = begins && whyNotYet(place, canceled) !== null ? whyNotYet(place, now) : null
    if (why !== null) this.#truth.violate('I28', `${name} became ${job.state}, but ${why}`)
    const whyNot = job.state === 'broken' && was?.state !== 'broken' && whyNotBroken(place, now) !== null ? whyNotBroken(place, canceled) : null
    if (whyNot !== null) this.#truth.violate('I8', `${name} is not run for a failure, but ${whyNot}`)
  }

  /** A job that is new: of an upload that is new as well, or it is tried again. */
  #made(place: StepPlace, plan: StepPlan, job: Job): void {
    const { build, upload } = place
    const others = [...this.#truth.jobs.values()].filter((other) => other !== job && other.build === job.build)
    const twice = others.find((other) => !isFinal(other) && other.name === job.name)
    if (twice !== undefined) this.#truth.violate('I2', `${job.id} is made for ${job.name}, which ${twice.id} is for already`)
    const before = this.#jobs.newest(job.name, { but: job })
    if (before !== null) this.#judgeAgain(plan, before, job)
    if (this.#seen.has(uploadName(build, upload))) return
    this.#came.add(place)
    const hasBegun = (plan: StepPlan): boolean => jobNamesOf(build, plan).some((name) => {
      const newest = this.#jobs.newest(name)
      return newest !== null && (plan.kind === 'trigger' || this.#ready.has(newest.id))
    })
    const begun = new Set(this.#people().placesOf(build).flatMap(({ plans, number }) => plans[number] ?? []).filter(hasBegun).map(({ key }) => `${build}/${key}`))
    this.#truth.learn(this.#seen, uploadName(build, upload), { nth: this.#seen.size, begun })
    this.#replaced.uploaded(place)
  }

  /** Another job of the step has begun and is not over: one that is tried again runs beside it. */
  #isUnderWay({ build, plans, number }: StepPlace, { name }: Job): boolean {
    const plan = plans[number]
    return plan !== undefined && jobNamesOf(build, plan).some((other) => {
      const newest = other === name ? null : this.#jobs.newest(other)
      return newest !== null && isPastWaiting(newest)
    })
  }

  /** By a rule of its step, as often as that says; or because a person asked, for it or for all that failed, and its step allows that. */
  #judgeAgain(plan: StepPlan, before: Job, job: Job): void {
    const asked = this.#retried
    const name = `${job.id} (${job.name}) succeeds ${before.id}, which is ${before.state}`
    if (this.#ended.has(job.name)) {
      const times = (this.#byRule.get(job.name) ?? 0) + 1
      this.#truth.learn(this.#byRule, job.name, times)
      if (times > plan.retries || !FAILED.has(before.state) || before.cancel) this.#truth.violate('I2', `${name}, by a rule, for the ${times}th time of ${plan.retries}`)
    } else if (asked === null) this.#truth.violate('I2', `${name}, and nobody asked for that`)
    else if (GOOD.has(before.state) && !('job' in asked && asked.job === before.id)) this.#truth.violate('I2', `${name}, and nobody asked for it alone`)
    else if (!plan.isRetriedByHand && before.fence > 0) this.#truth.violate('I2', `${name}, and its step does not allow it`)
  }

  /** In the event that begins. */
  retries(asked: Parameters<PeopleOnlooker['retries']>[0]): void {
    this.#retried = asked
    if ('build' in asked) for (const command of this.#neverBegan) if (command.startsWith(`${asked.build}/`)) this.#neverBegan.delete(command)
  }

  #standings(build: string): Standings {
    const people = this.#people()
    return {
      jobs: (plan) => this.#jobs.standing(build, plan),
      hasBegun: (plan) => jobNamesOf(build, plan).some((name) => this.#jobs.newest(name) !== null),
      isUnblocked: ({ key }) => people.hasUnblocked(`${build}/${key}`),
      isCanceled: (plan) => (this.#neverBegan.has(`${build}/${plan.key}`) || this.#canceling === `${build}/${plan.key}`) && !jobNamesOf(build, plan).some((name) => this.#jobs.newest(name) !== null),
      isReplaced: ({ key }) => this.#replaced.has(`${build}/${key}`),
      uploadsOf: (plan, waiter) => uploadsOf(plan).filter((upload) => this.#isWaitedFor(build, upload, waiter)),
      placeOf: (key) => people.stepOf(`${build}/${key}`),
    }
  }

  /** Whoever waited for the uploader when the upload came waits for that too. */
  #isWaitedFor(build: string, upload: Upload, waiter: StepPlan): boolean {
    const seen = this.#seen.get(uploadName(build, upload))
    const own = this.#people().stepOf(`${build}/${waiter.key}`)?.upload
    const since = own === undefined ? undefined : this.#seen.get(uploadName(build, own))
    return seen !== undefined && (since?.nth ?? -1) < seen.nth && !seen.begun.has(`${build}/${waiter.key}`)
  }

  /** Nobody waits for what was replaced, and it has no key any more. */
  refused(build: string, act: Act, { detail }: Problem): void {
    const named = act.kind === 'upload' ? act.upload.steps.flatMap(({ alsoOn }) => alsoOn.map(({ key }) => key)) : act.kind === 'cancel build' ? [] : [act.key]
    const isExcused = named.some((key) => {
      const place = this.#people().stepOf(`${build}/${key}`)
      return this.#replaced.has(`${build}/${key}`) || (place !== null && !this.#isThere(build, place.upload))
    })
    if (!isExcused) this.#truth.violate('I28', `${build} is refused what its job asks for (${act.kind}): ${detail}`)
  }

  /** In the event that begins. */
  cancels(build: string, key: string): void {
    this.#canceling = `${build}/${key}`
  }

  /** `key`: of a step; null: all of the build. At the end of the event. */
  canceled(build: string, key: string | null): void {
    const places = this.#people().placesOf(build)
    const plans = places.flatMap(({ plans: all, number }) => all[number] ?? []).filter((plan) => key === null || plan.key === key)
    const names = plans.flatMap((plan) => (plan.isAsync ? [] : jobNamesOf(build, plan)))
    for (const { kind } of plans) {
      if (key === null || kind !== 'trigger') continue
      this.#neverBegan.add(`${build}/${key}`)
      this.#cutShort.add(build)
    }
    const gone = plans.filter(({ isAsync }) => isAsync).flatMap((plan) => jobNamesOf(build, plan)).find((name) => this.#canceled.has(name))
    if (gone !== undefined) this.#truth.violate('I18', `the build that ${gone} started is cancelled with its trigger, which does not wait for it`)
    for (const name of key === null ? [build, ...names] : names) {
      const job = this.#jobs.newest(name)
      const isOfItsOwn = job !== null && job.build !== this.#jobs.newest(build)?.build && numberOf(job) > 1 // a person had that build tried again, whatever became of its parent
      if (job !== null && !isFinal(job) && !job.cancel && !isOfItsOwn) this.#truth.violate('I18', `${job.id} (${name}) was cancelled with its ${key === null ? 'build' : 'step'}, and is ${job.state}`)
    }
  }

  eventEnded(how: 'committed' | 'undone'): void {
    if (how === 'committed') for (const place of this.#came) this.#judgeWhole(place)
    for (const inEvent of [this.#ended, this.#canceled, this.#came]) inEvent.clear()
    this.#retried = null
    this.#canceling = null
    this.#replaced.eventEnded(how)
  }

  /** An upload brings every job of its steps. */
  #judgeWhole({ build, upload }: StepPlace): void {
    const missing = upload.steps.filter(({ kind }) => kind === 'command').flatMap((plan) => jobNamesOf(build, plan)).find((name) => this.#jobs.newest(name) === null)
    if (missing !== undefined) this.#truth.violate('I28', `an upload of ${build} was taken, and ${missing} is not there`)
  }

  /** The build has taken the upload. Whether it has the first is not asked: nothing else is there before. */
  #isThere(build: string, upload: Upload): boolean {
    return upload.name === '' || this.#seen.has(uploadName(build, upload))
  }

  /** Everything is over. */
  judge(): void {
    this.#ends.judge()
  }
}

/** It waits for no other any more, and is not over. */
function isPastWaiting({ state }: Job): boolean {
  return state === 'gated' || state === 'queued' || state === 'live'
}

function uploadName(build: string, { name }: Upload): string {
  return `${build} ${name}`
}
