import { describe, expect, it } from 'vitest'
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
