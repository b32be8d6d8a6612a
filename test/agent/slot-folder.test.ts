import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { nodePlatform } from '../../agent/node-platform.ts'
import { slotFolders } from '../../agent/slot-folder.ts'
import { ownFolder } from '../support/folder.ts'

const { disk } = nodePlatform()
let folder: string
beforeEach(async () => {
  folder = join(await ownFolder(), 'slots')
})

describe('the folder of a job without a checkout', () => {
  it('is there and empty, one a slot', async () => {
    const folders = slotFolders(folder, disk)
    const [zero, one] = await Promise.all([folders.empty(0), folders.empty(1)])
    expect(zero).not.toBe(one)
    expect(await readdir(zero)).toEqual([])
  })

  it('is empty again whatever a job left in it', async () => {
    const folders = slotFolders(folder, disk)
    const path = await folders.empty(0)
    await mkdir(join(path, 'deep', 'down'), { recursive: true })
    await writeFile(join(path, 'deep', 'down', '.hidden'), 'x')
    await chmod(join(path, 'deep'), 0o500)
    expect(await folders.empty(0)).toBe(path)
    expect(await readdir(path)).toEqual([])
    await folders.tidied()
    expect(await readdir(folder)).toEqual(['0'])
  })

  it('is emptied once when two ask at the same time', async () => {
    const folders = slotFolders(folder, disk)
    const path = await folders.empty(0)
    await writeFile(join(path, 'left'), 'x')
    await Promise.all([folders.empty(0), folders.empty(0)])
    expect(await readdir(path)).toEqual([])
  })

  it('forgets what an earlier process had moved aside', async () => {
    await mkdir(join(folder, '0.old-7', 'x'), { recursive: true })
    const folders = slotFolders(folder, disk)
    await folders.tidied()
    expect(await readdir(folder)).toEqual([])
  })
})
