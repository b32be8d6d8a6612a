import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesQuery } from '../../schema/artifact-query.ts'
import { runs } from '../fuzz/seed.ts'

describe('a query', () => {
  it.each([
    ['dist/a.js', 'dist/a.js', true], ['dist/*', 'dist/deep/a.js', true], ['*.js', 'dist/a.js', true], ['*', '', true], ['*', 'a/b', true], ['a*b*c', 'a1b2c', true], ['a*b*c', 'abc', true], ['**', 'a', true],
    ['dist', 'dist/a.js', false], ['a*b*c', 'acb', false], ['a*a', 'a', false], ['?', 'a', false], ['?', '?', true], ['[ab]', 'a', false], ['[ab]', '[ab]', true], ['a.c', 'abc', false], ['', 'a', false],
  ])('%j of %j is %j', (query, path, isFound) => {
    expect(matchesQuery(path, query)).toBe(isFound)
  })

  it('finds what a regular expression would find', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 12 })
    const query = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*'), maxLength: 8 })
    fc.assert(
      fc.property(text, query, (path, asked) => {
        expect(matchesQuery(path, asked)).toBe(new RegExp(`^${asked.replaceAll('.', '\\.').replaceAll('*', '.*')}$`, 's').test(path))
      }),
      runs(2000),
    )
  })

  it('of stars alone is answered at once, however long', () => {
    expect(matchesQuery('a'.repeat(1024), `${'*a'.repeat(255)}*b`)).toBe(false)
  })
})
