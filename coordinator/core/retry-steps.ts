/**
 * A person has the failed jobs of a build of steps tried again. Whatever did not run because of them waits again, as if
 * they had not ended yet; what ran meanwhile, because it allows failures, stays as it is.
 */
import { isFinal } from '../../schema/job.ts'
import type { BuildRow, Change, Decision, EdgeRow, Effect, JobRow, StepOutcome, StepRow } from './decision.ts'
import { joinQueue, waitAgain } from './gate.ts'
import { reopened, settleBuild, softFailOf, succeed } from './plan.ts'
import { jobEnded, letGo, LOST_STATUS, neverBegan, outcomeOf, pendingBits, ready, standing, verdictOf } from './step.ts'

export interface Graph {
  readonly steps: readonly StepRow[]
  readonly edges: readonly EdgeRow[]
}

export interface Chosen {
  /** Final ones that no other has succeeded yet. */
  readonly jobs: readonly JobRow[]
  /** By number: triggers that are done and run again, and what they become. */
  readonly triggers: ReadonlyMap<number, Partial<StepRow>>
  /** Steps that were cancelled before they began. */
  readonly neverBegan: 'again' | 'stay'
}

export function retrySteps(build: BuildRow, jobs: readonly JobRow[], { steps, edges }: Graph, { jobs: chosen, triggers, neverBegan: revived }: Chosen, now: number): Decision {
  const changes: Change[] = []
  const effects: Effect[] = []
  const after = new Map(steps.map((step) => [step.s, step]))
  const again = new Map<number, JobRow[]>()
  for (const job of chosen) if (job.step !== null) again.set(job.step, [...(again.get(job.step) ?? []), job])
  const edgesFrom = Map.groupBy(edges, ({ from }) => from)
  const set = (step: StepRow, change: Partial<StepRow>) => {
    after.set(step.s, { ...step, ...change })
    changes.push({ kind: 'step.set', key: step, set: change })
  }
  let n = Math.max(0, ...jobs.map((job) => job.n))
  const follow = (old: JobRow, state: 'queued' | 'waiting') => {
    const next = succeed(old, ++n, now, { begins: state === 'queued' ? joinQueue(old) : waitAgain(old) })
    changes.push(...next.changes)
    if (next.job.state === 'queued') effects.push({ kind: 'ring-class', class: old.class, count: 1 })
  }

  const isChosen = (s: number): boolean => again.has(s) || triggers.has(s)
  const reset = whoWaits(steps, edgesFrom, { isChosen, revived })
  for (const [s, old] of again) {
    const step = after.get(s)
    if (step === undefined || reset.has(s) || step.outcome === 'broken') continue
    for (const job of old) follow(job, 'queued')
    const rest = jobs.filter((job) => job.step === s && job.retriedBy === null && !old.some((one) => one.n === job.n))
    set(step, { spec: uncanceled(step), state: 'running', openJobs: step.openJobs + old.length, outcome: outcomeOfAll(step, rest) })
  }
  for (const [s, change] of triggers) {
    const step = after.get(s)
    if (step !== undefined && !reset.has(s)) set(step, change)
  }
  for (const step of steps) {
    if (!endedAfterCancel(step) || isChosen(step.s) || reset.has(step.s)) continue
    set(step, { outcome: outcomeOfAll(step, jobs.filter((job) => job.step === step.s && job.retriedBy === null)) })
  }
  for (const [s, row] of asIfUnended(reset, after, edges)) {
    const step = after.get(s)
    if (step === undefined) continue
    const { state, outcome, needs, isBroken } = row
    if (step.state === 'waiting') {
      if (needs !== step.needs || isBroken !== step.isBroken) set(step, { needs, isBroken })
      continue
    }
    const unrun = state === 'done' ? [] : (again.get(s) ?? jobs.filter((job) => job.step === s && job.retriedBy === null && (job.state === 'broken' || job.state === 'canceled')))
    const firstJob = n + 1
    for (const job of unrun) follow(job, state === 'running' ? 'queued' : 'waiting')
    const spec = triggers.get(s)?.spec ?? uncanceled(step)
    set(step, { state, outcome, needs, isBroken, openJobs: unrun.length, spec, ...(unrun.length > 0 ? { firstJob, jobs: unrun.length } : {}) })
  }
  const all = [...after.values()]
  const verdict = all.reduce((bits, step) => bits | (step.state === 'done' ? verdictOf(step) : pendingBits(step)), 0)
  const openSteps = all.filter(({ state }) => state !== 'done').length
  changes.push({ kind: 'build.set', was: build, set: { ...reopened(build), openSteps, verdict } })
  changes.push(...settleBuild({ ...build, state: null, openSteps, verdict }, [], now)) // what waits again may be broken at once by another
  return { changes, effects }
}

