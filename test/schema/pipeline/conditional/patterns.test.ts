import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Budget } from '../../../../schema/pipeline/conditional/budget.ts'
import { compilePattern, matches } from '../../../../schema/pipeline/conditional/pattern.ts'
import { kindOf, verdict } from '../../../support/conditions.ts'

describe('a regular expression', () => {
  it.each([
    [String.raw`"a/b" =~ /^a\/b$/`, true],
    ['"Main" =~ /main/', false],
    ['"Main" =~ /main/i', true],
    ['"Main" =~ /(?i)main/', true],
    ['"a\\nb" =~ /^b/', false],
    ['"a\\nb" =~ /(?m)^b/', true],
    [String.raw`"a\$" =~ /a\$/`, true],
    ['"a" =~ /a$$/', true],
    ['"a]" =~ /^[]a]+$/', true],
    ['"é" =~ /^[[:alpha:]é]$/', true],
    [String.raw`"a\nb\n" =~ /b\Z/`, true],
    [String.raw`"a\nb\n" =~ /a\Z/`, false],
    ['"ab" =~ /a(?#a comment)b/', true],
    [String.raw`"(?<=a)" =~ /\(\?<=a\)/`, true],
    ['"(?>" =~ /[(?>]{3}/', true],
    [String.raw`"++" =~ /\++/`, true],
  ])('%s is %s', (text, holds) => {
    expect(verdict(text)).toBe(holds)
  })

  it('cannot have what would make conditions slow or mean another thing elsewhere', () => {
    for (const source of ['(?<=a)b', '(?<!a)b', '(?>a)', '(?<name>a)', '(?P<name>a)', "(?'name'a)", '(?(1)a|b)', 'a++', 'a*+', 'a?+', 'a{2}+', 'a{2,}+', 'a{2,3}+', '(a)\\1']) {
      expect(verdict(`"a" =~ /${source}/`), source).toMatch(/^parse at «\/.*: a condition's regular expression cannot have /)
    }
  })

  it('has to be one', () => {
    for (const source of ['(a', 'a)', '[a', '*', 'a**', '[b-a]', '\\', '(?#a', 'a{1001}']) expect(kindOf(`"a" =~ /${source}/`), source).toBe('parse')
    expect(kindOf('"a" =~ /a/x')).toBe('parse')
  })

  it('is held against no more than can be matched at once', () => {
    const build = { message: 'a'.repeat(1_000_000) }
    expect(verdict('build.message =~ /b$/', { build })).toBe(false)
    expect(kindOf('build.message =~ /(?:a|b){50}$/', { build })).toBe('evaluation')
  })
})

describe('a regular expression that looks ahead', () => {
  it.each([
    ['"main" =~ /^(?!main$)/', false],
    ['"maintenance" =~ /^(?!main$)/', true],
    ['"a wip b" =~ /^(?!.*\\bWIP\\b).*$/i', false],
    ['"swipe" =~ /^(?!.*\\bWIP\\b).*$/i', true],
    ['"xbxa" =~ /^(?=.*a)(?=.*b)/', true],
    ['"foobar" =~ /(?i)FOO(?-i)(?=BAR)/', false],
    ['"fooBAR" =~ /(?i)FOO(?-i)(?=BAR)/', true],
    ['"x{2}1" =~ /x\\{2}(?=1)/', true],
    ['"🚀🛰" =~ /^\\x{1F680}(?=🛰$)/', true],
  ])('%s is %s', (text, holds) => {
    expect(verdict(text)).toBe(holds)
  })

  // Not `(?i:…)`: of `(?i:(a|[ab]))` V8 says that it does not match "B".
  it('matches what it does in JavaScript', () => {
    const { source } = fc.letrec<{ readonly source: string }>((tie) => ({
      source: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom('a', 'b', 'B', '.', '[ab]', '[^a]', '^', '$', '\\b', '\\W', '\\n', ''),
        fc.tuple(tie('source'), tie('source')).map(([one, other]) => one + other),
        fc.tuple(tie('source'), tie('source')).map(([one, other]) => `(${one}|${other})`),
        fc.tuple(tie('source'), fc.constantFrom('*', '+?', '?', '{2}', '{1,}')).map(([one, quantifier]) => `(?:${one})${quantifier}`),
        fc.tuple(fc.constantFrom('(?=', '(?!', '(?m:', '(?s:'), tie('source')).map(([begin, one]) => `${begin}${one})`),
      ),
    }))
    const text = fc.array(fc.constantFrom('a', 'b', 'A', 'B', '-', '\n'), { maxLength: 6 }).map((letters) => letters.join(''))
    fc.assert(
      fc.property(source, source, source, fc.constantFrom('', 'i'), fc.array(text, { minLength: 5 }), (before, ahead, behind, flags, texts) => {
        const written = `${before}(?!${ahead})${behind}`
        const answer = compilePattern(written, flags, new Budget())
        if (!answer.ok) throw new Error(`${written}: ${answer.message}`)
        const native = new RegExp(written, flags)
        for (const one of texts) expect([written, one, matches(answer.pattern, one)]).toEqual([written, one, native.test(one)])
      }),
      { numRuns: 1000 },
    )
  })

  it('cannot have what cannot be turned round', () => {
    expect(kindOf(String.raw`"a" =~ /\Q.\E(?=a)/`)).toBe('parse')
    expect(kindOf(String.raw`"." =~ /\Q.\E/`)).toBe(true)
  })
})
