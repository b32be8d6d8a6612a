/**
 * What can be read but not be run: whoever wrote it must not believe that it was heeded. `kedge pipeline check` says it
 * beforehand, and the coordinator refuses it.
 */
import { pathOf } from './graph.ts'
import type { Mistake, Step } from './steps.ts'

export function notYet(step: Step): readonly Mistake[] {
  if (step.kind !== 'command') return []
  const says: (readonly [name: string, isSaid: boolean, message: string])[] = [
    ['secrets', Object.keys(step.secrets).length > 0, "this version does not run secrets yet; until then let an environment hook of the agent (--hooks-path) export them to the jobs that may have them, and take \"secrets\" away."],
    ['command', (step.command === null || step.command === '') && step.plugins.length === 0, 'the step has no command and no plugins; give one: a step without both has nothing to do.'],
  ]
  return says.flatMap(([name, isSaid, message]): readonly Mistake[] => (isSaid ? [{ path: [...pathOf(step), name], message }] : []))
}
