/** A spool on a disk that takes nothing more. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { A, assignmentOf, bench, finished, id, resultOf } from '../../support/spool-bench.ts'

describe('a full disk [D33]', () => {
  test('the reserve is whole at the start, and makes room for a result', async () => {
    const { open, disk, folder } = await bench()
    const spool = await open()
    expect((await stat(join(folder, 'reserve'))).size).toBe(8 * 2 ** 20)
    await spool.journal(assignmentOf(A))
    disk.done.length = 0
    disk.refuse = (verb) => (verb === 'writeDurably' && disk.done.length === 0 ? 'ENOSPC' : null)
    await spool.finish(A, resultOf())
    expect(disk.done.map((line) => line.split(' ')[0])).toEqual(['remove', 'writeDurably'])
    disk.refuse = () => null
    expect((await open()).pending()).toHaveLength(1)
    expect((await stat(join(folder, 'reserve'))).size).toBe(8 * 2 ** 20)
  })

  test('a result that cannot be spooled even so is not promised, and can be tried again', async () => {
    const { open, disk } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    disk.refuse = (verb) => (verb === 'writeDurably' ? 'ENOSPC' : null)
    await expect(spool.finish(A, resultOf())).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(spool.pending()).toEqual([])
    disk.refuse = () => null
    await spool.finish(A, resultOf())
    expect(spool.pending()).toHaveLength(1)
  })

  test('what could not be put away is put away later', async () => {
    const { open, disk, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.settle(A, 'accepted')
    await spool.logSealed(A)
    disk.refuse = (_, path) => (path.endsWith('known') ? 'ENOSPC' : null)
    await spool.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([A])
    disk.refuse = () => null
    await spool.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
  })

  test('nor is one kept for ever that could not be removed', async () => {
    const { open, disk, clock, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.settle(A, 'accepted')
    let refused = 0
    disk.refuse = (verb, path) => {
      const isRefused = verb === 'remove' && path.endsWith(A)
      refused += Number(isRefused)
      return isRefused ? 'EIO' : null
    }
    await spool.logSealed(A)
    for (const times of [1, 2]) {
      await clock.turn(30_000)
      await vi.waitFor(() => expect(refused).toBe(times))
      await vi.waitFor(() => expect(clock.waiting()).toBe(1))
    }
    disk.refuse = () => null
    await clock.turn(30_000)
    await vi.waitFor(async () => expect(await readdir(join(folder, 'spool'))).toEqual([]))
  })

  test('nor what is left of one whose journal failed', async () => {
    const { open, disk, clock, folder } = await bench()
    const spool = await open()
    disk.refuse = (verb) => (verb === 'writeDurably' ? 'EIO' : null)
    await expect(spool.journal(assignmentOf(A))).rejects.toMatchObject({ code: 'EIO' })
    disk.refuse = () => null
    await clock.turn(1000)
    await vi.waitFor(async () => expect(await readdir(join(folder, 'spool'))).toEqual([]))
  })

  test('an attempt that is offered again after its journal failed keeps its new one', async () => {
    const { open, disk, clock } = await bench()
    const spool = await open()
    disk.refuse = (verb) => (verb === 'writeDurably' ? 'EIO' : null)
    for (const n of [1, 2]) await expect(spool.journal(assignmentOf(id(n)))).rejects.toMatchObject({ code: 'EIO' })
    disk.refuse = () => null
    await spool.journal(assignmentOf(id(1)))
    const { remove } = disk
    const gate = Promise.withResolvers<void>()
    let isGoing = false
    disk.remove = async (path) => {
      isGoing = true
      await gate.promise
      await remove(path)
    }
    await clock.turn(1000)
    await vi.waitFor(() => expect(isGoing).toBe(true))
    const again = spool.journal(assignmentOf(id(2))) // at the very moment in which what is left of it goes
    for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve))
    gate.resolve()
    expect(await again).toBe('new')
    await spool.close()
    expect((await open()).replayed.lost.map(({ attempt }) => attempt).sort()).toEqual([id(1), id(2)])
  })

  test('a reserve that was spent is put back once there is room, without a restart', async () => {
    const { open, disk, clock, folder } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    disk.refuse = (verb) => (verb === 'writeDurably' && !disk.done.some((line) => line.startsWith('remove')) ? 'ENOSPC' : null)
    await spool.finish(A, resultOf())
    await expect(stat(join(folder, 'reserve'))).rejects.toMatchObject({ code: 'ENOENT' })
    disk.refuse = () => null
    await spool.settle(A, 'accepted')
    await spool.logSealed(A)
    await clock.turn(1000)
    await vi.waitFor(async () => expect((await stat(join(folder, 'reserve'))).size).toBe(8 * 2 ** 20))
  })

  test.each(['EIO', 'EMFILE', 'EACCES'])('a result that cannot be read (%s) stays where it is, and the agent does not start without it', async (code) => {
    const { open, disk, folder } = await bench()
    await finished(await open(), A)
    const read = disk.read
    disk.read = async (path) => {
      if (path.endsWith('result.json')) throw Object.assign(new Error(code), { code })
      return await read(path)
    }
    await expect(open()).rejects.toMatchObject({ name: 'StateError', code: 'unreadable', message: expect.stringContaining(`cannot read ${join(folder, 'spool', A)}`) })
    disk.read = read
    expect((await open()).pending()).toHaveLength(1)
  })

  test('a spool that cannot be opened says so in a sentence about its folder', async () => {
    const { open, disk } = await bench()
    disk.refuse = (verb) => (verb === 'allocate' ? 'EIO' : null)
    await expect(open()).rejects.toMatchObject({ name: 'StateError', message: expect.stringContaining('cannot write the state folder') })
  })

  test('a disk too full for a reserve does not keep the agent from starting', async () => {
    const { open, disk } = await bench()
    disk.refuse = (verb, path) => (verb === 'allocate' && path.endsWith('reserve') ? 'ENOSPC' : null)
    expect((await open()).pending()).toEqual([])
  })
})
