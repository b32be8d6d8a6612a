/** What a running job asks of the steps of its build: to tell about one, to change it, to cancel it or all of them. */
import type { Problem } from '../../schema/api.ts'
import type { StepAttributes } from '../../schema/job-calls.ts'
import type { AttemptId } from '../../schema/job.ts'
import { nearest } from '../../schema/nearest.ts'
import type { JobRow, StepRow } from '../core/decision.ts'
import { attributesOf, updateStep, type StepUpdate } from '../core/step-attributes.ts'
import { stepId } from '../core/step.ts'
import * as load from '../store/load.ts'
import { nameOf } from '../store/read-steps.ts'
import type { Sql } from '../store/sql.ts'
import { cancelBuild, cancelOneStep } from './cancel.ts'
import { anyJob, currentJob } from './current-attempt.ts'
import type { Event } from './event.ts'
import { finishSteps } from './progress.ts'
import { problem, type Answer } from './scheduler-api.ts'

/** `named`: its key or id; null: the job's own. Whoever had an attempt of the build may ask. */
export function stepOf(on: Sql, attempt: AttemptId, named: string | null): Answer<StepAttributes> {
  const job = anyJob(on, attempt)
  if (!job.ok) return job
  const step = find(on, job.value, named)
  return step.ok ? { ok: true, value: attributesOf(step.value, load.currentJobsOfStep(on, step.value)) } : step
}

/** A repetition by its key changes nothing more: what is appended is appended once. */
export function changeStep(event: Event, attempt: AttemptId, { step: named, key, ...update }: StepUpdate & { readonly step: string | null; readonly key: string }): Answer<null> {
  const current = currentJob(event, attempt, { title: 'The step was not changed', noMore: 'changes nothing any more' })
  if (!current.ok) return current
  const done = `step update ${attempt} ${key}`
  const asked = JSON.stringify([named, update.attribute, update.value, update.append])
  const before = load.dedup(event.on, done)
  if (before !== null && before !== asked) return problem(422, 'idempotency-key-reused', 'The step was not changed', 'This Idempotency-Key changed something else before. Use a new key for a new change.')
  const step = find(event.on, current.job, named)
  if (!step.ok) return step
  if (before !== null) return { ok: true, value: null }
  const changes = updateStep(step.value, load.currentJobsOfStep(event.on, step.value), update)
  if ('detail' in changes) return { ok: false, problem: changes }
  for (const change of changes) event.apply(change)
  if (update.append) load.dedups.insert(event.on, { key: done, answer: asked, at: event.now })
  return { ok: true, value: null }
}

/** The id of the step. The same again changes nothing. */
export function cancelStepOf(event: Event, attempt: AttemptId, named: string | null): Answer<string> {
  const current = currentJob(event, attempt, { title: 'The step was not cancelled', noMore: 'cancels nothing any more' })
  if (!current.ok) return current
  const step = find(event.on, current.job, named)
  if (!step.ok) return step
  if (step.value.kind !== 'command' && step.value.kind !== 'trigger') return problem(409, 'step-without-jobs', 'The step was not cancelled', `"${nameOf(step.value)}" is a ${step.value.kind} step: it has no jobs that could be cancelled. Cancel the steps that do.`)
  const build = load.build(event.on, current.job.project, current.job.build)
  const own = current.job.step === null ? null : load.step(event.on, { ...current.job, s: current.job.step })
  const by = own === null ? 'a job of the build' : own.s === step.value.s ? 'a job of the step itself' : `"${nameOf(own)}"`
  const after = build && cancelOneStep(event, step.value, `cancelled by ${by}`)
  if (build && after?.state === 'done') finishSteps(event, build, [after])
  return { ok: true, value: stepId(step.value) }
}

/** Cancels the build that the job is of, and so the job itself. */
export function cancelOwnBuild(event: Event, attempt: AttemptId): Answer<number> {
  const current = currentJob(event, attempt, { title: 'The build was not cancelled', noMore: 'cancels nothing any more' })
  if (!current.ok) return current
  const build = load.build(event.on, current.job.project, current.job.build)
  if (build !== null) cancelBuild(event, build)
  return { ok: true, value: current.job.build }
}

function find(on: Sql, { project, build, step: own }: JobRow, named: string | null): Answer<StepRow> {
  if (named === null) {
    const row = own === null ? null : load.step(on, { project, build, s: own })
    return row === null ? problem(404, 'step-unknown', 'No such step', 'This job belongs to no step: its build has none yet. Name one with --step once there are some.') : { ok: true, value: row }
  }
  const steps = load.stepsOfBuild(on, project, build)
  const found = steps.find(({ key }) => key === named) ?? steps.find((step) => stepId(step) === named)
  return found === undefined ? unknown(named, steps) : { ok: true, value: found }
}

function unknown(named: string, steps: readonly StepRow[]): { readonly ok: false; readonly problem: Problem } {
  const keys = steps.flatMap(({ key }) => (key === null ? [] : [key]))
  const close = nearest(named, keys)
  const advice = close !== null ? `Did you mean "${close}"?` : keys.length === 0 ? 'None of its steps has a key.' : `The keys are: ${keys.slice(0, 10).join(', ')}${keys.length > 10 ? ', …' : ''}.`
  return problem(404, 'step-unknown', 'No such step', `This build has no step with the key or id ${JSON.stringify(named.slice(0, 100))}. ${advice}`)
}
