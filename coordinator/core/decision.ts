/**
 * The language of decisions: the rows they read, the changes they ask for, the effects that follow. A decision is plain
 * data in and plain data out; it has no clock, no chance, no I/O. `store/apply` turns changes into statements and
 * `store/memory` folds the very same changes, so the two cannot disagree.
 */
import type { AgentId, AttemptKey, FinalBuildState, JobKey, StoredJobState } from '../../schema/job.ts'
import type { AnnotationStyle } from '../../schema/job-calls.ts'
import type { Field, Retry, SoftFail, TriggerStep } from '../../schema/pipeline/steps.ts'
import type { Offer } from '../../schema/sync.ts'

export interface ProjectRow {
  readonly id: number
  readonly slug: string
  readonly repository: string | null
  readonly defaultBranch: string | null
  readonly command: string | null
  readonly checkout: boolean
  readonly timeoutS: number
  readonly createdAt: number
}

export interface BuildRow {
  readonly project: number
  readonly number: number
  /** Null until final: an unfinished build's state derives from its jobs. */
  readonly state: FinalBuildState | null
  readonly commit: string | null
  readonly branch: string | null
  readonly message: string | null
  /** What it was asked for with; null: nothing. */
  readonly env: Readonly<Record<string, string>> | null
  /** Steps that are not done; null while it has none, and its jobs alone make it. */
  readonly openSteps: number | null
  /** What its steps came to so far (`VERDICT` of `step.ts`). */
  readonly verdict: number
  readonly createdAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
  /** The step that started it, of another build; null: a person did. */
  readonly parent: Parent | null
  /** Whom it tells how it goes; null: nobody. */
  readonly notify: readonly Notice[] | null
  /** When something is due to be told; `NOT_YET` while nothing is, but the build goes on; null: nothing will be. */
  readonly notifyAt: number | null
}

/** Beyond all time. */
export const NOT_YET = Number.MAX_SAFE_INTEGER

/** One who is told of a build or a step, and how far that is done (`notify.ts`). */
export interface Notice {
  /** The step that it is about; 0: the whole build. */
  readonly s: number
  readonly to: { readonly kind: 'commit_status'; readonly context: string } | { readonly kind: 'webhook'; readonly url: string }
  readonly if: string | null
  /** What `if` finds by name of the variables of the pipeline. */
  readonly env: Readonly<Record<string, string>>
  /** How all stood when `if` last did not hold: of the same it is not decided again. */
  readonly heldNot: string | null
  readonly blockedAsPending: boolean
  /** What the other side has last confirmed; null: nothing. */
  readonly told: string | null
  /** What it is to be told; null: it knows. */
  readonly wanted: string | null
  /** How often something new was to be told. */
  readonly nth: number
  /** Since when something is to be told; null: nothing is. */
  readonly since: number | null
  /** When it is tried, or tried again. */
  readonly at: number
  /** How often it was tried since then, in vain. */
  readonly tries: number
  /** What is not told any more, because it cannot be. */
  readonly gaveUp: string | null
  /** Why the last try failed. */
  readonly problem: string | null
}

export interface JobRow extends JobKey {
  readonly state: StoredJobState
  readonly fence: number
  readonly class: number
  readonly ord: number
  readonly priority: number
  readonly spec: string
  readonly cancel: boolean
  readonly lostCount: number
  readonly avoidAgent: AgentId | null
  readonly createdAt: number
  readonly agent: AgentId | null
  readonly bootSeq: number | null
  readonly assignedAt: number | null
  readonly digest: string | null
  readonly result: string | null
  readonly finishedAt: number | null
  readonly retryOf: number | null
  readonly retriedBy: number | null
  /** Number of its step; null: the build has none. */
  readonly step: number | null
  /** Its concurrency group; null: none. */
  readonly gate: number | null
  /** Where it stands before the gate of its group (`gate.ts`); null: it has none. */
  readonly turn: string | null
}

/** A concurrency group. */
export interface GateRow {
  readonly id: number
  readonly name: string
  /** How many of its jobs may be in the queue or in agents' hands at once. */
  readonly most: number
}

