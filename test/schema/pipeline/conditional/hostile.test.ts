/** Anybody may send a condition, so none may be slow, deep, large or a crash. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Budget, evaluate, parseConditional } from '../../../../schema/pipeline/conditional/conditional.ts'
import { contextOf, kindOf, type Given } from '../../../support/conditions.ts'

const context = contextOf({ build: { branch: 'main', message: 'a '.repeat(5000), pullRequest: { labels: ['a', 'b'] } }, env: { A: 'value', B: '', C: 'x'.repeat(10_000) } })

/** What took long for anybody would not end within the time of a test. */
function answersSoon(text: string, given?: Given): string | boolean {
  return kindOf(text, given)
}

const word = fc.constantFrom('build.branch', 'build.message', 'build.pull_request.labels', 'build.state', 'true', 'false', 'null', 'env(', 'build.env("A")', '"a"', "'b'", '"$A ${B:-x}"', '$A', '${NONE?}', '${C:1:2}', '/a/', '/(?i)b+$/', '12', '==', '!=', '=~', '!~', '&&', '||', '!', 'includes', '?', ':', '(', ')', '[', ']', ',', '//', '\n')
const sign = fc.constantFrom(...'${}\'"\\:-+?/()[]|*&!=~,.a1# \n')

describe('any text', () => {
  it('is answered with a verdict or a place within it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.array(word, { maxLength: 30 }).map((words) => words.join(' ')), fc.array(sign, { maxLength: 60 }).map((signs) => signs.join('')))
    fc.assert(
      fc.property(text, fc.boolean(), (one, stepVariables) => {
        const parsed = parseConditional(one, { stepVariables })
        const answer = parsed.ok ? evaluate(parsed.conditional, context) : parsed
        if (answer.ok) return
        const { at, length, message } = answer.error
        expect(at >= 0 && length >= 0 && at + length <= one.length).toBe(true)
        expect(message.length).toBeLessThan(600)
      }),
      { numRuns: 2000 },
    )
  })

  it('holds exactly when its opposite does not', () => {
    const condition = fc.array(word, { minLength: 1, maxLength: 7 }).map((words) => words.join(' '))
    fc.assert(
      fc.property(condition, (one) => {
        const [parsed, opposite] = [parseConditional(one), parseConditional(`!(${one}\n)`)]
        if (!parsed.ok || !opposite.ok || one.trim() === '') return
        const [verdict, other] = [evaluate(parsed.conditional, context), evaluate(opposite.conditional, context)]
        expect(other.ok).toBe(verdict.ok)
        if (verdict.ok && other.ok) expect(other.holds).toBe(!verdict.holds)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a text without end', () => {
  it.each(['!', '(', '[', '[[],', 'true?', 'true?true:', 'env(', '1==', 'true&&', 'a.', '$A', '${', '${A-', '${A:', "${'", '"', '"${', '\\', '/', '//', '/(/', '"a",', '!a includes ', ' '])('of %j is answered soon', (part) => {
    for (const length of [30_000, 1_000_000]) expect(typeof answersSoon(part.repeat(length / part.length))).toBe('string')
  })

  it.each(['${', '${A-', '${A:', "${'", "${A-'${B", '$$', '\\x80', "'", '${A-}', "\\'${"])('of %j within quotes is answered soon', (part) => {
    answersSoon(`"${part.repeat(30_000 / part.length)} " == "a"`)
  })

  it('may have as many conditions in a row as it has room for', () => {
    expect(answersSoon(`true${' && true'.repeat(4000)}`)).toBe(true)
    expect(answersSoon(`true${' && (true)'.repeat(3000)}`)).toBe(true)
    expect(answersSoon(`["a"${', "a"'.repeat(6000)}] includes "b"`)).toBe(false)
  })
})

describe('what nests', () => {
  it('may be as deep as anybody writes, and no deeper', () => {
    expect(answersSoon(`${'('.repeat(60)}true${')'.repeat(60)}`)).toBe(true)
    for (const text of [`${'('.repeat(5000)}true${')'.repeat(5000)}`, `${'!'.repeat(5000)}true`, `1${' == 1'.repeat(5000)}`, `${'true ? '.repeat(3000)}true${' : true'.repeat(3000)}`]) expect(answersSoon(text)).toBe('parse')
    expect(answersSoon(`${'${A:-'.repeat(40)}x${'}'.repeat(40)} == "x"`)).toBe('parse')
  })
})

describe('a long value', () => {
  it('cannot be named so often that it fills the memory', () => {
    expect(answersSoon(`"${'$A'.repeat(16_000)}" == "a"`, { env: { A: 'x'.repeat(1_000_000) } })).toBe('evaluation')
    expect(answersSoon(`"${'$A'.repeat(100)}" == "a"`, { env: { A: 'x'.repeat(100) } })).toBe(false)
  })

  it('is matched in time that grows as it does', () => {
    const build = { message: 'a'.repeat(100_000) }
    for (const source of ['(a*)*b', '(a+)+$', '(a|aa)+b', '(.*)*(.*)*(.*)*b', '^(([a-z])+.)+[A-Z]$', '(x+x+)+y', '(?:a|b|ab)*a[ab]{20}$', '(?!(a*)*b)$', '(?:(?=a*b)a)*c']) expect(typeof answersSoon(`build.message =~ /${source}/`, { build })).toBe('boolean')
  })
})

describe('a large regular expression', () => {
  it.each(['(a{1000}){1000}', '(?:a{100}){100}', '\\p{L}{999}'.repeat(180), '(?i:\\p{L}{9})'.repeat(140), '('.repeat(1900), '(a|'.repeat(600), '['.repeat(1900), '[[:a:'.repeat(380), `${'a?'.repeat(600)}${'a'.repeat(600)}`, '(?#'.repeat(600), '(?='.repeat(600), `${'(?='.repeat(300)}a${')'.repeat(300)}`, '(?!a{99})'.repeat(100), `(?i)${'[!-\uFDFF]'.repeat(390)}`, `(?i)[${'!-\uFDFF'.repeat(600)}]`, `(?:${'[a-z]'.repeat(390)}){999}`, '(?i)\\pL'.repeat(240)])('such as %s is answered soon', (source) => {
    answersSoon(`build.message =~ /${source}/`, { build: { message: 'a'.repeat(100_000) } })
  })

  it('is refused, and so are many that are large together', () => {
    expect(answersSoon(`"a" =~ /${'a'.repeat(2001)}/`)).toBe('parse')
    expect(answersSoon(`true${' && "a" !~ /b{900}/'.repeat(30)}`)).toBe('parse')
  })
})

describe('thousands of conditions', () => {
  it('that share a budget are refused when it is spent', () => {
    const message = 'ab'.repeat(10_000)
    const budget = new Budget({ times: 2 })
    const holding = Array.from({ length: 2000 }, () => {
      const parsed = parseConditional('build.message =~ /(?:a|b|ab|ba)*a[ab]{299}$/', { budget })
      const verdict = parsed.ok ? evaluate(parsed.conditional, contextOf({ build: { message } }), { budget }) : parsed
      return verdict.ok && verdict.holds
    })
    expect(holding.indexOf(false)).toBeGreaterThan(5)
    expect(holding.lastIndexOf(true)).toBe(holding.indexOf(false) - 1)
  })

  it('that are small fit into the budget of a few', () => {
    const budget = new Budget({ times: 5 })
    for (let count = 0; count < 2000; count += 1) {
      const parsed = parseConditional('build.branch == "main" && build.message !~ /\\[skip ci\\]/i', { budget })
      expect(parsed.ok && evaluate(parsed.conditional, contextOf({ build: { branch: 'main', message: 'Mend the tests'.repeat(20) } }), { budget })).toEqual({ ok: true, holds: true })
    }
  })
})
