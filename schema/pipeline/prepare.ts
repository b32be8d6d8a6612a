/**
 * The text of a pipeline file to what is sent to the coordinator: read, its variables filled in, brought to its one
 * spelling, and judged; or everything that is wrong with it, each with its place in the file.
 */
import { canonical, type Json } from './canonical.ts'
import { readDocument, type Document, type Path, type Place } from './document.ts'
import { interpolatePipeline, type InterpolationMistake } from './interpolate-pipeline.ts'
import { readPipeline } from './read-steps.ts'
import type { Pipeline } from './steps.ts'

export interface PlacedMistake {
  readonly place: Place
  readonly message: string
}

export interface PreparedPipeline {
  /** In the one spelling: what is sent. */
  readonly canonical: Json
  readonly pipeline: Pipeline
  /** Where in the file that stands which a mistake of `pipeline` names by its path. */
  at(path: Path): Place
}

export type PreparedAnswer = { readonly ok: true; readonly prepared: PreparedPipeline } | { readonly ok: false; readonly mistakes: readonly PlacedMistake[] }

/** `environment` null: variables stay as they are written. */
export function preparePipeline(text: string, environment: Readonly<Record<string, string | undefined>> | null): PreparedAnswer {
  const read = readDocument(text)
  if (!read.ok) return read
  const { document } = read
  const filled = environment === null ? { value: document.value, mistakes: [] } : interpolatePipeline(document.value, environment)
  if (filled.mistakes.length > 0) return { ok: false, mistakes: filled.mistakes.map((mistake) => ({ place: within(document, mistake), message: `${mistake.error.message}.` })) }
  const spelled = canonical(filled.value)
  if (!spelled.ok) return { ok: false, mistakes: [{ place: document.at(spelled.path), message: spelled.message }] }
  const { pipeline, origin } = spelled.canonical
  const at = (path: Path) => document.at(origin(path), 'key')
  const judged = readPipeline(pipeline)
  if (!judged.ok) return { ok: false, mistakes: judged.mistakes.map(({ path, message }) => ({ place: at(path), message })) }
  return { ok: true, prepared: { canonical: pipeline, pipeline: judged.pipeline, at } }
}

/** The variable itself where its text stands in the file as it is, else all that holds it. */
function within(document: Document, { path, isName, error }: InterpolationMistake): Place {
  const place = document.at(path, isName ? 'key' : 'value')
  const line = document.text.split('\n', place.line)[place.line - 1] ?? ''
  const value = path.reduce<Json>((found, step) => (typeof found === 'object' && found !== null ? ((found as Readonly<Record<string, Json>>)[String(step)] ?? null) : null), document.value) // a list has its indexes as names
  const written = isName ? String(path.at(-1)) : value
  if (typeof written !== 'string') return place
  const variable = written.slice(error.at, error.at + error.length)
  const column = line.indexOf(variable, place.column - 1)
  return column < 0 || variable.includes('\n') ? place : { line: place.line, column: column + 1, length: variable.length }
}
