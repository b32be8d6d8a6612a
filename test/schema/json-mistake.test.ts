import fc from 'fast-check'
import { expect, it } from 'vitest'
import { jsonMistake } from '../../schema/json-mistake.ts'

const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

it.each([
  ['', 1, 1, 'expected value, but the text ends'],
  ['{"a": 1,}', 1, 9, 'expected name in double quotes, found "}"'],
  ["{'a': 1}", 1, 2, 'expected name in double quotes or "}", found "\'"'],
  ['{\n  "a": 01\n}', 2, 8, 'expected value, found "01"'],
  ['[1 2]', 1, 4, 'expected "," or "]", found "2"'],
  ['{"a": undefined}', 1, 7, 'expected value, found "undefined"'],
  ['{"a": "x', 1, 7, 'this string has no closing quote'],
  ['{"a": "C:\\dir"}', 1, 10, '"\\\\d" is not an escape that JSON knows; a backslash is written \\\\'],
  ['{"a": [1}', 1, 9, 'expected "," or "]", found "}"'],
])('%j is wrong at line %i, column %i', (text, line, column, message) => {
  expect(isJson(text)).toBe(false)
  expect(jsonMistake(text)).toEqual({ line, column, message })
})

it('whatever JSON.parse refuses has a place inside the text', () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', 'x', '\n', '1'))
    .map(([text, at, instead]) => text.slice(0, at % (text.length + 1)) + instead + text.slice((at % (text.length + 1)) + 1))
    .filter((text) => !isJson(text))
  fc.assert(
    fc.property(broken, (text) => {
      const { line, column } = jsonMistake(text)
      const lines = text.split('\n')
      return line >= 1 && line <= lines.length && column >= 1 && column <= (lines[line - 1]?.length ?? 0) + 1
    }),
    { numRuns: 2000 },
  )
})

it('what JSON.parse takes has no mistake before its end', () => {
  fc.assert(fc.property(fc.json(), (text) => jsonMistake(text).message === 'expected nothing more, but the text ends'))
})