export const STEP_STATES = ['waiting', 'running', 'blocked', 'done'] as const
/** From harmless to grave: a step with several jobs is what the gravest of them is. */
export const STEP_OUTCOMES = ['skipped', 'passed', 'soft_failed', 'canceled', 'broken', 'failed'] as const
export type StepOutcome = (typeof STEP_OUTCOMES)[number]

export interface StepKey {
  readonly project: number
  readonly build: number
  /** Number of the step within its build, from 1, in the order of creation. */
  readonly s: number
}

/** The step that started a build, and how far that is from the build that a person started. */
export interface Parent extends StepKey {
  /** 1: a person started the build of the step. */
  readonly depth: number
  readonly root: { readonly project: number; readonly build: number }
}

export interface StepRow extends StepKey {
  /** Sorts as the steps stand in the pipeline. */
  readonly place: string
  readonly kind: 'command' | 'wait' | 'block' | 'group' | 'trigger'
  readonly key: string | null
  readonly label: string | null
  readonly groupStep: number | null
  readonly state: (typeof STEP_STATES)[number]
  readonly outcome: StepOutcome | null
  /** Steps that it waits for. */
  readonly needs: number
  /** One of those failed, and it does not allow that. */
  readonly isBroken: boolean
  /** Its jobs have the numbers from here on; 0 without any. Those that succeeded one of them have others. */
  readonly firstJob: number
  readonly jobs: number
  /** Jobs of it that are not final; of a trigger, builds. */
  readonly openJobs: number
  readonly spec: StoredStep
}

/** What is needed of a step once it was uploaded. */
export interface StoredStep {
  readonly softFail: SoftFail
  readonly retry: Retry | null
  /** Of a wait: it lets pass whatever failed before it. */
  readonly continueOnFailure: boolean
  /** Of a wait or block that stands behind all that is before it: also what an earlier wait let pass stops it. `group`: one of its own group only, since that names what it waits for. */
  readonly remembers: boolean | 'group'
  /** Of a block: what it asks. */
  readonly block: { readonly prompt: string | null; readonly submit: string | null; readonly fields: readonly Field[]; readonly state: 'passed' | 'failed' | 'running' } | null
  /** Who let a block pass, and what was answered. */
  readonly unblocked: { readonly by: string; readonly at: number; readonly answers: Readonly<Record<string, string>> } | null
  /** Who let the last block before it pass, directly or through other steps; absent: nobody was asked. */
  readonly unblocker?: string
  /** Why it was skipped. */
  readonly skipped: string | null
  /** It ends as soon as another has failed the build. */
  readonly cancelOnBuildFailing?: true
  /** Of a trigger. */
  readonly trigger?: StoredTrigger
  /** Why it alone was cancelled, and not its build. */
  readonly canceled?: string | null
}

export interface StoredTrigger {
  /** The project whose builds it starts. */
  readonly project: number
  /** It is done once they are started. */
  readonly async: boolean
  readonly build: TriggerStep['build']
  /** One for each build that it waits for, or starts when it is ready. Those that a retry replaced are not among them. */
  readonly builds: readonly TriggeredBuild[]
  /** Each build is told which of them it is, as `parallelism` asked for them. */
  readonly isParallel: boolean
  /** Why builds were not started. */
  readonly refused: string | null
}

export interface TriggeredBuild {
  /** Null: not started yet. */
  readonly number: number | null
  /** What it came to; null: not over. */
  readonly outcome: StepOutcome | null
}

export interface EdgeRow {
  readonly project: number
  readonly build: number
  readonly from: number
  readonly to: number
  readonly allowFailure: boolean
}

export interface MetaDataRow {
  readonly project: number
  readonly build: number
  readonly key: string
  /** Of key and value, as its build is charged for them. */
  readonly bytes: number
  readonly value: string
}

export interface AnnotationRow {
  readonly project: number
  readonly build: number
  /** The job that it is about; 0: the whole build. */
  readonly n: number
  readonly context: string
  readonly style: AnnotationStyle
  readonly priority: number
  readonly createdAt: number
  readonly updatedAt: number
  /** Of the body in UTF-8. */
  readonly bytes: number
  /** Markdown. */
  readonly body: string
}

