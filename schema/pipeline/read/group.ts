/** Steps under one name. */
import { isList, type Json } from '../json.ts'
import type { GroupStep, Step } from '../steps.ts'
import { common, ifChanged, skip } from './common.ts'
import { buildNotifications } from './notify.ts'
import { shown, type Attributes, type Place } from './reading.ts'

type Inner = GroupStep['steps'][number]

/** `readStep` reads one of its steps. */
export function groupStep(attributes: Attributes, path: readonly number[], readStep: (value: Json, path: readonly number[], place: Place) => Step | undefined): GroupStep {
  const place = attributes.place.at('steps')
  const written = attributes.raw('steps') ?? null
  const steps: Inner[] = []
  if (written === null) attributes.place.wrong('this group has no steps; give it "steps" with a list of them.')
  else if (!isList(written)) place.wrong(`the steps of a group are a list, not ${shown(written)}.`)
  else if (written.length === 0) place.wrong('this group has no steps; write at least one, or take the group away.')
  else {
    for (const [index, one] of written.entries()) {
      const step = readStep(one, [...path, index], place.at(index))
      if (step?.kind === 'group') place.at(index).wrong('a group cannot be within a group; move it out, beside the other.')
      else if (step !== undefined) steps.push(step)
    }
  }
  return {
    ...common(attributes, path, ['group', 'label', 'name']),
    kind: 'group',
    steps,
    skip: skip(attributes),
    ifChanged: ifChanged(attributes),
    notify: attributes.read('notify', buildNotifications, []),
  }
}
