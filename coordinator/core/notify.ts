/**
 * Whom a build tells how it goes. Each notice is a level, not an edge: it holds what the other side has confirmed and what
 * it is to be told, and both follow from how the build stands. So a state that passes before it was told is left out, a
 * restart loses nothing, and the last word is always the state that stays.
 */
import { Budget, evaluate, parseConditional, type Context } from '../../schema/pipeline/conditional/conditional.ts'
import { NOT_YET, type BuildRow, type Notice, type ProjectRow, type StepRow } from './decision.ts'
import { VERDICT } from './step.ts'

/** What every forge knows, in GitHub's words. */
export const STATUSES = ['pending', 'success', 'failure', 'error'] as const
export type Status = (typeof STATUSES)[number]

/** How a build or a step stands, as far as others are told. `failing`: something failed, and the rest goes on. */
export type Standing = 'running' | 'failing' | 'blocked' | 'passed' | 'soft_failed' | 'failed' | 'canceled' | 'broken' | 'skipped'

/** `blocks`: those that wait for a person; `isRunning`: some step goes on by itself. */
export function standingOfBuild({ state, verdict }: Pick<BuildRow, 'state' | 'verdict'>, { blocks, isRunning }: { readonly blocks: number; readonly isRunning: boolean }): Standing {
  if (state !== null) return state
  if (verdict & VERDICT.failed) return 'failing'
  return blocks > 0 && !isRunning ? 'blocked' : 'running'
}

export function standingOfStep({ state, outcome }: Pick<StepRow, 'state' | 'outcome'>): Standing {
  if (state === 'done') return outcome ?? 'passed'
  return outcome === 'failed' ? 'failing' : 'running'
}

/** What the notice says of it. `blocked`: as what the blocks have a build count that waits at them, the gravest first. */
export function wordFor(notice: Pick<Notice, 'to' | 'blockedAsPending'>, standing: Standing, blocked: BlockedState = 'passed'): string {
  return notice.to.kind === 'webhook' ? standing : statusOf(standing, notice.blockedAsPending ? 'running' : blocked)
}

export type BlockedState = 'passed' | 'failed' | 'running'

const GRAVITY: readonly BlockedState[] = ['failed', 'running', 'passed']

export function blockedState(blocks: readonly StepRow[]): BlockedState {
  return GRAVITY.find((state) => blocks.some(({ spec }) => spec.block?.state === state)) ?? 'passed'
}

function statusOf(standing: Standing, blocked: BlockedState): Status {
  switch (standing) {
    case 'running':
      return 'pending'
    case 'blocked':
      return blocked === 'failed' ? 'failure' : blocked === 'running' ? 'pending' : 'success'
    case 'passed':
    case 'soft_failed':
    case 'skipped':
      return 'success'
    case 'failing':
    case 'failed':
      return 'failure'
    case 'canceled':
    case 'broken':
      return 'error'
    default:
      return standing satisfies never
  }
}

/** Whether it is to be told of a build that stands so. One that cannot be decided is not, as Buildkite has it. */
export function holds(notice: Pick<Notice, 's' | 'if'>, context: Context, budget: Budget = new Budget()): boolean {
  if (notice.if === null) return true
  const read = parseConditional(notice.if, { stepVariables: notice.s > 0, budget })
  const verdict = read.ok ? evaluate(read.conditional, context, { budget }) : read
  return verdict.ok && verdict.holds
}

/** All of what a condition is decided by that may change while its build goes on. */
export function circumstances({ build, step }: Context): string {
  return [build.state, build.commit === null ? 'no commit' : 'commit', step?.state, step?.outcome].filter((one) => one !== undefined && one !== null).join(' ')
}

