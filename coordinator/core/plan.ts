/**
 * What a build is: which jobs it opens with, what their specs say, and what its state is, given its jobs. A build's
 * state is stored only when it is final; until then it derives from its jobs, so that it cannot disagree with them.
 */
import type { CreateBuildRequest } from '../../schema/api.ts'
import { LIMITS } from '../../schema/api.ts'
import { isFinal, jobId, type BuildState, type FinalBuildState, type JobState, type StoredJobState } from '../../schema/job.ts'
import type { Plugin, SoftFail } from '../../schema/pipeline/steps.ts'
import type { JobSpec } from '../../schema/sync.ts'
import { NOT_YET, type BuildRow, type Change, type JobRow, type Parent, type ProjectRow, type StepKey, type StepRow } from './decision.ts'
import { turnAfter } from './gate.ts'
import { stepId, VERDICT } from './step.ts'

/** The part of a job's spec that never changes; `specOf` adds what the attempt adds. */
export interface StoredSpec {
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  readonly checkout: { readonly repository: string; readonly fresh: boolean; readonly submodules?: boolean; readonly lfs?: boolean } | null
  readonly timeoutS: number
  readonly onPartition: 'continue' | 'stop'
  readonly url: string
  /** As in the wire's spec: what a build opens with that was not asked for with a command. */
  readonly pipeline?: 'if-present' | 'required'
  /** How often a rule of its step had it tried again. */
  readonly retries?: number
  /** Who let the last block before it pass. */
  readonly unblocker?: string
  /** Of a job of a step: what it is called, and which of the step's jobs it is. */
  readonly key?: string | null
  readonly label?: string | null
  readonly parallel?: { readonly index: number; readonly count: number } | null
  /** Of a job of a step that is in a group: that one's number, and what it was called at the upload. */
  readonly group?: { readonly s: number; readonly key: string | null; readonly label: string | null }
  /** Of a step that has any. */
  readonly plugins?: readonly Plugin[]
  /** Likewise. */
  readonly artifactPaths?: readonly string[]
  /** Where one combination of a matrix differs from its step. */
  readonly softFail?: SoftFail
  /** Of a build that a trigger started: the build of that, and where people see it. */
  readonly triggeredFrom?: { readonly project: string; readonly build: number; readonly url: string }
}

/** The result of a job that is not run because of another. */
export const BROKEN = JSON.stringify({ reason: { code: 'dependency_failed', message: 'not run, because a step that it waits for failed' } })

/** Seconds between SIGTERM and SIGKILL [C13]. */
export const CANCEL_GRACE_S = 10

/** Place in the queue: priority first, then age. Smaller runs first; fits a 53-bit integer until the year 2109. */
export function order(priority: number, createdAt: number): number {
  return (LIMITS.priority - priority) * 2 ** 42 + createdAt
}

export interface BuildRequested {
  readonly project: ProjectRow
  readonly number: number
  readonly class: number
  readonly request: CreateBuildRequest
  readonly url: string
  /** Of a build that a trigger starts. */
  readonly triggered?: { readonly parent: Parent; readonly from: NonNullable<StoredSpec['triggeredFrom']> }
}

/** Its commit is there when its jobs run, so it may hold a pipeline. */
export function isCheckedOut(project: ProjectRow): project is ProjectRow & { readonly repository: string } {
  return project.checkout && project.repository !== null
}

/** Run by an agent of before pipelines alone; others upload the commit's, or say that it has none. */
const ONLY_A_PIPELINE = "echo 'This build needs an agent that reads pipelines: update this one.' >&2; exit 1"

/** Why no build of the project can be started without a command; null: one can. */
export function whyNoBuild(project: ProjectRow): string | null {
  return project.command === null && !isCheckedOut(project) ? `Project ${project.slug} has no command of its own, and no checkout that could hold a pipeline.` : null
}

