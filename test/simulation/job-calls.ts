/**
 * What running jobs ask of the coordinator about their builds: each act of a job's plan until it is answered, twice when
 * the answer is lost, once more when the network doubles it; and all of them again in the job's next attempt.
 */
import type { Problem } from '../../schema/api.ts'
import type { AttemptId } from '../../schema/job.ts'
import type { Answer } from '../../coordinator/objects/scheduler-api.ts'
import type { SimCoordinator } from './coordinator.ts'
import type { Act } from './step-plan.ts'
import { pipelineOf } from './steps.ts'
import type { VirtualTime } from './time.ts'

/** A job tries sooner than a person: it may end. */
const PATIENCE_MS = 400

/** Who looks on. It may not change anything. */
export interface JobCallsOnlooker {
  asks(attempt: AttemptId, what: string): void
  /** Other than for the job's own end. */
  refused(build: string, act: Act, problem: Problem): void
  /** In the event that begins. */
  cancels(build: string, key: string): void
  /** At the end of the event; `key` is a step's, null means the whole build. */
  canceled(build: string, key: string | null): void
}

export interface Acting {
  readonly build: string
  readonly acts: readonly Act[]
  isAlive(): boolean
  /** It is about to ask. */
  cancels(): void
}

export class JobCalls {
  readonly #time: VirtualTime
  readonly #coordinator: SimCoordinator
  readonly #onlooker: JobCallsOnlooker

  constructor(time: VirtualTime, coordinator: SimCoordinator, onlooker: JobCallsOnlooker) {
    this.#time = time
    this.#coordinator = coordinator
    this.#onlooker = onlooker
  }

  /** One act after the other; a job that is told that it has no say any more goes no further. */
  perform(attempt: AttemptId, acting: Acting, nth = 0): void {
    const act = acting.acts[nth]
    if (act === undefined) return
    let { repeats } = act
    let isAnswered = false
    const ask = async (): Promise<void> => {
      if (!acting.isAlive()) return
      this.#onlooker.asks(attempt, inWords(act))
      const answer = await this.#ask(attempt, acting, act)
      if (answer?.ok === false && answer.problem.status !== 409) this.#onlooker.refused(acting.build, act, answer.problem)
      if (answer === null || (repeats -= 1) >= 0) this.#time.after(PATIENCE_MS, ask)
      if (answer === null || isAnswered) return
      isAnswered = true
      if (answer.ok || answer.problem.status !== 409) this.perform(attempt, acting, nth + 1)
    }
    this.#time.after(act.afterMs, ask)
  }

  #ask(attempt: AttemptId, { build, cancels }: Acting, act: Act): Promise<Answer<unknown> | null> {
    switch (act.kind) {
      case 'upload': {
        const { name, steps, replaces } = act.upload
        return this.#coordinator.ask((cluster, now) => cluster.uploadPipeline(now, attempt, { pipeline: pipelineOf(build, steps), replace: replaces, key: `${attempt} ${name}`, digest: `digest of ${build} ${name}` }))
      }
      case 'cancel step':
        return this.#coordinator.ask((cluster, now) => {
          this.#onlooker.cancels(build, act.key)
          const canceled = cluster.cancelStep(now, attempt, act.key)
          if (canceled.value.ok) this.#onlooker.canceled(build, act.key)
          return canceled
        })
      case 'cancel build':
        cancels()
        return this.#coordinator.ask((cluster, now) => {
          const canceled = cluster.cancelOwnBuild(now, attempt)
          if (canceled.value.ok) this.#onlooker.canceled(build, null)
          return canceled
        })
      case 'priority':
        return this.#coordinator.ask((cluster, now) => cluster.updateStep(now, attempt, { step: act.key, attribute: 'priority', value: String(act.priority), append: false, key: `${attempt} ${act.key} ${act.priority}` }))
      default:
        return act satisfies never
    }
  }
}

function inWords(act: Act): string {
  switch (act.kind) {
    case 'upload':
      return `uploads ${act.upload.steps.map(({ key }) => key).join(', ')}${act.upload.replaces ? ' in the place of what has not begun' : ''}`
    case 'cancel step':
      return `cancels ${act.key}`
    case 'cancel build':
      return 'cancels its build'
    case 'priority':
      return `gives ${act.key} the priority ${act.priority}`
    default:
      return act satisfies never
  }
}