/** The words that conditions have for how a step stands. */
export function stepContext({ kind, key, label, state, outcome }: StepRow): NonNullable<Context['step']> {
  const outcomes = { passed: 'passed', soft_failed: 'soft_failed', failed: 'hard_failed', canceled: 'errored', broken: 'errored', skipped: 'neutral' } as const
  const states = { waiting: 'waiting_for_dependencies', running: outcome === 'failed' ? 'failing' : 'running', blocked: 'waiting_for_input', done: 'finished' } as const
  return { key, label, type: kind === 'block' ? 'input' : kind, state: states[state], outcome: state === 'done' && outcome !== null ? outcomes[outcome] : null }
}

/** The notice when it is to say this. The same object: it says so already, or is about to. */
export function want(notice: Notice, word: string, now: number): Notice {
  if (word === (notice.wanted ?? notice.gaveUp ?? notice.told)) return notice
  // One that waits for its next try goes on waiting: the other side is no better for news.
  const begun = notice.wanted === null ? { since: now, at: now, tries: 0, problem: null } : {}
  return { ...notice, ...begun, wanted: word, gaveUp: null, nth: notice.nth + 1 }
}

/** How a try went. `afterMs`: when the other side said that it may be asked again; null: it did not say. */
export type Told =
  | { readonly kind: 'told' }
  | { readonly kind: 'again'; readonly why: string; readonly afterMs: number | null }
  | { readonly kind: 'refused'; readonly why: string }

const FIRST_WAIT_MS = 5000
const LONGEST_WAIT_MS = 15 * 60_000
const LONGEST_ASKED_MS = 3_600_000
const TRIED_FOR_MS = 24 * 3_600_000

/** The notice after this word was tried, which it was to say as its `nth`. `scale` divides all times. */
export function afterTry(notice: Notice, { word, nth }: { readonly word: string; readonly nth: number }, told: Told, { now, scale }: { readonly now: number; readonly scale: number }): Notice {
  const isNewest = notice.nth === nth && notice.wanted !== null
  if (told.kind === 'told') return { ...notice, told: word, tries: 0, problem: null, ...(isNewest ? { wanted: null, since: null } : { since: now, at: now }) }
  if (!isNewest) return { ...notice, problem: told.why }
  const afterMs = told.kind === 'refused' ? 0 : told.afterMs === null ? Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** notice.tries) / scale : Math.min(LONGEST_ASKED_MS, told.afterMs)
  const isLast = told.kind === 'refused' || now + afterMs - (notice.since ?? now) > TRIED_FOR_MS / scale
  if (isLast) return { ...notice, wanted: null, gaveUp: word, since: null, tries: 0, problem: told.why }
  return { ...notice, at: now + afterMs, tries: notice.tries + 1, problem: told.why }
}

/** What can be told as soon as its time has come: a status is of a commit, and a build may not know its own yet. */
export function isReady({ to, wanted }: Notice, { commit }: Pick<BuildRow, 'commit'>): boolean {
  return wanted !== null && (to.kind === 'webhook' || commit !== null)
}

/** Nothing waits longer than this: what seems to was written before the clock was set back. */
export function isDue(at: number, now: number): boolean {
  return at <= now || (at !== NOT_YET && at > now + LONGEST_ASKED_MS)
}

export const NO_REPOSITORY = 'the project has no repository, so no commit of a forge is built'
export const NO_COMMIT = 'the build ended before it knew its commit'

/** A build that is over will not learn its commit any more, and one without a repository never. */
export function withoutCommit(notice: Notice, { commit, state }: Pick<BuildRow, 'commit' | 'state'>, { repository }: Pick<ProjectRow, 'repository'>): Notice {
  const problem = repository === null ? NO_REPOSITORY : state !== null ? NO_COMMIT : null
  if (commit !== null || problem === null || notice.wanted === null || notice.to.kind === 'webhook') return notice
  return { ...notice, wanted: null, gaveUp: notice.wanted, since: null, problem }
}

/** When the next of them is due, as the build's row has it. */
export function dueAt(notices: readonly Notice[], build: Pick<BuildRow, 'commit' | 'state'>): number | null {
  const times = notices.filter((notice) => isReady(notice, build)).map(({ at }) => at)
  if (times.length > 0) return Math.min(...times)
  return build.state === null ? NOT_YET : null
}