/** Opens a build with its one job, queued. */
export function openBuild({ project, number, class: jobClass, request, url, triggered }: BuildRequested, now: number): { readonly build: BuildRow; readonly job: JobRow } {
  const hasPipeline = request.command === undefined && isCheckedOut(project)
  const spec: StoredSpec = {
    command: request.command ?? project.command ?? ONLY_A_PIPELINE,
    env: request.env,
    checkout: isCheckedOut(project) ? { repository: project.repository, fresh: request.fresh_checkout } : null,
    timeoutS: request.timeout_s ?? project.timeoutS,
    onPartition: request.on_partition,
    url,
    ...(hasPipeline ? { pipeline: project.command === null ? ('required' as const) : ('if-present' as const) } : {}),
    ...(triggered === undefined ? {} : { triggeredFrom: triggered.from }),
  }
  const build: BuildRow = {
    project: project.id,
    number,
    state: null,
    commit: request.commit ?? null,
    branch: request.branch ?? (request.commit === undefined ? project.defaultBranch : null),
    message: request.message ?? null,
    env: Object.keys(request.env).length === 0 ? null : request.env,
    openSteps: null,
    verdict: 0,
    createdAt: now,
    startedAt: null,
    finishedAt: null,
    parent: triggered?.parent ?? null,
    notify: null,
    notifyAt: null,
  }
  const job: JobRow = { ...blankJob(now), project: project.id, build: number, n: 1, class: jobClass, priority: request.priority, ord: order(request.priority, now), spec: JSON.stringify(spec) }
  return { build, job }
}

export interface Succession {
  /** How often a rule had it tried again, this time included. */
  readonly retries?: number
  /** In the queue, where nothing else is said: of a concurrency group it has the place that the old one leaves in the same event. */
  readonly begins?: { readonly state: 'queued' | 'waiting' | 'gated'; readonly turn?: string | null }
}

/** A new job that succeeds a finished one; the finished one stays as it is [C5.1]. */
export function succeed(old: JobRow, n: number, now: number, { retries, begins = { state: 'queued' } }: Succession = {}): { readonly changes: readonly Change[]; readonly job: JobRow } {
  const ord = order(old.priority, now)
  const { state, turn = old.turn } = begins
  const job: JobRow = { ...blankJob(now), project: old.project, build: old.build, n, class: old.class, priority: old.priority, ord, spec: retries === undefined ? old.spec : JSON.stringify({ ...(JSON.parse(old.spec) as StoredSpec), retries }), retryOf: old.n, step: old.step, gate: old.gate, state, turn: turnAfter(turn, ord) }
  return { changes: [{ kind: 'job.insert', row: job }, { kind: 'job.set', was: old, set: { retriedBy: n } }], job }
}

export function blankJob(now: number) {
  return {
    state: 'queued',
    fence: 0,
    cancel: false,
    lostCount: 0,
    avoidAgent: null,
    createdAt: now,
    agent: null,
    bootSeq: null,
    assignedAt: null,
    digest: null,
    result: null,
    finishedAt: null,
    retryOf: null,
    retriedBy: null,
    step: null,
    gate: null,
    turn: null,
  } as const satisfies Partial<JobRow>
}

/** A job whose step is ready knows from then on what that has learned meanwhile. */
export function told({ spec }: Pick<JobRow, 'spec'>, { spec: { unblocker } }: Pick<StepRow, 'spec'>): Pick<JobRow, 'spec'> | null {
  return unblocker === undefined ? null : { spec: JSON.stringify({ ...(JSON.parse(spec) as StoredSpec), unblocker }) }
}

/** Which of the job's failures do not count: one combination of a matrix may differ from its step. */
export function softFailOf({ spec }: Pick<JobRow, 'spec'>, step: Pick<StepRow, 'spec'>): SoftFail {
  return (JSON.parse(spec) as StoredSpec).softFail ?? step.spec.softFail // written by an upload
}

