/**
 * The jobs that a matrix makes of one step: every combination of its values, as its adjustments change it, and the values
 * filled in where the step says `{{matrix}}` or `{{matrix.name}}`. Limits are Buildkite's.
 */
import { nearest } from '../nearest.ts'
import { utf8Bytes } from '../utf8.ts'
import type { Json } from './json.ts'
import { PIPELINE_LIMITS } from './limits.ts'
import type { CommandStep, Matrix, MatrixValue, SoftFail } from './steps.ts'

export const MATRIX_LIMITS = { dimensions: 6, values: 25, valueBytes: 128, adjustments: 12 } as const

export interface Combination {
  /** By dimension; `''` is the one without a name. */
  readonly values: Readonly<Record<string, string>>
  /** Where the adjustment says other than the step. */
  readonly softFail: SoftFail | null
}

/** Where it is wrong, within the matrix. */
export interface MatrixMistake {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** What does not fit; nothing of it is multiplied out before its size is known. */
export function mistakesOf({ setup, adjustments }: Matrix): readonly MatrixMistake[] {
  const mistakes: MatrixMistake[] = []
  const names = Object.keys(setup)
  const at = (name: string): readonly string[] => (name === '' ? [] : ['setup', name])
  if (names.length > MATRIX_LIMITS.dimensions) mistakes.push({ path: ['setup'], message: `a matrix has at most ${MATRIX_LIMITS.dimensions} dimensions, not ${names.length}.` })
  for (const name of names) {
    const values = setup[name] ?? []
    if (name !== '' && !/^[\w-]+$/.test(name)) mistakes.push({ path: at(name), message: 'the name of a dimension has letters, digits, "_" and "-" only.' })
    if (values.length > MATRIX_LIMITS.values) mistakes.push({ path: at(name), message: `a dimension has at most ${MATRIX_LIMITS.values} values, not ${values.length}.` })
    for (const [index, value] of values.entries()) {
      if (utf8Bytes(String(value)) > MATRIX_LIMITS.valueBytes) mistakes.push({ path: [...at(name), index], message: `a value of a matrix has at most ${MATRIX_LIMITS.valueBytes} bytes.` })
      if (values.findIndex((other) => String(other) === String(value)) < index) mistakes.push({ path: [...at(name), index], message: `the value "${String(value)}" stands here twice.` })
    }
  }
  if (adjustments.length > MATRIX_LIMITS.adjustments) mistakes.push({ path: ['adjustments'], message: `a matrix has at most ${MATRIX_LIMITS.adjustments} adjustments, not ${adjustments.length}.` })
  for (const [index, { with: of }] of adjustments.entries()) {
    for (const name of Object.keys(of).filter((one) => !Object.hasOwn(setup, one))) mistakes.push({ path: ['adjustments', index, 'with', name], message: `the matrix has no dimension ${shown(name)}; it has ${names.map(shown).join(', ')}.` })
    if (!isWhole(of, names) && !names.some((name) => Object.hasOwn(of, name))) mistakes.push({ path: ['adjustments', index, 'with'], message: `an adjustment says of which combination it is: give a value of ${names.map(shown).join(', ')}.` })
  }
  const count = names.reduce((product, name) => product * (setup[name]?.length ?? 0), 1)
  if (count > PIPELINE_LIMITS.jobsPerUpload) mistakes.push({ path: [], message: `this matrix has ${count} combinations; one upload may bring ${PIPELINE_LIMITS.jobsPerUpload} jobs.` })
  return mistakes
}

/**
 * Of a matrix without mistakes; in the order of its values, the last dimension changing first, added ones at the end. An
 * adjustment that names only some dimensions is of every combination with those values, and adds none.
 */
export function combinationsOf({ setup, adjustments }: Matrix): readonly Combination[] {
  const names = Object.keys(setup)
  let all: Readonly<Record<string, string>>[] = [{}]
  for (const [name, values] of Object.entries(setup)) all = all.flatMap((before) => values.map((value) => ({ ...before, [name]: String(value) })))
  const known = new Set(all.map((values) => spelled(values, names)))
  for (const { with: of } of adjustments) {
    const values = texts(of)
    if (!isWhole(of, names) || known.has(spelled(values, names))) continue
    known.add(spelled(values, names))
    all.push(values)
  }
  return all.flatMap((values): readonly Combination[] => {
    const own = adjustments.filter(({ with: of }) => Object.entries(of).every(([name, value]) => values[name] === String(value)))
    if (own.some(({ skip }) => skip !== null)) return []
    return [{ values, softFail: own.findLast(({ softFail }) => softFail !== 'none')?.softFail ?? null }]
  })
}

function isWhole(of: Readonly<Record<string, MatrixValue>>, names: readonly string[]): boolean {
  return names.every((name) => Object.hasOwn(of, name))
}

const PLACEHOLDER = /\{\{\s*matrix(?:\.([\w-]+))?\s*\}\}/g

/** The step as one job of the matrix has it. */
export function withValues(step: CommandStep, { values }: Combination): Pick<CommandStep, 'command' | 'label' | 'env' | 'queue' | 'tags' | 'plugins' | 'artifactPaths'> {
  const fill = (text: string): string => text.replace(PLACEHOLDER, (whole, name: string | undefined) => values[name ?? ''] ?? whole)
  const list = Object.values(values).join(', ')
  const label = step.label === null ? list : fill(step.label)
  return {
    command: step.command === null ? null : fill(step.command),
    label: label === step.label ? `${label} (${list})` : label, // jobs that nothing else tells apart
    env: Object.fromEntries(Object.entries(step.env).map(([name, text]) => [name, fill(text)])),
    queue: step.queue === null ? null : fill(step.queue),
    tags: step.tags.map(fill),
    plugins: step.plugins.map(({ source, configuration }) => ({ source: fill(source), configuration: filled(configuration, fill) })),
    artifactPaths: step.artifactPaths.map(fill),
  }
}

function filled(value: Json, fill: (text: string) => string): Json {
  if (typeof value === 'string') return fill(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((one: Json) => filled(one, fill))
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [fill(name), filled(one, fill)]))
}

/** What is wrong with the placeholders of a text; null: nothing. */
export function placeholderMistake(text: string, { setup }: Matrix): string | null {
  for (const [whole, name = ''] of text.matchAll(PLACEHOLDER)) {
    if (Object.hasOwn(setup, name)) continue
    const names = Object.keys(setup)
    if (name === '') return `"${whole}" has no value: the dimensions of this matrix have names, such as "{{matrix.${names[0] ?? ''}}}".`
    if (Object.hasOwn(setup, '')) return `"${whole}" has no value: the dimension of this matrix has no name, so write "{{matrix}}".`
    const close = nearest(name, names)
    return `"${whole}" has no value: the matrix has no dimension "${name}"${close === null ? `; it has ${names.join(', ')}.` : `; did you mean "{{matrix.${close}}}"?`}`
  }
  return null
}

function texts(values: Readonly<Record<string, MatrixValue>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))
}

function spelled(values: Readonly<Record<string, string>>, names: readonly string[]): string {
  return JSON.stringify(names.map((name) => values[name]))
}

function shown(name: string): string {
  return name === '' ? 'without a name' : `"${name}"`
}
