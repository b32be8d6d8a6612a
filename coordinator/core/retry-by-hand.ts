/** Whether a person may have a job tried again: what its step says of that (`retry.manual`), and how the job ended. */
import type { Problem } from '../../schema/api.ts'
import { isFinal, jobId } from '../../schema/job.ts'
import type { BuildRow, Decision, JobRow, StepRow } from './decision.ts'
import { reopened, succeed } from './plan.ts'
import { retrySteps, type Graph } from './retry-steps.ts'
import { neverBegan } from './step.ts'

/** What its step says against it; null: nothing. */
export function whyNoRetry({ state }: Pick<JobRow, 'state'>, step: StepRow | undefined): string | null {
  const manual = step?.spec.retry?.manual
  if (manual === undefined) return null
  if (!manual.allowed) return `its step does not allow it${manual.reason === null ? '' : `: ${manual.reason}`}`
  return state === 'passed' && !manual.permitOnPassed ? 'it passed, and its step allows no retry of what passed' : null
}

/** One job alone, also one that passed; what did not run because of it waits again. */
export function retryJob(build: BuildRow, jobs: readonly JobRow[], graph: Graph, job: JobRow, now: number): Decision | Problem {
  const refused = (detail: string): Problem => ({ title: 'The job was not retried', status: 409, code: 'job-retry-refused', detail: `Job ${jobId(job)} cannot be retried: ${detail}.` })
  if (!isFinal(job.state)) return refused('it is not finished')
  if (job.retriedBy !== null) return refused(`it was already, as ${jobId({ ...job, n: job.retriedBy })}`)
  if (job.state === 'broken' || job.state === 'skipped') return refused(`it did not run, it is ${job.state}`)
  const step = graph.steps.find(({ s }) => s === job.step)
  // Alone it would pass by what it waits for: steps that were cancelled as well, or a question to a person.
  if (step !== undefined && neverBegan(step)) return refused('it was cancelled while it still waited for other steps. Retry what failed of the build, and it waits for them again')
  const why = whyNoRetry(job, step)
  if (why !== null) return refused(why)
  if (build.openSteps !== null) return retrySteps(build, jobs, graph, { jobs: [job], triggers: new Map(), neverBegan: 'stay' }, now)
  const next = succeed(job, Math.max(...jobs.map(({ n }) => n)) + 1, now)
  return { changes: [...next.changes, { kind: 'build.set', was: build, set: reopened(build) }], effects: [{ kind: 'ring-class', class: job.class, count: 1 }] }
}
