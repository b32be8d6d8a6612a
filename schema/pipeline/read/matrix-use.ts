/** Whether a step and its matrix fit together: what it fills in is there, and what comes of it can be a queue or a tag. */
import { queueName, tag } from '../../sync.ts'
import { combinationsOf, mistakesOf, placeholderMistake, withValues } from '../matrix.ts'
import type { CommandStep } from '../steps.ts'
import { shown, type Place } from './reading.ts'

/** Says what is wrong at its place; `place` is of the step. */
export function judgeMatrixUse(step: CommandStep, place: Place): void {
  const { matrix } = step
  if (matrix === null) return
  const wrong = mistakesOf(matrix)
  for (const { path, message } of wrong) path.reduce((at: Place, name) => at.at(name), place.at('matrix')).wrong(message)
  const texts = { command: [step.command ?? ''], label: [step.label ?? ''], env: Object.values(step.env), agents: [step.queue ?? '', ...step.tags], plugins: [JSON.stringify(step.plugins)], artifact_paths: step.artifactPaths }
  const unfilled = Object.entries(texts).flatMap(([name, all]) => all.flatMap((text) => placeholderMistake(text, matrix) ?? []).slice(0, 1).map((message) => ({ name, message })))
  for (const { name, message } of unfilled) place.at(name).wrong(message)
  if (wrong.length > 0 || unfilled.length > 0) return

  const combinations = combinationsOf(matrix)
  if (combinations.length === 0 && matrix.adjustments.length === 0) place.at('matrix').wrong('this matrix has no combination of values; give each dimension at least one.')
  if (![step.queue ?? '', ...step.tags].some((text) => text.includes('{{'))) return
  for (const combination of combinations) {
    const { queue, tags } = withValues(step, combination)
    const bad = queue !== null && !queueName.safeParse(queue).success ? queue : tags.find((one) => !tag.safeParse(one).success)
    if (bad !== undefined) return place.at('agents').wrong(`with a value of the matrix this becomes ${shown(bad)}, which no agent can have: letters, digits, "_", "." and "-" only.`)
  }
}
