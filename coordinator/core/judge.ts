/**
 * Accepts or refuses a result [C4.5]. The one rule: it is accepted iff its fence is the job's and the job is not final,
 * also when the lease ended but nobody took the job meanwhile. The same result again is accepted again and changes
 * nothing; agents repeat themselves until they hear a verdict.
 */
import type { AttemptKey } from '../../schema/job.ts'
import type { AttemptResult, Verdict } from '../../schema/sync.ts'
import { isFinal } from '../../schema/job.ts'
import type { Change, JobRow } from './decision.ts'

export interface Judgement {
  readonly verdict: Verdict
  readonly changes: readonly Change[]
  /** True only when this very message made the job final. */
  readonly isNew: boolean
}

/** `text` is the result exactly as it was spooled; `now` the object's clock in ms. */
export function judge(job: JobRow | null, key: AttemptKey, delivered: { readonly digest: string; readonly text: string; readonly result: AttemptResult }, now: number): Judgement {
  if (job === null || key.fence > job.fence) return { verdict: 'superseded', changes: [], isNew: false }
  if (isFinal(job.state)) {
    if (job.fence !== key.fence) return { verdict: 'superseded', changes: [], isNew: false }
    if (job.digest === delivered.digest) return { verdict: 'accepted', changes: [], isNew: false } // I2: idempotent
    return { verdict: job.digest === null ? 'final' : 'conflict', changes: [], isNew: false }
  }
  if (job.fence !== key.fence) return { verdict: 'superseded', changes: [], isNew: false }
  const set: Partial<JobRow> = { state: delivered.result.outcome, digest: delivered.digest, result: delivered.text, finishedAt: now }
  return { verdict: 'accepted', changes: [{ kind: 'job.set', was: job, set }], isNew: true }
}

/** Whether the outcome says something about the machine rather than about the build [C15.3]. */
export function isMachineFailure(result: AttemptResult): boolean {
  return result.outcome === 'errored' && (result.reason?.code ?? '').startsWith('agent_')
}
