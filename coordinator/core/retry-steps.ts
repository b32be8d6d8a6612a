/**
 * A person has the failed jobs of a build of steps tried again. Whatever did not run because of them waits again, as if
 * they had not ended yet; what ran meanwhile, because it allows failures, stays as it is.
 */
import { isFinal } from '../../schema/job.ts'
import type { BuildRow, Change, Decision, EdgeRow, Effect, JobRow, StepOutcome, StepRow } from './decision.ts'
import { succeed } from './plan.ts'
import { isFailure, jobEnded, outcomeOf, verdictOf } from './step.ts'

export interface Graph {
  readonly steps: readonly StepRow[]
  readonly edges: readonly EdgeRow[]
}

/** `chosen`: final jobs that no other has succeeded yet. */
export function retrySteps(build: BuildRow, jobs: readonly JobRow[], { steps, edges }: Graph, chosen: readonly JobRow[], now: number): Decision {
  const changes: Change[] = []
  const effects: Effect[] = []
  const after = new Map(steps.map((step) => [step.s, step]))
  const again = new Map<number, JobRow[]>()
  for (const job of chosen) if (job.step !== null) again.set(job.step, [...(again.get(job.step) ?? []), job])
  const edgesFrom = Map.groupBy(edges, ({ from }) => from)
  const edgesTo = Map.groupBy(edges, ({ to }) => to)
  const set = (step: StepRow, change: Partial<StepRow>) => {
    after.set(step.s, { ...step, ...change })
    changes.push({ kind: 'step.set', key: step, set: change })
  }
  let n = Math.max(...jobs.map((job) => job.n))
  const follow = (old: JobRow, state: 'queued' | 'waiting') => {
    const next = succeed(old, ++n, now, { state })
    changes.push(...next.changes)
    if (state === 'queued') effects.push({ kind: 'ring-class', class: old.class, count: 1 })
  }

  const line: number[] = []
  for (const [s, old] of again) {
    const step = after.get(s)
    if (step === undefined || step.outcome === 'broken') continue
    for (const job of old) follow(job, 'queued')
    const rest = jobs.filter((job) => job.step === s && job.retriedBy === null && isFinal(job.state) && !old.includes(job))
    set(step, { state: 'running', openJobs: (step.state === 'done' ? 0 : step.openJobs) + old.length, outcome: outcomeOfAll(step, rest) })
    line.push(s)
  }
  const reset = new Set<number>()
  for (let from = line.shift(); from !== undefined; from = line.shift()) {
    for (const edge of edgesFrom.get(from) ?? []) {
      const to = after.get(edge.to)
      if (to === undefined || reset.has(to.s) || !(to.outcome === 'broken' || (to.state === 'done' && to.isBroken && to.kind !== 'command'))) continue
      reset.add(to.s)
      line.push(to.s)
    }
  }
  for (const s of reset) {
    const step = after.get(s)
    if (step !== undefined) after.set(s, { ...step, state: 'waiting', outcome: null })
  }
  for (const s of reset) {
    const step = after.get(s)
    if (step === undefined) continue
    const before = (edgesTo.get(s) ?? []).map((edge) => ({ edge, from: after.get(edge.from) }))
    const broken = jobs.filter((job) => job.step === s && job.retriedBy === null && job.state === 'broken')
    const firstJob = n + 1
    for (const job of broken) follow(job, 'waiting')
    set(step, {
      state: 'waiting',
      outcome: null,
      needs: before.filter(({ from }) => from !== undefined && from.state !== 'done').length,
      isBroken: before.some(({ edge, from }) => from?.state === 'done' && isFailure(from.outcome) && !edge.allowFailure),
      openJobs: broken.length,
      ...(broken.length > 0 ? { firstJob, jobs: broken.length } : {}),
    })
  }
  const all = [...after.values()]
  const verdict = all.reduce((bits, step) => (step.state === 'done' ? bits | verdictOf(step) : bits), 0)
  changes.push({ kind: 'build.set', project: build.project, number: build.number, set: { state: null, finishedAt: null, openSteps: all.filter(({ state }) => state !== 'done').length, verdict } })
  return { changes, effects }
}

/** What the step came to by the jobs that stay. */
function outcomeOfAll(step: StepRow, jobs: readonly JobRow[]): StepOutcome | null {
  let so: StepRow = { ...step, outcome: null, openJobs: jobs.length + 1 }
  for (const job of jobs) {
    if (!isFinal(job.state)) continue
    const { exit_status: exitStatus = null } = (job.result === null ? {} : JSON.parse(job.result)) as { readonly exit_status?: number | null } // an accepted result, or what `lose` wrote
    so = { ...so, ...jobEnded(so, outcomeOf(job.state, exitStatus, step.spec.softFail)) }
  }
  return so.outcome
}
