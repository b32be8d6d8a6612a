/**
 * What a schema found wrong, said to a person: `agents.tags[0]` and a sentence that continues it. Names that could have
 * been meant come from the schema itself, so they cannot fall behind it.
 */
import { z } from 'zod'
import type { Problem } from '../../schema/api.ts'
import { didYouMean } from '../../schema/nearest.ts'

type Path = readonly PropertyKey[]
type Mistake = (Problem['errors'] & {})[number]

/** Nobody reads more, and to say what was meant costs. */
const MOST = 50

/** One entry per wrong field, in the order in which the schema found them; at most `MOST`. */
export function mistakes(error: z.ZodError, schema: z.ZodType, input: unknown): readonly Mistake[] {
  const seen = new Set<string>()
  const all = error.issues.flatMap((issue): Mistake[] => {
    if (issue.code !== 'unrecognized_keys') return [{ path: spell(issue.path), message: sentence(issue, at(input, issue.path)) }]
    const known = fieldsAt(schema, issue.path)
    return issue.keys.slice(0, MOST).map((key) => ({ path: spell([...issue.path, key]), message: unknownField(key, known) }))
  })
  // One mistake a field: a number that is both too large and unsafe was one slip.
  return all.filter(({ path }) => !seen.has(path) && seen.add(path)).slice(0, MOST)
}

function unknownField(key: string, known: readonly string[]): string {
  const meant = didYouMean(key, known)
  if (meant !== '') return `is not known here${meant}`
  return known.length === 0 ? 'is not known here: nothing is taken' : `is not known here: ${known.join(', ')} are`
}

function sentence(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return value === undefined ? 'is needed' : `must be ${kind(issue.expected)}, not ${kindOf(value)}`
    case 'invalid_value':
      return `must be ${issue.values.map((known) => JSON.stringify(known)).join(' or ')}${typeof value === 'string' ? didYouMean(value, issue.values.map(String)) : ''}`
    case 'too_big':
      return issue.origin === 'string' || issue.origin === 'array' ? `must have at most ${issue.maximum} ${units(issue.origin)}` : `must be at most ${issue.maximum}`
    case 'too_small':
      if (issue.origin === 'string' || issue.origin === 'array') return issue.minimum === 1 ? 'must not be empty' : `must have at least ${issue.minimum} ${units(issue.origin)}`
      return `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message
    default:
      return issue.message
  }
}

function units(origin: string): string {
  return origin === 'string' ? 'characters' : 'entries'
}

function kind(expected: string): string {
  const words: Record<string, string> = { int: 'a whole number', number: 'a number', string: 'a string', boolean: 'true or false', array: 'a list', object: 'an object', record: 'an object' }
  return words[expected] ?? expected
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : String(value)
  return typeof value === 'object' ? 'an object' : kind(typeof value)
}

function at(input: unknown, path: Path): unknown {
  let value = input
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<PropertyKey, unknown>)[step] // an own property, just asked
  }
  return value
}

/** Names of the fields that the schema knows at `path`. */
function fieldsAt(schema: z.ZodType, path: Path): readonly string[] {
  const inner = unwrap(schema)
  const [step, ...rest] = path
  if (step === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
  if (inner instanceof z.ZodArray) return fieldsAt(inner.element as z.ZodType, rest) // zod types its parts as its core's, which are these
  if (inner instanceof z.ZodRecord) return fieldsAt(inner.valueType as z.ZodType, rest)
  const field: unknown = inner instanceof z.ZodObject ? inner.shape[String(step)] : undefined
  return field instanceof z.ZodType ? fieldsAt(field, rest) : []
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return unwrap(schema.unwrap() as z.ZodType)
  return schema instanceof z.ZodPipe ? unwrap(schema.in as z.ZodType) : schema
}

/** `agents.tags[0]`, `env["a b"]`. */
function spell(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`
      const name = String(step)
      if (!/^[\w$-]+$/.test(name)) return `[${JSON.stringify(name.slice(0, 64))}]`
      return index === 0 ? name : `.${name}`
    })
    .join('')
}
