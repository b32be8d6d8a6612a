/**
 * Which steps of a build may start when, worked out from its plan alone: what each waits for, with waits, blocks and groups
 * between, and how all of that stands. It shares no code with what it watches [I28].
 */
import type { Place, StepPlan, Upload } from './step-plan.ts'

/** Whether the jobs of a step stand in the line of their group before they are ready: no person is asked on the way to them. */
export function isInLine(plans: readonly StepPlan[], number: number): boolean {
  return plans[number] !== undefined && waitsFor(plans, number).every((at) => !isAnswered(plans[at]) && isInLine(plans, at))
}

/** It is not up to jobs of the build alone when it is over. */
function isAnswered(plan: StepPlan | undefined): boolean {
  return plan?.kind === 'block' || plan?.kind === 'input' || plan?.kind === 'trigger'
}

/** Numbers of what a step waits for of its own upload. */
function waitsFor(plans: readonly StepPlan[], number: number): readonly number[] {
  const plan = plans[number]
  if (plan === undefined) return []
  if (plan.kind === 'group') return membersOf(plans, number)
  const named = [...(plan.dependsOn ?? []), ...(groupOf(plans, plan)?.dependsOn ?? [])].map(({ step }) => step)
  return plan.dependsOn === null ? [...named, ...(isStanding(plan) && !plan.isLeftOut ? allBefore(plans, number) : implied(plans, number))] : named
}

/** It stands between what is before and behind it, unless it is left out. */
function isStanding({ kind }: StepPlan): boolean {
  return kind === 'wait' || kind === 'block'
}

function groupOf(plans: readonly StepPlan[], { group }: StepPlan): StepPlan | undefined {
  return group === null ? undefined : plans[group]
}

function membersOf(plans: readonly StepPlan[], number: number): readonly number[] {
  return plans.flatMap((plan, at) => (plan.group === number ? [at] : []))
}

/** What a wait or block waits for, or minds: also what an earlier wait let pass, of its group or else of what stands between that and all before it. */
function allBefore(plans: readonly StepPlan[], number: number): readonly number[] {
  const group = plans[number]?.group ?? null
  const barriers = implied(plans, number)
  const own = plans.flatMap((plan, at) => (at < number && plan.group === group && (RUNS.has(plan.kind) || barriers.includes(at)) ? [at] : []))
  const around = group !== null && plans[group]?.dependsOn === null ? implied(plans, group) : []
  return [...own, ...around.flatMap((barrier) => [barrier, ...waitsFor(plans, barrier)])]
}

const RUNS = new Set<StepPlan['kind']>(['command', 'trigger', 'group'])

/** How a step with jobs or builds stands: over and good, over and not, ended without a failure of its own (cancelled, or broken by another's: no soft failure of a command excuses that), or neither. */
export type Standing = 'good' | 'bad' | 'unrun' | 'open'

export interface Standings {
  /** Of the newest jobs of a command step, what may fail taken for good, or of the newest builds of a trigger. */
  jobs(plan: StepPlan): Standing
  /** A trigger has started its build. */
  hasBegun(plan: StepPlan): boolean
  /** Somebody may have let the block pass. */
  isUnblocked(plan: StepPlan): boolean
  /** Of a trigger: a job has cancelled it before it began. */
  isCanceled(plan: StepPlan): boolean
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

/** What a step waits for that runs jobs or builds. */
function needsOf(place: Place, now: Standings): readonly Need[] {
  const { plans, number } = place
  const own = ownNeeds(place, now)
  return plans[number]?.dependsOn === null && plans[number].kind !== 'input' ? [...implied(plans, number).map((step) => ({ plans, number: step, allowFailure: false })), ...own] : own
}

/** What it names itself, and what its group does. */
function ownNeeds({ plans, number }: Place, now: Standings): readonly Need[] {
  const plan = plans[number]
  if (plan === undefined) return []
  return [plan, groupOf(plans, plan)].flatMap((one) => (one === undefined ? [] : namedBy(one, plans, now)))
}

function namedBy({ dependsOn, alsoOn }: StepPlan, plans: readonly StepPlan[], now: Standings): readonly Need[] {
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

export function worst(standings: readonly Standing[]): Standing {
  return (['open', 'bad', 'unrun'] as const).find((one) => standings.includes(one)) ?? 'good'
}

/** The steps of an upload after which all of it is done; for whoever minds what a wait among them let pass, all of them. */
function endOf(plans: readonly StepPlan[], waiter: StepPlan): readonly number[] {
  const all = allBefore(plans, plans.length)
  if (waiter.dependsOn === null && isStanding(waiter)) return all
  const barrier = plans.findLastIndex((plan) => isStanding(plan) && plan.group === null && plan.dependsOn === null && !plan.isLeftOut)
  return all.filter((at) => at >= barrier)
}

/** The last wait or block before it, of its group or else before that, which is not left out and has no dependencies of its own; those with dependencies count as well. */
function implied(plans: readonly StepPlan[], number: number): readonly number[] {
  const group = plans[number]?.group ?? null
  const needs: number[] = []
  for (let at = number - 1; at >= 0; at -= 1) {
    const plan = plans[at]
    if (plan === undefined || plan.group !== group || !isStanding(plan) || plan.isLeftOut) continue
    needs.push(at)
    if (plan.dependsOn === null) return needs
  }
  return group !== null && plans[group]?.dependsOn === null ? [...needs, ...implied(plans, group)] : needs
}

export function standingOf(place: Place, now: Standings): Standing {
  const { plans, number } = place
  const plan = plans[number]
  if (plan === undefined || plan.isLeftOut || now.isReplaced(plan)) return 'good'
  if (plan.kind === 'trigger' && plan.isAsync && now.hasBegun(plan)) return 'good'
  if (plan.kind === 'command' || (plan.kind === 'trigger' && now.hasBegun(plan))) {
    const standing = now.jobs(plan)
    return standing === 'unrun' ? 'bad' : standing
  }
  if (now.isCanceled(plan)) return 'bad'
  if (plan.kind === 'group') return worst(membersOf(plans, number).map((member) => standingFor(plan, { plans, number: member, allowFailure: false }, now)))
  const before = isStanding(plan) ? allBefore(plans, number) : plan.kind === 'input' ? [] : implied(plans, number)
  const needs = [...(plan.dependsOn === null ? before.map((step) => ({ plans, number: step, allowFailure: false })) : []), ...ownNeeds(place, now)]
  const standing = worst(needs.map((need) => standingFor(plan, need, now)))
  if (standing === 'open') return 'open'
  if (standing === 'bad' && !plan.continueOnFailure) return 'bad'
  return plan.kind === 'trigger' || (plan.kind !== 'wait' && !now.isUnblocked(plan)) ? 'open' : 'good'
}
