import { stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder, makeFolderNow } from '../../agent/make-folder.ts'
import { ownFolder } from '../support/folder.ts'

describe.each([['waiting', makeFolder], ['without waiting', async (path: string) => makeFolderNow(path)]] as const)('%s', (_how, make) => {
  test('a folder is made with all above it, again without complaint, and by several at once', async () => {
    const folder = join(await ownFolder(), 'a', 'b', 'c')
    await Promise.all([1, 2, 3].map(() => make(folder)))
    await make(`${folder}/`)
    expect((await stat(folder)).isDirectory()).toBe(true)
  })

  test('a folder that cannot be made is an error at once, with the code that tells why', async () => {
    const folder = await ownFolder()
    const [file, link] = [join(folder, 'file'), join(folder, 'link')]
    await writeFile(file, '')
    await symlink('nowhere', link)
    const code = (path: string) => make(path).then(() => null, (error: NodeJS.ErrnoException) => error.code)
    expect(await Promise.all([file, link, join(file, 'sub'), join(link, 'sub'), join(file, 'sub', 'sub')].map(code))).toEqual(['EEXIST', 'EEXIST', 'ENOTDIR', 'ENOTDIR', 'ENOTDIR'])
  })

  test.runIf(process.platform === 'linux').each(['/proc/kedge', '/proc/kedge/state'])('also where the kernel makes no folder, as at %s', async (path) => {
    await expect(make(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

test('each folder that is made has the mode that is asked for', async () => {
  const folder = join(await ownFolder(), 'a', 'b')
  makeFolderNow(folder, 0o700)
  for (const path of [folder, join(folder, '..')]) expect((await stat(path)).mode & 0o777).toBe(0o700)
})
