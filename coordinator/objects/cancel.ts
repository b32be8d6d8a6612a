/** Cancels a build and, with it, the builds that it waits for: nobody waits for them any more. */
import type { BuildRow, StepRow } from '../core/decision.ts'
import { cancel } from '../core/intervene.ts'
import * as load from '../store/load.ts'
import type { Event } from './event.ts'
import { graphOf } from './graph.ts'

export function cancelBuild(event: Event, build: BuildRow): void {
  const { steps } = graphOf(event, build)
  const { changes, effects } = cancel(build, load.jobsOfBuild(event.on, build.project, build.number), steps, event.now)
  for (const change of changes) event.apply(change)
  event.effects.push(...effects)
  for (const step of steps) if (step.state === 'running') cancelTriggered(event, step)
}

/** The builds that the step was waiting for; those of a step that does not wait go on. */
export function cancelTriggered(event: Event, { spec: { trigger } }: StepRow): void {
  if (trigger === undefined || trigger.async) return
  for (const { number, outcome } of trigger.builds) {
    const child = number === null || outcome !== null ? null : load.build(event.on, trigger.project, number)
    if (child !== null && child.state === null) cancelBuild(event, child)
  }
}
