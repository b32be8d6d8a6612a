/**
 * Opens the builds of a trigger, in the very transaction that lets its step go: either both are stored or neither. The
 * projects are of this cluster, so their rows are here.
 */
import { requestOf, notStarted, started, unstarted, whyNotStarted } from '../core/trigger.ts'
import type { BuildRow, Parent, StepRow } from '../core/decision.ts'
import { openBuild, type StoredSpec } from '../core/plan.ts'
import * as load from '../store/load.ts'
import { buildUrl } from '../store/read.ts'
import { classFor } from './classes.ts'
import type { Event } from './event.ts'
import { keepMetaData } from './meta-data.ts'

/** `step` is a running trigger of the build, and stored so; as it is once its builds are started, which may be done. */
export function startBuilds(event: Event, build: BuildRow, step: StepRow): StepRow {
  const { trigger } = step.spec
  const count = unstarted(step)
  if (trigger === undefined || count === 0) return step
  const root = build.parent?.root ?? { project: build.project, build: build.number }
  const before = load.triggeredBuilds(event.on, root)
  const refused = whyNotStarted(before, count)
  const set = refused === null ? started(step, trigger, openAll(event, build, step, { depth: (build.parent?.depth ?? 0) + 1, root, ...keyOf(step) })) : notStarted(step, trigger, refused)
  if (refused === null) load.keepTriggeredBuilds(event.on, root, before + count)
  event.apply({ kind: 'step.set', key: step, set })
  return { ...step, ...set }
}

function keyOf({ project, build, s }: StepRow) {
  return { project, build, s }
}

/** The numbers of the new builds. */
function openAll(event: Event, build: BuildRow, { spec: { trigger } }: StepRow, parent: Parent): readonly number[] {
  const project = trigger && event.memory.projects.get(trigger.project)
  const from = event.memory.projects.get(build.project)
  const first = load.job(event.on, { project: build.project, build: build.number, n: 1 })
  if (trigger === undefined || project === undefined || from === undefined || first === null) throw new Error(`build ${build.number} of project ${build.project} has a trigger without a project`)
  const { url, onPartition } = JSON.parse(first.spec) as StoredSpec // written by `openBuild`
  const queue = event.memory.classes.get(first.class)?.queue ?? 'default'
  const like = { priority: first.priority, agents: { queue, tags: [] }, on_partition: onPartition }
  const jobClass = classFor(event, like.agents)
  const numbers: number[] = []
  for (const [nth, one] of trigger.builds.entries()) {
    if (one.number !== null || one.outcome !== null) continue
    const number = load.lastBuildNumber(event.on, project.id) + 1
    const opened = openBuild(
      { project, number, class: jobClass, request: requestOf(trigger, nth, project, like), url: buildUrl(new URL(url).origin, project.slug, number), triggered: { parent, from: { project: from.slug, build: build.number, url } } },
      event.now,
    )
    event.apply({ kind: 'build.insert', row: opened.build })
    event.apply({ kind: 'job.insert', row: opened.job })
    keepMetaData(event, opened.build, new Map(Object.entries(trigger.build.metaData))) // that it fits was judged at the upload
    numbers.push(number)
  }
  event.effects.push({ kind: 'ring-class', class: jobClass, count: numbers.length })
  return numbers
}
