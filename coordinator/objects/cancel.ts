/** Cancels a build, or a step of it, and the builds that it waits for: nobody waits for them any more. */
import { cancelStep } from '../core/cancel-step.ts'
import type { BuildRow, StepRow } from '../core/decision.ts'
import { cancel } from '../core/intervene.ts'
import * as load from '../store/load.ts'
import { carryOut, type Event } from './event.ts'
import { graphOf } from './graph.ts'

export function cancelBuild(event: Event, build: BuildRow): void {
  const { steps } = graphOf(event, build)
  carryOut(event, cancel(build, load.jobsOfBuild(event.on, build.project, build.number), steps, event.now))
  for (const step of steps) if (step.state === 'running') cancelTriggered(event, step)
}

/** As the step is then; null: there was nothing left to cancel. What its end lets go is still to be followed. */
export function cancelOneStep(event: Event, step: StepRow, why: string): StepRow | null {
  const decided = cancelStep(step, load.currentJobsOfStep(event.on, step), { why, now: event.now })
  if (decided === null) return null
  carryOut(event, decided)
  cancelTriggered(event, step)
  return decided.step
}

/** The builds that the step was waiting for; those of a step that does not wait go on. */
function cancelTriggered(event: Event, { spec: { trigger } }: StepRow): void {
  if (trigger === undefined || trigger.async) return
  for (const { number, outcome } of trigger.builds) {
    const child = number === null || outcome !== null ? null : load.build(event.on, trigger.project, number)
    if (child !== null && child.state === null) cancelBuild(event, child)
  }
}
