/**
 * Pipelines of a world: what the first job of some builds uploads while it runs, and which of its steps may start when,
 * worked out here from the plan alone. It shares no code with what it watches [I28].
 */
import type { Concurrency, Pipeline, Step } from '../../schema/pipeline/steps.ts'
import { blockStep, commandStep, pipeline, placed, triggerStep, waitStep } from '../support/steps.ts'
import type { Dice } from './chance.ts'
import type { JobPlan } from './job-plan.ts'
import { WEBHOOK } from './webhooks.ts'

export interface StepPlan {
  readonly kind: 'command' | 'wait' | 'block' | 'trigger'
  /** Its key, and that of its block; the command is `BUILD/KEY`, also that of the build that a trigger starts. */
  readonly key: string
  /** Numbers of steps before it; null: what stands before the last wait or block. */
  readonly dependsOn: readonly { readonly step: number; readonly allowFailure: boolean }[] | null
  readonly continueOnFailure: boolean
  readonly softFail: boolean
  readonly isLeftOut: boolean
  /** It ends when another step fails. */
  readonly endsWithFailing: boolean
  /** Of a trigger: nobody waits for its build. */
  readonly isAsync: boolean
  readonly retries: number
  /** Null: it is in no concurrency group. */
  readonly concurrency: Concurrency | null
  /** Null: it has none. */
  readonly job: JobPlan | null
}

/** `groups` draws concurrency groups, few enough that builds meet in them; null: there are none. */
export function planSteps(dice: Dice, { planJob, groups }: { readonly planJob: () => JobPlan; readonly groups: Dice | null }): readonly StepPlan[] {
  return Array.from({ length: dice.whole(1, 8) }, (_, at): StepPlan => {
    const kind = dice.chance(0.72) ? (dice.chance(0.25) ? 'trigger' : 'command') : dice.chance(0.75) ? 'wait' : 'block'
    const runs = kind === 'command' || kind === 'trigger'
    const depends = kind !== 'wait' && at > 0 && dice.chance(0.3)
    return {
      kind,
      key: `s${at}`,
      dependsOn: depends ? [...new Set(Array.from({ length: dice.whole(1, 2) }, () => dice.whole(0, at - 1)))].map((step) => ({ step, allowFailure: dice.chance(0.25) })) : null,
      continueOnFailure: kind === 'wait' && dice.chance(0.25),
      softFail: runs && dice.chance(0.2),
      isLeftOut: dice.chance(0.12),
      endsWithFailing: kind === 'command' && dice.chance(0.2),
      isAsync: kind === 'trigger' && dice.chance(0.25),
      retries: kind === 'command' && dice.chance(0.2) ? dice.whole(1, 2) : 0,
      concurrency: kind === 'command' && groups?.chance(0.45) === true ? { group: groups.pick(['staging', 'production']), limit: groups.pick([1, 1, 1, 2, 3]), method: groups.chance(0.7) ? 'ordered' : 'eager' } : null,
      job: runs ? planJob() : null,
    }
  })
}

export function commandOf(build: string, { key }: StepPlan): string {
  return `${build}/${key}`
}

/** The project whose builds a trigger of this step starts: its own, so that its command tells whose it is. */
export function projectOf(build: string, { key }: StepPlan): string {
  return `${build}-${key}`
}

/** What is uploaded. */
export function pipelineOf(build: string, plans: readonly StepPlan[]): Pipeline {
  const steps = plans.map((plan): Step => {
    const common = { if: plan.isLeftOut ? 'false' : null, dependsOn: plan.dependsOn?.map(({ step, allowFailure }) => ({ step: `s${step}`, allowFailure })) ?? null }
    if (plan.kind === 'wait') return waitStep(plan.key, { ...common, continueOnFailure: plan.continueOnFailure })
    if (plan.kind === 'block') return blockStep(plan.key, common)
    if (plan.kind === 'trigger') return triggerStep(projectOf(build, plan), { ...common, key: plan.key, async: plan.isAsync, softFail: plan.softFail ? 'any' : 'none' })
    return commandStep(plan.key, {
      ...common,
      command: commandOf(build, plan),
      softFail: plan.softFail ? 'any' : 'none',
      concurrency: plan.concurrency,
      cancelOnBuildFailing: plan.endsWithFailing,
      retry: { automatic: plan.retries === 0 ? [] : [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: plan.retries }], manual: { allowed: true, reason: null, permitOnPassed: true } },
    })
  })
  return pipeline(placed(steps), { notify: isTold(plans) ? [WEBHOOK] : [] })
}

