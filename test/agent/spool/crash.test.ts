/** A process that dies between any two writes of its spool. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { A, assignmentOf, bench, finished, id } from '../../support/spool-bench.ts'

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

  test('result named, its name not durable: it is before anybody hears of it', async () => {
    const { open, disk } = await bench()
    await finished(await open(), A)
    disk.done.length = 0
    const { replayed } = await open()
    expect(replayed.finished).toHaveLength(1)
    expect(disk.done).toContain(`syncFolder spool/${A}`)
  })

  test('started, and killed again before what it left running was ended: found once more', async () => {
    const { open } = await bench()
    const spool = await open()
    await spool.journal(assignmentOf(A))
    await spool.markStarted(A, { pid: 5, startTime: null })
    await spool.logSealed(A)
    await (await open()).close() // it has put away whatever it may
    const again = await open()
    expect(again.replayed.lost.map(({ attempt, process }) => [attempt, process?.pid])).toEqual([[A, 5]])
    await again.giveUp(A)
    await again.close()
    expect((await open()).replayed.lost).toEqual([])
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

  test.each([[['verdict']], [['result.json', 'verdict']], [['result.json', 'log', 'started', 'verdict']], [['result.json', 'spec.json', 'verdict']]])('half deleted, with %s gone first: the same', async (gone) => {
    const { open, folder } = await bench()
    const spool = await open()
    await finished(spool, A, { log_bytes: 5 })
    await writeFile(spool.logPath(A), 'hello')
    await spool.settle(A, 'accepted')
    await writeFile(join(folder, 'known'), `${A}\n`)
    for (const name of gone) await rm(join(folder, 'spool', A, name))
    const next = await open()
    expect(next.replayed).toEqual({ finished: [], lost: [], unsealedLogs: [] })
    await next.close()
    expect(await readdir(join(folder, 'spool'))).toEqual([])
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
