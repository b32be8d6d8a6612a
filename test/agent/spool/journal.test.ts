/** What a spool writes before anything happens, and in which order it becomes durable. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { A, assignmentOf, bench, finished, id } from '../../support/spool-bench.ts'

describe('the order of what becomes durable', () => {
  test('a job of `true` pays four durable writes and one folder', async () => {
    const { open, disk } = await bench()
    const spool = await open()
    disk.done.length = 0
    await finished(spool, A)
    await spool.logSealed(A)
    await spool.settle(A, 'accepted')
    expect(disk.done.filter((line) => line.startsWith('syncFolder'))).toHaveLength(1)
    expect(disk.done.filter((line) => !/^(makeFolder|syncFolder)/.test(line))).toEqual(['spec.json', 'started', 'result.json', 'verdict'].map((name) => `writeDurably ${A}/${name}`))
  })

  test('settled folders go together, after one durable line each that they are known', async () => {
    const { open, disk, clock, folder } = await bench()
    const spool = await open()
    for (const n of [1, 2, 3]) {
      await finished(spool, id(n))
      await spool.logSealed(id(n))
      await spool.settle(id(n), 'accepted')
    }
    disk.done.length = 0
    await clock.turn(1000)
    await spool.close()
    expect(disk.done.findIndex((line) => line.endsWith('/known'))).toBe(0)
    expect(disk.done.filter((line) => line.endsWith('/known'))).toHaveLength(1)
    expect(await readdir(join(folder, 'spool'))).toEqual([])
    expect(await readFile(join(folder, 'known'), 'utf8')).toBe(`${id(1)}\n${id(2)}\n${id(3)}\n`)
  })

  test('settled folders go a second later, each time', async () => {
    const { open, clock, folder } = await bench()
    const spool = await open()
    for (const n of [1, 2]) {
      await finished(spool, id(n))
      await spool.settle(id(n), 'accepted')
      await spool.logSealed(id(n))
      await clock.turn(1000)
      await vi.waitFor(async () => expect(await readdir(join(folder, 'spool'))).toEqual([]))
    }
  })

  test('naming the process after the spawn costs no second durable write', async () => {
    const { open, disk } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await spool.markStarted(A, null)
    await spool.markStarted(A, { pid: 77, startTime: 'noon' })
    expect(disk.done.filter((line) => line.endsWith('/started'))).toEqual([`writeDurably ${A}/started`, `write ${A}/started`])
    expect((await open()).replayed.lost[0]).toMatchObject({ process: { pid: 77, startTime: 'noon' } })
  })
})

describe('the journal', () => {
  test('an attempt is new once, also when it is offered twice at the same moment', async () => {
    const { open } = await bench()
    const spool = await open()
    expect(await Promise.all([spool.journal(assignmentOf(A)), spool.journal(assignmentOf(A))])).toEqual(['new', 'known'])
    expect(await (await open()).journal(assignmentOf(A))).toBe('known')
  })

  test('an attempt is known for ever, also after its folder is gone', async () => {
    const { open, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.settle(A, 'accepted')
    await spool.logSealed(A)
    await spool.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
    expect(await spool.journal(assignmentOf(A))).toBe('known')
    expect(await (await open()).journal(assignmentOf(A))).toBe('known')
  })

  test('an attempt that could not be journalled was never begun, and may be offered again', async () => {
    const { open, disk } = await bench()
    const spool = await open()
    disk.refuse = (verb) => (verb === 'writeDurably' ? 'ENOSPC' : null)
    await expect(spool.journal(assignmentOf(A))).rejects.toMatchObject({ code: 'ENOSPC' })
    disk.refuse = () => null
    expect(await spool.journal(assignmentOf(A))).toBe('new')
  })

  test('an attempt that was given up goes with its log and stays known', async () => {
    const { open, folder } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await spool.giveUp(A)
    await spool.logSealed(A)
    await spool.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
    expect(await (await open()).journal(assignmentOf(A))).toBe('known')
  })
})