/** Why it was cancelled is over too. */
function uncanceled({ spec }: StepRow): StepRow['spec'] {
  return spec.canceled === undefined ? spec : { ...spec, canceled: null }
}

/** A cancel says of every step that it was cancelled; the jobs of some ended well meanwhile, so whoever was broken by that waits again. */
function endedAfterCancel(step: StepRow): boolean {
  return step.kind === 'command' && step.state === 'done' && step.outcome === 'canceled' && !neverBegan(step)
}

/** An earlier retry, of a job or of a build that a trigger started, had it go on, or wait, once more: what runs again behind it waits for that. */
function mayHoldUp({ state }: StepRow): boolean {
  return state !== 'done'
}

/** Numbers of the steps that are to wait again: those that never began, and what stands behind a step that runs again, as far as it ran no command yet or runs again too. */
function whoWaits(steps: readonly StepRow[], edgesFrom: ReadonlyMap<number, readonly EdgeRow[]>, { isChosen, revived }: { readonly isChosen: (s: number) => boolean; readonly revived: Chosen['neverBegan'] }): ReadonlySet<number> {
  const of = new Map(steps.map((step) => [step.s, step]))
  const waits = new Set(revived === 'stay' ? [] : steps.filter(neverBegan).map(({ s }) => s))
  const line = [...waits, ...steps.filter((step) => (isChosen(step.s) && step.outcome !== 'broken') || endedAfterCancel(step) || mayHoldUp(step)).map(({ s }) => s)]
  for (let from = line.shift(); from !== undefined; from = line.shift()) {
    for (const edge of edgesFrom.get(from) ?? []) {
      const to = of.get(edge.to)
      if (to === undefined || waits.has(to.s)) continue
      if (to.state === 'waiting') waits.add(to.s) // it was let go by what runs again, and has that before it again
      if (to.state !== 'done' && to.state !== 'blocked') continue
      const passesOn = to.kind === 'wait' || to.kind === 'block' || to.kind === 'group'
      if (revived === 'stay' && neverBegan(to)) continue
      if (!(to.outcome === 'broken' || (passesOn && to.outcome !== 'skipped') || isChosen(to.s))) continue
      waits.add(to.s)
      line.push(to.s)
    }
  }
  return waits
}

/** These steps as if they had not ended yet, but for what waits for nobody by now: that goes on at once. */
function asIfUnended(reset: ReadonlySet<number>, after: ReadonlyMap<number, StepRow>, edges: readonly EdgeRow[]): ReadonlyMap<number, StepRow> {
  const edgesTo = Map.groupBy(edges, ({ to }) => to)
  const edgesFrom = Map.groupBy(edges, ({ from }) => from)
  const rows = new Map<number, StepRow>()
  for (const s of reset) {
    const step = after.get(s)
    if (step === undefined) continue
    const before = (edgesTo.get(s) ?? []).flatMap((edge) => {
      const from = after.get(edge.from)
      return from === undefined ? [] : [{ edge, from: reset.has(from.s) ? { ...from, state: 'waiting' as const } : from }]
    })
    rows.set(s, { ...step, state: 'waiting', outcome: null, ...standing(step, before) })
  }
  const line = [...rows.values()].filter(({ needs }) => needs === 0)
  for (let row = line.shift(); row !== undefined; row = line.shift()) {
    const now = { ...row, ...ready(row) }
    rows.set(now.s, now)
    if (now.state !== 'done') continue
    for (const edge of edgesFrom.get(now.s) ?? []) {
      const to = rows.get(edge.to)
      if (to === undefined) continue
      const next = { ...to, ...letGo(to, now, edge) }
      rows.set(to.s, next)
      if (next.needs === 0) line.push(next)
    }
  }
  return rows
}

/** What the step came to by the jobs that stay. */
function outcomeOfAll(step: StepRow, jobs: readonly JobRow[]): StepOutcome | null {
  let so: StepRow = { ...step, outcome: null, openJobs: jobs.length + 1 }
  for (const job of jobs) {
    if (!isFinal(job.state)) continue
    const { exit_status: exitStatus } = (job.result === null ? {} : JSON.parse(job.result)) as { readonly exit_status?: number | null } // an accepted result, or what `lose` wrote
    so = { ...so, ...jobEnded(so, outcomeOf(job.state, exitStatus ?? LOST_STATUS, softFailOf(job, step))) }
  }
  return so.outcome
}
