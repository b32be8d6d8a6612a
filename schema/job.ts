/**
 * Names and states of builds, jobs and attempts: the nouns that both sides of the wire and every table share.
 *
 * A job's id spells its primary key (`J{project}-{build}-{n}`), so no table maps ids to rows, and an attempt's id is its
 * job's id and its fence (`J1-82-1.3`). There is no second counter to confuse the fence with [C1.4].
 */

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** `J{project}-{build}-{n}`, e.g. `J1-82-1`. */
export type JobId = Branded<string, 'JobId'>
/** `{job}.{fence}`, e.g. `J1-82-1.3`: fencing token, idempotency key, spool folder and log object name in one. */
export type AttemptId = Branded<string, 'AttemptId'>
/** `a_` and 20 characters of `a-z0-9`, made by the agent itself so that registering is idempotent. */
export type AgentId = Branded<string, 'AgentId'>

export interface JobKey {
  /** Number of the project within the cluster, from 1. */
  readonly project: number
  /** Number of the build within its project, from 1. */
  readonly build: number
  /** Number of the job within its build, from 1. */
  readonly n: number
}

export interface AttemptKey extends JobKey {
  /** Rises by one with each assignment of the job; the first attempt has 1. */
  readonly fence: number
}

const JOB_ID = /^J([1-9]\d{0,8})-([1-9]\d{0,8})-([1-9]\d{0,5})$/
const ATTEMPT_ID = /^(J[1-9]\d{0,8}-[1-9]\d{0,8}-[1-9]\d{0,5})\.([1-9]\d{0,5})$/
export const AGENT_ID = /^a_[a-z0-9]{20}$/

export function jobId({ project, build, n }: JobKey): JobId {
  return `J${project}-${build}-${n}` as JobId // the one place that spells it
}

export function attemptId(key: AttemptKey): AttemptId {
  return `${jobId(key)}.${key.fence}` as AttemptId // the one place that spells it
}

/** The key that a job id spells, or null when it is not a job id. */
export function parseJobId(text: string): JobKey | null {
  const match = JOB_ID.exec(text)
  return match ? { project: Number(match[1]), build: Number(match[2]), n: Number(match[3]) } : null
}

/** The key that an attempt id spells, or null when it is not an attempt id. */
export function parseAttemptId(text: string): AttemptKey | null {
  const match = ATTEMPT_ID.exec(text)
  if (!match?.[1]) return null
  const job = parseJobId(match[1])
  return job ? { ...job, fence: Number(match[2]) } : null
}

/** States that a job never leaves [I4]. */
export const FINAL_JOB_STATES = ['passed', 'failed', 'timed_out', 'canceled', 'skipped', 'broken', 'errored'] as const
export type FinalJobState = (typeof FINAL_JOB_STATES)[number]

/** As stored. `live` is an attempt in somebody's hands; what people see of it is derived (`JobState`). */
export const STORED_JOB_STATES = ['waiting', 'gated', 'delayed', 'queued', 'live', ...FINAL_JOB_STATES] as const
export type StoredJobState = (typeof STORED_JOB_STATES)[number]

/** As people see it: `live` is `assigned` until the agent has named the attempt, `running` from then on. */
export const JOB_STATES = ['waiting', 'queued', 'assigned', 'running', ...FINAL_JOB_STATES] as const
export type JobState = (typeof JOB_STATES)[number]

export const FINAL_BUILD_STATES = ['passed', 'failed', 'canceled', 'skipped'] as const
export type FinalBuildState = (typeof FINAL_BUILD_STATES)[number]
export const BUILD_STATES = ['scheduled', 'running', 'blocked', 'canceling', ...FINAL_BUILD_STATES] as const
export type BuildState = (typeof BUILD_STATES)[number]

/** How one attempt ended. `lost`: its agent is gone or never took it; the job may run elsewhere. */
export const ATTEMPT_STATES = ['assigned', 'running', 'passed', 'failed', 'timed_out', 'canceled', 'errored', 'lost'] as const
export type AttemptState = (typeof ATTEMPT_STATES)[number]

export function isFinal(state: StoredJobState | JobState): state is FinalJobState {
  return (FINAL_JOB_STATES as readonly string[]).includes(state)
}

export function isFinalBuild(state: BuildState): state is FinalBuildState {
  return (FINAL_BUILD_STATES as readonly string[]).includes(state)
}
