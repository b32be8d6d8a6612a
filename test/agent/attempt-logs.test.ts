/** How the logs of many attempts share the way to the coordinator; how one log travels is in `log/upload.test.ts`. */
import { createHash } from 'node:crypto'
import { expect, onTestFinished, test, vi } from 'vitest'
import { AT_ONCE, createAttemptLogs, type AttemptLogs, type AttemptLogsOptions } from '../../agent/attempt-logs.ts'
import { createBackoff } from '../../agent/loop/backoff.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Clock, Disk, Network } from '../../agent/platform.ts'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import { PROTOCOL_HEADER } from '../../schema/refusal.ts'
import { ownFolder } from '../support/folder.ts'
import { loadedDice } from '../support/turned-clock.ts'

const id = (n: number): AttemptId => attemptId({ project: 1, build: n, n: 1, fence: 1 })
const TEXT = 'a line\n'
const END = { bytes: TEXT.length, sha256: createHash('sha256').update(TEXT).digest('hex') }
const LIMITS = { limitBytes: 1000, tailBytes: 1000 }

interface Call {
  readonly attempt: AttemptId
  answer(): void
  /** An answer that is not the coordinator's. */
  fail(): void
  /** The coordinator's word that it wants no more of the log. */
  refuse(): void
}

/** A coordinator that answers when the test says so, or at once where `answers` has a word for the attempt. */
function heldNetwork() {
  const open = new Set<Call>()
  const seen: AttemptId[] = []
  let most = 0
  const network: Network & { answers: (attempt: AttemptId) => 'ok' | 'fail' | 'later' } = {
    answers: () => 'later',
    openSocket: () => {
      throw new Error('logs ring no bell')
    },
    fetch: (url, { body, signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(new Error('aborted'))
        const attempt = /attempts\/([^/]+)\//.exec(url)?.[1] as AttemptId // only attempts are called for
        const offset = Number(new URL(url).searchParams.get('offset') ?? 0)
        const settle = (response: Response) => {
          open.delete(call)
          resolve(response)
        }
        const call: Call = {
          attempt,
          answer: () => settle(Response.json(url.endsWith('/seal') ? { size: 0, sealed: true } : { size: offset + (body?.length ?? 0), watched: true }, { headers: { [PROTOCOL_HEADER]: '1' } })),
          fail: () => settle(new Response('', { status: 503 })),
          refuse: () => settle(Response.json({ error: { code: 'attempt_superseded', message: 'it is another\'s', retry: false } }, { status: 410, headers: { [PROTOCOL_HEADER]: '1' } })),
        }
        seen.push(attempt)
        open.add(call)
        most = Math.max(most, open.size)
        signal.addEventListener('abort', () => {
          open.delete(call)
          reject(new Error('aborted'))
        })
        const word = network.answers(attempt)
        if (word === 'ok') setImmediate(call.answer)
        else if (word === 'fail') setImmediate(call.fail)
      }),
  }
  return { network, open, seen, most: () => most }
}

