/**
 * What jobs of a world do to their builds while they run: some upload further steps, which may do so in their turn, put
 * them in the place of what has not begun, cancel a step or the whole build, or change a priority. All of it is written
 * down before the world begins, so that an attempt that has to do it again does the same.
 */
import type { Dice } from './chance.ts'
import type { JobPlan } from './job-plan.ts'
import { shapeSteps, type Shaping } from './shapes.ts'
import type { Act, StepPlace, StepPlan, Upload } from './step-plan.ts'
import { planSteps } from './steps.ts'

/** What a build's jobs do besides its first upload. */
interface Plans {
  readonly steps: readonly StepPlan[]
  /** What its first job does after that. */
  readonly acts: readonly Act[]
}

interface Planning {
  readonly planJob: () => JobPlan
  readonly haveGroups: boolean
  /** Null: what is uploaded later has no shapes. */
  readonly shaping: Shaping | null
}

/** Of one build. */
const UPLOADS_AT_MOST = 6
const DEPTH = 2

/** Lets jobs of a build act that has these steps. */
export function planActs(dice: Dice, steps: readonly StepPlan[], planning: Planning): Plans {
  return new Acting(dice, planning).begin(steps)
}

class Acting {
  readonly #dice: Dice
  readonly #planning: Planning
  #left = UPLOADS_AT_MOST

  constructor(dice: Dice, planning: Planning) {
    this.#dice = dice
    this.#planning = planning
  }

  begin(steps: readonly StepPlan[]): Plans {
    const acting = this.#act(steps, 0)
    return { steps: acting, acts: this.#dice.chance(0.4) ? this.#acts({ key: 'u', isStep: false, peers: acting, before: [], depth: 0 }) : [] }
  }

  #act(plans: readonly StepPlan[], depth: number): readonly StepPlan[] {
    return plans.map((plan, at) => {
      if (plan.kind !== 'command' || plan.isLeftOut || depth > DEPTH || !this.#dice.chance(0.4)) return plan
      return { ...plan, acts: this.#acts({ key: plan.key, isStep: true, peers: plans, before: plans.filter((_, number) => number < at && number !== plan.group), depth }) }
    })
  }

  /** `peers` are uploaded with the step that acts; `before`: those of them that cannot wait for it. */
  #acts({ key, isStep, peers, before, depth }: { readonly key: string; readonly isStep: boolean; readonly peers: readonly StepPlan[]; readonly before: readonly StepPlan[]; readonly depth: number }): readonly Act[] {
    const dice = this.#dice
    const acts: Act[] = []
    const targets = peers.filter(({ kind }) => kind === 'command' || kind === 'trigger').map((plan) => plan.key)
    for (let count = dice.whole(1, 3); count > 0; count -= 1) {
      const when = { afterMs: dice.chance(0.6) ? dice.between(20, 500) : dice.between(500, 8000), repeats: dice.chance(0.25) ? dice.whole(1, 2) : 0 }
      const kind = dice.next()
      if (kind >= 0.66 && targets.length > 0) {
        const target = dice.pick(targets as [string, ...string[]]) // there are some
        acts.push(kind < 0.84 ? { ...when, kind: 'cancel step', key: target } : kind < 0.95 ? { ...when, kind: 'priority', key: target, priority: dice.whole(-3, 3) } : { ...when, kind: 'cancel build' })
        continue
      }
      if (this.#left === 0) continue
      this.#left -= 1
      const earlier = acts.flatMap((act) => (act.kind === 'upload' && act.upload.steps.every(({ alsoOn }) => alsoOn.length === 0) ? act.upload.steps : []))
      const upload = this.#upload(`${key}-${acts.length}-`, depth, { before: [...before, ...earlier], uploader: isStep ? key : null })
      acts.push({ ...when, kind: 'upload', upload })
      targets.push(...upload.steps.filter(({ kind }) => kind === 'command' || kind === 'trigger').map((plan) => plan.key))
    }
    return acts
  }

  #upload(prefix: string, depth: number, { before, uploader }: { readonly before: readonly StepPlan[]; readonly uploader: string | null }): Upload {
    const dice = this.#dice
    const replaces = dice.chance(0.25)
    // A step that waits for one that was there before stands in no line until it is ready, unless that was over by then: no groups there.
    const known = [...(uploader === null ? [] : [uploader]), ...(replaces ? [] : before.filter(({ kind }) => kind === 'command' || kind === 'group').map(({ key }) => key))]
    const namesKnown = known.length > 0 && dice.chance(0.35)
    const planned = planSteps(dice, { planJob: this.#planning.planJob, groups: this.#planning.haveGroups && !namesKnown ? dice : null, most: 4, prefix })
    const steps = planned.map((plan, at): StepPlan => {
      // It has a job, so that its rows tell that the upload was taken.
      const shaped: StepPlan = at === 0 ? { ...plan, kind: 'command', jobs: plan.jobs.length > 0 ? plan.jobs : [this.#planning.planJob()], continueOnFailure: false, isAsync: false } : plan
      if (!namesKnown || shaped.kind === 'wait' || !dice.chance(0.5)) return shaped
      return { ...shaped, dependsOn: shaped.dependsOn ?? [], alsoOn: [{ key: dice.pick(known as [string, ...string[]]), allowFailure: dice.chance(0.3) }] } // there are some
    })
    const { shaping } = this.#planning
    return { name: prefix, replaces, steps: this.#act(shaping === null ? steps : shapeSteps(steps, shaping), depth + 1) }
  }
}

/** Every step that the build may have. */
export function placesOf({ key: build, steps, acts }: Plans & { readonly key: string }): readonly StepPlace[] {
  const first: Upload = { name: '', replaces: false, steps }
  const within = (upload: Upload, line: readonly number[]): readonly StepPlace[] =>
    upload.steps.flatMap((plan, number) => {
      const place: StepPlace = { build, plans: upload.steps, number, upload, line: [...line, number] }
      return [place, ...uploadsOf(plan).flatMap((one, nth) => within(one, [...place.line, -nth - 1]))]
    })
  return [...within(first, [0]), ...uploadsOf({ acts }).flatMap((one, nth) => within(one, [-nth - 1]))]
}

export function uploadsOf({ acts }: Pick<StepPlan, 'acts'>): readonly Upload[] {
  return acts.flatMap((act) => (act.kind === 'upload' ? [act.upload] : []))
}

/** Whether one stands before another in the pipeline of their build. */
export function standsBefore({ line: one }: StepPlace, { line: other }: StepPlace): boolean {
  const at = one.findIndex((part, depth) => part !== other[depth])
  const [a, b] = [one[at], other[at]]
  return at === -1 ? one.length < other.length : b !== undefined && (a ?? 0) < b
}
