import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { attemptId, type AttemptId } from '../../../schema/job.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
import type { Disk } from '../../../agent/platform.ts'
import { openKnown } from '../../../agent/spool/known.ts'
import { ownFolder } from '../../support/folder.ts'

const { disk } = nodePlatform()
const id = (n: number): AttemptId => attemptId({ project: 1, build: 1, n, fence: 1 })

test('ids are known to the next start', async () => {
  const path = join(await ownFolder(), 'known')
  const known = await openKnown(path, disk)
  await known.add([id(1), id(2)])
  await known.add([id(2), id(3)])
  const again = await openKnown(path, disk)
  expect([1, 2, 3, 4].map((n) => again.has(id(n)))).toEqual([true, true, true, false])
  expect(await readFile(path, 'utf8')).toBe(`${id(1)}\n${id(2)}\n${id(3)}\n`)
})

test('a torn last line spoils neither itself nor the next', async () => {
  const path = join(await ownFolder(), 'known')
  await writeFile(path, `${id(1)}\nJ1-1-`)
  const known = await openKnown(path, disk)
  await known.add([id(3)])
  const again = await openKnown(path, disk)
  expect([again.has(id(1)), again.has(id(3))]).toEqual([true, true])
})

test('an id that a full disk took half of spoils none that follow', async () => {
  const path = join(await ownFolder(), 'known')
  let room = Infinity
  const small: Disk = {
    ...disk,
    append: async (to) => {
      const file = await disk.append(to)
      return { ...file, write: (bytes) => file.write(bytes.subarray(0, room)).then(() => (bytes.byteLength > room ? Promise.reject(new Error('ENOSPC')) : undefined)) }
    },
  }
  const known = await openKnown(path, small)
  await known.add([id(1)])
  room = 4
  await expect(known.add([id(2)])).rejects.toThrow('ENOSPC')
  expect(known.has(id(2))).toBe(false)
  room = Infinity
  await known.add([id(3)])
  const again = await openKnown(path, disk)
  expect([1, 2, 3].map((n) => again.has(id(n)))).toEqual([true, false, true])
})

test('an id is on the disk before it counts as known, and no file stays open, not even when the disk fails', async () => {
  const path = join(await ownFolder(), 'known')
  const done: string[] = []
  let isFailing = false
  const watched: Disk = {
    ...disk,
    append: async (to) => {
      const file = await disk.append(to)
      done.push('open')
      return {
        write: (bytes) => file.write(bytes),
        sync: async () => {
          done.push(`sync of what is ${known.has(id(isFailing ? 3 : 2)) ? 'known' : 'not known yet'}`)
          if (isFailing) throw new Error('EIO')
          await file.sync()
        },
        close: async () => {
          await file.close()
          done.push('close')
        },
      }
    },
  }
  const known = await openKnown(path, watched)
  await known.add([id(1)])
  await known.add([id(2)])
  isFailing = true
  await expect(known.add([id(3)])).rejects.toThrow('EIO')
  expect(known.has(id(3))).toBe(false)
  expect(done).toEqual(Array.from({ length: 2 }, () => ['open', 'sync of what is not known yet', 'close']).flat())
})

test('only the newest are kept, and the file stays short', async () => {
  const path = join(await ownFolder(), 'known')
  const known = await openKnown(path, disk, { keep: 10 })
  for (let n = 1; n <= 95; n += 1) await known.add([id(n)])
  const again = await openKnown(path, disk, { keep: 10 })
  expect(again.has(id(1))).toBe(false)
  for (let n = 86; n <= 95; n += 1) expect(again.has(id(n))).toBe(true)
  expect((await readFile(path, 'utf8')).split('\n').length).toBeLessThan(22)
})
