import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { HEALTH_LIMITS, startHealth, testTools } from '../../../agent/loop/health.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
import { watchDisk } from '../../support/watched-disk.ts'
import { turnedClock } from '../../support/turned-clock.ts'
import { ownFolder } from '../../support/folder.ts'

const GIB = 1024 ** 3

async function look(change: { bytes?: number; totalBytes?: number; inodes?: number; spool?: number; tools?: string | null; error?: Error } = {}) {
  const free = async () => {
    if (change.error) throw change.error
    return { bytes: 50 * GIB, totalBytes: 100 * GIB, inodes: 1e6, ...change }
  }
  const health = startHealth({ disk: { ...nodePlatform().disk, free }, clock: turnedClock(), folder: '/state', limits: HEALTH_LIMITS, everyMs: 10_000, spoolBytes: () => change.spool ?? 0, selfTest: async () => change.tools ?? null, changed: () => {} })
  await health.looked
  return health.reason()
}

describe('fit for work', () => {
  it('with room, a small spool and tools that start', async () => {
    expect(await look()).toBeNull()
  })

  it.each([
    ['less than 5 GiB are free', { bytes: 1.2 * GIB }, 'disk of /state: 1.2 GiB free, 5.0 GiB needed'],
    ['less than 5 % of a large disk are free', { bytes: 40 * GIB, totalBytes: 1000 * GIB }, 'disk of /state: 40.0 GiB free, 50.0 GiB needed'],
    ['few more files fit', { inodes: 12 }, /only 12 more files fit/],
    ['no more files fit', { inodes: 0 }, /only 0 more files fit/],
    ['nothing can be written', { error: Object.assign(new Error('access'), { code: 'EROFS' }) }, 'disk of /state cannot be used: its file system is read-only'],
    ['the spool grows', { spool: 3 * GIB }, /the spool holds 3.0 GiB/],
    ['a tool does not start', { tools: 'git does not start' }, 'git does not start'],
    ['the disk cannot be looked at', { error: new Error('EIO') }, 'disk of /state cannot be used: EIO'],
  ])('not when %s', async (_, change, reason) => {
    expect(await look(change)).toEqual(expect.stringMatching(reason))
  })

  it('not before the first look', () => {
    const health = startHealth({ disk: nodePlatform().disk, clock: turnedClock(), folder: '/', limits: HEALTH_LIMITS, everyMs: 1, spoolBytes: () => 0, selfTest: async () => null, changed: () => {} })
    expect(health.reason()).toMatch(/^starting/)
    health.stop()
  })

  it('looks again, tells of a change once, and repeats the self-test only until it passes', async () => {
    const clock = turnedClock()
    const told: (string | null)[] = []
    let bytes = GIB
    let tests = 0
    const health = startHealth({ disk: { ...nodePlatform().disk, free: async () => ({ bytes, totalBytes: 100 * GIB, inodes: 1e6 }) }, clock, folder: '/state', limits: HEALTH_LIMITS, everyMs: 10_000, spoolBytes: () => 0, selfTest: async () => ((tests += 1) < 2 ? 'no shell' : null), changed: (reason) => told.push(reason) })
    await health.looked
    await clock.turn(30_000)
    bytes = 50 * GIB
    await clock.turn(30_000)
    expect(told).toEqual(['no shell', expect.stringContaining('1.0 GiB free'), null])
    expect(tests).toBe(2)
    health.stop()
    expect(clock.waiting()).toBe(0)
  })

  it('not after something could not be written, until a look has written something itself', async () => {
    const clock = turnedClock()
    const folder = await ownFolder()
    const disk = watchDisk(nodePlatform().disk)
    const told: (string | null)[] = []
    const health = startHealth({ disk, clock, folder, limits: { ...HEALTH_LIMITS, freeBytes: 0, freeShare: 0, freeInodes: 0 }, everyMs: 10_000, spoolBytes: () => 0, selfTest: async () => null, changed: (reason) => told.push(reason) })
    await health.looked
    health.suspect('cannot write its journal: EIO')
    expect(health.reason()).toBe('cannot write its journal: EIO')
    disk.refuse = () => 'EROFS'
    await clock.turn(10_000)
    await vi.waitFor(() => expect(health.reason()).toBe(`cannot write to ${folder}: its file system is read-only`))
    disk.refuse = () => null
    await vi.waitFor(async () => {
      await clock.turn(10_000)
      expect(health.reason()).toBeNull()
    })
    expect(told).toEqual([null, 'cannot write its journal: EIO', `cannot write to ${folder}: its file system is read-only`, null])
    expect(await readdir(folder)).toEqual([])
    health.stop()
  })

  it('not by a look that began before something could not be written', async () => {
    const clock = turnedClock()
    const { disk } = nodePlatform()
    const free = { bytes: 50 * GIB, totalBytes: 100 * GIB, inodes: 1e6 }
    let looking: PromiseWithResolvers<typeof free> | null = null
    const folder = await ownFolder()
    const health = startHealth({ disk: { ...disk, free: () => (looking === null ? Promise.resolve(free) : looking.promise) }, clock, folder, limits: HEALTH_LIMITS, everyMs: 10_000, spoolBytes: () => 0, selfTest: async () => null, changed: () => {} })
    await health.looked
    looking = Promise.withResolvers()
    await clock.turn(10_000)
    health.suspect('cannot write its journal: EIO')
    looking.resolve(free)
    await vi.waitFor(() => expect(clock.waiting()).toBe(1)) // that look is over
    expect(health.reason()).toBe('cannot write its journal: EIO')
    await clock.turn(10_000)
    await vi.waitFor(() => expect(health.reason()).toBeNull())
    health.stop()
  })

  it('is of no interest once stopped, not even by a look that was under way', async () => {
    const clock = turnedClock()
    const told: (string | null)[] = []
    const testing = Promise.withResolvers<null>()
    const health = startHealth({ disk: nodePlatform().disk, clock, folder: '/', limits: HEALTH_LIMITS, everyMs: 10_000, spoolBytes: () => 0, selfTest: () => testing.promise, changed: (reason) => told.push(reason) })
    health.stop()
    testing.resolve(null)
    await health.looked
    expect([told, clock.waiting()]).toEqual([[], 0])
  })
})

describe('the self-test of shell and git', () => {
  it('passes where both start', async () => {
    expect(await testTools({ PATH: process.env['PATH'] })).toBeNull()
  })

  it('says what to do when git is not there', async () => {
    expect(await testTools({ PATH: '/nowhere' })).toMatch(/git does not start: it is not there. Install git/)
  })

  it('sees a git that starts and fails', async () => {
    const folder = await ownFolder()
    await writeFile(join(folder, 'git'), '#!/bin/sh\nexit 3\n', { mode: 0o755 })
    expect(await testTools({ PATH: folder })).toMatch(/git does not start: it ended with status 3/)
  })
})
