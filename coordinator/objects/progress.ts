/**
 * Walks from a job that ended to all that its end lets go: its step, the steps that waited for that, their jobs, the
 * build. Each row is loaded by key, decided on by `core/step.ts`, and applied before the next is loaded.
 */
import type { FinalJobState } from '../../schema/job.ts'
import { changed, type BuildRow, type JobRow, type StepRow } from '../core/decision.ts'
import type { ReadResult } from '../core/judge.ts'
import { joinQueue } from '../core/gate.ts'
import { BROKEN, settleBuild, softFailOf, succeed, told, type StoredSpec } from '../core/plan.ts'
import { jobEnded, letGo, LOST_STATUS, mayRetry, mustStop, outcomeOf, ready, retryRule, stepDone, VERDICT } from '../core/step.ts'
import * as load from '../store/load.ts'
import { nameOf } from '../store/read-steps.ts'
import { cancelOneStep } from './cancel.ts'
import { hasRoomFor } from './room.ts'
import type { Event } from './event.ts'
import { startBuilds } from './triggered.ts'

/** What a job's end tells its step. */
export interface JobEnd {
  readonly exitStatus: number | null
  readonly signal: string | null
  readonly reason: string | null
}

export function endOf({ exit_status: exitStatus, signal, reason }: ReadResult): JobEnd {
  return { exitStatus: exitStatus ?? LOST_STATUS, signal, reason: reason?.code ?? null }
}

/** Of an attempt that was lost once too often. */
export const NEVER_ENDED: JobEnd = { exitStatus: LOST_STATUS, signal: null, reason: 'agent_lost' }

/** `job` is as it is after its end, with a step; `build` as it is now. */
export function followEnd(event: Event, build: BuildRow, job: JobRow, end: JobEnd): void {
  const step = job.step === null ? null : load.step(event.on, { project: job.project, build: job.build, s: job.step })
  if (step === null || step.state === 'done') return
  const state = job.state as FinalJobState // it has just ended
  if (mayRetry(job, state) && tryAgain(event, step, job, end)) return
  const set = jobEnded(step, outcomeOf(state, end.exitStatus, softFailOf(job, step)))
  event.apply({ kind: 'step.set', key: step, set })
  if (set.state === 'done') return finishSteps(event, build, [{ ...step, ...set }])
  const failing = { ...build, verdict: build.verdict | VERDICT.failed }
  if (set.outcome === 'failed' && mustStop(failing)) finishSteps(event, failing, [], { failed: step }) // its other jobs do not make that good
}

function tryAgain(event: Event, step: StepRow, job: JobRow, end: JobEnd): boolean {
  const { retries = 0 } = JSON.parse(job.spec) as StoredSpec // written by `openBuild` or an upload
  if (retryRule(step.spec.retry?.automatic ?? [], { ...end, retries }) === null) return false
  const next = succeed(job, load.lastJobNumber(event.on, job.project, job.build) + 1, event.now, { retries: retries + 1 })
  if (!hasRoomFor(event.on, [next.job])) return false // it ends as it did
  for (const change of next.changes) event.apply(change)
  event.effects.push({ kind: 'ring-class', class: job.class, count: 1 })
  return true
}

/** These steps are done and stored so; the build's own row follows at the end, once. `failed`: the one for which others are cancelled. */
export function finishSteps(event: Event, build: BuildRow, done: readonly StepRow[], { failed = done.find(({ outcome }) => outcome === 'failed') ?? null }: { readonly failed?: StepRow | null } = {}): void {
  const line = [...done]
  let counts: Pick<BuildRow, 'openSteps' | 'verdict'> = build
  for (;;) {
    const from = line.shift()
    if (from === undefined) {
      if (!mustStop(counts)) break
      counts = { ...counts, verdict: counts.verdict & ~VERDICT.stops }
      line.push(...stopFailing(event, build, failed))
      continue
    }
    counts = stepDone(counts, from)
    for (const edge of load.edgesFrom(event.on, from)) {
      const to = load.step(event.on, { ...from, s: edge.to })
      if (to === null || to.state !== 'waiting') continue // cancelled meanwhile, or let go before a retry opened this one again
      const fewer = letGo(to, from, edge)
      const set = fewer.needs === 0 ? { ...fewer, ...ready({ ...to, ...fewer }) } : fewer
      event.apply({ kind: 'step.set', key: to, set })
      const after = startBuilds(event, build, { ...to, ...set })
      if (set.state !== undefined) moveJobs(event, after)
      if (after.state === 'done') line.push(after)
    }
  }
  const { openSteps, verdict } = counts
  event.apply({ kind: 'build.set', was: build, set: { openSteps, verdict } })
  for (const change of settleBuild({ ...build, openSteps, verdict }, [], event.now)) event.apply(change)
}

/** Cancels whatever is to end with a failing build; of those steps the ones that are done. `cause`: the step that failed. */
function stopFailing(event: Event, build: BuildRow, cause: StepRow | null): readonly StepRow[] {
  const why = `cancelled, because the build is failing${cause === null ? '' : `: "${nameOf(cause)}" failed`}`
  return load.stepsOfBuild(event.on, build.project, build.number).flatMap((step) => {
    const after = step.spec.cancelOnBuildFailing === true ? cancelOneStep(event, step, why) : null
    return after?.state === 'done' ? [after] : []
  })
}

/** The step's jobs join the queue with it, or end unrun with it. */
function moveJobs(event: Event, step: StepRow): void {
  for (const job of load.jobsOfStep(event.on, step)) {
    if (job.state !== 'waiting') continue
    const set: Partial<JobRow> = step.state === 'running' ? { ...joinQueue(job), ...told(job, step) } : { state: 'broken', finishedAt: event.now, result: BROKEN }
    event.apply({ kind: 'job.set', was: job, set })
    if (changed(job, set).state === 'queued') event.effects.push({ kind: 'ring-class', class: job.class, count: 1 })
  }
}
