/**
 * How the steps of a build go on. A step is done when its jobs are final; that lets go whoever waited for it, and what is
 * let go without jobs of its own (a wait, a group) is done at once and lets go the next. Each function here decides about
 * one row; `objects/progress.ts` walks from row to row.
 *
 * A step holds the number of those that it still waits for, so that nobody ever has to look at all of them: a build of a
 * thousand jobs costs no more per job than one of ten.
 */
import type { FinalJobState } from '../../schema/job.ts'
import type { AutomaticRetry, SoftFail } from '../../schema/pipeline/steps.ts'
import { STEP_OUTCOMES, type BuildRow, type EdgeRow, type JobRow, type StepKey, type StepOutcome, type StepRow } from './decision.ts'

/** As jobs know it, in BUILDKITE_STEP_ID. */
export function stepId({ project, build, s }: StepKey): string {
  return `S${project}-${build}-${s}`
}

/** Bits of a build's `verdict`. `stops`: a step that is not done is cancelled as soon as one has failed. */
export const VERDICT = { failed: 1, canceled: 2, ran: 4, stops: 8 } as const

/** What Buildkite calls the exit status of a command that has none: its agent was lost, or a signal ended it. */
export const LOST_STATUS = -1

/** What a job's end means to its step. */
export function outcomeOf(state: FinalJobState, exitStatus: number | null, softFail: SoftFail): StepOutcome {
  if (state === 'passed' || state === 'skipped' || state === 'canceled' || state === 'broken') return state
  const isSoft = softFail === 'any' || (softFail !== 'none' && exitStatus !== null && softFail.includes(exitStatus))
  return isSoft ? 'soft_failed' : 'failed'
}

/** One of the step's jobs is final and is not tried again. */
export function jobEnded(step: StepRow, outcome: StepOutcome): Partial<StepRow> {
  const openJobs = step.openJobs - 1
  return { openJobs, outcome: graver(step.outcome, outcome), ...(openJobs === 0 ? { state: 'done' } : {}) }
}

export function graver(a: StepOutcome | null, b: StepOutcome): StepOutcome {
  return a === null || STEP_OUTCOMES.indexOf(b) > STEP_OUTCOMES.indexOf(a) ? b : a
}

/** Whether a step that came to this stops those that wait for it and do not allow that. */
function isFailure(outcome: StepOutcome | null): boolean {
  return outcome === 'failed' || outcome === 'canceled' || outcome === 'broken'
}

/**
 * A step that `to` waits for is done. A wait that let failures pass lets the steps behind it run, but the next wait
 * or block, which stands behind all of them, remembers them: only a wait that says so itself lets them pass again.
 */
export function letGo(to: StepRow, from: StepRow, edge: Pick<EdgeRow, 'allowFailure'>): Partial<StepRow> {
  return { needs: to.needs - 1, isBroken: to.isBroken || breaks(to, from, edge), ...learned(to, from) }
}

/** Who let a block pass is known to all that stands behind it. */
function learned({ spec }: StepRow, from: StepRow): Pick<StepRow, 'spec'> | null {
  const unblocker = from.spec.unblocked?.by ?? from.spec.unblocker
  return unblocker === undefined || unblocker === spec.unblocker ? null : { spec: { ...spec, unblocker } }
}

/** What `letGo` made of a step, worked out anew from all that it waits for: some of those may not be done any more. */
export function standing(to: StepRow, before: readonly { readonly edge: Pick<EdgeRow, 'allowFailure'>; readonly from: StepRow }[]): Pick<StepRow, 'needs' | 'isBroken'> {
  const done = before.filter(({ from }) => from.state === 'done')
  return { needs: before.length - done.length, isBroken: done.some(({ edge, from }) => breaks(to, from, edge)) }
}

/** Whether the end of `from` stops `to`. */
export function breaks(to: StepRow, from: StepRow, { allowFailure }: Pick<EdgeRow, 'allowFailure'>): boolean {
  return !allowFailure && (isFailure(from.outcome) || (from.kind === 'wait' && from.isBroken && remembers(to, from)))
}

