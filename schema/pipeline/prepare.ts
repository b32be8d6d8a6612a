/**
 * The text of a pipeline file to what is sent to the coordinator: read, its variables filled in, brought to its one
 * spelling, and judged; or everything that is wrong with it, each with its place in the file.
 */
import { canonical } from './canonical.ts'
import { readDocument, type Place } from './document.ts'
import { interpolatePipeline } from './interpolate-pipeline.ts'
import type { Json } from './json.ts'
import { readPipeline } from './read-steps.ts'
import { placeOfMistake, placeOfVariable } from './show-mistake.ts'
import type { Mistake, Pipeline } from './steps.ts'

export interface PlacedMistake {
  readonly place: Place
  readonly message: string
}

export interface PreparedPipeline {
  /** In the one spelling: what is sent. */
  readonly canonical: Json
  readonly pipeline: Pipeline
  /** Where in the file that stands which a mistake of `pipeline` is about. */
  placeOf(mistake: Mistake): Place
}

export type PreparedAnswer = { readonly ok: true; readonly prepared: PreparedPipeline } | { readonly ok: false; readonly mistakes: readonly PlacedMistake[] }

/** `environment` null: variables stay as they are written. */
export function preparePipeline(text: string, environment: Readonly<Record<string, string | undefined>> | null): PreparedAnswer {
  const read = readDocument(text)
  if (!read.ok) return read
  const { document } = read
  const interpolated = environment === null ? undefined : interpolatePipeline(document.value, environment)
  if (interpolated !== undefined && interpolated.mistakes.length > 0) return { ok: false, mistakes: interpolated.mistakes.map((mistake) => ({ place: placeOfVariable(mistake, document), message: `${mistake.error.message}.` })) }
  const spelled = canonical(interpolated?.value ?? document.value)
  if (!spelled.ok) return { ok: false, mistakes: [{ place: document.at(interpolated?.origin(spelled.path) ?? spelled.path), message: spelled.message }] }
  const { pipeline } = spelled.canonical
  const placeOf = (mistake: Mistake) => placeOfMistake(mistake, { document, canonical: spelled.canonical, ...(interpolated === undefined ? {} : { interpolated }) })
  const judged = readPipeline(pipeline)
  if (!judged.ok) return { ok: false, mistakes: judged.mistakes.map((mistake) => ({ place: placeOf(mistake), message: mistake.message })) }
  return { ok: true, prepared: { canonical: pipeline, pipeline: judged.pipeline, placeOf } }
}
