import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { diskTrouble } from '../../agent/disk-trouble.ts'
import { ownFolder } from '../support/folder.ts'

test.each([
  ['ENOSPC', 'its disk is full', 'free some space'],
  ['EDQUOT', 'its quota is used up', 'free some space'],
  ['EROFS', 'its file system is read-only', 'make it writable for this user'],
  ['EACCES', 'permission denied', 'make it writable for this user'],
  ['EIO', 'what Node said', 'make it writable for this user'],
])('%s is: %s; %s', (code, why, remedy) => {
  expect(diskTrouble(Object.assign(new Error('what Node said'), { code }))).toEqual({ why, remedy })
})

test('a file where a folder should be is told apart from one above it', async () => {
  const file = join(await ownFolder(), 'file')
  await writeFile(file, '')
  const trouble = (path: string) => mkdir(path, { recursive: true }).then(() => null, diskTrouble)
  expect(await trouble(file)).toEqual({ why: 'a file is in its place', remedy: 'move that file away' })
  const link = join(file, '..', 'link')
  await symlink('nowhere', link)
  for (const above of [file, link]) expect(await trouble(join(above, 'sub'))).toEqual({ why: 'a part of the path is a file or a broken link', remedy: 'correct the path' })
})
