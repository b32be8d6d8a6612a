/** The Worker's bindings, as `wrangler.toml` declares them and `agent/embedded.ts` supplies them. */
import type { JobLogApi, SchedulerApi } from './objects/scheduler-api.ts'

export interface Stub<Api> {
  readonly idFromName: (name: string) => DurableObjectId
  readonly get: (id: DurableObjectId) => Api
}

export interface Environment {
  readonly SCHEDULER: Stub<SchedulerApi>
  readonly JOB_LOG: Stub<JobLogApi>
  /** Finished logs, and artifacts. */
  readonly BLOBS: R2Bucket
  /** Secret: the first token with scope `admin`. */
  readonly KEDGE_ADMIN_TOKEN?: string
  /** Secret, at least 32 characters: signs sessions and attempt tokens. */
  readonly KEDGE_SIGNING_KEY?: string
  /** Secret, optional: a registration token that never ends, for embedded use and fleets that are set up by machine. */
  readonly KEDGE_REGISTRATION_TOKEN?: string
  /** For how many days artifacts are kept; absent: 90. */
  readonly KEDGE_ARTIFACT_DAYS?: string
  /** Secret, optional: forges that commit statuses are told to, and a token for each (`schema/forges.ts`). */
  readonly KEDGE_FORGES?: string
  /** Divides every time of `core/numbers.ts`, for tests and demonstrations only; absent: 1. */
  readonly KEDGE_TIME_SCALE?: string
}

const ARTIFACT_DAYS = 90

/** What cannot be read as a number of days is the default: a typo must not delete anything. */
export function artifactDays({ KEDGE_ARTIFACT_DAYS: text = '' }: Environment): number {
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : ARTIFACT_DAYS
}

/** The same as a time. */
export function artifactMs(env: Environment): number {
  return (artifactDays(env) * 24 * 3600 * 1000) / Number(env.KEDGE_TIME_SCALE ?? '1')
}