/** A file that an attempt uploaded; its bytes are in R2. */
export interface ArtifactRow extends AttemptKey {
  readonly path: string
  readonly bytes: number
  readonly sha256: string
  readonly sha1: string
  readonly contentType: string
  readonly createdAt: number
}

/** An attempt that ended without an accepted result. The accepted one lives in its job's row. */
export interface AttemptRow extends AttemptKey {
  readonly agent: AgentId
  readonly bootSeq: number
  readonly assignedAt: number
  readonly endedAt: number
  readonly state: string
  readonly detail: string
}

export interface AgentRow {
  readonly id: AgentId
  readonly secretSha256: string
  readonly credentialVersion: number
  readonly bootSeq: number
  readonly bootId: string
  readonly offer: Offer
  readonly offerRev: number
  /** Instants of its last starts, newest last. */
  readonly boots: readonly number[]
  readonly heldBackUntil: number | null
  readonly heldBackFor: number | null
  readonly drain: boolean
  readonly failures: number
  readonly revokedAt: number | null
  readonly registeredAt: number
  readonly state: 'ready' | 'draining' | 'unhealthy' | 'standby'
  readonly reason: string | null
  readonly slots: number
  /** Since when a process that stands by has asked without the holder being heard [C1.8]. */
  readonly rivalAt: number | null
}

export interface ClassRow {
  readonly id: number
  readonly queue: string
  /** Sorted; all of them must be offered. */
  readonly tags: readonly string[]
}

export type Change =
  | { readonly kind: 'project.insert'; readonly row: ProjectRow }
  | { readonly kind: 'build.insert'; readonly row: BuildRow }
  /** `was` as the decision saw it: who follows need not read the row for what never changes. */
  | { readonly kind: 'build.set'; readonly was: BuildRow; readonly set: Partial<BuildRow> }
  | { readonly kind: 'job.insert'; readonly row: JobRow }
  | { readonly kind: 'step.insert'; readonly row: StepRow }
  | { readonly kind: 'step.set'; readonly key: StepKey; readonly set: Partial<StepRow> }
  | { readonly kind: 'edge.insert'; readonly row: EdgeRow }
  /** In the place of the one that the key had before. */
  | { readonly kind: 'metadata.put'; readonly row: MetaDataRow }
  /** In the place of the one with the same id. */
  | { readonly kind: 'gate.put'; readonly row: GateRow }
  /** In the place of the one that the context had before. */
  | { readonly kind: 'annotation.put'; readonly row: AnnotationRow }
  | { readonly kind: 'annotation.delete'; readonly key: Pick<AnnotationRow, 'project' | 'build' | 'n' | 'context'> }
  /** In the place of the one that the attempt had under this path before. */
  | { readonly kind: 'artifact.put'; readonly row: ArtifactRow }
  /** `was` lets memory follow without reading: the row as the decision saw it. */
  | { readonly kind: 'job.set'; readonly was: JobRow; readonly set: Partial<JobRow> }
  | { readonly kind: 'attempt.insert'; readonly row: AttemptRow }
  | { readonly kind: 'agent.insert'; readonly row: AgentRow }
  | { readonly kind: 'agent.set'; readonly id: AgentId; readonly set: Partial<AgentRow> }
  | { readonly kind: 'grace'; readonly grace: Grace }

export type Effect =
  /** Tell this agent to sync now. */
  | { readonly kind: 'ring'; readonly agent: AgentId }
  /** `count` jobs of the class are new in the queue: ring as many idle agents that can run them. */
  | { readonly kind: 'ring-class'; readonly class: number; readonly count: number }

/** The gap rule's memory [C10.3]. */
export interface Grace {
  readonly givenAt: number
  readonly until: number
}

export interface Decision {
  readonly changes: readonly Change[]
  readonly effects: readonly Effect[]
}
export const NOTHING: Decision = { changes: [], effects: [] }

/** Why an attempt is lost. Only some of them count towards the cap. */
export type LostWhy = 'restarted' | 'silent' | 'never_taken' | 'reported' | 'handed_back' | 'agent_stopping' | 'overran'

/** The row after the change, for decisions that go on with it. */
export function changed(row: JobRow, set: Partial<JobRow>): JobRow {
  return { ...row, ...set }
}
