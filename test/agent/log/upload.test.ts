import { createHash } from 'node:crypto'
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { attemptId } from '../../../schema/job.ts'
import { PROTOCOL_HEADER } from '../../../schema/refusal.ts'
import { createUploader, type UploadOptions } from '../../../agent/log/upload.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
import { ATTEMPT_TOKEN, startFakeLogStore, type LogFault } from '../../support/fake-log-store.ts'
import { ownFolder } from '../../support/folder.ts'
import { turnedClock } from '../../support/turned-clock.ts'

const A = attemptId({ project: 1, build: 82, n: 1, fence: 1 })
const platform = nodePlatform()
const endOf = (bytes: Uint8Array | string) => ({ bytes: Buffer.byteLength(bytes as string), sha256: createHash('sha256').update(bytes).digest('hex') })

async function bench(changes: Partial<UploadOptions> & { readonly largestPut?: number } = {}) {
  const { largestPut, ...options } = changes
  const store = await startFakeLogStore(largestPut === undefined ? {} : { largestPut })
  onTestFinished(() => store.close())
  const path = join(await ownFolder(), 'log')
  const waits: (number | undefined)[] = []
  let failures = 0
  const inARow: number[] = []
  const notes: string[] = []
  const backoff = {
    next: (retryAfterMs?: number) => {
      waits.push(retryAfterMs)
      inARow.push((failures += 1))
      return 1
    },
    reset: () => {
      failures = 0
    },
  }
  const start = () => {
    const uploader = createUploader({ path, attempt: A, token: ATTEMPT_TOKEN, url: store.url, network: platform.network, disk: platform.disk, clock: platform.clock, callTimeoutMs: 30_000, backoff, pace: () => 1, note: (sentence) => notes.push(sentence), ...options })
    onTestFinished(() => uploader.stop())
    return uploader
  }
  const append = async (text: string | Uint8Array, uploader?: { grow(bytes: number): void }) => {
    await appendFile(path, text)
    uploader?.grow((await readFile(path)).byteLength)
  }
  return { store, path, waits, inARow, notes, start, append }
}

describe('the way of a log [C12.1]', () => {
  test('what is printed is stored while the job runs, and sealed when it ends', async () => {
    const { store, start, append } = await bench()
    const uploader = start()
    await append('one\n', uploader)
    await store.until(() => store.bytes(A).toString() === 'one\n')
    await append('two\n', uploader)
    await store.until(() => store.bytes(A).toString() === 'one\ntwo\n')
    uploader.finish(endOf('one\ntwo\n'))
    expect(await uploader.done).toBe('sealed')
    expect(store.isSealed(A)).toBe(true)
  })

  test('an empty log makes no request at all', async () => {
    const { store, start } = await bench()
    const uploader = start()
    uploader.finish(endOf(''))
    expect(await uploader.done).toBe('sealed')
    expect(store.calls).toEqual([])
  })

  test('a large log goes in PUTs of a mebibyte, one after the other', async () => {
    const { store, start, path } = await bench()
    const bytes = Buffer.alloc(2.5 * 2 ** 20, 'log line\n')
    await writeFile(path, bytes)
    const uploader = start()
    uploader.finish(endOf(bytes))
    expect(await uploader.done).toBe('sealed')
    expect(store.calls.map((call) => [call.kind, call.offset, call.bytes])).toEqual([['put', 0, 2 ** 20], ['put', 2 ** 20, 2 ** 20], ['put', 2 ** 21, 2 ** 19], ['seal', 0, expect.any(Number)]])
  })

  test('after a restart it goes on where the coordinator stands', async () => {
    const { store, start, append } = await bench()
    const bytes = Buffer.alloc(3.5 * 2 ** 20, 'log line\n')
    await append(bytes)
    const first = start()
    await store.until(() => store.bytes(A).byteLength >= 3 * 2 ** 20)
    first.stop()
    await first.done
    const before = store.calls.length
    const second = start()
    second.finish(endOf(bytes))
    expect(await second.done).toBe('sealed')
    expect(store.calls[before]?.offset).toBeGreaterThanOrEqual(2 ** 21) // a piece or two are sent again at most
    expect(store.bytes(A).equals(bytes)).toBe(true)
  })

  test('after a restart a log that is sent anew goes on with that, in its second epoch', async () => {
    const { store, start, append, notes } = await bench()
    await append('hello')
    store.failNext('corrupt', null, 'reset')
    const first = start()
    first.finish(endOf('hello'))
    await store.until(() => store.calls.length === 3) // put, seal, and put anew
    first.stop()
    await first.done
    const before = store.calls.length
    const second = start()
    second.finish(endOf('hello'))
    expect(await second.done).toBe('sealed')
    expect(store.calls[before]).toMatchObject({ kind: 'put', epoch: 2, offset: 0 })
    expect(notes).toHaveLength(1)
  })

  test('a disk that cannot be looked at for a while delays the log, and a person is told', async () => {
    let failures = 0
    const failing = (): void => {
      if ((failures += 1) <= 3) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
    }
    const { disk } = platform
    const { store, start, append, notes } = await bench({
      disk: {
        ...disk,
        size: async (path) => {
          failing()
          return await disk.size(path)
        },
        readRange: async (path, from, length) => {
          failing()
          return await disk.readRange(path, from, length)
        },
      },
    })
    await append('hello')
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
    expect(store.bytes(A).toString()).toBe('hello')
    expect(notes).toEqual(Array.from({ length: 2 }, () => expect.stringMatching(/^The log of J1-82-1\.1 waits: .*too many open files$/)))
  })

  test('a note of how far it came that is torn or far ahead is put right by the coordinator', async () => {
    for (const note of ['{"epo', '{"epoch":1,"bytes":3}', '']) {
      const { store, start, append, path } = await bench()
      await append('hello')
      await writeFile(`${path}.sent`, note)
      const uploader = start()
      uploader.finish(endOf('hello'))
      expect(await uploader.done).toBe('sealed')
      expect(store.bytes(A).toString()).toBe('hello')
    }
  })
})

