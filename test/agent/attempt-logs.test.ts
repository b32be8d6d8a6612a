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
  refuse(status: number): void
}

/** A coordinator that answers when the test says so, or at once where `answers` has a word for the attempt. */
function heldNetwork() {
  const open = new Set<Call>()
  const seen: AttemptId[] = []
  let most = 0
  const network: Network & { answers: (attempt: AttemptId) => 'ok' | 503 | 'later' } = {
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
          answer: () => settle(Response.json(url.endsWith('/seal') ? { size: 0, sealed: true } : { size: offset + (body?.length ?? 0), watched: false }, { headers: { [PROTOCOL_HEADER]: '1' } })),
          refuse: (status) => settle(new Response('', { status })),
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
        else if (word === 503) setImmediate(() => call.refuse(503))
      }),
  }
  return { network, open, seen, most: () => most }
}

async function bench(changes: Partial<Pick<AttemptLogsOptions, 'newBackoff'> & { readonly clock: Clock; readonly disk: Disk }> = {}) {
  const held = heldNetwork()
  const folder = await ownFolder()
  const { disk, clock } = { ...nodePlatform(), ...changes }
  const sealed: AttemptId[] = []
  const measured: AttemptId[] = []
  const logs: AttemptLogs = createAttemptLogs({
    spool: {
      logPath: (attempt) => `${folder}/${attempt}`,
      token: () => 'kdg_att_of-a-test',
      logEnd: async (attempt) => {
        measured.push(attempt)
        return END
      },
      logSealed: async (attempt) => void sealed.push(attempt),
    },
    platform: { disk, clock, network: held.network },
    url: 'http://coordinator',
    limits: LIMITS,
    secrets: [],
    callTimeoutMs: 60_000,
    newBackoff: changes.newBackoff ?? (() => createBackoff({ clock, chance: loadedDice(1), baseMs: 5, capMs: 5 })),
    pace: () => 0,
    note: () => undefined,
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
    await log.write(new TextEncoder().encode(TEXT))
    return log
  }
  return { ...held, logs, sealed, measured, leave, print }
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
  const { logs, leave, print, open, sealed } = await bench()
  logs.resume(await leave(20))
  await vi.waitFor(() => expect(open.size).toBe(AT_ONCE))
  const live = id(1000)
  const log = await print(live)
  const callOf = () => vi.waitUntil(() => [...open].find(({ attempt }) => attempt === live))
  ;(await callOf()).answer()
  await log.end()
  ;(await callOf()).answer() // the seal
  await vi.waitFor(() => expect(sealed).toEqual([live]))
})

test('logs that get no answer leave their places to the next, and come again', async () => {
  const { logs, leave, network, sealed, seen } = await bench()
  const attempts = await leave(20)
  const stuck = attempts.slice(0, AT_ONCE)
  network.answers = (attempt) => (stuck.includes(attempt) ? 503 : 'ok')
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
  network.answers = () => 503
  for (const call of open) call.refuse(503)
  await vi.waitFor(() => expect(open.size).toBeLessThanOrEqual(AT_ONCE))
  network.answers = () => 'ok'
  await vi.waitFor(() => expect(sealed.toSorted()).toEqual(attempts.toSorted()), { timeout: 20_000 })
  expect(logs.count()).toBe(0)
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
  network.answers = () => 503
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
