import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { attemptId, type AttemptId } from '../../../schema/job.ts'
import type { Assignment, AttemptResult } from '../../../schema/sync.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
import { openSpool, type Spool } from '../../../agent/spool/results.ts'
import { ownFolder } from '../../support/folder.ts'
import { turnedClock, type TurnedClock } from '../../support/turned-clock.ts'
import { watchDisk, type WatchedDisk } from '../../support/watched-disk.ts'

const id = (n: number, fence = 1): AttemptId => attemptId({ project: 1, build: 82, n, fence })
const A = id(1)
const assignmentOf = (attempt: AttemptId): Assignment => ({ attempt, token: `kdg_att_${attempt}` })
const resultOf = (changes: Partial<AttemptResult> = {}): AttemptResult => ({ outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: 1, finished_at: 2, log_bytes: 0, log_sha256: 'e3b0', ...changes })

interface Bench {
  readonly folder: string
  readonly disk: WatchedDisk
  readonly clock: TurnedClock
  /** As after `kill -9`: a new process over the same folder. */
  open(): Promise<Spool>
}

async function bench(): Promise<Bench> {
  const folder = await ownFolder()
  const disk = watchDisk(nodePlatform().disk)
  const clock = turnedClock()
  return { folder, disk, clock, open: () => openSpool(folder, disk, clock) }
}

async function finished(spool: Spool, attempt: AttemptId, changes: Partial<AttemptResult> = {}) {
  await spool.journal(assignmentOf(attempt))
  await spool.markStarted(attempt, null)
  return await spool.finish(attempt, resultOf(changes))
}

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

