/** What a person may do to a build: cancel it, retry its jobs. */
import type { Problem, RetryRequest } from '../../schema/api.ts'
import { isFinal } from '../../schema/job.ts'
import type { BuildRow, Change, Decision, Effect, JobRow } from './decision.ts'
import { settleBuild, succeed } from './plan.ts'

/**
 * Jobs in the queue end at once; one in an agent's hands is marked, and each reply repeats the directive until its
 * result comes, so that neither a lost reply nor a restart can lose the cancel [C13.1]. Repeating it changes nothing.
 */
export function cancel(build: BuildRow, jobs: readonly JobRow[], now: number): Decision {
  const changes: Change[] = []
  const effects: Effect[] = []
  const after = jobs.map((job) => {
    if (isFinal(job.state) || job.cancel) return job
    const set: Partial<JobRow> = job.state === 'live' ? { cancel: true } : { state: 'canceled', cancel: true, finishedAt: now }
    changes.push({ kind: 'job.set', was: job, set })
    if (job.state === 'live' && job.agent !== null) effects.push({ kind: 'ring', agent: job.agent })
    return { ...job, ...set }
  })
  if (changes.length > 0) changes.push(...settleBuild(build, after, now))
  return { changes, effects }
}

const FAILED = new Set<string>(['failed', 'timed_out', 'errored', 'canceled', 'broken'])

/** New jobs that succeed the finished ones, all or only those that did not pass; a problem where there is none. */
export function retry(build: BuildRow, jobs: readonly JobRow[], request: RetryRequest, now: number): Decision | Problem {
  const current = jobs.filter((job) => job.retriedBy === null && isFinal(job.state))
  const chosen = request.only === 'failed' ? current.filter((job) => FAILED.has(job.state)) : current
  if (chosen.length === 0) {
    const unfinished = jobs.some((job) => !isFinal(job.state))
    const detail = unfinished
      ? `Build ${build.number} is not finished: there is no job to retry yet. Wait for it, or cancel it first.`
      : `No job of build ${build.number} failed. Leave "only" away to retry all of them.`
    return { title: 'Nothing to retry', status: 409, code: 'nothing-to-retry', detail }
  }
  const changes: Change[] = []
  const effects: Effect[] = []
  let n = Math.max(...jobs.map((job) => job.n))
  for (const old of chosen) {
    const next = succeed(old, ++n, now)
    changes.push(...next.changes)
    effects.push({ kind: 'ring-class', class: old.class, count: 1 })
  }
  changes.push({ kind: 'build.set', project: build.project, number: build.number, set: { state: null, finishedAt: null } })
  return { changes, effects }
}