/** The spec of the job's newest attempt, as it travels to its agent. The build's commit is pinned by then or null [I29]. */
export function specOf(job: JobRow, build: BuildRow, { slug, defaultBranch }: Pick<ProjectRow, 'slug' | 'defaultBranch'>): JobSpec {
  const stored = JSON.parse(job.spec) as StoredSpec // written by `openBuild`
  return {
    project: slug,
    build: job.build,
    job: jobId(job),
    fence: job.fence,
    command: stored.command,
    env: stored.env,
    checkout: stored.checkout && { ...stored.checkout, commit: build.commit, branch: build.branch },
    timeout_s: stored.timeoutS,
    cancel_grace_s: CANCEL_GRACE_S,
    on_partition: stored.onPartition,
    url: stored.url,
    ...(build.message === null ? {} : { message: build.message }),
    ...(defaultBranch === null ? {} : { default_branch: defaultBranch }),
    ...(stored.pipeline === undefined ? {} : { pipeline: stored.pipeline }),
    ...(job.step === null ? {} : { step: stepOf({ ...job, s: job.step }, stored) }),
    ...(stored.retries === undefined ? {} : { retries: stored.retries }),
    ...(stored.plugins === undefined ? {} : { plugins: [...stored.plugins] }),
    ...(stored.triggeredFrom === undefined ? {} : { triggered_from: stored.triggeredFrom }),
    ...(stored.artifactPaths === undefined ? {} : { artifact_paths: [...stored.artifactPaths] }),
    ...(stored.unblocker === undefined ? {} : { unblocker: stored.unblocker }),
  }
}

function stepOf(own: StepKey, { key = null, label = null, parallel = null, group }: StoredSpec): NonNullable<JobSpec['step']> {
  return { id: stepId(own), key, label, parallel, ...(group === undefined ? {} : { group: { id: stepId({ ...own, s: group.s }), key: group.key, label: group.label } }) }
}

export function timeLimitMs(job: JobRow): number {
  return (JSON.parse(job.spec) as StoredSpec).timeoutS * 1000 // written by `openBuild`
}

/** What people see of a stored state. `named`: the agent has said that it holds the attempt. */
export function jobState(state: StoredJobState, named: boolean): JobState {
  if (state === 'live') return named ? 'running' : 'assigned'
  if (state === 'gated' || state === 'delayed') return 'waiting'
  return state
}

type JobOfBuild = Pick<JobRow, 'state' | 'cancel' | 'retriedBy'>

/** Final state of a build of steps; null while one is not done. */
function stateOfSteps({ openSteps, verdict }: Pick<BuildRow, 'openSteps' | 'verdict'>): FinalBuildState | null {
  if (openSteps !== 0) return null
  if (verdict & VERDICT.failed) return 'failed'
  if (verdict & VERDICT.canceled) return 'canceled'
  return verdict & VERDICT.ran ? 'passed' : 'skipped'
}

/** Final state of a build whose jobs are all final; null while one is not. Jobs that were retried do not speak. */
export function finalBuildState(jobs: readonly JobOfBuild[]): FinalBuildState | null {
  const current = jobs.filter((job) => job.retriedBy === null)
  if (!current.every((job) => isFinal(job.state))) return null
  if (current.some(({ state }) => state === 'failed' || state === 'timed_out' || state === 'errored' || state === 'broken')) return 'failed'
  if (current.some(({ state }) => state === 'canceled')) return 'canceled'
  return current.every(({ state }) => state === 'skipped') ? 'skipped' : 'passed'
}

export function buildState(stored: FinalBuildState | null, jobs: readonly JobOfBuild[]): BuildState {
  if (stored !== null) return stored
  const current = jobs.filter((job) => job.retriedBy === null)
  if (current.some((job) => job.cancel && !isFinal(job.state))) return 'canceling'
  // Nothing runs and nothing may: only a person can go on.
  if (current.length > 0 && current.every((job) => isFinal(job.state) || job.state === 'waiting')) return 'blocked'
  return current.some((job) => job.state === 'live' || isFinal(job.state)) ? 'running' : 'scheduled'
}

/** It goes on, so what it tells may change. */
export function reopened({ notify, notifyAt }: BuildRow): Partial<BuildRow> {
  return { state: null, finishedAt: null, ...(notify === null ? {} : { notifyAt: notifyAt ?? NOT_YET }) }
}

/** The build's own row once its last job ended. `jobs` are as they are after the change; a build of steps has its state from those. */
export function settleBuild(build: BuildRow, jobs: readonly JobRow[], now: number): readonly Change[] {
  const state = build.openSteps === null ? finalBuildState(jobs) : stateOfSteps(build)
  if (state === null || build.state === state) return []
  const starts = jobs.flatMap((job) => (job.assignedAt === null ? [] : [job.assignedAt]))
  return [{ kind: 'build.set', was: build, set: { state, startedAt: build.startedAt ?? (starts.length > 0 ? Math.min(...starts) : null), finishedAt: now } }]
}
