import { describe, expect, it } from 'vitest'
import { parseConditional } from '../../../../schema/pipeline/conditional/conditional.ts'
import { kindOf, verdict } from '../../../support/conditions.ts'

describe('a condition', () => {
  it.each([
    ['1 == 1', true],
    ['"a" != \'a\'', false],
    ['"main" =~ /^ma/', true],
    ['"main" !~ /^ma/', false],
    ['["a", "b"] includes "b"', true],
    ['["a", "b"] includes /^c/', false],
    ['!true', false],
    ['null == null', true],
    ['[] == []', true],
    ['["a"] != ["a", "b"]', true],
    ['/a/i == /a/', false],
  ])('%s is %s', (text, holds) => {
    expect(verdict(text)).toBe(holds)
  })

  it('binds "&&" tighter than "||", and comparisons tighter than both', () => {
    expect(verdict('true || false && false')).toBe(true)
    expect(verdict('(true || false) && false')).toBe(false)
    expect(verdict('1 == 2 || 1 != 2 && 3 == 3')).toBe(true)
  })

  it('binds "!" tighter than a comparison, but not than "includes"', () => {
    expect(verdict('!true == false')).toBe(true)
    expect(verdict('!["a"] includes "b"')).toBe(true)
    expect(verdict('true && !["a"] includes "a"')).toBe(false)
    expect(verdict('!!["a"] includes "a"')).toBe(true)
  })

  it('chooses one of two, from right to left', () => {
    expect(verdict('1 == 1 ? false : true')).toBe(false)
    expect(verdict('false ? false : false ? false : true')).toBe(true)
    expect(verdict('("a" == "b" ? ["x"] : ["y"]) includes "y"')).toBe(true)
  })

  it('compares what a comparison gave', () => {
    expect(verdict('1 == 2 == false')).toBe(true)
  })

  it('does not hold when it is null', () => {
    expect(verdict('true ? null : false')).toBe(false)
    expect(verdict('build.pull_request.draft')).toBe(false)
    expect(verdict('build.pull_request.draft || build.fixed')).toBe(false)
    expect(verdict('!build.pull_request.draft')).toBe(true)
  })

  it('looks only at what it needs', () => {
    expect(verdict('false && ${NOT_SET:?} == "a"')).toBe(false)
    expect(verdict('true || ${NOT_SET:?} == "a"')).toBe(true)
    expect(verdict('true ? true : ${NOT_SET:?} == "a"')).toBe(true)
  })

  it('may have comments and stand on several lines', () => {
    expect(verdict('// first\ntrue && // second\r\n\tfalse // third')).toBe(false)
  })

  it('of blanks can be read but not decided', () => {
    expect(parseConditional(' \n').ok).toBe(true)
    expect(verdict(' \n')).toBe('parse at « \n»: this condition is empty; say when, or take it away.')
  })

  it('has whole numbers, octal behind a zero, up to 64 bits', () => {
    expect(verdict('010 == 8')).toBe(true)
    expect(verdict('9223372036854775807 == 9223372036854775806')).toBe(false)
    expect(kindOf('08 == 8')).toBe('parse')
    expect(kindOf('9223372036854775808 == 1')).toBe('parse')
  })
})

describe('what is no condition is told with its place:', () => {
  it.each([
    ['build.branch = "main"', 'parse at «=»: "=" means nothing here; equality is "==".'],
    ['true & true', 'parse at «&»: "&" means nothing here; both is "&&".'],
    ['"a" ~= /a/', 'parse at «~»: "~" means nothing here; a regular expression is matched with "=~".'],
    ['true 🚀', 'parse at «🚀»: "🚀" means nothing here; text stands in quotes.'],
    ['true and false', 'parse at «and»: the condition is over before "and"; put "&&" or "||" between two conditions.'],
    ['build..branch == "a"', 'parse at «build..branch»: "build..branch" is no name: a dot stands between two words of it.'],
    ['"a" == "b', 'parse at «"b»: this text is never closed; end it with ".'],
    ['"a" =~ /b', 'parse at «/b»: this regular expression is never closed; end it with "/", and write "\\/" for a slash within it.'],
    ['(true', 'parse at «»: ")" is missing before its end, to close what was opened.'],
    ['true ? false', 'parse at «»: ":" is missing before its end, between both sides of a choice.'],
    ['["a" "b"] includes "a"', 'parse at «"b"»: "]" is missing before "b", or a comma.'],
    ['$$HOME == "a"', 'parse at «$$»: "$$" means nothing here. A pipeline file says "$$" where a "$" is to come through; this was not read from one, so write "$".'],
    ['${HOME == "a"', 'parse at «${HOME == "a"»: this "${" is never closed; close it with "}".'],
  ])('%s', (text, error) => {
    expect(verdict(text)).toBe(error)
  })

  it('a value that is missing', () => {
    for (const text of ['true &&', '== 1', '()', '["a",] includes "a"', '!', 'true ? : false', '// nothing but a comment']) expect(verdict(text), text).toMatch(/^parse at .*a value is missing before/)
  })

  it('a call of what is no name', () => {
    expect(kindOf('true("a")')).toBe('parse')
    expect(kindOf('env("a")("b") == "c"')).toBe('parse')
  })
})
