/** Which artifacts a job may have, and which are meant by what is asked for. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesQuery, putArtifacts } from '../../../coordinator/core/artifacts.ts'
import type { ArtifactRow } from '../../../coordinator/core/decision.ts'
import { ARTIFACT_LIMITS, type UploadedFile } from '../../../schema/artifacts.ts'
import { runs } from '../../fuzz/seed.ts'

const key = { project: 1, build: 2, n: 3, fence: 4 }
const file = (path: string, bytes = 5): UploadedFile => ({ path, bytes, sha256: 'a'.repeat(64), sha1: 'b'.repeat(40), content_type: 'text/plain' })
const row = (path: string, bytes = 5): ArtifactRow => ({ ...key, path, bytes, sha256: 'a'.repeat(64), sha1: 'b'.repeat(40), contentType: 'text/plain', createdAt: 7 })
const held = (count: number, ...rows: readonly ArtifactRow[]) => ({ count, before: new Map(rows.map((one) => [one.path, one])) })

describe('artifacts of a job', () => {
  it('become a row each, of the last that is said of a path', () => {
    expect(putArtifacts(key, [file('a'), file('b'), file('a', 9)], held(0), 7)).toEqual([{ kind: 'artifact.put', row: row('a', 9) }, { kind: 'artifact.put', row: row('b') }])
  })

  it('change nothing where they are the same, and take the place of others', () => {
    expect(putArtifacts(key, [file('a'), file('b')], held(2, row('a'), row('b', 1)), 7)).toEqual([{ kind: 'artifact.put', row: row('b') }])
  })

  it('are five thousand at most; those that are there may still change', () => {
    expect(putArtifacts(key, [file('new'), file('a')], held(ARTIFACT_LIMITS.files, row('a')), 7)).toMatchObject({ code: 'artifacts-full', detail: expect.stringContaining('5001 artifacts') })
    expect(putArtifacts(key, [file('a', 9)], held(ARTIFACT_LIMITS.files, row('a')), 7)).toHaveLength(1)
    expect(putArtifacts(key, [file('new')], held(ARTIFACT_LIMITS.files - 1), 7)).toHaveLength(1)
  })
})

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
