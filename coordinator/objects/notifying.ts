/**
 * At the end of every event, within its transaction: builds whose rows it changed want to tell what has become of them.
 * Which builds tell anybody is in memory, so that the others cost no row.
 */
import { Budget, type Context } from '../../schema/pipeline/conditional/conditional.ts'
import { contextOf } from '../core/condition-context.ts'
import type { BuildRow, Change, Notice, ProjectRow, StepRow } from '../core/decision.ts'
import { afterTry, blockedState, circumstances, dueAt, holds, standingOfBuild, standingOfStep, stepContext, want, withoutCommit, wordFor, type Standing, type Told } from '../core/notify.ts'
import * as load from '../store/load.ts'
import { buildName } from '../store/memory.ts'
import type { Event } from './event.ts'
import { triggeredFrom } from './triggered-from.ts'

type BuildKey = Pick<BuildRow, 'project' | 'number'>

/** What an event changed, by build: the numbers of its steps. */
export class Touched {
  readonly #builds = new Map<string, BuildKey & { readonly steps: Set<number> }>()

  note(change: Change): void {
    if (change.kind === 'build.set') this.#of(change.was)
    else if (change.kind === 'step.set') this.#of({ project: change.key.project, number: change.key.build }).steps.add(change.key.s)
    else if (change.kind === 'step.insert') this.#of({ project: change.row.project, number: change.row.build }).steps.add(change.row.s)
  }

  #of({ project, number }: BuildKey) {
    const name = buildName({ project, number })
    const known = this.#builds.get(name) ?? { project, number, steps: new Set<number>() }
    this.#builds.set(name, known)
    return known
  }

  all() {
    return [...this.#builds.values()]
  }
}

export function wantToTell(event: Event, touched: Touched): void {
  for (const { project, number, steps } of touched.all()) {
    const isTelling = event.memory.toTell.has(buildName({ project, number }))
    const build = isTelling ? load.build(event.on, project, number) : null
    if (build?.notify) keep(event, build, newsOf(event, build, build.notify, steps))
  }
}

/** The outcome of one try. */
export function noteTold(event: Event, key: BuildKey, at: number, tried: { readonly word: string; readonly nth: number }, told: Told): void {
  const build = load.build(event.on, key.project, key.number)
  if (!build?.notify) return
  const notices = build.notify.map((notice, index) => (index === at ? afterTry(notice, tried, told, { now: event.now, scale: event.numbers.scale }) : notice))
  keep(event, build, notices)
}

function keep(event: Event, build: BuildRow, notices: readonly Notice[]): void {
  const notifyAt = dueAt(notices, build)
  const isNews = notices.some((notice, index) => notice !== build.notify?.[index])
  if (isNews || notifyAt !== build.notifyAt) event.apply({ kind: 'build.set', was: build, set: { ...(isNews ? { notify: notices } : {}), notifyAt } })
}

function newsOf(event: Event, build: BuildRow, notices: readonly Notice[], touched: ReadonlySet<number>): readonly Notice[] {
  const ofBuild = lookAt(event, build)
  const project = projectOf(event, build)
  return notices.map((notice) => {
    const step = touched.has(notice.s) ? load.step(event.on, { project: build.project, build: build.number, s: notice.s }) : null
    if (notice.s > 0 && step === null) return withoutCommit(notice, build, project)
    const looked = step === null ? ofBuild : { ...ofBuild, standing: standingOfStep(step), blocks: [], step }
    try {
      return withoutCommit(news(event, build, notice, looked), build, project)
    } catch (error) {
      // What a pipeline says of others may not keep its agents from being heard.
      console.error(`kedge: it cannot be decided what build ${build.number} of ${project.slug} tells others`, error)
      return notice
    }
  })
}

function projectOf(event: Event, { project, number }: BuildKey): ProjectRow {
  const row = event.memory.projects.get(project)
  if (row === undefined) throw new Error(`build ${number} is of no project`)
  return row
}

/** How that stands which a notice is about. */
interface Looked {
  readonly standing: Standing
  /** Of the whole build, for conditions. */
  readonly ofBuild: Standing
  readonly blocks: readonly StepRow[]
  readonly step: StepRow | null
  /** Of which all conditions of an event are paid. */
  readonly budget: Budget
}

function lookAt(event: Event, build: BuildRow): Looked {
  const blocks = build.state === null ? load.openBlocks(event.on, build) : []
  const isRunning = blocks.length > 0 && load.isSomeStepRunning(event.on, build)
  const standing = standingOfBuild(build, { blocks: blocks.length, isRunning })
  return { standing, ofBuild: standing, blocks, step: null, budget: new Budget() }
}

function news(event: Event, build: BuildRow, notice: Notice, { standing, ofBuild, blocks, step, budget }: Looked): Notice {
  const word = wordFor(notice, standing, blockedState(blocks))
  const wanting = want(notice, word, event.now)
  if (wanting === notice || notice.if === null) return wanting
  const context = contextFor(event, build, notice, { ofBuild, step })
  const now = circumstances(context)
  if (notice.heldNot === now) return notice
  return holds(notice, context, budget) ? wanting : { ...notice, heldNot: now }
}

function contextFor(event: Event, build: BuildRow, notice: Notice, { ofBuild, step }: Pick<Looked, 'ofBuild' | 'step'>): Context {
  const project = projectOf(event, build)
  const first = build.parent === null ? null : load.job(event.on, { project: build.project, build: build.number, n: 1 })
  const context = contextOf({ build, project, triggeredFrom: first && triggeredFrom(first), env: { ...notice.env, ...build.env } })
  return { ...context, build: { ...context.build, state: ofBuild }, ...(step === null ? {} : { step: stepContext(step) }) }
}

/** Those of an upload; its steps come afterwards. `notices`: all that the build has then. */
export function keepNotices(event: Event, build: BuildRow, notices: readonly Notice[] | null): void {
  if (notices === null || notices.length === (build.notify?.length ?? 0)) return
  event.apply({ kind: 'build.set', was: build, set: { notify: notices, notifyAt: dueAt(notices, build) } })
}
