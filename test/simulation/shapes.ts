/**
 * Shapes that a pipeline's steps take on once they are planned: several jobs of one step or builds of one trigger, groups,
 * inputs, failures that are soft by their exit status, jobs that nobody may have tried again. Dice of their own draw them.
 */
import type { Dice } from './chance.ts'
import type { JobPlan } from './job-plan.ts'
import type { Parallel, StepPlan } from './step-plan.ts'

export interface Shaping {
  readonly dice: Dice
  readonly planJob: () => JobPlan
}

export function shapeSteps(plans: readonly StepPlan[], shaping: Shaping): readonly StepPlan[] {
  return inGroups(plans.map((plan) => shapeStep(plan, shaping)), shaping.dice)
}

function shapeStep(plan: StepPlan, { dice, planJob }: Shaping): StepPlan {
  if (plan.kind === 'block') return dice.chance(0.3) ? { ...plan, kind: 'input' } : plan
  if (plan.kind !== 'command' && plan.kind !== 'trigger') return plan
  const shaped = dice.chance(0.3) ? several(plan, dice, planJob) : plan
  const statuses = [...new Set([plan.kind === 'trigger' ? 1 : (plan.jobs[0]?.exitStatus ?? 1), dice.pick([-1, 1, 42])])]
  return {
    ...shaped,
    softFail: plan.softFail === 'any' && dice.chance(0.4) ? statuses.filter((status) => status !== 0) : plan.softFail,
    isRetriedByHand: plan.kind === 'trigger' || !dice.chance(0.1),
  }
}

function several(plan: StepPlan, dice: Dice, planJob: () => JobPlan): StepPlan {
  const by: Parallel['by'] = plan.kind === 'command' && dice.chance(0.5) ? 'matrix' : 'parallelism'
  const jobs = [...plan.jobs, ...Array.from({ length: dice.whole(1, 2) }, planJob)]
  const skipped = by === 'matrix' && dice.chance(0.3) ? dice.whole(0, jobs.length - 1) : -1
  const soft = by === 'matrix' ? [...jobs.keys()].filter((nth) => nth !== skipped && dice.chance(0.25)) : []
  return { ...plan, jobs: jobs.map((job, nth) => (nth === skipped ? null : job)), parallel: { by, soft } }
}

/** Puts up to two runs of steps into groups. */
function inGroups(plans: readonly StepPlan[], dice: Dice): readonly StepPlan[] {
  let grouped = plans
  for (let from = 0, left = dice.pick([0, 1, 1, 2]); left > 0 && from < grouped.length; left -= 1) {
    const at = dice.whole(from, grouped.length - 1)
    const until = Math.min(grouped.length, at + dice.whole(1, 4))
    grouped = inGroup(grouped, dice, { at, until })
    from = until + 1
  }
  return grouped
}

/** The steps from `at` to before `until` become those of a group, which stands before them. */
function inGroup(plans: readonly StepPlan[], dice: Dice, { at, until }: { readonly at: number; readonly until: number }): readonly StepPlan[] {
  const isLeftOut = dice.chance(0.08)
  const dependsOn = at > 0 && dice.chance(0.35) ? [{ step: ungrouped(plans, dice.whole(0, at - 1)), allowFailure: dice.chance(0.25) }] : null
  const group: StepPlan = { kind: 'group', key: `${plans[at]?.key ?? ''}g`, group: null, dependsOn, continueOnFailure: false, softFail: 'none', isLeftOut, endsWithFailing: false, isAsync: false, retries: 0, concurrency: null, isRetriedByHand: true, jobs: [], parallel: null, alsoOn: [], acts: [] }
  const moved = plans.map((plan, number): StepPlan => {
    const isMember = number >= at && number < until
    /** Whoever stands behind it may depend on all of it. */
    const named = (step: number): number => (step < at ? step : step < until && number >= until && dice.chance(0.4) ? at : step + 1)
    const deps = plan.dependsOn === null ? null : [...new Map(plan.dependsOn.map((one) => [named(one.step), one.allowFailure])).entries()].map(([step, allowFailure]) => ({ step, allowFailure }))
    return { ...plan, dependsOn: deps, group: isMember ? at : plan.group, isLeftOut: plan.isLeftOut || (isMember && isLeftOut) }
  })
  return [...moved.slice(0, at), group, ...moved.slice(at)]
}

/** A step, or its group: either may be waited for. */
function ungrouped(plans: readonly StepPlan[], number: number): number {
  return plans[number]?.group ?? number
}
