/** What an artifact may be called, and how it is cut into pieces. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesOfPiece, contentType, mistakeInArtifactPath, PIECE_BYTES, piecesOf } from '../../schema/artifacts.ts'
import { runs } from '../fuzz/seed.ts'

describe('the path of an artifact', () => {
  it.each(['a', 'dist/app.tar.gz', '.hidden', 'a b', "it's", '-x', '日本/é', '...', 'a\\b', '%2e%2e/a', 'x'.repeat(255), '*?[]{}', '<script>'])('may be %j', (path) => {
    expect(mistakeInArtifactPath(path)).toBeNull()
  })

  it.each([
    ['', 'empty'], ['/etc/passwd', 'begin with "/"'], ['..', '".."'], ['../a', '".."'], ['a/../b', '".."'], ['a/..', '".."'], ['a//b', '"//"'], ['./a', '"."'], ['a/./b', '"."'], ['a/', '"/"'],
    ['a\nb', 'control'], ['a\0', 'control'], ['\u001b[2J', 'control'], ['a\u0085', 'control'], ['a\u2028b', 'control'], ['a\u202Egpj.exe', 'control'], ['a\ud800', 'UTF-8'], ['a\uFFFD', 'UTF-8'],
    ['x'.repeat(256), '255 bytes'], ['日'.repeat(86), '255 bytes'], [`${'x/'.repeat(600)}x`, '1024 bytes'],
  ])('may not be %j', (path, why) => {
    expect(mistakeInArtifactPath(path)).toContain(why)
  })

  it('that is fine never leads out of the folder that it is put into', () => {
    const segment = fc.oneof(fc.constantFrom('..', '.', '', 'a', '...', ' ', '~'), fc.string({ unit: 'binary', maxLength: 8 }))
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const path = segments.join('/')
        if (mistakeInArtifactPath(path) === null) expect(new URL(path.split('/').map(encodeURIComponent).join('/'), 'https://kedge.test/in/').pathname.startsWith('/in/')).toBe(true)
      }),
      runs(2000),
    )
  })
})

describe('pieces', () => {
  it('of a file are all of it, and none is too large', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * 1024 ** 3 }), (bytes) => {
        const sizes = Array.from({ length: piecesOf(bytes) }, (_, piece) => bytesOfPiece(bytes, piece))
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(bytes)
        expect(Math.max(...sizes)).toBeLessThanOrEqual(PIECE_BYTES)
        expect(sizes.slice(0, -1).every((size) => size === PIECE_BYTES)).toBe(true)
      }),
      runs(200),
    )
    expect([piecesOf(0), piecesOf(1), piecesOf(PIECE_BYTES), piecesOf(PIECE_BYTES + 1)]).toEqual([1, 1, 1, 2])
  })
})

it.each([['text/plain', true], ['text/plain; charset=utf-8', true], ['image/svg+xml', true], ['text', false], ['text/plain\r\nx: y', false], ['text/plain; ', false], ['a/b; c="d\n"', false]])('the content type %j', (type, isFine) => {
  expect(contentType.safeParse(type).success).toBe(isFine)
})
