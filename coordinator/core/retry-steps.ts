/**
 * A person has the failed jobs of a build of steps tried again. Whatever did not run because of them waits again, as if
 * they had not ended yet, and what waits still, because more than they stand before it, waits for them again as well;
 * what ran meanwhile, because it allows failures, stays as it is.
 */
import { isFinal } from '../../schema/job.ts'
import type { BuildRow, Change, Decision, EdgeRow, Effect, JobRow, StepOutcome, StepRow } from './decision.ts'
import { joinQueue, waitAgain } from './gate.ts'
import { succeed } from './plan.ts'
import { jobEnded, outcomeOf, standing, verdictOf } from './step.ts'

export interface Graph {
  readonly steps: readonly StepRow[]
  readonly edges: readonly EdgeRow[]
}

/** `chosen`: final jobs that no other has succeeded yet. */
export function retrySteps(build: BuildRow, jobs: readonly JobRow[], { steps, edges }: Graph, chosen: readonly JobRow[], now: number): Decision {
  const changes: Change[] = []
  const effects: Effect[] = []
  const after = new Map(steps.map((step) => [step.s, step]))
  const edgesFrom = Map.groupBy(edges, ({ from }) => from)
  const edgesTo = Map.groupBy(edges, ({ to }) => to)
  const dependants = (s: number) => (edgesFrom.get(s) ?? []).flatMap(({ to }) => after.get(to) ?? [])
  const stands = (step: StepRow) => standing(step, (edgesTo.get(step.s) ?? []).flatMap((edge) => {
    const from = after.get(edge.from)
    return from === undefined ? [] : [{ edge, from }]
  }))

  /** Failed, with the jobs that are tried again. */
  const again = Map.groupBy(chosen.filter(({ step }) => step !== null && after.get(step)?.outcome !== 'broken'), ({ step }) => step ?? 0)
  /** Not run because of those. */
  const unrun = new Map<number, readonly JobRow[]>()
  for (const s of again.keys()) {
    const step = after.get(s)
    if (step !== undefined) after.set(s, { ...step, state: 'waiting' })
  }
  const line = [...again.keys()]
  for (let from = line.shift(); from !== undefined; from = line.shift()) {
    for (const to of dependants(from)) {
      if (!(to.outcome === 'broken' || (to.state === 'done' && to.isBroken && to.kind !== 'command'))) continue
      unrun.set(to.s, jobs.filter((job) => job.step === to.s && job.retriedBy === null && job.state === 'broken'))
      after.set(to.s, { ...to, state: 'waiting', outcome: null })
      line.push(to.s)
    }
  }

  let n = Math.max(...jobs.map((job) => job.n))
  const reopen = (s: number, old: readonly JobRow[], set: Partial<StepRow>) => {
    const step = after.get(s)
    if (step === undefined) return
    const change = { ...set, ...(set.state === 'waiting' && old.length > 0 ? { firstJob: n + 1, jobs: old.length } : {}) } // so that they are found when the step is let go
    for (const job of old) {
      const next = succeed(job, ++n, now, { begins: set.state === 'running' ? joinQueue(job) : waitAgain(job) })
      changes.push(...next.changes)
      if (next.job.state === 'queued') effects.push({ kind: 'ring-class', class: job.class, count: 1 })
    }
    after.set(s, { ...step, ...change })
    changes.push({ kind: 'step.set', key: step, set: change })
  }
  for (const before of steps) {
    const step = after.get(before.s)
    if (step === undefined) continue
    const [failed, broken] = [again.get(step.s), unrun.get(step.s)]
    if (failed !== undefined) {
      const rest = jobs.filter((job) => job.step === step.s && job.retriedBy === null && isFinal(job.state) && !failed.includes(job))
      const { needs, isBroken } = stands(step)
      // It ran before, so only what is open again holds it back.
      const held = needs > 0 ? { state: 'waiting' as const, needs, isBroken } : { state: 'running' as const }
      reopen(step.s, failed, { ...held, openJobs: (before.state === 'done' ? 0 : before.openJobs) + failed.length, outcome: outcomeOfAll(step, rest) })
    } else if (broken !== undefined) reopen(step.s, broken, { state: 'waiting', outcome: null, ...stands(step), openJobs: broken.length })
    else if (step.state === 'waiting' && (edgesTo.get(step.s) ?? []).some(({ from }) => again.has(from) || unrun.has(from))) reopen(step.s, [], stands(step))
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