function remembers(to: StepRow, wait: StepRow): boolean {
  return to.spec.remembers === 'group' ? to.groupStep === wait.groupStep : to.spec.remembers
}

/** It was cancelled while it waited for others or for a person: that is where it goes on when a person has it tried again. */
export function neverBegan({ outcome, kind, needs }: StepRow): boolean {
  return outcome === 'canceled' && (needs > 0 || (kind !== 'command' && kind !== 'trigger'))
}

/** It waits for others, or will once more: whoever is put before it holds it up. */
export function mayWait(step: StepRow): boolean {
  return step.state === 'waiting' || neverBegan(step)
}

/** A step that waits for nobody any more: what becomes of it. Its jobs, if it has any, are queued or broken with it. */
export function ready(step: StepRow): Partial<StepRow> & Pick<StepRow, 'state'> {
  switch (step.kind) {
    case 'wait':
      return { state: 'done', outcome: step.isBroken && !step.spec.continueOnFailure ? 'broken' : 'passed' }
    case 'group':
      return { state: 'done', outcome: step.isBroken ? 'failed' : 'passed' }
    case 'block':
      if (step.isBroken) return { state: 'done', outcome: 'broken' }
      return step.spec.unblocked !== null ? { state: 'done', outcome: 'passed' } : { state: 'blocked' } // whoever let it pass did so for good
    case 'command':
    case 'trigger': // its builds are started by whoever stores this
      return step.isBroken ? { state: 'done', outcome: 'broken', openJobs: 0 } : { state: 'running' }
    default:
      return step.kind satisfies never
  }
}

/** What a step that is done adds to its build. A group only repeats what its steps came to. */
export function stepDone(build: Pick<BuildRow, 'openSteps' | 'verdict'>, step: StepRow): Pick<BuildRow, 'openSteps' | 'verdict'> {
  return { openSteps: (build.openSteps ?? 0) - 1, verdict: build.verdict | verdictOf(step) }
}

export function verdictOf(step: StepRow): number {
  if (step.kind === 'group' || step.kind === 'wait') return 0
  switch (step.outcome) {
    case 'failed':
    case 'broken':
      return VERDICT.failed
    case 'canceled':
      return VERDICT.canceled
    case 'passed':
    case 'soft_failed':
      return VERDICT.ran
    default:
      return 0
  }
}

/** The build has failed, whatever else comes, and steps of it are to be cancelled for that. */
export function mustStop({ verdict }: Pick<BuildRow, 'verdict'>): boolean {
  return (verdict & VERDICT.failed) !== 0 && (verdict & VERDICT.stops) !== 0
}

/** What a step that is not done adds. */
export function pendingBits(step: StepRow): number {
  return step.spec.cancelOnBuildFailing === true ? VERDICT.stops : 0
}

/** How often a step's job was tried before this one, by a rule or a person. */
export interface Tried {
  readonly exitStatus: number | null
  readonly signal: string | null
  /** Such as `agent_lost`. */
  readonly reason: string | null
  readonly retries: number
}

/** The rule by which the job is to be tried again, or null. */
export function retryRule(rules: readonly AutomaticRetry[], tried: Tried): AutomaticRetry | null {
  const rule = rules.find((one) => matches(one, tried))
  return rule !== undefined && tried.retries < rule.limit ? rule : null
}

function matches(rule: AutomaticRetry, { exitStatus, signal, reason }: Tried): boolean {
  const isStatus = rule.exitStatus === 'any' ? exitStatus !== 0 : exitStatus !== null && rule.exitStatus.includes(exitStatus)
  const isSignal = rule.signal === 'any' || rule.signal === 'none' ? rule.signal === 'any' || signal === null : signal?.replace(/^SIG/, '') === rule.signal
  const isReason = rule.signalReason === 'any' || rule.signalReason === (reason ?? 'none')
  return isStatus && isSignal && isReason
}

/** Whether a job that ended so may be tried again at all: nobody asks for what was cancelled. */
export function mayRetry(job: Pick<JobRow, 'cancel'>, state: FinalJobState): boolean {
  return !job.cancel && (state === 'failed' || state === 'timed_out' || state === 'errored')
}
