/**
 * What becomes of a build is told to the step that started it: its end, and that it is tried again. It is called for every
 * build whose state an event has set, at the end of that event and within its transaction (`cluster.ts`), so that no way
 * in which a build ends can forget its parent.
 */
import type { BuildRow } from '../core/decision.ts'
import { retrySteps } from '../core/retry-steps.ts'
import { VERDICT } from '../core/step.ts'
import { followBuild } from '../core/trigger.ts'
import * as load from '../store/load.ts'
import { carryOut, type Event } from './event.ts'
import { graphOf } from './graph.ts'
import { finishSteps } from './progress.ts'

/** A build whose state an event has set, as it was before. */
export interface Turned {
  readonly was: BuildRow
}

/** `turned` grows meanwhile: the end of a parent is told to its own. Builds that have none, as most do, are not read for it. */
export function tellParents(event: Event, turned: readonly Turned[]): void {
  for (let at = 0; at < turned.length; at += 1) {
    const was = turned[at]?.was
    const child = was?.parent ? load.build(event.on, was.project, was.number) : null
    if (child?.parent) tellParent(event, child, child.parent)
  }
}

function tellParent(event: Event, child: BuildRow, key: NonNullable<BuildRow['parent']>): void {
  const step = load.step(event.on, key)
  const build = load.build(event.on, key.project, key.build)
  const set = step && followBuild(step, child)
  if (!step || !build || !set) return
  if (step.state === 'done') {
    if (build.verdict & VERDICT.canceled) return // a person ended that build: only a person begins it again
    carryOut(event, retrySteps(build, load.jobsOfBuild(event.on, build.project, build.number), graphOf(event, build), { jobs: [], triggers: new Map([[step.s, set]]), neverBegan: 'stay' }, event.now))
    return
  }
  event.apply({ kind: 'step.set', key: step, set })
  if (set.state === 'done') finishSteps(event, build, [{ ...step, ...set }])
}
