/** Reads canonical pipelines in tests: the steps, or what is wrong, as `path: message`. */
import type { Json } from '../../schema/pipeline/json.ts'
import { readPipeline } from '../../schema/pipeline/read-steps.ts'
import type { CommandStep, Pipeline, Step } from '../../schema/pipeline/steps.ts'

export type Written = Record<string, Json>

export function pipelineOf(written: Json): Pipeline {
  const answer = readPipeline(written)
  if (!answer.ok) throw new Error(`refused: ${JSON.stringify(answer.mistakes)}`)
  return answer.pipeline
}

export function stepOf<Kind extends Step['kind']>(kind: Kind, written: Json): Extract<Step, { kind: Kind }> {
  const [step] = pipelineOf({ steps: [written] }).steps
  if (step?.kind !== kind) throw new Error(`a ${kind} was expected, not a ${step?.kind}`)
  return step as Extract<Step, { kind: Kind }> // its kind was looked at
}

/** A command step with these attributes. */
export function commandOf(attributes: Written): CommandStep {
  return stepOf('command', { command: 'make', ...attributes })
}

export function mistakesOf(written: Json): readonly string[] {
  const answer = readPipeline(written)
  return answer.ok ? [] : answer.mistakes.map(({ path, message, unsupported }) => `${path.join('.')}: ${unsupported ? '(unsupported) ' : ''}${message}`)
}

/** Of one command step, without `steps.0.`. */
export function mistakesOfCommand(attributes: Written): readonly string[] {
  return mistakesOfStep({ command: 'make', ...attributes })
}

export function mistakesOfStep(written: Json): readonly string[] {
  return mistakesOf({ steps: [written] }).map((one) => one.replace(/^steps\.0\.?/, ''))
}