async function bench(changes: Partial<Pick<AttemptLogsOptions, 'newBackoff' | 'pace' | 'note'> & { readonly clock: Clock; readonly disk: Disk; readonly beforeMeasuring: (attempt: AttemptId) => void | Promise<void>; readonly beforeSeal: () => Promise<void>; readonly hasToken: (attempt: AttemptId) => boolean }> = {}) {
  const held = heldNetwork()
  const folder = await ownFolder()
  const { disk, clock } = { ...nodePlatform(), ...changes }
  const sealed: AttemptId[] = []
  const measured: AttemptId[] = []
  const logs: AttemptLogs = createAttemptLogs({
    spool: {
      logPath: (attempt) => `${folder}/${attempt}`,
      token: (attempt) => (changes.hasToken?.(attempt) === false ? null : 'kdg_att_of-a-test'),
      logEnd: async (attempt) => {
        measured.push(attempt)
        await changes.beforeMeasuring?.(attempt)
        return END
      },
      logSealed: async (attempt) => {
        await changes.beforeSeal?.()
        sealed.push(attempt)
      },
    },
    platform: { disk, clock, network: held.network },
    url: 'http://coordinator',
    limits: LIMITS,
    secrets: [],
    callTimeoutMs: 60_000,
    newBackoff: changes.newBackoff ?? (() => createBackoff({ clock, chance: loadedDice(1), baseMs: 5, capMs: 5 })),
    pace: changes.pace ?? (() => 0),
    note: changes.note ?? (() => undefined),
    sealed: () => undefined,
  })
  onTestFinished(() => logs.stop())
  /** Logs of an earlier boot, as they lie on the disk. */
  const leave = async (count: number): Promise<readonly AttemptId[]> => {
    const attempts = Array.from({ length: count }, (_, n) => id(n + 1))
    for (const attempt of attempts) await disk.write(`${folder}/${attempt}`, new TextEncoder().encode(TEXT))
    return attempts
  }
  const print = async (attempt: AttemptId) => {
    const log = logs.open({ attempt, token: 'kdg_att_of-a-test' })
    onTestFinished(async () => void (await log.end()))
    await log.write(new TextEncoder().encode(TEXT))
    return log
  }
  const until = (attempt: AttemptId) => vi.waitUntil(() => [...held.open].find((call) => call.attempt === attempt))
  return { ...held, logs, sealed, measured, leave, print, until }
}

test('of hundreds of logs of an earlier boot a few are under way at a time, and all come through', async () => {
  const { logs, network, leave, sealed, measured, open, most } = await bench()
  const attempts = await leave(300)
  logs.resume(attempts)
  await vi.waitFor(() => expect(open.size).toBe(AT_ONCE))
  expect(measured).toHaveLength(AT_ONCE)
  expect(logs.count()).toBe(300)
  network.answers = () => 'ok'
  for (const call of open) call.answer()
  await vi.waitFor(() => expect(sealed).toHaveLength(300), { timeout: 20_000 })
  expect(most()).toBe(AT_ONCE)
  expect(logs.count()).toBe(0)
})

test('a running build\'s log is sent while logs of an earlier boot hold every place', async () => {
  const { logs, leave, print, open, sealed, until } = await bench()
  logs.resume(await leave(20))
  await vi.waitFor(() => expect(open.size).toBe(AT_ONCE))
  const live = id(1000)
  const log = await print(live)
  ;(await until(live)).answer()
  await log.end()
  ;(await until(live)).answer() // the seal
  await vi.waitFor(() => expect(sealed).toEqual([live]))
})

test('logs that get no answer leave their places to the next, and come again', async () => {
  const { logs, leave, network, sealed, seen } = await bench()
  const attempts = await leave(20)
  const stuck = attempts.slice(0, AT_ONCE)
  network.answers = (attempt) => (stuck.includes(attempt) ? 'fail' : 'ok')
  logs.resume(attempts)
  await vi.waitFor(() => expect(sealed).toHaveLength(20 - AT_ONCE))
  await vi.waitFor(() => expect(seen.filter((attempt) => attempt === stuck[0]).length).toBeGreaterThan(1))
  network.answers = () => 'ok'
  await vi.waitFor(() => expect(sealed).toHaveLength(20))
})

test('builds that end during an outage leave no more than a few logs that ask', async () => {
  const { logs, network, print, open, sealed } = await bench()
  const attempts = Array.from({ length: 50 }, (_, n) => id(n + 1))
  for (const attempt of attempts) await (await print(attempt)).end()
  await vi.waitFor(() => expect(open.size).toBeGreaterThan(0))
  expect(open.size).toBeLessThanOrEqual(2 * AT_ONCE)
  network.answers = () => 'fail'
  for (const call of open) call.fail()
  await vi.waitFor(() => expect(open.size).toBeLessThanOrEqual(AT_ONCE))
  network.answers = () => 'ok'
  await vi.waitFor(() => expect(sealed.toSorted()).toEqual(attempts.toSorted()), { timeout: 20_000 })
  expect(logs.count()).toBe(0)
})

