/** How the list of a build's steps is put in order and summed up. */
import type { JobView, StepView } from '../../schema/api.ts'
import type { AnyState } from './state.tsx'

/** The same jobs, each followed by the one that a retry put in its place. */
export function inChains(jobs: readonly JobView[]): readonly JobView[] {
  const byId = new Map(jobs.map((job) => [job.id, job]))
  const ordered = new Set<JobView>() // also what ends a chain that bites its tail
  for (const job of jobs) {
    if (job.retry_of !== null && byId.has(job.retry_of)) continue
    for (let at: JobView | undefined = job; at !== undefined && !ordered.has(at); at = at.retried_by === null ? undefined : byId.get(at.retried_by)) ordered.add(at)
  }
  for (const job of jobs) ordered.add(job)
  return [...ordered]
}

/** What a person would say of the whole group; its own row knows only whether it is done. `jobs`: those of its steps. */
export function groupState({ state, outcome }: StepView, members: readonly StepView[], jobs: readonly JobView[]): AnyState {
  const is = (...outcomes: readonly StepView['outcome'][]) => members.some((step) => outcomes.includes(step.outcome))
  if (state === 'done') {
    if (outcome === 'failed') return is('failed') || !is('broken', 'canceled') ? 'failed' : is('broken') ? 'broken' : 'canceled'
    return outcome === 'skipped' || (members.length > 0 && !is('passed', 'soft_failed')) ? 'skipped' : 'passed'
  }
  if (jobs.some((job) => job.state === 'running' || job.state === 'assigned') || members.some((step) => step.kind === 'trigger' && step.state === 'running')) return 'running'
  if (members.some((step) => step.state === 'blocked')) return 'blocked'
  return jobs.some((job) => job.state === 'queued') ? 'queued' : 'waiting'
}

/** `2 of 3 done, 1 failed (allowed)`: how far a group is, and what its state does not say. */
export function tally({ state }: StepView, members: readonly StepView[]): string {
  const steps = members.filter(({ kind }) => kind !== 'wait')
  const count = (outcome: StepView['outcome']) => steps.filter((step) => step.outcome === outcome).length
  const done = steps.filter((step) => step.state === 'done').length
  const parts: readonly (readonly [number, string])[] = [[count('failed'), 'failed'], [count('soft_failed'), 'failed (allowed)']]
  return [...(state === 'done' || done === 0 ? [] : [`${done} of ${steps.length} done`]), ...parts.flatMap(([n, what]) => (n === 0 ? [] : [`${n} ${what}`]))].join(', ')
}
