/** Digests of real files, and that a file which somebody writes to is noticed. */
import { createHash } from 'node:crypto'
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { contentTypeOf } from '../../../agent/artifacts/content-type.ts'
import { assertUnchanged, measureFile } from '../../../agent/artifacts/measure.ts'
import { PIECE_BYTES } from '../../../schema/artifacts.ts'
import { ownFolder } from '../../support/folder.ts'

const digest = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest('hex')

it.each([0, 1, PIECE_BYTES, PIECE_BYTES + 7])('a file of %i bytes is measured whole and by piece', async (size) => {
  const file = join(await ownFolder(), 'f')
  const bytes = Buffer.alloc(size, 'some text that does not repeat at pieces')
  writeFileSync(file, bytes)
  const pieces = size === 0 ? [digest('sha256', bytes)] : Array.from({ length: Math.ceil(size / PIECE_BYTES) }, (_, n) => digest('sha256', bytes.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES)))
  expect(await measureFile(file)).toMatchObject({ bytes: size, sha256: digest('sha256', bytes), sha1: digest('sha1', bytes), pieces })
})

it('a file that was written to, replaced or removed since is another', async () => {
  const folder = await ownFolder()
  const file = join(folder, 'f')
  writeFileSync(file, 'one')
  const measured = await measureFile(file)
  await assertUnchanged(file, measured)
  writeFileSync(join(folder, 'g'), 'one')
  renameSync(join(folder, 'g'), file)
  await expect(assertUnchanged(file, measured)).rejects.toThrow('was changed while it was being uploaded')
  const again = await measureFile(file)
  appendFileSync(file, '!')
  await expect(assertUnchanged(file, again)).rejects.toThrow('was changed')
  renameSync(file, join(folder, 'elsewhere'))
  await expect(assertUnchanged(file, again)).rejects.toThrow('was changed')
})

it.each([['a.html', 'text/html; charset=utf-8'], ['A.PNG', 'image/png'], ['x.tar.gz', 'application/gzip'], ['dist/app', 'application/octet-stream'], ['.json', 'application/json'], ['a.constructor', 'application/octet-stream'], ['a.b/c', 'application/octet-stream']])('%s is %s', (path, type) => {
  expect(contentTypeOf(path)).toBe(type)
})