describe('no answer is never an end [C2.1]', () => {
  const faults: readonly LogFault[] = ['reset', 'drop-reply', 'half-reply', '503', 'html', 'redirect', 'empty', 'foreign']
  test.each(faults)('%s: it tries again until all is stored, once each', async (fault) => {
    const { store, start, append, waits } = await bench()
    await append('hello')
    store.failNext(fault, fault, null, fault)
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
    expect(store.bytes(A).toString()).toBe('hello')
    expect(waits).toHaveLength(3)
  })

  test('a call without an answer ends after 30 s and is made again [D29]', async () => {
    const clock = turnedClock()
    const { store, start, append, waits } = await bench({ clock, pace: () => 0 })
    await append('hello')
    store.failNext('hang')
    const uploader = start()
    uploader.finish(endOf('hello'))
    await store.until(() => store.calls.length === 1)
    await clock.turn(29_000)
    expect(waits).toEqual([])
    await clock.turn(1000)
    expect(waits).toEqual([undefined])
    await clock.turn(10)
    expect(await uploader.done).toBe('sealed')
  })

  test('once a piece has come through, the next wait is a first one again', async () => {
    const { store, start, append, inARow } = await bench({ largestPut: 5000 })
    const bytes = Buffer.alloc(8000, 'x')
    await append(bytes)
    store.failNext('503', '503', { refuse: 'payload_too_large' }, null, '503')
    const uploader = start()
    uploader.finish(endOf(bytes))
    expect(await uploader.done).toBe('sealed')
    expect(inARow).toEqual([1, 2, 1])
  })

  test('an outage of any length: the log is whole afterwards, although the job has long ended [D42]', async () => {
    const { store, start, append, waits } = await bench()
    store.failAll('503')
    const uploader = start()
    await append('before ', uploader)
    await append('during', uploader)
    uploader.finish(endOf('before during'))
    await store.until(() => store.calls.length > 20)
    store.failAll(undefined)
    expect(await uploader.done).toBe('sealed')
    expect(waits.length).toBeGreaterThanOrEqual(20)
    expect(store.bytes(A).toString()).toBe('before during')
  })
})

