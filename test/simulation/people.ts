/** People: they ask for builds, sometimes twice because no answer came, and change their minds. */
import type { Outcome } from '../../coordinator/objects/event-runner.ts'
import { placesOf } from './acts.ts'
import type { SimCoordinator } from './coordinator.ts'
import { JobCalls, type JobCallsOnlooker } from './job-calls.ts'
import type { JobPlan } from './job-plan.ts'
import type { BuildPlan } from './script.ts'
import type { StepPlace, StepPlan } from './step-plan.ts'
import { commandOf, nameOf, projectOf } from './steps.ts'
import type { VirtualTime } from './time.ts'
import { createBuildRequest, createProjectRequest } from '../../schema/api.ts'
import { isFinalBuild, type AttemptId } from '../../schema/job.ts'

const ORIGIN = 'http://kedge'
/** How soon a person tries again when nobody answers. */
const PATIENCE_MS = 5000
const UPLOADS_AFTER_MS = 20
const LOOKS_EVERY_MS = 20_000
/** A retry may have it ask again. */
const LOOKS_BACK_EVERY_MS = 90_000

/** Who looks on. It may not change anything. */
export interface PeopleOnlooker extends JobCallsOnlooker {
  /** At the beginning of the event: a person has one job tried again, or what failed of the build. */
  retries(asked: { readonly job: string } | { readonly build: string }): void
}

interface Asked {
  readonly plan: BuildPlan
  readonly places: readonly StepPlace[]
  /** Every number that an answer has named: it may be one only. */
  readonly numbers: Set<number>
}

export class People {
  readonly builds = new Map<string, Asked>()
  /** By name. */
  readonly #jobs = new Map<string, JobPlan>()
  /** By names of their jobs, and by commands; those without one by what that would be. */
  readonly #steps = new Map<string, StepPlace>()
  /** Blocks that somebody has asked to let pass, as `BUILD/KEY`. */
  readonly #unblocked = new Set<string>()
  /** Builds that somebody has asked to cancel. */
  readonly #canceled = new Set<string>()
  /** By agent. */
  readonly #wishes = new Map<string, 'drain' | 'resume' | 'revoke'>()
  readonly #time: VirtualTime
  readonly #coordinator: SimCoordinator
  readonly #calls: JobCalls
  readonly #onlooker: PeopleOnlooker

  constructor(time: VirtualTime, coordinator: SimCoordinator, onlooker: PeopleOnlooker) {
    this.#onlooker = onlooker
    this.#time = time
    this.#coordinator = coordinator
    this.#calls = new JobCalls(time, coordinator, onlooker)
  }

  job(name: string): JobPlan {
    const plan = this.#jobs.get(name)
    if (plan === undefined) throw new Error(`nobody asked for "${name}"`)
    return plan
  }

  /** By the name of one of its jobs, or its command. Null: it is of no step. */
  stepOf(name: string): StepPlace | null {
    return this.#steps.get(name) ?? null
  }

  hasUnblocked(block: string): boolean {
    return this.#unblocked.has(block)
  }

  /** The steps that a build may have. */
  placesOf(build: string): readonly StepPlace[] {
    return this.builds.get(build)?.places ?? []
  }

  /** The command of the attempt has begun, and its job does what its plan says; of several of one step, the first does. */
  commandBegins(attempt: AttemptId, name: string, isAlive: () => boolean): void {
    const plan = this.builds.get(name)?.plan
    const place = this.stepOf(name)
    const step = place?.plans[place.number]
    if (plan !== undefined && plan.steps.length > 0) {
      const first = { kind: 'upload', afterMs: UPLOADS_AFTER_MS, repeats: plan.repeats, upload: { name: '', replaces: false, steps: plan.steps } } as const
      this.#calls.perform(attempt, { build: plan.key, acts: [first, ...plan.acts], isAlive, cancels: () => this.#canceled.add(plan.key) })
    } else if (place !== null && step !== undefined && name === nameOf(place.build, step, 0)) this.#calls.perform(attempt, { build: place.build, acts: step.acts, isAlive, cancels: () => this.#canceled.add(place.build) })
  }

