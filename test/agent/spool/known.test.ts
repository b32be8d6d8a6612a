import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { attemptId, type AttemptId } from '../../../schema/job.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
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

test('only the newest are kept, and the file stays short', async () => {
  const path = join(await ownFolder(), 'known')
  const known = await openKnown(path, disk, { keep: 10 })
  for (let n = 1; n <= 95; n += 1) await known.add([id(n)])
  const again = await openKnown(path, disk, { keep: 10 })
  expect(again.has(id(1))).toBe(false)
  for (let n = 86; n <= 95; n += 1) expect(again.has(id(n))).toBe(true)
  expect((await readFile(path, 'utf8')).split('\n').length).toBeLessThan(22)
})