describe('what the coordinator says is obeyed', () => {
  test('429: the wait it asks for is handed to the backoff', async () => {
    const { store, start, append, waits } = await bench()
    await append('hello')
    store.failNext({ refuse: 'slow_down', headers: { 'retry-after': '7' } })
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
    expect(waits).toEqual([7000])
  })

  test('410: the log is gone, and a person is told', async () => {
    const { store, start, append, notes } = await bench()
    await append('hello')
    store.failNext({ refuse: 'attempt_superseded' })
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('gone')
    expect(notes).toHaveLength(1)
  })

  test('a log that was sealed before is done', async () => {
    const { store, start, append } = await bench()
    await append('hello')
    store.failNext({ refuse: 'log_sealed' })
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
  })

  test('a mismatch sends all of it once more into the second epoch, and only once', async () => {
    const { store, start, append } = await bench()
    await append('hello')
    store.failNext('corrupt')
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
    expect(store.bytes(A).toString()).toBe('hello')
    expect(store.calls.map((call) => [call.kind, call.epoch])).toEqual([['put', 1], ['seal', 1], ['put', 2], ['seal', 2]])

    const other = await bench()
    await other.append('hello')
    other.store.failNext('corrupt', null, 'corrupt')
    const hopeless = other.start()
    hopeless.finish(endOf('hello'))
    expect(await hopeless.done).toBe('gone')
  })

  test('413: smaller pieces', async () => {
    const { store, start, append } = await bench({ largestPut: 5000 })
    const bytes = Buffer.alloc(20_000, 'x')
    await append(bytes)
    const uploader = start()
    uploader.finish(endOf(bytes))
    expect(await uploader.done).toBe('sealed')
    expect(store.bytes(A).equals(bytes)).toBe(true)
  })

  test('413 to the smallest piece: the log is given up, and a person is told', async () => {
    const { store, start, append, notes } = await bench({ largestPut: 100 })
    await append(Buffer.alloc(20_000, 'x'))
    const uploader = start()
    uploader.finish(endOf(Buffer.alloc(20_000, 'x')))
    expect(await uploader.done).toBe('gone')
    expect(notes).toHaveLength(1)
    expect(store.calls.length).toBeLessThan(10)
  })

  test('an answer that brings the log no further is waited out, not asked for again at once', async () => {
    const reply = (status: number, body: unknown) => Response.json(body, { status, headers: { [PROTOCOL_HEADER]: '1' } })
    const contradicting = [
      reply(200, { size: 0, watched: false }),
      reply(416, { error: { code: 'log_gap', message: 'a gap', retry: true, size: 0 } }),
      reply(416, { error: { code: 'log_gap', message: 'a gap', retry: true } }),
    ]
    const { store, start, append, waits } = await bench({ network: { ...platform.network, fetch: async (...call) => contradicting.shift() ?? (await platform.network.fetch(...call)) } })
    await append('hello')
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
    expect(waits).toHaveLength(3)
    expect(store.bytes(A).toString()).toBe('hello')
  })

  test('a token that opens nothing ends it; a revoked agent keeps trying', async () => {
    const { start, append } = await bench({ token: 'kdg_att_forged' })
    await append('hello')
    const forged = start()
    forged.finish(endOf('hello'))
    expect(await forged.done).toBe('gone')

    const other = await bench()
    await other.append('hello')
    other.store.failNext({ refuse: 'agent_revoked' }, { refuse: 'agent_revoked' })
    const revoked = other.start()
    revoked.finish(endOf('hello'))
    expect(await revoked.done).toBe('sealed')
  })

  test('a file that is shorter than its result says is given up, not tried for ever', async () => {
    const { start, append, notes } = await bench()
    await append('hel')
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('gone')
    expect(notes[0]).toContain('ends at 3 bytes, before the 5')
  })

  test('a file that the disk has lost is sealed all the same when the coordinator has all of it', async () => {
    const { store, start, append, path, notes } = await bench()
    const first = start()
    await append('hello', first)
    await store.until(() => store.bytes(A).toString() === 'hello')
    first.stop()
    await first.done
    await rm(path)
    const uploader = start()
    uploader.finish(endOf('hello'))
    expect(await uploader.done).toBe('sealed')
    expect(store.isSealed(A)).toBe(true)
    expect(notes).toEqual([])
  })
})

describe('who watches', () => {
  test('unwatched output waits its log_ms; a viewer has it at once, and each reply says whether there is one', async () => {
    const clock = turnedClock()
    const { store, start, append } = await bench({ clock, pace: () => 15_000 })
    const uploader = start()
    await clock.turn(0)
    await append('one', uploader)
    await clock.turn(14_000)
    expect(store.calls).toEqual([])
    store.watched = true
    uploader.watch()
    await clock.turn(100)
    await store.until(() => store.bytes(A).toString() === 'one')
    await turnUntil(clock, () => clock.waiting() === 0) // the reply has come, and with it that somebody still watches
    await append('two', uploader)
    const printed = clock.monotonic()
    await clock.turn(100)
    await store.until(() => store.bytes(A).toString() === 'onetwo')
    expect(clock.monotonic() - printed).toBe(100)
    await turnUntil(clock, () => clock.waiting() === 0)
    store.watched = false
    await append('three', uploader)
    await clock.turn(100)
    await store.until(() => store.bytes(A).toString() === 'onetwothree')
    await turnUntil(clock, () => clock.waiting() === 0)
    await append('four', uploader)
    await clock.turn(14_000)
    expect(store.bytes(A).toString()).toBe('onetwothree')
  })

  test('after stop nothing more is sent', async () => {
    const { store, start, append } = await bench()
    const uploader = start()
    uploader.stop()
    await append('late', uploader)
    uploader.finish(endOf('late'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(store.calls).toEqual([])
  })
})

/** Turns in small steps: the reply of a real server comes when it comes. */
async function turnUntil(clock: { turn(ms: number): Promise<void> }, holds: () => boolean): Promise<void> {
  while (!holds()) await clock.turn(1)
}
