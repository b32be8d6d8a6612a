/**
 * What Buildkite's parser makes of a pipeline, before and after its variables are filled in, is what ours has to make of
 * it, value for value. What Kedge then takes of it is another question: it may refuse, but only where something stands.
 */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { canonical } from '../../../schema/pipeline/canonical.ts'
import { readDocument } from '../../../schema/pipeline/document.ts'
import { graphOf } from '../../../schema/pipeline/graph.ts'
import { interpolatePipeline } from '../../../schema/pipeline/interpolate-pipeline.ts'
import { readPipeline } from '../../../schema/pipeline/read-steps.ts'
import type { Mistake } from '../../../schema/pipeline/steps.ts'
import type { Case, Judge, Outcome, Seen } from './case.ts'
import type { Json, Path } from '../../../schema/pipeline/json.ts'

/** Either what it is, or that it is refused; `interpolate_error` is refused for its variables. */
const MADE = z.object({ json: z.json().optional(), error: z.string().optional(), interpolate_error: z.string().optional(), warning: z.string().optional() })
const VARIABLES = z.record(z.string(), z.string())
const WHOLE = z.object({ interpolation_env: VARIABLES, parsed: MADE, interpolated: MADE })
const INTERPOLATED = MADE.extend({ env: VARIABLES.nullish(), prefer_runtime_env: z.boolean().optional() })

export const PIPELINES: Readonly<Record<string, Judge>> = {
  'pipeline-real': judgeWhole,
  'pipeline-fixture': judgeWhole,
  'pipeline-reduced': judgeWhole,
  'go-pipeline-parse': (one) => judge(make(one.read()), one.wanted(MADE)),
  'go-pipeline-interpolate': (one) => {
    const wanted = one.wanted(INTERPOLATED)
    return judge(make(one.read(), { environment: wanted.env ?? {}, preferEnvironment: wanted.prefer_runtime_env === true }), wanted)
  },
}

interface Variables {
  readonly environment: Readonly<Record<string, string>>
  readonly preferEnvironment?: boolean
}

type Made = { readonly ok: true; readonly pipeline: Json; readonly warnings: readonly string[]; isWritten(path: Path): boolean } | { readonly ok: false; readonly message: string }

function judgeWhole(one: Case): Outcome {
  const text = one.read()
  const wanted = one.wanted(WHOLE)
  const parsed = judge(make(text), wanted.parsed)
  if (!parsed.right) return { ...parsed, got: `parsed: ${parsed.got}` }
  const made = make(text, { environment: wanted.interpolation_env })
  const interpolated = judge(made, wanted.interpolated)
  if (!interpolated.right) return { ...interpolated, got: `interpolated: ${interpolated.got}` }
  if (!made.ok) return { right: true }
  const { mistakes, ...seen } = seenOf(made.pipeline)
  const nowhere = mistakes.find(({ path }) => !stands(made.pipeline, path) || !made.isWritten(path))
  if (nowhere === undefined) return { right: true, seen }
  return { right: false, got: `a mistake at ${JSON.stringify(nowhere.path)}, where nothing stands: ${nowhere.message}`, wanted: 'mistakes at what is there', seen }
}

/** As the parser makes it; without variables, before they are filled in. */
export function make(text: string, variables?: Variables): Made {
  const read = readDocument(text)
  if (!read.ok) return { ok: false, message: read.mistakes[0]?.message ?? '' }
  const filled = variables === undefined ? null : interpolatePipeline(read.document.value, variables.environment, { preferEnvironment: variables.preferEnvironment === true })
  if (filled?.mistakes[0] !== undefined) return { ok: false, message: filled.mistakes[0].error.message }
  const answer = canonical(filled === null ? read.document.value : filled.value)
  if (!answer.ok) return { ok: false, message: answer.message }
  const { pipeline, warnings, origin } = answer.canonical
  const isWritten = (path: Path) => stands(read.document.value, filled === null ? origin(path) : filled.origin(origin(path)))
  return { ok: true, pipeline, warnings: warnings.map(({ message }) => message), isWritten }
}

function seenOf(pipeline: Json): Seen & { readonly mistakes: readonly Mistake[] } {
  const read = readPipeline(pipeline)
  const mistakes = read.ok ? [] : read.mistakes
  const graph = read.ok ? graphOf(read.pipeline.steps) : null
  return {
    mistakes,
    refusals: mistakes.map(({ message, unsupported }) => `${unsupported === true ? '(unsupported) ' : ''}${message}`),
    needsOthers: graph !== null && !graph.ok,
  }
}

function judge(made: Made, wanted: z.infer<typeof MADE>): Outcome {
  const refusal = wanted.error ?? wanted.interpolate_error
  if (refusal !== undefined) return made.ok ? { right: false, got: short(made.pipeline), wanted: `refused: ${refusal}` } : { right: true }
  if (!made.ok) return { right: false, got: `refused: ${made.message}`, wanted: short(wanted.json ?? null) }
  const difference = firstDifference(plain(made.pipeline), plain(wanted.json ?? null), [])
  if (difference !== null) return { right: false, ...difference }
  const isWarned = made.warnings.length > 0
  if (isWarned === (wanted.warning !== undefined)) return { right: true }
  // Whole pipelines were recorded without the warnings that the parser gave of them.
  return wanted.warning === undefined ? { right: true } : { right: false, got: 'no warning', wanted: `a warning: ${wanted.warning}` }
}

/** As it comes out of JSON: prototypes and what is undefined are no part of it. */
function plain(value: Json): Json {
  return JSON.parse(JSON.stringify(value)) as Json // JSON is what it was
}

function firstDifference(got: Json, wanted: Json, path: Path): { readonly got: string; readonly wanted: string } | null {
  if (isDeepStrictEqual(got, wanted)) return null
  const [inGot, inWanted] = [entriesOf(got), entriesOf(wanted)]
  if (inGot !== null && inWanted !== null && Array.isArray(got) === Array.isArray(wanted)) {
    for (const name of new Set([...inGot.keys(), ...inWanted.keys()])) {
      const [ours, theirs] = [inGot.get(name), inWanted.get(name)]
      if (ours === undefined || theirs === undefined) return { got: `${[...path, name].join('.')} ${ours === undefined ? 'is missing' : short(ours)}`, wanted: theirs === undefined ? 'nothing there' : short(theirs) }
      const difference = firstDifference(ours, theirs, [...path, name])
      if (difference !== null) return difference
    }
  }
  return { got: `${path.join('.')} ${short(got)}`, wanted: short(wanted) }
}

function entriesOf(value: Json): ReadonlyMap<string, Json> | null {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : null
}

/** Whether there is something at the path. */
function stands(pipeline: Json, path: Path): boolean {
  let at: Json | undefined = pipeline
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return false
    at = (at as Readonly<Record<string | number, Json>>)[name] // a list has its indexes as own names
  }
  return true
}

export function short(value: Json): string {
  const text = JSON.stringify(value)
  return text.length <= 160 ? text : `${text.slice(0, 159)}…`
}
