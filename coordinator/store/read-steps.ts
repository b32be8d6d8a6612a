/** The steps of a build as people see them, and why one of them waits. Reads only. */
import type { BuildLink, StepView, Waiting } from '../../schema/api.ts'
import type { BuildRow, EdgeRow, ProjectRow, StepRow } from '../core/decision.ts'
import * as load from './load.ts'
import type { Sql } from './sql.ts'
import { becauseOf, culpritsOf } from './why-broken.ts'

export interface StepsOfBuild {
  readonly rows: ReadonlyMap<number, StepRow>
  readonly edgesTo: ReadonlyMap<number, readonly EdgeRow[]>
  /** Of those that are broken. */
  readonly culprits: ReadonlyMap<number, readonly StepRow[]>
  /** Of each project. */
  readonly slugs: ReadonlyMap<number, Pick<ProjectRow, 'slug'>>
}

export const NO_STEPS: StepsOfBuild = { rows: new Map(), edgesTo: new Map(), culprits: new Map(), slugs: new Map() }

export function readSteps(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>, slugs: StepsOfBuild['slugs']): StepsOfBuild {
  const rows = new Map(load.stepsOfBuild(on, project, number).map((row) => [row.s, row]))
  const edgesTo = Map.groupBy(load.edgesOfBuild(on, project, number), ({ to }) => to)
  return { slugs, rows, edgesTo, culprits: culpritsOf({ rows, edgesTo }) }
}

/** `link` shows a build that a trigger of theirs started. */
export function stepViews(steps: StepsOfBuild, link: (project: number, build: number) => BuildLink | null): readonly StepView[] {
  return [...steps.rows.values()]
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map((row) => ({
      step: row.s,
      kind: row.kind,
      key: row.key,
      label: row.label,
      group: row.groupStep,
      state: row.state,
      outcome: row.state === 'done' ? row.outcome : null,
      waits_for: awaited(steps, row).map(({ s }) => s),
      skipped: row.spec.skipped,
      broken: whyBroken(steps, row.s),
      prompt: row.spec.block?.prompt ?? null,
      submit: row.spec.block?.submit ?? null,
      fields: row.spec.block?.fields ?? [],
      trigger: triggerView(steps, row, link),
      unblocked: row.spec.unblocked === null ? null : { by: row.spec.unblocked.by, at: new Date(row.spec.unblocked.at).toISOString(), answers: row.spec.unblocked.answers },
    }))
}

function triggerView({ slugs }: StepsOfBuild, { spec: { trigger } }: StepRow, link: (project: number, build: number) => BuildLink | null): StepView['trigger'] {
  if (trigger === undefined) return null
  const builds = trigger.builds.flatMap(({ number }) => (number === null ? [] : (link(trigger.project, number) ?? [])))
  return { project: slugs.get(trigger.project)?.slug ?? '?', async: trigger.async, builds, refused: trigger.refused }
}

function awaited(steps: StepsOfBuild, row: StepRow): readonly StepRow[] {
  if (row.state !== 'waiting') return []
  return (steps.edgesTo.get(row.s) ?? []).flatMap(({ from }) => {
    const step = steps.rows.get(from)
    return step === undefined || step.state === 'done' ? [] : [step]
  })
}

/** What kept a step from being run, as the end of a sentence: `"Lint" failed`; null where nothing did. */
export function whyBroken({ culprits }: StepsOfBuild, s: number | null): string | null {
  return s === null ? null : becauseOf(culprits.get(s), nameOf)
}

/** How many steps a sentence names. */
const NAMED = 4

/** Why the jobs of a step are not in the queue; through waits and groups to whom they wait for in truth. */
export function whyStepWaits(steps: StepsOfBuild, s: number | null): Waiting {
  const row = s === null ? undefined : steps.rows.get(s)
  const found = row === undefined ? [] : sources(steps, row)
  const block = found.find(({ state }) => state === 'blocked')
  const others = found.filter((step) => step !== block)
  if (block !== undefined && others.length === 0) return { code: 'block', reason: `waits until somebody lets "${nameOf(block)}" pass` }
  const names = others.slice(0, NAMED).map((step) => `"${nameOf(step)}"${startedBy(steps, step)}`)
  const more = others.length - names.length
  return { code: others.every(({ kind }) => kind === 'trigger') && others.length > 0 ? 'trigger' : 'dependency', reason: `waits for ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}` }
}

/** The steps that are under way or asked about, on which this one depends in the end. */
function sources(steps: StepsOfBuild, row: StepRow): readonly StepRow[] {
  const seen = new Set<number>()
  const found: StepRow[] = []
  const line = [row]
  for (let at = line.shift(); at !== undefined; at = line.shift()) {
    for (const step of awaited(steps, at)) {
      if (seen.has(step.s)) continue
      seen.add(step.s)
      if (step.state === 'waiting' && (step.kind === 'wait' || step.kind === 'group')) line.push(step)
      else found.push(step)
    }
  }
  return found
}

/** Its builds that are not over: ` (deploy #3)`. */
function startedBy({ slugs }: StepsOfBuild, { state, spec: { trigger } }: StepRow): string {
  const open = state !== 'running' ? [] : (trigger?.builds ?? []).filter(({ outcome }) => outcome === null)
  const [first] = open
  if (trigger === undefined || first === undefined) return ''
  return ` (${slugs.get(trigger.project)?.slug ?? '?'} #${first.number}${open.length > 1 ? ` and ${open.length - 1} more` : ''})`
}

export function nameOf(step: Pick<StepRow, 's' | 'key' | 'label' | 'kind'>): string {
  return step.label ?? step.key ?? `step ${step.s} (${step.kind})`
}
