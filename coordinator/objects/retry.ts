/** A person has a build, or a job of it, tried again, with the builds that its triggers start. */
import type { Problem, RetryRequest } from '../../schema/api.ts'
import type { BuildRow, Decision, JobRow } from '../core/decision.ts'
import { retry } from '../core/intervene.ts'
import { retryJob } from '../core/retry-by-hand.ts'
import { unstarted } from '../core/trigger.ts'
import * as load from '../store/load.ts'
import { carryOut, type Event } from './event.ts'
import { graphOf } from './graph.ts'
import { finishSteps } from './progress.ts'
import { hasRoomFor } from './room.ts'
import { startBuilds } from './triggered.ts'

/** Null: it was done. */
export function retryBuild(event: Event, build: BuildRow, request: RetryRequest): Problem | null {
  return follow(event, build, retry(build, load.jobsOfBuild(event.on, build.project, build.number), graphOf(event, build), request, event.now))
}

/** Null: it was done. */
export function retryOneJob(event: Event, build: BuildRow, job: JobRow): Problem | null {
  return follow(event, build, retryJob(build, load.jobsOfBuild(event.on, build.project, build.number), graphOf(event, build), job, event.now))
}

function follow(event: Event, build: BuildRow, decision: Decision | Problem): Problem | null {
  if ('detail' in decision) return decision
  const more = decision.changes.flatMap((change) => (change.kind === 'job.insert' ? [change.row] : []))
  if (!hasRoomFor(event.on, more)) return { title: 'Too many jobs', status: 409, code: 'build-full', detail: `Build ${build.number} has been tried again so often that it can hold no more jobs. Start a new build of the commit.` }
  carryOut(event, decision)
  const after = load.build(event.on, build.project, build.number)
  if (after === null) return null
  const done = graphOf(event, after)
    .steps.filter((step) => unstarted(step) > 0)
    .map((step) => startBuilds(event, after, step))
    .filter(({ state }) => state === 'done')
  if (done.length > 0) finishSteps(event, after, done)
  return null
}
