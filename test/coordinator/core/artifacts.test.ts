/** Which artifacts a job may have. */
import { describe, expect, it } from 'vitest'
import { putArtifacts } from '../../../coordinator/core/artifacts.ts'
import type { ArtifactRow } from '../../../coordinator/core/decision.ts'
import { ARTIFACT_LIMITS, type UploadedFile } from '../../../schema/artifacts.ts'

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
