/**
 * Pipelines of a world: what the first job of some builds uploads while it runs. What jobs of these steps bring in their
 * turn, and do to each other, is planned in `acts.ts`; groups, and several jobs of one step, in `shapes.ts`; what all of it
 * means to the steps that wait is in `standings.ts`.
 */
import type { GroupStep, Matrix, Pipeline, Step } from '../../schema/pipeline/steps.ts'
import { blockStep, commandStep, groupStep, inputStep, pipeline, placed, triggerStep, waitStep } from '../support/steps.ts'
import type { Dice } from './chance.ts'
import type { JobPlan } from './job-plan.ts'
import type { Parallel, StepPlan } from './step-plan.ts'
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
      group: null,
      dependsOn: depends ? [...new Set(Array.from({ length: dice.whole(1, 2) }, () => dice.whole(0, at - 1)))].map((step) => ({ step, allowFailure: dice.chance(0.25) })) : null,
      continueOnFailure: kind === 'wait' && dice.chance(0.25),
      softFail: runs && dice.chance(0.2) ? 'any' : 'none',
      isLeftOut: dice.chance(0.12),
      endsWithFailing: kind === 'command' && dice.chance(0.2),
      isAsync: kind === 'trigger' && dice.chance(0.25),
      retries: kind === 'command' && dice.chance(0.2) ? dice.whole(1, 2) : 0,
      concurrency: kind === 'command' && groups?.chance(0.45) === true ? { group: groups.pick(['staging', 'production']), limit: groups.pick([1, 1, 1, 2, 3]), method: groups.chance(0.7) ? 'ordered' : 'eager' } : null,
      isRetriedByHand: true,
      jobs: runs ? [planJob()] : [],
      parallel: null,
      alsoOn: [],
      acts: [],
    }
  })
}

export function commandOf(build: string, { key }: StepPlan): string {
  return `${build}/${key}`
}

/** What its jobs are called, or the first jobs of the builds that it starts. */
export function jobNamesOf(build: string, plan: StepPlan): readonly string[] {
  return plan.jobs.flatMap((job, nth) => (job === null ? [] : [nameOf(build, plan, nth)]))
}

export function nameOf(build: string, plan: StepPlan, nth: number): string {
  return plan.parallel === null ? commandOf(build, plan) : `${commandOf(build, plan)}:${nth}`
}

/** The project whose builds a trigger of this step starts: its own, so that its command tells whose it is. */
export function projectOf(build: string, { key }: StepPlan): string {
  return `${build}-${key}`
}

/** What is uploaded. */
export function pipelineOf(build: string, plans: readonly StepPlan[]): Pipeline {
  const within = (group: number | null): readonly StepPlan[] => plans.filter((plan) => plan.group === group)
  const steps = within(null).map((plan) => (plan.kind === 'group' ? groupStep(plan.key, within(plans.indexOf(plan)).map((member) => stepOf(build, plans, member)), commonOf(plans, plan)) : stepOf(build, plans, plan)))
  return pipeline(placed(steps), { notify: isTold(plans) ? [WEBHOOK] : [] })
}

function commonOf(plans: readonly StepPlan[], plan: StepPlan): Pick<Step, 'if' | 'dependsOn'> {
  const isForItsGroup = plan.group !== null && plans[plan.group]?.isLeftOut === true
  const named = [...(plan.dependsOn ?? []).map(({ step, allowFailure }) => ({ step: plans[step]?.key ?? '', allowFailure })), ...plan.alsoOn.map(({ key, allowFailure }) => ({ step: key, allowFailure }))]
  return { if: plan.isLeftOut && !isForItsGroup ? 'false' : null, dependsOn: plan.dependsOn === null ? null : named }
}

function stepOf(build: string, plans: readonly StepPlan[], plan: StepPlan): Exclude<Step, GroupStep> {
  const common = commonOf(plans, plan)
  const parallelism = plan.parallel?.by === 'parallelism' ? plan.jobs.length : null
  switch (plan.kind) {
    case 'wait':
      return waitStep(plan.key, { ...common, continueOnFailure: plan.continueOnFailure })
    case 'block':
      return blockStep(plan.key, common)
    case 'input':
      return inputStep(plan.key, common)
    case 'trigger':
      return triggerStep(projectOf(build, plan), { ...common, key: plan.key, async: plan.isAsync, softFail: plan.softFail, parallelism })
    case 'command':
      return commandStep(plan.key, {
        ...common,
        command: plan.parallel?.by === 'matrix' ? `${commandOf(build, plan)}:{{matrix}}` : commandOf(build, plan),
        softFail: plan.softFail,
        parallelism,
        matrix: plan.parallel?.by === 'matrix' ? matrixOf(plan.jobs, plan.parallel) : null,
        concurrency: plan.concurrency,
        cancelOnBuildFailing: plan.endsWithFailing,
        retry: { automatic: plan.retries === 0 ? [] : [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: plan.retries }], manual: { allowed: plan.isRetriedByHand, reason: null, permitOnPassed: true } },
      })
    case 'group':
      throw new Error(`the group ${plan.key} is within another`)
    default:
      return plan.kind satisfies never
  }
}

/** Its values are the numbers of its jobs. */
function matrixOf(jobs: StepPlan['jobs'], { soft }: Parallel): Matrix {
  const skipped = jobs.flatMap((job, nth) => (job === null ? [{ with: { '': nth }, skip: 'not this one', softFail: 'none' as const }] : []))
  return { setup: { '': jobs.map((_, nth) => nth) }, adjustments: [...skipped, ...soft.map((nth) => ({ with: { '': nth }, skip: null, softFail: 'any' as const }))] }
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