test('however many builds have ended, well, refused or in an outage, the log of the next that ends waits for no place', async () => {
  const { logs, network, leave, print, open, sealed, until } = await bench()
  let n = 100
  const end = async (count: number) => {
    for (let each = 0; each < count; each += 1) await (await print(id((n += 1)))).end()
  }
  network.answers = () => 'ok'
  await end(2 * AT_ONCE)
  await vi.waitFor(() => expect(logs.count()).toBe(0))
  network.answers = () => 'fail'
  await end(2 * AT_ONCE)
  network.answers = () => 'ok'
  await vi.waitFor(() => expect(logs.count()).toBe(0))
  network.answers = () => 'later'
  for (let each = 0; each <= AT_ONCE; each += 1) {
    const log = await print(id((n += 1)))
    ;(await until(id(n))).refuse()
    await vi.waitFor(() => expect(logs.count()).toBe(0))
    await log.end()
  }
  logs.resume(await leave(20))
  await vi.waitFor(() => expect(open.size).toBe(AT_ONCE))
  await end(1)
  const last = id(n)
  ;(await until(last)).answer()
  ;(await until(last)).answer() // the seal
  await vi.waitFor(() => expect(sealed.at(-1)).toBe(last))
})

test('during an outage no more than a few logs ask, however many builds end and whatever went well before', async () => {
  const { logs, network, leave, print, open } = await bench()
  network.answers = () => 'ok'
  logs.resume(await leave(20))
  await vi.waitFor(() => expect(logs.count()).toBe(0))
  network.answers = () => 'later'
  for (let n = 101; n <= 150; n += 1) await (await print(id(n))).end()
  await vi.waitFor(() => expect(open.size).toBeGreaterThanOrEqual(AT_ONCE))
  for (let round = 0; round < 10; round += 1) {
    expect(open.size).toBeLessThanOrEqual(round === 0 ? 2 * AT_ONCE : AT_ONCE)
    for (const call of open) call.fail()
    await vi.waitFor(() => expect(open.size).toBeGreaterThanOrEqual(AT_ONCE))
  }
})

test('after an outage the log of the build that ended last goes before those of an earlier boot', async () => {
  const { logs, leave, print, open, seen, until } = await bench()
  logs.resume(await leave(20))
  const last = id(1000)
  const log = await print(last)
  ;(await until(last)).fail()
  await log.end()
  ;(await until(last)).fail() // into the line
  await vi.waitFor(() => expect(open.size).toBe(AT_ONCE))
  const { length } = seen
  for (const call of [...open].slice(0, 1)) call.fail()
  await vi.waitFor(() => expect(seen.length).toBeGreaterThan(length))
  expect(seen[length]).toBe(last)
})

test('a log that cannot be read for a while says so, lets the others go first and is sent then', async () => {
  const notes: string[] = []
  let tries = 0
  const { logs, leave, network, sealed } = await bench({
    note: (text) => notes.push(text),
    beforeMeasuring: (attempt) => {
      if (attempt === id(1) && (tries += 1) <= 2) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
    },
  })
  network.answers = () => 'ok'
  logs.resume(await leave(20))
  await vi.waitFor(() => expect(sealed).toHaveLength(20))
  expect(notes).toEqual(Array.from({ length: 2 }, () => expect.stringMatching(/J1-1-1\.1 cannot be read.*EMFILE: too many open files$/)))
})

test('whoever waits for the first byte of a build sees it at once, and each line after it', async () => {
  const { logs, print, until } = await bench({ pace: () => 3_600_000 })
  logs.watch(id(1))
  const log = await print(id(1))
  const first = await until(id(1))
  first.answer()
  await log.write(new TextEncoder().encode(TEXT))
  expect(await until(id(1))).not.toBe(first)
})

