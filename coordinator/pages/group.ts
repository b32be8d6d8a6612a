/** What is said of a group as a whole: its state, how far it is, how long it took. Its own row knows only whether it is done. */
import type { JobView, StepView } from '../../schema/api.ts'
import type { AnyState } from './state.tsx'

/** All that is in a group, and in groups in it. */
export interface Content {
  readonly steps: readonly StepView[]
  readonly jobs: readonly JobView[]
}

/** What a person would say of the whole group. */
export function groupState({ state, outcome }: StepView, { steps, jobs }: Content): AnyState {
  const is = (...outcomes: readonly StepView['outcome'][]) => steps.some((step) => outcomes.includes(step.outcome))
  if (state === 'done') {
    if (outcome === 'failed') return is('failed') || !is('broken', 'canceled') ? 'failed' : is('broken') ? 'broken' : 'canceled'
    return outcome === 'skipped' || (steps.length > 0 && !is('passed', 'soft_failed')) ? 'skipped' : 'passed'
  }
  if (jobs.some((job) => job.state === 'running' || job.state === 'assigned') || steps.some((step) => step.kind === 'trigger' && step.state === 'running')) return 'running'
  if (steps.some((step) => step.state === 'blocked')) return 'blocked'
  return jobs.some((job) => job.state === 'queued') ? 'queued' : 'waiting'
}

/**
 * Why the group is shown open; empty: it is not. Whatever goes on or went wrong is to be seen without being looked for,
 * and so is the row whose log is shown.
 */
export function whyOpen(state: AnyState, content: Content, selected: JobView | null): 'failed' | 'going' | 'selected' | '' {
  if (state === 'failed' || endsOf(content).includes('failed')) return 'failed'
  if (state === 'running' || state === 'queued' || state === 'blocked') return 'going'
  return selected !== null && content.jobs.includes(selected) ? 'selected' : ''
}

/** `2 of 3 done, 1 failed (allowed)`: how far a group is, and what its state does not say. Jobs are counted, and steps that have none. */
export function tally({ state }: StepView, content: Content): string {
  const ends = endsOf(content)
  const broken = content.steps.find((step) => step.broken !== null)?.broken ?? null
  if (broken !== null && ends.every((end) => end === 'broken')) return `not run, because ${broken}`
  const done = ends.filter((end) => end !== null).length
  const all = ends.length === 0 ? [] : [state === 'done' || done === 0 ? `${ends.length} ${content.steps.every(isCommand) ? 'job' : 'step'}${ends.length === 1 ? '' : 's'}` : `${done} of ${ends.length} done`]
  const said = ENDS.flatMap(([end, words]) => {
    const count = ends.filter((one) => one === end).length
    return count === 0 ? [] : [`${count} ${words}`]
  })
  return [...all, ...said].join(', ')
}

type End = NonNullable<StepView['outcome']>
/** But for those that passed: that is what remains. */
const ENDS: readonly (readonly [End, string])[] = [['failed', 'failed'], ['soft_failed', 'failed (allowed)'], ['broken', 'not run'], ['canceled', 'canceled'], ['skipped', 'skipped']]

function isCommand({ kind }: StepView): boolean {
  return kind === 'command' || kind === 'wait' || kind === 'group'
}

/** Of each row that is shown; null: it has not ended. */
function endsOf({ steps, jobs }: Content): readonly (End | null)[] {
  const current = jobs.filter(({ retried_by }) => retried_by === null)
  const withJobs = new Set(current.map(({ step }) => step))
  const alone = steps.filter(({ kind, step }) => kind !== 'wait' && kind !== 'group' && !withJobs.has(step))
  return [...current.map(endOf), ...alone.map(({ state, outcome }) => (state === 'done' ? (outcome ?? 'passed') : null))]
}

function endOf({ state, soft_failed }: JobView): End | null {
  switch (state) {
    case 'failed':
    case 'timed_out':
    case 'errored':
      return soft_failed ? 'soft_failed' : 'failed'
    case 'passed':
    case 'broken':
    case 'canceled':
    case 'skipped':
      return state
    default:
      return null
  }
}

/** From the start of its first job to the end of its last; `to` is null while one goes on. */
export function span({ state }: StepView, { jobs }: Content): { readonly from: string | null; readonly to: string | null } {
  const starts = jobs.flatMap(({ started_at }) => started_at ?? [])
  const ends = jobs.flatMap(({ finished_at, started_at }) => (started_at === null ? [] : (finished_at ?? [])))
  return { from: starts.length === 0 ? null : starts.reduce(earlier), to: state === 'done' && ends.length > 0 ? ends.reduce(later) : null }
}

/** Instants of one form are in order as texts. */
function earlier(a: string, b: string): string {
  return a < b ? a : b
}

function later(a: string, b: string): string {
  return a > b ? a : b
}
