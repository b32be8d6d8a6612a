/** Where a download writes, and that it writes nowhere else. */
import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeRoom, targetOf, TargetError } from '../../../agent/artifacts/target.ts'
import { ownFolder } from '../../support/folder.ts'
import { runs } from '../../fuzz/seed.ts'

describe('a destination', () => {
  it.each([
    // The examples of Buildkite's documentation, and of its agent's own tests.
    ['app/logs/a.log', '/w/foo/app/', '/w/foo/app/app/logs/a.log'], ['app/logs/a.log', '/w/foo/app', '/w/foo/app/logs/a.log'], ['app/logs/a.log', '/w/', '/w/app/logs/a.log'],
    ['a', '/w/a/', '/w/a/a'], ['a/b', '/w/c/a/', '/w/c/a/a/b'], ['a/b', '/w/a/b', '/w/a/b/a/b'], ['a', '/w/a', '/w/a'], ['a/b', '/w/c/a', '/w/c/a/b'], ['lambda.zip', '/w/lambda.zip', '/w/lambda.zip'],
    ['app/a.log', '/var/logs', '/var/logs/app/a.log'], ['app/a.log', '/var/logs/app', '/var/logs/app/a.log'], ['a', '/', '/a'],
    ['app/a', '/w/myapp', '/w/myapp/app/a'],
  ])('%s goes to %s as %s', (path, destination, file) => {
    expect(targetOf(path, destination).file).toBe(file)
  })

  it.each(['../a', '/etc/passwd', 'a/../../b', 'a\nb', '', 'a//b', '..', 'a/'])('takes no %j', (path) => {
    expect(() => targetOf(path, '/w/')).toThrow(TargetError)
  })

  it('holds whatever is written, whatever it is called', () => {
    const segment = fc.oneof(fc.constantFrom('..', '.', '', 'a', 'w'), fc.string({ unit: 'binary', maxLength: 6 }))
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), fc.constantFrom('/w', '/w/', '/w/a', '/w/a/'), (segments, destination) => {
        try {
          expect(resolve(targetOf(segments.join('/'), destination).file).startsWith('/w')).toBe(true)
        } catch (error) {
          if (!(error instanceof TargetError)) throw error
        }
      }),
      runs(2000),
    )
  })
})

describe('room', () => {
  it('is made, folder by folder', async () => {
    const folder = realpathSync(await ownFolder())
    expect(makeRoom(targetOf('a/b/c', join(folder, 'new/')))).toBe(join(folder, 'new/a/b/c'))
    expect(existsSync(join(folder, 'new/a/b'))).toBe(true)
    expect(makeRoom(targetOf('top', `${folder}/`))).toBe(join(folder, 'top'))
  })

  it('is not made behind a link that leads out, and nothing is made there', async () => {
    const [folder, other] = [realpathSync(await ownFolder()), realpathSync(await ownFolder())]
    mkdirSync(join(folder, 'dist'))
    symlinkSync(other, join(folder, 'dist/out'))
    for (const path of ['dist/out/a', 'dist/out/deep/er/a']) expect(() => makeRoom(targetOf(path, `${folder}/`))).toThrow(`${join(folder, 'dist/out')} is a link to ${other}, outside of ${folder}`)
    expect(existsSync(join(other, 'deep'))).toBe(false)
  })

  it('may lie behind a link that stays within, or that is the destination itself', async () => {
    const folder = realpathSync(await ownFolder())
    mkdirSync(join(folder, 'real'))
    symlinkSync('real', join(folder, 'linked'))
    expect(makeRoom(targetOf('linked/a', `${folder}/`))).toBe(join(folder, 'linked/a'))
    expect(makeRoom(targetOf('deep/a', join(folder, 'linked/')))).toBe(join(folder, 'linked/deep/a'))
  })

  it('is not made where a file is in the way', async () => {
    const folder = realpathSync(await ownFolder())
    writeFileSync(join(folder, 'a'), '')
    expect(() => makeRoom(targetOf('a/b', `${folder}/`))).toThrow(/a part of its path is a file already/)
  })
})
