/** The rare moments of a lock; how a state folder is held is in `spool/identity.test.ts`. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { takeLock, type Processes } from '../../agent/lock.ts'
import { nodePlatform, nodeProcesses } from '../../agent/node-platform.ts'
import type { Disk } from '../../agent/platform.ts'
import { ownFolder } from '../support/folder.ts'

const { disk } = nodePlatform()
const DEAD = { pid: 7, start: 'monday', host: 'here', nonce: 'of the dead' }
const ALIVE = { pid: 8, start: 'tuesday', host: 'here', nonce: 'of one alive' }

async function bench() {
  const folder = await ownFolder()
  const path = join(folder, 'lock')
  const processes: Processes = { ...nodeProcesses(), pid: 9, host: 'here', startTime: async (pid) => (pid === 8 ? 'tuesday' : pid === 9 ? 'wednesday' : null) }
  const take = (on: Disk = disk) => takeLock(path, { disk: on, processes, nonce: 'ours' })
  return { folder, path, take }
}

test('a starter that was faster over a dead lock keeps the place, also when its lock was moved aside by mistake', async () => {
  const { folder, path, take } = await bench()
  await writeFile(path, JSON.stringify(DEAD))
  const late: Disk = {
    ...disk,
    rename: async (from, to) => {
      await writeFile(path, JSON.stringify(ALIVE)) // between our look and our move
      await disk.rename(from, to)
    },
  }
  expect(await take(late)).toEqual({ ok: false, holder: ALIVE })
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(ALIVE)
  expect(await readdir(folder)).toEqual(['lock'])
})

test('nothing of a dead holder is left beside the lock', async () => {
  const { folder, path, take } = await bench()
  await writeFile(path, JSON.stringify(DEAD))
  const lock = await take()
  expect([lock.ok, await readdir(folder)]).toEqual([true, ['lock']])
  if (lock.ok) await lock.release()
  expect(await readdir(folder)).toEqual([])
})

test('a holder on another host is taken for gone, whoever has its pid here', async () => {
  const { path, take } = await bench()
  await writeFile(path, JSON.stringify({ ...ALIVE, host: 'elsewhere' }))
  expect((await take()).ok).toBe(true)
})

test('a holder whose start could not be told holds as long as its pid lives', async () => {
  const { path, take } = await bench()
  await writeFile(path, JSON.stringify({ ...ALIVE, start: null }))
  expect((await take()).ok).toBe(false)
  await writeFile(path, JSON.stringify({ ...DEAD, start: null }))
  expect((await take()).ok).toBe(true)
})

test('who has lost the place by force is told so, and does not take the lock of the new holder away', async () => {
  const { path, take } = await bench()
  let isFailing = false
  const lock = await take({ ...disk, read: async (of) => (isFailing ? Promise.reject(new Error('EIO')) : await disk.read(of)) })
  if (!lock.ok) throw new Error('nobody else wants it')
  expect(await lock.isTaken()).toBe(false)
  await writeFile(path, JSON.stringify(ALIVE))
  expect(await lock.isTaken()).toBe(true)
  isFailing = true
  expect(await lock.isTaken()).toBe(false) // who cannot be read has taken nothing
  await lock.release() // is nobody's error
  isFailing = false
  await lock.release()
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(ALIVE)
  await disk.remove(path)
  expect(await lock.isTaken()).toBe(false)
})
