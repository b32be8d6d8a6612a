/** Results, from the end of an attempt to their verdict, and how a spool is closed. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { A, assignmentOf, bench, finished, id, resultOf } from '../../support/spool-bench.ts'

describe('results and their verdicts [I5]', () => {
  test('pending is oldest first, before and after a restart', async () => {
    const { open } = await bench()
    const spool = await open()
    await finished(spool, id(2), { finished_at: 10 })
    await finished(spool, id(1), { finished_at: 20 })
    await finished(spool, id(3), { finished_at: 30 })
    for (const each of [spool, await open()]) expect(each.pending().map(({ attempt }) => attempt)).toEqual([id(2), id(1), id(3)])
    await spool.settle(id(1), 'accepted')
    expect(spool.pending().map(({ attempt }) => attempt)).toEqual([id(2), id(3)])
  })

  test('a verdict that is not durable leaves the result pending', async () => {
    const { open, disk } = await bench()
    const spool = await open()
    await finished(spool, A)
    disk.refuse = (_, path) => (path.endsWith('verdict') ? 'EIO' : null)
    await expect(spool.settle(A, 'accepted')).rejects.toMatchObject({ code: 'EIO' })
    expect(spool.pending()).toHaveLength(1)
  })

  test('a verdict told twice, or for an attempt that is not here, changes nothing', async () => {
    const { open, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await Promise.all([spool.settle(A, 'superseded'), spool.settle(A, 'accepted')])
    await spool.settle(A, 'accepted')
    await spool.settle(id(9), 'accepted')
    await spool.logSealed(id(9))
    await spool.giveUp(id(9))
    expect(spool.pending()).toEqual([])
    await spool.logSealed(A)
    await spool.close()
    expect(await readdir(join(folder, 'rejected'))).toEqual([expect.stringContaining(`${A}@`)])
  })

  test('only a verdict ends the stay of a result: an attempt that has one is not given up', async () => {
    const { open, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.giveUp(A)
    await spool.logSealed(A)
    await spool.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([A])
    expect((await open()).pending()).toHaveLength(1)
  })

  test('a seal that cannot be written down is asked for again after a restart, and is nobody\'s error', async () => {
    const { open, disk } = await bench()
    const spool = await open()
    await finished(spool, A, { log_bytes: 5 })
    disk.refuse = (verb, path) => (verb === 'write' && path.endsWith('log.sealed') ? 'ENOSPC' : null)
    await spool.logSealed(A)
    expect((await open()).replayed.unsealedLogs).toEqual([A])
  })

  test('a second result of one attempt is ignored: the first may have been sent', async () => {
    const { open } = await bench()
    const spool = await open()
    const first = await finished(spool, A)
    expect(await spool.finish(A, resultOf({ outcome: 'failed' }))).toBe(first)
    await spool.journal(assignmentOf(id(2)))
    const [one, other] = await Promise.all([spool.finish(id(2), resultOf()), spool.finish(id(2), resultOf({ outcome: 'failed' }))])
    expect(one).toBe(other)
  })

  test('an accepted result stays until its log is sealed, over a restart too', async () => {
    const { open, folder } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await writeFile(spool.logPath(A), 'hello')
    await spool.finish(A, resultOf({ log_bytes: 5, log_sha256: 'abc' }))
    await spool.settle(A, 'accepted')
    await spool.close()
    const next = await open()
    expect(next.replayed).toMatchObject({ finished: [], unsealedLogs: [A] })
    expect(next.token(A)).toBe(`kdg_att_${A}`)
    expect(await next.logEnd(A)).toEqual({ bytes: 5, sha256: 'abc' })
    await next.logSealed(A)
    await next.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
  })

  test('a log that was sealed before its verdict is not sealed again', async () => {
    const { open } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await writeFile(spool.logPath(A), 'hello')
    await spool.finish(A, resultOf({ log_bytes: 5 }))
    await spool.logSealed(A)
    expect((await open()).replayed).toMatchObject({ finished: [{ attempt: A }], unsealedLogs: [] })
  })

  test('a log that the disk has lost, and whose result tells of it, is still to be sealed: the coordinator may have it', async () => {
    const { open } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await spool.finish(A, resultOf({ log_bytes: 5 }))
    expect((await open()).replayed).toMatchObject({ finished: [{ attempt: A }], unsealedLogs: [A] })
  })

  test('the log of a lost attempt is still to be sealed, as it lies on the disk [I17]', async () => {
    const { open } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await writeFile(spool.logPath(A), 'hello')
    const next = await open()
    expect(next.replayed).toMatchObject({ lost: [{ attempt: A }], unsealedLogs: [A] })
    expect(await next.logEnd(A)).toEqual({ bytes: 5, sha256: createHash('sha256').update('hello').digest('hex') })
  })

  test.each(['superseded', 'final', 'conflict'] as const)('a result that is %s is kept for people, for seven days', async (verdict) => {
    const { open, folder, clock } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.settle(A, verdict)
    await spool.logSealed(A)
    await spool.close()
    expect(await readdir(join(folder, 'rejected'))).toEqual([`${A}@${clock.wall()}`])
    clock.setForward(6 * 24 * 3600 * 1000)
    await open()
    expect(await readdir(join(folder, 'rejected'))).toHaveLength(1)
    clock.setForward(2 * 24 * 3600 * 1000)
    await open()
    expect(await readdir(join(folder, 'rejected'))).toEqual([])
  })

  test('an agent that runs for weeks keeps them no longer', async () => {
    const { open, folder, clock } = await bench()
    const spool = await open()
    for (const [attempt, verdict] of [[id(1), 'superseded'], [id(2), 'accepted']] as const) {
      await finished(spool, attempt)
      await spool.settle(attempt, verdict)
      await spool.logSealed(attempt)
      await clock.turn(1000)
      await vi.waitFor(async () => expect(await readdir(join(folder, 'spool'))).toEqual([]))
      clock.setForward(8 * 24 * 3600 * 1000)
    }
    await vi.waitFor(async () => expect(await readdir(join(folder, 'rejected'))).toEqual([]))
  })
})

describe('how much waits for the coordinator', () => {
  test('is the logs and results that it has not taken, before and after a restart, and nothing once it has', async () => {
    const { open } = await bench()
    const spool = await open()
    expect(spool.bytes()).toBe(0)
    const { text } = await finished(spool, A, { log_bytes: 1000 })
    expect(spool.bytes()).toBe(1000 + text.length)
    await spool.journal(assignmentOf(id(2)))
    await writeFile(spool.logPath(id(2)), 'of a build that was lost')
    const next = await open()
    expect(next.bytes()).toBe(text.length + 'of a build that was lost'.length) // of the log it is what lies there
    await next.settle(A, 'accepted')
    await next.giveUp(id(2))
    for (const attempt of [A, id(2)]) await next.logSealed(attempt)
    await next.close()
    expect(next.bytes()).toBe(0)
  })
})

test('ten thousand results replay, in order, without a verdict lost or made up [D35]', async () => {
  const { open, folder, disk } = await bench()
  const spool = await open()
  const template = await finished(spool, A)
  await spool.settle(A, 'accepted')
  const count = 10_000
  for (let n = 2; n <= count + 1; n += 1) {
    const text = JSON.stringify({ ...template.result, finished_at: n })
    mkdirSync(join(folder, 'spool', id(n)))
    writeFileSync(join(folder, 'spool', id(n), 'result.json'), JSON.stringify({ format: 1, attempt: id(n), digest: `sha256:${createHash('sha256').update(text).digest('hex')}`, result: text }))
  }
  disk.done.length = 0
  const next = await open()
  expect(next.pending()).toHaveLength(count)
  expect(next.pending()[0]?.attempt).toBe(id(2))
  expect(next.pending().at(-1)?.attempt).toBe(id(count + 1))
  expect(next.pending()).toBe(next.pending())
  expect(next.bytes()).toBeGreaterThan(count * 100)
  await next.settle(id(2), 'accepted')
  expect(next.pending()[0]?.attempt).toBe(id(3))
}, 240_000) // seconds, or minutes where a disk is slow

describe('closing', () => {
  test('waits for what is being written, and afterwards nothing is put away', async () => {
    const { open, disk, clock } = await bench()
    const spool = await open()
    await finished(spool, A, { log_bytes: 5 })
    let isWritten = false
    let isCleared = false
    const { write, list } = disk
    disk.write = async (path, bytes) => {
      for (let turns = 0; turns < 1000 && !isCleared; turns += 1) await new Promise((resolve) => setImmediate(resolve))
      await write(path, bytes)
      isWritten = true
    }
    disk.list = async (path) => {
      isCleared = path.endsWith('corrupt') // the last thing that a close looks at
      return await list(path)
    }
    void spool.logSealed(A)
    await spool.close()
    expect(isWritten).toBe(true)
    await spool.settle(A, 'accepted')
    await clock.turn(60_000)
    expect(disk.done.filter((line) => line === `remove spool/${A}`)).toEqual([])
    const next = await open()
    await next.close()
    expect(disk.done.filter((line) => line === `remove spool/${A}`)).toHaveLength(1)
  })
})
