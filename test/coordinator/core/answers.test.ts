/** What may be answered to the fields of a block, and what becomes of it. */
import { describe, expect, it } from 'vitest'
import { judgeAnswers } from '../../../coordinator/core/answers.ts'
import type { FieldAnswer } from '../../../schema/api.ts'
import { unblockRequest } from '../../../schema/api.ts'
import type { Field, SelectField, TextField } from '../../../schema/pipeline/steps.ts'

const text = (key: string, over: Partial<TextField> = {}): TextField => ({ kind: 'text', key, label: null, hint: null, required: true, default: null, format: null, ...over })
const option = (value: string, required: boolean | null = null) => ({ label: value.toUpperCase(), value, hint: null, required })
const select = (key: string, over: Partial<SelectField> = {}): SelectField => ({ kind: 'select', key, label: null, hint: null, required: true, options: [option('a'), option('b'), option('c')], multiple: false, default: [], ...over })

function answers(fields: readonly Field[], ...given: readonly FieldAnswer[]): Readonly<Record<string, string>> {
  const judged = judgeAnswers(fields, given)
  if (!judged.ok) throw new Error(judged.problem.detail)
  return Object.fromEntries(judged.answers)
}

function mistakes(fields: readonly Field[], ...given: readonly FieldAnswer[]): readonly (readonly [string, string])[] {
  const judged = judgeAnswers(fields, given)
  return judged.ok ? [] : (judged.problem.errors ?? []).map(({ path, message }) => [path, message])
}

describe('a text', () => {
  it('is taken as it is, with the line ends of Unix', () => {
    expect(answers([text('k')], ['k', ' a\r\nb '])).toEqual({ k: ' a\nb ' })
  })

  it('that is not named is its default; answered with nothing it is none', () => {
    expect(answers([text('k', { default: 'd' })])).toEqual({ k: 'd' })
    expect(answers([text('k', { default: 'd', required: false })], ['k', ''])).toEqual({})
    expect(answers([text('k', { required: false })])).toEqual({})
  })

  it.each<[string, TextField, FieldAnswer[1] | undefined, string]>([
    ['not there', text('k'), undefined, 'needs an answer'],
    ['nothing, whatever the default', text('k', { default: 'd' }), '', 'needs an answer'],
    ['white space', text('k'), ' \n', 'needs an answer'],
    ['a list', text('k'), ['a'], 'must be one text, not a list'],
    ['not of the format', text('k', { format: 'v\\d+' }), 'xv1', 'must match the format v\\d+, from its first character to its last'],
    ['too large', text('k'), 'x'.repeat(1024 * 1024), 'must be at most 100 KiB; keep more than that elsewhere, and its address here'],
    ['with a NUL', text('k'), 'a\0', 'must not hold a NUL character'],
    ['half a character', text('k'), '\ud83d', 'must not hold half of a character (an unpaired surrogate)'],
  ])('%s is refused', (_what, field, given, message) => {
    expect(mistakes([field], ...(given === undefined ? [] : [['k', given] as const]))).toEqual([['fields.k', message]])
  })

  it('that is optional need not match its format when there is none', () => {
    expect(answers([text('k', { required: false, format: 'v\\d+' })])).toEqual({})
  })
})

describe('a selection', () => {
  it('is one of the options, or several joined by newlines in the order of the options', () => {
    expect(answers([select('k')], ['k', 'b'])).toEqual({ k: 'b' })
    expect(answers([select('k')], ['k', ['b']])).toEqual({ k: 'b' })
    expect(answers([select('k', { multiple: true })], ['k', ['c', 'a', 'c']])).toEqual({ k: 'a\nc' })
  })

  it('that is not named is its default', () => {
    expect(answers([select('k', { default: ['a', 'b'], multiple: true })])).toEqual({ k: 'a\nb' })
    expect(answers([select('k', { default: ['a'], required: false })], ['k', []])).toEqual({})
  })

  it.each<[string, SelectField, FieldAnswer[1] | undefined, string]>([
    ['nothing', select('k'), undefined, 'needs an answer'],
    ['an empty list', select('k', { default: ['a'] }), [], 'needs an answer'],
    ['what is no option', select('k'), 'd', 'has no option "d"; did you mean "a"?'],
    ['a name that every object has', select('k'), '__proto__', 'has no option "__proto__"; there are: a, b, c'],
    ['two where one is asked', select('k'), ['a', 'b'], 'takes one of its options, not 2'],
    ['several without the one that must be', select('k', { multiple: true, options: [option('a', true), option('b')] }), ['b'], 'must have the option "a" among those that are selected'],
  ])('of %s is refused', (_what, field, given, message) => {
    expect(mistakes([field], ...(given === undefined ? [] : [['k', given] as const]))).toEqual([['fields.k', message]])
  })
})

describe('answers', () => {
  it('are refused with every mistake at once, and those that nobody asked for', () => {
    expect(mistakes([text('version'), select('where')], ['where', 'x'], ['versoin', '1'], ['toString', 'x'])).toEqual([
      ['fields.version', 'needs an answer'],
      ['fields.where', expect.stringContaining('has no option "x"')],
      ['fields.versoin', 'is not asked for; did you mean "version"?'],
      ['fields.toString', 'is not asked for: version, where are'],
    ])
    expect(mistakes([], ['a', 'x'])).toEqual([['fields.a', 'is not asked for: this step has no fields']])
  })

  it('that nobody asked for are looked at only as far as they are told', () => {
    const fields = Array.from({ length: 40 }, (_, n) => text(`${'k'.repeat(95)}${n}`, { required: false }))
    expect(mistakes(fields, ...Array.from({ length: 10_000 }, (_, n) => [`${'k'.repeat(90)}${n}-not`, ''] as const))).toHaveLength(50) // within the time of a test
  })

  it('to fields that are called as what every object has are as any others', () => {
    const fields = [text('__proto__'), text('constructor'), text('hasOwnProperty', { required: false })]
    expect(mistakes(fields)).toEqual([['fields.__proto__', 'needs an answer'], ['fields.constructor', 'needs an answer']])
    const { fields: given } = unblockRequest.parse(JSON.parse('{"fields":{"__proto__":"p","constructor":"c"}}'))
    const judged = judgeAnswers(fields, given)
    expect(judged.ok && [...judged.answers]).toEqual([['__proto__', 'p'], ['constructor', 'c']])
  })

  it('are texts or lists of texts', () => {
    const wrong = unblockRequest.safeParse({ fields: { a: 1, b: ['x', null], c: 'x', d: {} } })
    expect(wrong.error?.issues.map(({ path }) => path.join('.'))).toEqual(['fields.a', 'fields.b', 'fields.d'])
    expect(unblockRequest.safeParse({ fields: [] }).success).toBe(false)
    expect(unblockRequest.safeParse({ fields: null }).success).toBe(false)
    expect(unblockRequest.safeParse({ field: {} }).success).toBe(false)
    expect(unblockRequest.parse({})).toEqual({ fields: [] })
  })
})
