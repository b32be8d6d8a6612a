/**
 * What a person answers to the fields of a block, judged: all mistakes at once, or the texts that become meta-data. A
 * field that is not named has its default as the answer; one that is answered with nothing has none, and without an
 * answer there is no meta-data.
 */
import type { FieldAnswer, Problem } from '../../schema/api.ts'
import { mistakeInValue } from '../../schema/meta-data.ts'
import { didYouMean } from '../../schema/nearest.ts'
import { formatBudget, readFormat } from '../../schema/pipeline/field-format.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { Field, SelectField, TextField } from '../../schema/pipeline/steps.ts'

type Told = (Problem['errors'] & {})[number]
/** A mistake goes on after the name of the field. */
type Judged = { readonly answer: string } | { readonly mistake: string }

export type Answers = { readonly ok: true; readonly answers: ReadonlyMap<string, string> } | { readonly ok: false; readonly problem: Problem }

export function judgeAnswers(fields: readonly Field[], given: readonly FieldAnswer[]): Answers {
  const named = new Map(given)
  const keys = fields.map(({ key }) => key)
  const budget = formatBudget()
  const answers = new Map<string, string>()
  const mistakes: Told[] = []
  for (const field of fields) {
    const answer = named.get(field.key)
    const judged = field.kind === 'select' ? select(field, answer) : text(field, answer, budget)
    if ('mistake' in judged) mistakes.push({ path: pathOf(field.key), message: judged.mistake })
    else if (judged.answer !== '') answers.set(field.key, judged.answer)
  }
  for (const key of named.keys()) {
    if (mistakes.length >= TOLD) break // each costs a look at all names
    if (keys.includes(key)) continue
    mistakes.push({ path: pathOf(key.slice(0, SHOWN)), message: fields.length === 0 ? 'is not asked for: this step has no fields' : `is not asked for${didYouMean(key, keys) || `: ${keys.join(', ')} are`}` })
  }
  return mistakes.length === 0 ? { ok: true, answers } : { ok: false, problem: refusal(mistakes) }
}

const SHOWN = 100
/** Mistakes that are told at once; there are no more fields than that. */
const TOLD = PIPELINE_LIMITS.fields

function text({ required, default: byDefault, format }: TextField, given: FieldAnswer[1] | undefined, budget: ReturnType<typeof formatBudget>): Judged {
  if (typeof given === 'object') return { mistake: 'must be one text, not a list' }
  const answer = (given ?? byDefault ?? '').replaceAll('\r\n', '\n')
  if (answer.trim() === '') return required ? { mistake: 'needs an answer' } : { answer: '' }
  const mistake = mistakeInValue(answer)
  if (mistake !== null) return { mistake }
  if (format === null) return { answer }
  const read = readFormat(format, budget)
  if (!read.ok) return { mistake: `cannot be judged: ${read.message}` }
  const fit = read.fits(answer)
  if (fit === 'too-long') return { mistake: `is too long to be held against the format ${format}` }
  return fit === 'fits' ? { answer } : { mistake: `must match the format ${format}, from its first character to its last` }
}

/** Several are joined by newlines, in the order of the options. */
function select({ required, default: byDefault, options, multiple }: SelectField, given: FieldAnswer[1] | undefined): Judged {
  const chosen = new Set((typeof given === 'string' ? [given] : (given ?? byDefault)).filter((value) => value !== ''))
  const values = options.map(({ value }) => value)
  const stray = [...chosen].find((value) => !values.includes(value))
  if (stray !== undefined) return { mistake: `has no option ${JSON.stringify(stray.slice(0, SHOWN))}${didYouMean(stray, values) || `; there are: ${values.slice(0, 20).join(', ')}${values.length > 20 ? ', …' : ''}`}` }
  if (chosen.size > 1 && !multiple) return { mistake: `takes one of its options, not ${chosen.size}` }
  if (chosen.size === 0 && required) return { mistake: 'needs an answer' }
  const missing = multiple ? options.find((option) => option.required === true && !chosen.has(option.value)) : undefined
  if (missing !== undefined) return { mistake: `must have the option ${JSON.stringify(missing.value)} among those that are selected` }
  const answer = values.filter((value) => chosen.has(value)).join('\n')
  const mistake = answer === '' ? null : mistakeInValue(answer)
  return mistake === null ? { answer } : { mistake }
}

function pathOf(key: string): string {
  return `fields.${key}`
}

function refusal(mistakes: readonly Told[]): Problem {
  const [first] = mistakes
  const more = mistakes.length - 1
  return {
    title: 'The answers are not valid',
    status: 422,
    code: 'answers-invalid',
    detail: `"${first?.path ?? ''}" ${first?.message ?? ''}${more > 0 ? `; and ${more} more` : ''}.`,
    errors: mistakes,
  }
}
