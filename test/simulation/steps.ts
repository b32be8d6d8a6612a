/**
 * Pipelines of a world: what the first job of some builds uploads while it runs, and which of its steps may start when,
 * worked out here from the plan alone. It shares no code with what it watches [I28]. What jobs of these steps bring in
 * their turn, and do to each other, is planned in `acts.ts`; here is what that means to the steps that wait.
 */
import type { Pipeline, Step } from '../../schema/pipeline/steps.ts'
import { blockStep, commandStep, pipeline, placed, triggerStep, waitStep } from '../support/steps.ts'
import type { Dice } from './chance.ts'
import type { JobPlan } from './job-plan.ts'
import type { Place, StepPlan, Upload } from './step-plan.ts'
import { WEBHOOK } from './webhooks.ts'

interface Planning {
  readonly planJob: () => JobPlan
  /** Draws concurrency groups, few enough that builds meet in them; null: there are none. */
  readonly groups: Dice | null
  readonly most?: number
  /** How keys begin. */
  readonly prefix?: string
}

export function planSteps(dice: Dice, { planJob, groups, most = 8, prefix = 's' }: Planning): readonly StepPlan[] {
  return Array.from({ length: dice.whole(1, most) }, (_, at): StepPlan => {
    const kind = dice.chance(0.72) ? (dice.chance(0.25) ? 'trigger' : 'command') : dice.chance(0.75) ? 'wait' : 'block'
    const runs = kind === 'command' || kind === 'trigger'
    const depends = kind !== 'wait' && at > 0 && dice.chance(0.3)
    return {
      kind,
      key: `${prefix}${at}`,
      dependsOn: depends ? [...new Set(Array.from({ length: dice.whole(1, 2) }, () => dice.whole(0, at - 1)))].map((step) => ({ step, allowFailure: dice.chance(0.25) })) : null,
      continueOnFailure: kind === 'wait' && dice.chance(0.25),
      softFail: runs && dice.chance(0.2),
      isLeftOut: dice.chance(0.12),
      endsWithFailing: kind === 'command' && dice.chance(0.2),
      isAsync: kind === 'trigger' && dice.chance(0.25),
      retries: kind === 'command' && dice.chance(0.2) ? dice.whole(1, 2) : 0,
      concurrency: kind === 'command' && groups?.chance(0.45) === true ? { group: groups.pick(['staging', 'production']), limit: groups.pick([1, 1, 1, 2, 3]), method: groups.chance(0.7) ? 'ordered' : 'eager' } : null,
      job: runs ? planJob() : null,
      alsoOn: [],
      acts: [],
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
    const common = { if: plan.isLeftOut ? 'false' : null, dependsOn: plan.dependsOn === null ? null : [...plan.dependsOn.map(({ step, allowFailure }) => ({ step: plans[step]?.key ?? '', allowFailure })), ...plan.alsoOn.map(({ key, allowFailure }) => ({ step: key, allowFailure }))] }
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
  /** An upload has taken its place before it began. */
  isReplaced(plan: StepPlan): boolean
  /** Of those that the jobs of a step made, the ones that `waiter`, which waits for the step, waits for too. */
  uploadsOf(plan: StepPlan, waiter: StepPlan): readonly Upload[]
  /** Null: the build has none of that key. */
  placeOf(key: string): Place | null
}

interface Need extends Place {
  readonly allowFailure: boolean
}

/** Why the step may not start; null: it may. */
export function whyNotYet(place: Place, now: Standings): string | null {
  const plan = planAt(place)
  if (plan === undefined) return 'it has no plan'
  if (plan.isLeftOut) return 'it is left out'
  if (now.isReplaced(plan)) return 'it was replaced'
  for (const need of needsOf(place, now)) {
    const standing = standingFor(plan, need, now)
    if (standing === 'open') return `${planAt(need)?.key}, or what it uploaded, is not over`
    if (standing === 'bad') return `${planAt(need)?.key}, or what it uploaded, failed`
  }
  return null
}

/** Why the step may not end as one that another's failure keeps from running; null: it may. */
export function whyNotBroken(place: Place, now: Standings): string | null {
  const plan = planAt(place)
  if (plan === undefined || plan.isLeftOut) return 'it is left out'
  const standings = needsOf(place, now).map((need) => ({ need, standing: standingFor(plan, need, now) }))
  const open = standings.find(({ standing }) => standing === 'open')
  if (open !== undefined) return `${planAt(open.need)?.key}, or what it uploaded, is not over`
  return standings.some(({ standing }) => standing === 'bad') ? null : 'nothing that it waits for failed'
}

function planAt({ plans, number }: Place): StepPlan | undefined {
  return plans[number]
}

/** What a step waits for that runs jobs. */
function needsOf({ plans, number }: Place, now: Standings): readonly Need[] {
  const plan = plans[number]
  if (plan === undefined || plan.dependsOn === null) return implied(plans, number).map((step) => ({ plans, number: step, allowFailure: false }))
  return ownNeeds({ plans, number }, now)
}

/** What it names itself. */
function ownNeeds({ plans, number }: Place, now: Standings): readonly Need[] {
  const { dependsOn, alsoOn } = plans[number] ?? { dependsOn: null, alsoOn: [] }
  const known = alsoOn.flatMap(({ key, allowFailure }) => {
    const place = now.placeOf(key)
    return place === null ? [] : [{ plans: place.plans, number: place.number, allowFailure }]
  })
  return [...(dependsOn ?? []).map(({ step, allowFailure }) => ({ plans, number: step, allowFailure })), ...known]
}

/** How what `waiter` waits for stands: the step, and all that it uploaded. */
function standingFor(waiter: StepPlan, need: Need, now: Standings): Standing {
  const plan = planAt(need)
  const uploaded = plan === undefined ? [] : now.uploadsOf(plan, waiter).map(({ steps }) => worst(endOf(steps, waiter).map((number) => standingFor(waiter, { plans: steps, number, allowFailure: false }, now))))
  const standing = worst([standingOf(need, now), ...uploaded])
  return standing === 'bad' && need.allowFailure ? 'good' : standing
}

function worst(standings: readonly Standing[]): Standing {
  return standings.includes('open') ? 'open' : standings.includes('bad') ? 'bad' : 'good'
}

/** The steps of an upload after which all of it is done; for whoever minds what a wait among them let pass, all of them. */
function endOf(plans: readonly StepPlan[], waiter: StepPlan): readonly number[] {
  const all = allBefore(plans, plans.length)
  if (waiter.dependsOn === null && (waiter.kind === 'wait' || waiter.kind === 'block')) return all
  const barrier = plans.findLastIndex((plan) => (plan.kind === 'wait' || plan.kind === 'block') && plan.dependsOn === null && !plan.isLeftOut)
  return all.filter((at) => at >= barrier)
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

export function standingOf(place: Place, now: Standings): Standing {
  const { plans, number } = place
  const plan = plans[number]
  if (plan === undefined || plan.isLeftOut || now.isReplaced(plan)) return 'good'
  if (plan.kind === 'trigger' && plan.isAsync && now.hasBegun(plan)) return 'good'
  if (plan.kind === 'command' || (plan.kind === 'trigger' && now.hasBegun(plan))) {
    const standing = now.job(plan)
    if (standing === 'unrun') return plan.kind === 'trigger' && plan.softFail ? 'good' : 'bad' // a build that was cancelled is a failure of its trigger
    return standing === 'bad' && plan.softFail ? 'good' : standing
  }
  const before = plan.kind === 'trigger' ? implied(plans, number) : allBefore(plans, number)
  const needs = plan.dependsOn === null ? before.map((step) => ({ plans, number: step, allowFailure: false })) : ownNeeds(place, now)
  const standing = worst(needs.map((need) => standingFor(plan, need, now)))
  if (standing === 'open') return 'open'
  if (standing === 'bad' && !plan.continueOnFailure) return 'bad'
  return plan.kind === 'trigger' || (plan.kind === 'block' && !now.isUnblocked(plan)) ? 'open' : 'good'
}

