/** All of a build's steps and what they wait for: only what is done to all of a build may ask for it. */
import type { BuildRow } from '../core/decision.ts'
import type { Graph } from '../core/retry-steps.ts'
import * as load from '../store/load.ts'
import type { Event } from './event.ts'

export function graphOf({ on }: Pick<Event, 'on'>, build: BuildRow): Graph {
  if (build.openSteps === null) return { steps: [], edges: [] }
  return { steps: load.stepsOfBuild(on, build.project, build.number), edges: load.edgesOfBuild(on, build.project, build.number) }
}