/** Whether a webhook is told of the build. */
function isTold(plans: readonly StepPlan[]): boolean {
  return plans.length % 2 === 0
}

/** Of a group, as this upload sets it; null: it names none. */
export function limitOf(plans: readonly StepPlan[], group: string): number | null {
  const limits = plans.flatMap(({ concurrency, isLeftOut }) => (concurrency?.group === group && !isLeftOut ? [concurrency.limit] : []))
  return limits.length === 0 ? null : Math.min(...limits)
}

/** Whether the jobs of a step stand in the line of their group before they are ready: no person is asked on the way to them. */
export function isInLine(plans: readonly StepPlan[], number: number): boolean {
  const plan = plans[number]
  if (plan === undefined) return false
  const needs = plan.dependsOn?.map(({ step }) => step) ?? (plan.kind === 'command' || plan.kind === 'trigger' || plan.isLeftOut ? implied(plans, number) : allBefore(plans, number))
  return needs.every((at) => plans[at]?.kind !== 'block' && plans[at]?.kind !== 'trigger' && isInLine(plans, at))
}

/** What a wait or block waits for. */
function allBefore(plans: readonly StepPlan[], number: number): readonly number[] {
  return [...Array(number).keys()].filter((at) => plans[at]?.kind === 'command' || plans[at]?.kind === 'trigger' || implied(plans, number).includes(at))
}

/** How a command step stands: over and good, over and not, ended without a failure of its own (cancelled, or broken by another's: no soft failure of a command excuses that), or neither. */
export type Standing = 'good' | 'bad' | 'unrun' | 'open'

export interface Standings {
  /** Of the newest job of a command step, or of the newest build of a trigger. */
  job(plan: StepPlan): Standing
  /** A trigger has started its build. */
  hasBegun(plan: StepPlan): boolean
  /** Somebody may have let the block pass. */
  isUnblocked(plan: StepPlan): boolean
}

/** Why the step of this number may not start; null: it may. */
export function whyNotYet(plans: readonly StepPlan[], number: number, now: Standings): string | null {
  const plan = plans[number]
  if (plan === undefined) return 'it has no plan'
  if (plan.isLeftOut) return 'it is left out'
  const needs = plan.dependsOn ?? implied(plans, number).map((step) => ({ step, allowFailure: false }))
  for (const { step, allowFailure } of needs) {
    const standing = standingOf(plans, step, now)
    if (standing === 'open') return `s${step} is not over`
    if (standing === 'bad' && !allowFailure) return `s${step} failed`
  }
  return null
}

/** What stands before the last wait or block that is not left out and has no dependencies of its own, and that itself; those with dependencies count as well. */
function implied(plans: readonly StepPlan[], number: number): readonly number[] {
  const needs: number[] = []
  for (let at = number - 1; at >= 0; at -= 1) {
    const plan = plans[at]
    if (plan === undefined || plan.kind === 'command' || plan.kind === 'trigger' || plan.isLeftOut) continue
    needs.push(at)
    if (plan.dependsOn === null) break
  }
  return needs
}

function standingOf(plans: readonly StepPlan[], number: number, now: Standings): Standing {
  const plan = plans[number]
  if (plan === undefined || plan.isLeftOut) return 'good'
  if (plan.kind === 'trigger' && plan.isAsync && now.hasBegun(plan)) return 'good'
  if (plan.kind === 'command' || (plan.kind === 'trigger' && now.hasBegun(plan))) {
    const standing = now.job(plan)
    if (standing === 'unrun') return plan.kind === 'trigger' && plan.softFail ? 'good' : 'bad' // a build that was cancelled is a failure of its trigger
    return standing === 'bad' && plan.softFail ? 'good' : standing
  }
  const before = plan.kind === 'trigger' ? implied(plans, number) : allBefore(plans, number)
  const needs = plan.dependsOn ?? before.map((step) => ({ step, allowFailure: false }))
  const standings = needs.map(({ step, allowFailure }) => {
    const standing = standingOf(plans, step, now)
    return standing === 'bad' && allowFailure ? 'good' : standing
  })
  if (standings.includes('open')) return 'open'
  if (standings.includes('bad') && !plan.continueOnFailure) return 'bad'
  return plan.kind === 'trigger' || (plan.kind === 'block' && !now.isUnblocked(plan)) ? 'open' : 'good'
}
