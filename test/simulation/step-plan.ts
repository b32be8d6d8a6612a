/** What the steps of a world's builds are, and what their jobs do while they run: plain data, written down before the world begins. */
import type { Concurrency, SoftFail } from '../../schema/pipeline/steps.ts'
import type { JobPlan } from './job-plan.ts'

export interface StepPlan {
  readonly kind: 'command' | 'wait' | 'block' | 'input' | 'trigger' | 'group'
  /** Its key, and that of its block; the command is `BUILD/KEY`, also that of the build that a trigger starts. */
  readonly key: string
  /** Number of its group, which stands before it; null: it is in none. */
  readonly group: number | null
  /** Numbers of steps before it; null: what stands before the last wait or block. What its group depends on comes on top. */
  readonly dependsOn: readonly { readonly step: number; readonly allowFailure: boolean }[] | null
  readonly continueOnFailure: boolean
  readonly softFail: SoftFail
  /** Also for its group's sake. */
  readonly isLeftOut: boolean
  /** It ends when another step fails. */
  readonly endsWithFailing: boolean
  /** Of a trigger: nobody waits for its build. */
  readonly isAsync: boolean
  readonly retries: number
  /** Null: it is in no concurrency group. */
  readonly concurrency: Concurrency | null
  /** People may have its jobs tried again. */
  readonly isRetriedByHand: boolean
  /** One for each job, or for the first job of each build that it starts; null: an adjustment of its matrix skips that. */
  readonly jobs: readonly (JobPlan | null)[]
  /** Null: it is one job, or one build. */
  readonly parallel: Parallel | null
  /** Keys of steps that the build had before this upload; `dependsOn` is not null then. */
  readonly alsoOn: readonly { readonly key: string; readonly allowFailure: boolean }[]
  /** What its job does to its build while it runs, in this order. */
  readonly acts: readonly Act[]
}

/** Several jobs of one step, or several builds of one trigger. */
export interface Parallel {
  /** How the pipeline asks for them. */
  readonly by: 'parallelism' | 'matrix'
  /** Numbers of those that an adjustment of the matrix lets fail. */
  readonly soft: readonly number[]
}

export type Act = ({ readonly kind: 'upload'; readonly upload: Upload } | { readonly kind: 'cancel step'; readonly key: string } | { readonly kind: 'cancel build' } | { readonly kind: 'priority'; readonly key: string; readonly priority: number }) & {
  /** Since the command began, or since the act before was answered. */
  readonly afterMs: number
  /** So often it is asked for again when it was answered. */
  readonly repeats: number
}

export interface Upload {
  /** Of its own within the build; its first job's first: ''. */
  readonly name: string
  /** It takes the place of what has not begun. */
  readonly replaces: boolean
  readonly steps: readonly StepPlan[]
}

/** A step among those that were uploaded with it. */
export interface Place {
  readonly plans: readonly StepPlan[]
  readonly number: number
}

/** A step of a build. */
export interface StepPlace extends Place {
  readonly build: string
  /** What brings it. */
  readonly upload: Upload
  /** Sorts the steps of the build as they stand in its pipeline: what is uploaded stands right behind its uploader, the last upload first. */
  readonly line: readonly number[]
}
