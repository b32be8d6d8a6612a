/** A person lets a block of a build pass; the steps behind it go on. */
import type { Problem } from '../../schema/api.ts'
import { unblock } from '../core/intervene.ts'
import * as load from '../store/load.ts'
import type { Event } from './event.ts'
import { keepMetaData } from './meta-data.ts'
import type { NamedBuild } from './named.ts'
import { finishSteps } from './progress.ts'
import type { Answered } from './scheduler-api.ts'

/** `named`: by its key or number. Null: it was done. */
export function unblockStep(event: Event, { project, build }: NamedBuild, named: string, answered: Answered): Problem | null {
  const steps = load.stepsOfBuild(event.on, project.id, build.number)
  const step = steps.find(({ key, s }) => key === named || String(s) === named)
  if (!step) {
    const blocks = steps.filter(({ kind }) => kind === 'block').map(({ key, s }) => key ?? String(s))
    return { status: 404, code: 'step-unknown', title: 'No such step', detail: `Build ${build.number} of ${project.slug} has no step ${named}. ${blocks.length === 0 ? 'It has no block at all.' : `Its blocks are: ${blocks.join(', ')}.`}` }
  }
  const decided = unblock(step, { ...answered, now: event.now })
  if ('detail' in decided) return decided
  const refused = keepMetaData(event, build, decided.answers)
  if (refused !== null || decided.set === null) return refused
  event.apply({ kind: 'step.set', key: step, set: decided.set })
  finishSteps(event, build, [{ ...step, ...decided.set }])
  return null
}
