import { createHash } from 'node:crypto'
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { attemptId } from '../../../schema/job.ts'
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
  const notes: string[] = []
  const backoff = {
    next: (retryAfterMs?: number) => {
      waits.push(retryAfterMs)
      return 1
    },
    reset: () => undefined,
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
  return { store, path, waits, notes, start, append }
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
    const { store, start, append, path } = await bench()
    const bytes = Buffer.alloc(1.5 * 2 ** 20, 'log line\n')
    await append(bytes)
    const first = start()
    await store.until(() => store.bytes(A).byteLength >= 2 ** 20)
    first.stop()
    await writeFile(`${path}.sent`, JSON.stringify({ epoch: 1, bytes: 2 ** 20 }))
    const before = store.calls.length
    const second = start()
    second.finish(endOf(bytes))
    expect(await second.done).toBe('sealed')
    expect(store.calls[before]?.offset).toBe(2 ** 20)
    expect(store.bytes(A).equals(bytes)).toBe(true)
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
