/**
 * Accepts or refuses a result [C4.5]. The one rule: it is accepted iff its fence is the job's and the job is not final,
 * also when the lease ended but nobody took the job meanwhile. The same result again is accepted again and changes
 * nothing; agents repeat themselves until they hear a verdict.
 */
import type { AttemptKey } from '../../schema/job.ts'
import type { AttemptResult, Verdict } from '../../schema/sync.ts'
import { isFinal } from '../../schema/job.ts'
import type { JobRow } from './decision.ts'

/** A result as the Worker read it. Of one that could not be read, nobody knows how much log there is. */
export type ReadResult = Omit<AttemptResult, 'log_bytes'> & { readonly log_bytes: number | null }

export interface Judgement {
  readonly verdict: Verdict
  /** What this very message makes of the job, which it makes final; null when it changes nothing. */
  readonly set: Partial<JobRow> | null
}

/** `text` is the result exactly as it was spooled; `now` the object's clock in ms. */
export function judge(job: JobRow | null, key: AttemptKey, delivered: { readonly digest: string; readonly text: string; readonly result: ReadResult }, now: number): Judgement {
  if (job === null || job.fence !== key.fence) return { verdict: 'superseded', set: null }
  if (isFinal(job.state)) {
    if (job.digest === delivered.digest) return { verdict: 'accepted', set: null } // I2: idempotent
    return { verdict: job.digest === null ? 'final' : 'conflict', set: null }
  }
  return { verdict: 'accepted', set: { state: delivered.result.outcome, digest: delivered.digest, result: delivered.text, finishedAt: now } }
}

/** Whether the outcome says something about the machine rather than about the build [C15.3]. */
export function isMachineFailure(result: ReadResult): boolean {
  return result.outcome === 'errored' && (result.reason?.code ?? '').startsWith('agent_')
}