describe('a crash at any line [D8]', () => {
  test('journalled, or started: lost', async () => {
    const { open } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(id(1)))
    await spool.journal(assignmentOf(id(2)))
    await spool.markStarted(id(2), { pid: 5, startTime: null })
    const { replayed } = await open()
    expect(replayed.lost.map(({ attempt, why }) => [attempt, why]).sort()).toEqual([[id(1), 'process_restart'], [id(2), 'process_restart']])
    expect(replayed.finished).toEqual([])
  })

  test('result written, not sent: delivered, byte for byte what it was', async () => {
    const { open } = await bench()
    const before = await finished(await open(), A, { outcome: 'failed', exit_status: 3 })
    const spool = await open()
    expect(spool.replayed.finished).toEqual([before])
    expect(spool.pending()).toEqual([before])
    expect(before.digest).toBe(`sha256:${createHash('sha256').update(before.text).digest('hex')}`)
    expect(JSON.parse(before.text)).toEqual(before.result)
  })

  test('sent, no verdict: sent again, with the same digest', async () => {
    const { open } = await bench()
    const before = await finished(await open(), A)
    await open()
    expect((await open()).pending()[0]?.digest).toBe(before.digest)
  })

  test('verdict written, folder not deleted: not sent again, and put away', async () => {
    const { open, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.settle(A, 'accepted')
    await spool.logSealed(A)
    const next = await open()
    expect(next.replayed).toEqual({ finished: [], lost: [], unsealedLogs: [] })
    await next.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
  })

  test('half deleted: not lost, not sent, and put away', async () => {
    const { open, folder } = await bench()
    await writeFile(join(folder, 'known'), `${id(1)}\n${id(2)}\n`)
    await mkdir(join(folder, 'spool', id(1)), { recursive: true })
    await writeFile(join(folder, 'spool', id(1), 'log'), 'the rest')
    await finished(await open(), id(3))
    const next = await open()
    expect(next.replayed.lost).toEqual([])
    expect(next.pending().map((each) => each.attempt)).toEqual([id(3)])
    await next.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([id(3)])
  })

  test('between the folder and the journal inside: nothing was begun, and nothing remains', async () => {
    const { open, folder } = await bench()
    await mkdir(join(folder, 'spool', A), { recursive: true })
    const spool = await open()
    expect(spool.replayed.lost.map((each) => each.why)).toEqual(['process_restart'])
    await spool.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
    expect(await readdir(join(folder, 'corrupt'))).toEqual([])
  })
})

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
    const { open } = await bench()
    const spool = await open()
    await finished(spool, A)
    await Promise.all([spool.settle(A, 'superseded'), spool.settle(A, 'accepted')])
    await spool.settle(A, 'accepted')
    await spool.settle(id(9), 'accepted')
    expect(spool.pending()).toEqual([])
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
})

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

  test('nor is one kept for ever that could not be removed, or whose journal failed', async () => {
    const { open, disk, clock, folder } = await bench()
    const spool = await open()
    await finished(spool, A)
    await spool.settle(A, 'accepted')
    disk.refuse = (verb, path) => ((verb === 'remove' && path.endsWith(A)) || (verb === 'syncFolder' && path.endsWith('spool')) ? 'EIO' : null)
    await spool.logSealed(A)
    await expect(spool.journal(assignmentOf(id(2)))).rejects.toMatchObject({ code: 'EIO' })
    await clock.turn(1000)
    await vi.waitFor(() => expect(disk.done.some((line) => line.includes('known'))).toBe(true))
    disk.refuse = () => null
    await vi.waitFor(async () => {
      await clock.turn(30_000)
      expect(await readdir(join(folder, 'spool'))).toEqual([])
    })
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

describe('damage [D34]', () => {
  const damages: readonly (readonly [string, string, string])[] = [
    ['cut off', 'result.json', '{"format":1,"attempt":"J1-82-1.1","dig'],
    ['empty', 'result.json', ''],
    ['of a newer version', 'result.json', '{"format":2,"shape":"unknown"}'],
    ['changed', 'result.json', JSON.stringify({ format: 1, attempt: A, digest: `sha256:${'0'.repeat(64)}`, result: JSON.stringify(resultOf()) })],
    ['of another attempt', 'result.json', JSON.stringify({ format: 1, attempt: id(5), digest: 'x', result: '{}' })],
    ['not text', 'spec.json', '\u0000\u0001'],
    ['of a newer version', 'spec.json', '{"format":7}'],
  ]
  test.each(damages)('%s: %s goes to corrupt/, its attempt is lost, the others are delivered', async (_, name, text) => {
    const { open, folder } = await bench()
    const spool = await open()
    if (name === 'result.json') await finished(spool, A)
    else await spool.journal(assignmentOf(A))
    await finished(spool, id(2))
    await writeFile(join(folder, 'spool', A, name), text)
    const next = await open()
    expect(next.replayed.lost).toMatchObject([{ attempt: A, why: 'corrupt_spool' }])
    expect(next.pending().map(({ attempt }) => attempt)).toEqual([id(2)])
    expect((await readdir(join(folder, 'corrupt')))[0]).toMatch(`${A}@`)
    expect(await next.journal(assignmentOf(A))).toBe('known')
  })

  test('a whole result is delivered although its journal, its start and its verdict are damaged', async () => {
    const { open, folder } = await bench()
    await finished(await open(), A)
    for (const name of ['spec.json', 'started', 'verdict']) await writeFile(join(folder, 'spool', A, name), '{')
    expect((await open()).pending().map(({ attempt }) => attempt)).toEqual([A])
  })

  test('strangers in the spool are moved aside and lose nobody\'s attempt', async () => {
    const { open, folder } = await bench()
    await mkdir(join(folder, 'spool', 'lost+found'), { recursive: true })
    await writeFile(join(folder, 'spool', 'J1-1-1.1'), 'a file where a folder should be')
    const spool = await open()
    expect(spool.replayed.lost.map(({ attempt, why }) => [attempt, why])).toEqual([['J1-1-1.1', 'corrupt_spool']])
    expect((await readdir(join(folder, 'corrupt'))).map((name) => name.split('@')[0]).sort()).toEqual(['J1-1-1.1', 'lost+found'])
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
    const { write } = disk
    disk.write = async (path, bytes) => {
      await new Promise((resolve) => setImmediate(resolve))
      await write(path, bytes)
      isWritten = true
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