test('whoever comes later sees at once what is there', async () => {
  const { logs, print, until, open } = await bench({ pace: () => 3_600_000 })
  await print(id(1))
  logs.watch(id(2)) // has printed nothing yet
  await print(id(2))
  await until(id(2))
  expect(open.size).toBe(1)
  logs.watch(id(1))
  await until(id(1))
})

test('the wait after a failed try is kept, although the place goes to another log', async () => {
  const timers: { readonly ms: number; readonly call: () => void }[] = []
  const { clock } = nodePlatform()
  const rests = () => timers.filter(({ ms }) => ms === 7000)
  const { logs, leave, network, seen } = await bench({
    clock: {
      ...clock,
      after: (ms, call) => {
        timers.push({ ms, call })
        return () => undefined
      },
    },
    newBackoff: () => ({ next: () => 7000, reset: () => undefined, wait: async () => undefined }),
  })
  network.answers = () => 'fail'
  const attempts = await leave(20)
  logs.resume(attempts)
  await vi.waitFor(() => expect(rests()).toHaveLength(AT_ONCE))
  expect(seen.toSorted()).toEqual(attempts.slice(0, AT_ONCE))
  for (const { call } of rests()) call()
  await vi.waitFor(() => expect(seen.toSorted()).toEqual(attempts.slice(0, 2 * AT_ONCE).toSorted()))
})

test('once stopped, nothing is in flight and nothing begins', async () => {
  const { logs, leave, print, open, seen, sealed } = await bench()
  logs.resume(await leave(20))
  const log = await print(id(1000))
  await vi.waitFor(() => expect(open.size).toBe(AT_ONCE + 1))
  await logs.stop()
  expect(open.size).toBe(0)
  const { length } = seen
  await log.write(new TextEncoder().encode(TEXT))
  await (await print(id(1001))).end()
  await log.end()
  expect([seen.length, sealed]).toEqual([length, []])
})

test('nor does a log that was being measured at that moment', async () => {
  let measure = (): void => undefined
  const { logs, leave, seen } = await bench({ beforeMeasuring: () => new Promise((resolve) => (measure = resolve)) })
  logs.resume(await leave(1))
  await logs.stop()
  measure()
  await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual([])
})

test('a log that nothing opens at the coordinator any more waits for nothing', async () => {
  const { logs, leave, network, sealed, seen } = await bench({ hasToken: (attempt) => attempt !== id(1) })
  network.answers = () => 'ok'
  logs.resume(await leave(2))
  await vi.waitFor(() => expect(sealed).toEqual([id(1), id(2)]))
  expect(seen).not.toContain(id(1))
})

test('stopping waits until a seal that was heard is written down', async () => {
  let write = (): void => undefined
  const { logs, leave, network, sealed } = await bench({ beforeSeal: () => new Promise((resolve) => (write = resolve)) })
  network.answers = () => 'ok'
  logs.resume(await leave(1))
  await vi.waitFor(() => expect(logs.count()).toBe(0))
  const stopped = logs.stop().then(() => sealed.length)
  setImmediate(() => write())
  expect(await stopped).toBe(1)
})

test('what a disk took of a first write that failed is sent and sealed like any log [D33]', async () => {
  const real = nodePlatform().disk
  const disk: Disk = {
    ...real,
    append: async (path) => {
      const file = await real.append(path)
      return { ...file, write: (bytes) => file.write(bytes.subarray(0, 3)).then(() => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))) }
    },
  }
  const { logs, network, sealed } = await bench({ disk })
  network.answers = () => 'ok'
  const log = logs.open({ attempt: id(1), token: 'kdg_att_of-a-test' })
  await log.write(Buffer.from(TEXT)).catch(() => undefined)
  expect((await log.end()).bytes).toBe(3)
  await vi.waitFor(() => expect(sealed).toEqual([id(1)]))
  await logs.stop()
})
