/** Who may change a build from within: the job of an attempt that is current, as long as it runs. */
import type { Problem } from '../../schema/api.ts'
import { isFinal, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import type { JobRow } from '../core/decision.ts'
import * as load from '../store/load.ts'
import type { Event } from './event.ts'

export type CurrentJob = { readonly ok: true; readonly job: JobRow; readonly fence: number } | { readonly ok: false; readonly problem: Problem }

/** `title` names what is refused; `noMore` what a job that has ended does not do any more. */
export function currentJob({ on }: Pick<Event, 'on'>, attempt: AttemptId, { title, noMore }: { readonly title: string; readonly noMore: string }): CurrentJob {
  const named = parseAttemptId(attempt)
  const job = named && load.job(on, named)
  if (!named || !job || job.fence !== named.fence) return { ok: false, problem: { status: 409, code: 'attempt_superseded', title, detail: `Attempt ${attempt} is not current: its job was given to another agent.` } }
  if (isFinal(job.state)) return { ok: false, problem: { status: 409, code: 'attempt_final', title, detail: `The job of ${attempt} is ${job.state}: a job that has ended ${noMore}.` } }
  return { ok: true, job, fence: named.fence }
}
