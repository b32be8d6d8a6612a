/** Who may act on a build from within: its job changes it while its attempt is current and runs; whoever had an attempt may read. */
import type { Problem } from '../../schema/api.ts'
import { isFinal, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import type { JobRow } from '../core/decision.ts'
import * as load from '../store/load.ts'
import type { Sql } from '../store/sql.ts'
import type { Event } from './event.ts'
import { problem, type Answer } from './scheduler-api.ts'

export type CurrentJob = { readonly ok: true; readonly job: JobRow; readonly fence: number } | { readonly ok: false; readonly problem: Problem }

/** `title` names what is refused; `noMore` what a job that has ended does not do any more. */
export function currentJob({ on }: Pick<Event, 'on'>, attempt: AttemptId, { title, noMore }: { readonly title: string; readonly noMore: string }): CurrentJob {
  const named = parseAttemptId(attempt)
  const job = named && load.job(on, named)
  if (!named || !job || job.fence !== named.fence) return { ok: false, problem: { status: 409, code: 'attempt_superseded', title, detail: `Attempt ${attempt} is not current: its job was given to another agent.` } }
  if (isFinal(job.state)) return { ok: false, problem: { status: 409, code: 'attempt_final', title, detail: `The job of ${attempt} is ${job.state}: a job that has ended ${noMore}.` } }
  return { ok: true, job, fence: named.fence }
}

/** The job of an attempt that there is or was. */
export function anyJob(on: Sql, attempt: AttemptId): Answer<JobRow> {
  const named = parseAttemptId(attempt)
  const job = named && load.job(on, named)
  return job ? { ok: true, value: job } : problem(404, 'attempt_unknown', 'No such attempt', `There is no attempt ${attempt}.`)
}
