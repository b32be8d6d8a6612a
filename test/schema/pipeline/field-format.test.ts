/** The format of a field: all of the answer, in time that is linear in it, and told at the upload if it cannot be read. */
import { describe, expect, it } from 'vitest'
import { formatBudget, mistakenFormats, readFormat } from '../../../schema/pipeline/field-format.ts'
import type { TextField } from '../../../schema/pipeline/steps.ts'
import { blockStep, groupStep, inputStep, placed } from '../../support/steps.ts'

function fits(format: string, answer: string): string {
  const read = readFormat(format, formatBudget())
  if (!read.ok) throw new Error(read.message)
  return read.fits(answer)
}

const field = (format: string | null, over: Partial<TextField> = {}): TextField => ({ kind: 'text', key: 'k', label: null, hint: null, required: true, default: null, format, ...over })

describe('a format', () => {
  it.each([['[0-9a-f]+', 'c0ffee', 'xc0ffeex'], ['a|b', 'b', 'bb'], ['^v\\d+$', 'v12', 'v12\n'], ['(?i)yes', 'YES', 'YES!'], ['a.c', 'abc', 'a\nc'], ['', '', 'a'], ['(?!v0)v\\d+', 'v10', 'v01'], ['日+', '日日', '日x']])('%j fits %j and not %j', (format, right, wrong) => {
    expect([fits(format, right), fits(format, wrong)]).toEqual(['fits', 'differs'])
  })

  it('with a parenthesis too many cannot reach out of its anchors', () => {
    expect(readFormat('a)|(?:b', formatBudget())).toMatchObject({ ok: false })
  })

  it('that would take another engine for ever takes none', () => {
    expect(fits('(a+)+b', 'a'.repeat(10_000))).toBe('differs')
  })

  it('is not held against more than can be paid', () => {
    expect(fits('a{1,900}a{1,900}', 'a'.repeat(100 * 1024))).toBe('too-long')
  })
})

describe('at the upload', () => {
  it('each that cannot be read is told by its place, in groups and inputs too', () => {
    const steps = placed([blockStep('a', { fields: [field('[a-z]'), field('[')] }), groupStep('g', [inputStep('b', { fields: [field('(?<=a)b')] })])])
    expect(mistakenFormats(steps)).toMatchObject([
      { path: ['steps', 0, 'fields', 1, 'format'], message: expect.stringMatching(/^this regular expression cannot be read: /) },
      { path: ['steps', 1, 'steps', 0, 'fields', 0, 'format'], message: expect.stringMatching(/^a format cannot have an assertion about what stands before/) },
    ])
  })

  it('all of them together cost what is bounded', () => {
    const fields = Array.from({ length: 50 }, () => field('(?:[a-z]{1,100}[0-9]{1,100}){1,5}'))
    const steps = placed(Array.from({ length: 400 }, (_, n) => blockStep(`b${n}`, { fields })))
    expect(mistakenFormats(steps).length).toBeGreaterThan(0)
  })
})
