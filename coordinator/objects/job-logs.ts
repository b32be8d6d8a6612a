/** What the log routes need to know about a job: each attempt has a log of its own. */
import { attemptId, isFinal, jobId, parseJobId } from '../../schema/job.ts'
import type { ReadResult } from '../core/judge.ts'
import * as load from '../store/load.ts'
import type { Memory } from '../store/memory.ts'
import type { Sql } from '../store/sql.ts'
import { problem, type Answer, type JobLogs } from './scheduler-api.ts'

export function jobLogs({ on, memory }: { readonly on: Sql; readonly memory: Memory }, id: string): Answer<JobLogs> {
  const key = parseJobId(id)
  if (!key) return problem(404, 'job-unknown', 'No such job', `"${id}" is not a job id; one looks like J1-82-1.`)
  const job = load.job(on, key)
  const project = job && memory.projects.get(job.project)
  if (!job || !project) return problem(404, 'job-unknown', 'No such job', `There is no job ${id}.`)
  const lost = load.attemptsOfBuild(on, key.project, key.build).filter(({ n }) => n === key.n)
  const all = new Map(lost.map((row) => [row.fence, { id: attemptId(row), fence: row.fence, agentId: row.agent as string, ended: true, logBytes: null as number | null }]))
  // The current attempt has ended when its job has, or when it was lost and nobody came back for it.
  if (job.fence > 0 && job.agent !== null) all.set(job.fence, { id: attemptId(job), fence: job.fence, agentId: job.agent, ended: job.state !== 'live', logBytes: job.digest === null || job.result === null ? null : (JSON.parse(job.result) as ReadResult).log_bytes })
  return { ok: true, value: { id: jobId(job), project: project.slug, build: job.build, ended: isFinal(job.state), attempts: [...all.values()].sort((a, b) => a.fence - b.fence) } }
}