  /** Somebody looks once in a while, and lets pass what waits. */
  #letPass(plan: BuildPlan, step: StepPlan): void {
    const block = commandOf(plan.key, step)
    const [number] = this.builds.get(plan.key)?.numbers ?? []
    const again = (afterMs = LOOKS_EVERY_MS): void => void this.#time.after(afterMs, () => this.#letPass(plan, step))
    if (number === undefined) return again()
    const ask = async (): Promise<void> => {
      const view = await this.#coordinator.event((upkeep) => upkeep.cluster.build(this.#coordinator.now(), plan.project, number, ORIGIN))
      if (view?.ok !== true) return again()
      const found = view.value.steps.find(({ key }) => key === step.key)
      if (found?.state === 'done' || isFinalBuild(view.value.state)) return again(LOOKS_BACK_EVERY_MS)
      if (found?.state !== 'running' && found?.state !== 'blocked') return again()
      this.#unblocked.add(block)
      await this.#coordinator.ask((cluster, now) => cluster.unblock(now, plan.project, number, step.key, { by: 'somebody', given: [] }, ORIGIN))
      again()
    }
    void ask()
  }

  async settle(): Promise<void> {
    await this.#until(() => this.#coordinator.ask((cluster, now) => cluster.createProject(now, createProjectRequest.parse({ slug: 'app', repository: 'https://git.example/app.git', command: 'make' }))))
    await this.#until(() => this.#coordinator.ask((cluster, now) => cluster.createProject(now, createProjectRequest.parse({ slug: 'bare', checkout: false, command: 'make' }))))
  }

  async #until<T>(ask: () => Promise<T | null>): Promise<T> {
    for (;;) {
      const answer = await ask()
      if (answer !== null) return answer
    }
  }

  build(plan: BuildPlan): void {
    this.#jobs.set(plan.key, plan.job)
    const places = placesOf(plan)
    const steps = places.flatMap(({ plans, number }) => plans[number] ?? [])
    for (const place of places) {
      const step = place.plans[place.number]
      if (step === undefined) continue
      this.#steps.set(commandOf(plan.key, step), place)
      for (const [nth, job] of step.jobs.entries()) {
        if (job === null) continue
        this.#jobs.set(nameOf(plan.key, step, nth), job)
        this.#steps.set(nameOf(plan.key, step, nth), place)
      }
      if (step.kind === 'block' || step.kind === 'input') this.#letPass(plan, step)
    }
    const asked: Asked = { plan, places, numbers: new Set() }
    this.builds.set(plan.key, asked)
    let repeats = plan.repeats
    const ask = async (): Promise<void> => {
      const request = createBuildRequest.parse({
        command: plan.key,
        priority: plan.priority,
        on_partition: plan.onPartition,
        agents: { queue: plan.queue, tags: plan.tags },
        ...(plan.project === 'bare' ? {} : plan.byBranch ? { branch: 'main' } : { commit: 'c0ffee'.padEnd(40, '0') }),
      })
      const answer = await this.#coordinator.ask((cluster, now) => cluster.createBuild(now, plan.project, request, { idempotencyKey: plan.key, origin: ORIGIN }))
      if (answer !== null && !answer.ok) throw new Error(answer.problem.detail)
      if (answer !== null && answer.ok) asked.numbers.add(answer.value.number)
      if (answer === null || (repeats -= 1) >= 0) this.#time.after(PATIENCE_MS, ask)
    }
    void this.#time.after(0, steps.some(({ kind }) => kind === 'trigger') ? () => this.#makeProjects(plan, steps, ask) : ask)
  }

  /** Those whose builds its triggers start; then goes on. */
  #makeProjects(plan: BuildPlan, steps: readonly StepPlan[], then: () => Promise<void>): void {
    const slugs = steps.filter(({ kind }) => kind === 'trigger').map((step) => ({ slug: projectOf(plan.key, step), command: commandOf(plan.key, step) }))
    const make = async (): Promise<void> => {
      const [next] = slugs
      if (next === undefined) return await then()
      const answer = await this.#coordinator.ask((cluster, now) => cluster.createProject(now, createProjectRequest.parse({ ...next, checkout: false })))
      if (answer !== null) slugs.shift() // made, now or when nobody heard of it
      if (answer === null) this.#time.after(PATIENCE_MS, make)
      else await make()
    }
    void make()
  }

  hasCanceled(build: string): boolean {
    return this.#canceled.has(build)
  }

  /** Whoever clicks sees a page that says it worked, or clicks again. */
  change(kind: 'cancel' | 'retry' | 'watch', key: string): void {
    const asked = this.builds.get(key)
    if (kind === 'cancel') this.#canceled.add(key)
    const known = this.#known(key)
    const ask = async (): Promise<void> => {
      const number = await this.#numberOf(known)
      if (known === null || number === undefined) return
      const { slug, onlyFailed } = known
      const answer = await this.#coordinator.ask((cluster, now): Outcome<unknown> => {
        if (kind === 'watch') return this.#watch(now, slug, number, cluster)
        if (kind === 'cancel') {
          const canceled = cluster.cancelBuild(now, slug, number, ORIGIN)
          if (canceled.value.ok && asked !== undefined) this.#onlooker.canceled(key, null)
          return canceled
        }
        this.#onlooker.retries({ build: key })
        return cluster.retryBuild(now, slug, number, onlyFailed ? { only: 'failed' } : {}, ORIGIN)
      })
      if (answer === null && kind !== 'watch') this.#time.after(PATIENCE_MS, ask)
    }
    void this.#time.after(0, ask)
  }

  /** Asked for once: whether it may is up to its step. */
  retryJob(key: string, share: number): void {
    const known = this.#known(key)
    const ask = async (): Promise<void> => {
      const number = await this.#numberOf(known)
      if (known === null || number === undefined) return
      const view = await this.#coordinator.event((upkeep) => upkeep.cluster.build(this.#coordinator.now(), known.slug, number, ORIGIN))
      const jobs = view?.ok === true ? view.value.jobs : []
      const id = jobs[Math.floor(share * jobs.length)]?.id
      if (id === undefined) return
      await this.#coordinator.ask((cluster, now) => {
        this.#onlooker.retries({ job: id })
        return cluster.retryJob(now, id, ORIGIN)
      })
    }
    void this.#time.after(0, ask)
  }

  /** A build that somebody asked for, or the newest one that the trigger step `BUILD/KEY` has started. */
  #known(key: string): { readonly slug: string; readonly number: number | undefined; readonly onlyFailed: boolean } | null {
    const asked = this.builds.get(key)
    return asked === undefined ? this.#triggeredBy(key) : { slug: asked.plan.project, number: [...asked.numbers][0], onlyFailed: asked.plan.steps.length > 0 }
  }

  async #numberOf(known: { readonly slug: string; readonly number: number | undefined } | null): Promise<number | undefined> {
    return known === null ? undefined : (known.number ?? (await this.#newestOf(known.slug)))
  }

  /** The newest build that the trigger step `BUILD/KEY` has started. */
  #triggeredBy(key: string): { readonly slug: string; readonly number: undefined; readonly onlyFailed: true } | null {
    return this.#steps.has(key) ? { slug: key.replace('/', '-'), number: undefined, onlyFailed: true } : null
  }

  async #newestOf(project: string): Promise<number | undefined> {
    const page = await this.#coordinator.event((upkeep) => upkeep.cluster.builds(this.#coordinator.now(), { project, limit: 1 }, ORIGIN))
    return page?.ok === true ? page.value.builds[0]?.number : undefined
  }

  #watch(now: number, slug: string, number: number, cluster: Parameters<Parameters<SimCoordinator['ask']>[0]>[0]) {
    const view = cluster.build(now, slug, number, ORIGIN)
    const attempt = view.ok ? view.value.jobs.at(-1)?.attempts.at(-1)?.id : undefined
    if (attempt === undefined) return { value: null, effects: [], deadline: null }
    this.#coordinator.logs.watch(attempt)
    return cluster.watch(now, attempt as Parameters<typeof cluster.watch>[1]) // an id of the cluster's own
  }

  /** The last wish counts, also when an earlier one is still being asked for. */
  agent(id: string, action: 'drain' | 'resume' | 'revoke'): void {
    this.#wishes.set(id, action)
    const ask = async (): Promise<void> => {
      const wish = this.#wishes.get(id) ?? action
      const answer = await this.#coordinator.ask((cluster, now) => cluster.changeAgent(now, id, wish))
      if (answer === null) this.#time.after(PATIENCE_MS, ask)
    }
    void this.#time.after(0, ask)
  }
}
