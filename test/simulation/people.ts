/** People: they ask for builds, sometimes twice because no answer came, and change their minds. */
import type { SimCoordinator } from './coordinator.ts'
import type { BuildPlan, JobPlan } from './script.ts'
import type { VirtualTime } from './time.ts'
import { createBuildRequest, createProjectRequest } from '../../schema/api.ts'

const ORIGIN = 'http://kedge'
/** How soon a person tries again when nobody answers. */
const PATIENCE_MS = 5000

interface Asked {
  readonly plan: BuildPlan
  /** Every number that an answer has named: it may be one only. */
  readonly numbers: Set<number>
}

export class People {
  readonly builds = new Map<string, Asked>()
  /** By command. */
  readonly #jobs = new Map<string, JobPlan>()
  /** By agent. */
  readonly #wishes = new Map<string, 'drain' | 'resume' | 'revoke'>()
  readonly #time: VirtualTime
  readonly #coordinator: SimCoordinator

  constructor(time: VirtualTime, coordinator: SimCoordinator) {
    this.#time = time
    this.#coordinator = coordinator
  }

  job(command: string): JobPlan {
    const plan = this.#jobs.get(command)
    if (plan === undefined) throw new Error(`nobody asked for "${command}"`)
    return plan
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
    const asked: Asked = { plan, numbers: new Set() }
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
    void this.#time.after(0, ask)
  }

  /** Whoever clicks sees a page that says it worked, or clicks again. */
  change(kind: 'cancel' | 'retry' | 'watch', key: string): void {
    const asked = this.builds.get(key)
    const [number] = asked?.numbers ?? []
    if (asked === undefined || number === undefined) return
    const slug = asked.plan.project
    const ask = async (): Promise<void> => {
      const answer = await this.#coordinator.ask((cluster, now) =>
        kind === 'cancel' ? cluster.cancelBuild(now, slug, number, ORIGIN) : kind === 'retry' ? cluster.retryBuild(now, slug, number, {}, ORIGIN) : this.#watch(now, slug, number, cluster),
      )
      if (answer === null && kind !== 'watch') this.#time.after(PATIENCE_MS, ask)
    }
    void this.#time.after(0, ask)
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
