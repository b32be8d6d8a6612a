/** What a job may ask about a step of its build, in the words of Buildkite, since scripts compare with those; and what it may change. */
import type { Problem } from '../../schema/api.ts'
import { LIMITS } from '../../schema/api.ts'
import { isFinal } from '../../schema/job.ts'
import type { StepAttributes } from '../../schema/job-calls.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { Change, JobRow, StepRow } from './decision.ts'
import { turnAfter } from './gate.ts'
import { order, type StoredSpec } from './plan.ts'
import { stepId } from './step.ts'

/** `jobs`: those of the step that no other has succeeded. */
export function attributesOf(step: StepRow, jobs: readonly JobRow[]): StepAttributes {
  return { id: stepId(step), key: step.key, label: step.label, type: step.kind === 'block' ? 'input' : step.kind, state: stateOf(step, jobs), outcome: outcomeOf(step, jobs) }
}

function stateOf(step: StepRow, jobs: readonly JobRow[]): StepAttributes['state'] {
  if (step.state === 'waiting') return 'waiting_for_dependencies'
  if (step.state === 'done') return step.outcome === 'skipped' ? 'ignored' : 'finished'
  if (step.outcome === 'failed') return 'failing'
  const hasBegun = step.kind === 'trigger' || jobs.some(({ state }) => state === 'live' || isFinal(state))
  return step.state === 'running' && hasBegun ? 'running' : 'ready'
}

/** `errored` is what failed for another reason than its command. */
function outcomeOf(step: StepRow, jobs: readonly JobRow[]): StepAttributes['outcome'] {
  if (step.state !== 'done') return 'neutral'
  switch (step.outcome) {
    case 'passed':
    case 'soft_failed':
      return step.outcome
    case 'failed':
      return step.kind === 'trigger' || jobs.some(({ state }) => state === 'failed') ? 'hard_failed' : 'errored'
    case 'canceled':
    case 'broken':
      return 'errored'
    default:
      return 'neutral'
  }
}

export interface StepUpdate {
  readonly attribute: string
  readonly value: string
  readonly append: boolean
}

/** What can be changed; the rest is refused by name. */
export function updateStep(step: StepRow, jobs: readonly JobRow[], { attribute, value, append }: StepUpdate): readonly Change[] | Problem {
  if (attribute === 'label') return relabel(step, jobs, append ? `${step.label ?? ''}${value}` : value)
  if (attribute !== 'priority') return refused(`This version changes label and priority of a step, and not ${JSON.stringify(attribute.slice(0, 80))}.`)
  if (append) return refused('A priority is set and not appended to: leave --append away.')
  const priority = Number(value)
  if (!/^-?\d{1,4}$/.test(value.trim()) || Math.abs(priority) > LIMITS.priority) return refused(`A priority is a whole number from -${LIMITS.priority} to ${LIMITS.priority}, not ${JSON.stringify(value.slice(0, 80))}.`)
  return jobs.flatMap((job): readonly Change[] => {
    if (isFinal(job.state) || job.state === 'live' || job.priority === priority) return []
    const ord = order(priority, job.createdAt)
    return [{ kind: 'job.set', was: job, set: { priority, ord, turn: turnAfter(job.turn, ord) } }]
  })
}

function relabel(step: StepRow, jobs: readonly JobRow[], written: string): readonly Change[] | Problem {
  if (written.length > PIPELINE_LIMITS.labelCharacters) return refused(`A label has at most ${PIPELINE_LIMITS.labelCharacters} characters; this one would have ${written.length}.`)
  if (written.includes('\0') || !written.isWellFormed()) return refused('A label must not hold a NUL character or half of a character.')
  const label = written.trim() === '' ? null : written
  if (label === step.label) return []
  return [
    { kind: 'step.set', key: step, set: { label } },
    ...jobs.map((was): Change => ({ kind: 'job.set', was, set: { spec: JSON.stringify({ ...(JSON.parse(was.spec) as StoredSpec), label }) } })), // written by an upload
  ]
}

function refused(detail: string): Problem {
  return { title: 'The step was not changed', status: 422, code: 'step-attribute-invalid', detail }
}
