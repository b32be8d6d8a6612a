/**
 * The whole agent before a coordinator whose answers are wrong for two minutes: changed in a few places, of other bytes,
 * refusals that nobody meant. It may do nothing for a while, and what it is told of an attempt it may believe; but it goes
 * on, asks at a bearable pace, starts nothing twice, loses no result that nobody judged, and is of use again afterwards.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Answered, Network } from '../../agent/platform.ts'
import { createBuildRequest, createProjectRequest } from '../../schema/api.ts'
import { REFUSALS, type RefusalCode } from '../../schema/refusal.ts'
import { parseJson } from '../../schema/parse-json.ts'
import { SimCoordinator } from '../simulation/coordinator.ts'
import { SimMachine, STATE, type SimProcess } from '../simulation/machine.ts'
import { VirtualTime } from '../simulation/time.ts'
import { SimWorker } from '../simulation/worker.ts'
import { changes, hostileBytes, mutant, type Json } from './hostile.ts'
import { runs, TIMES } from './seed.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOSTILE_MS = 2 * MINUTE
/** The longest wait that an answer can talk an agent into, twice, and a build. */
const CALM_MS = 25 * MINUTE
const BUILDS = 6
const ORIGIN = 'http://kedge'

const codes = Object.keys(REFUSALS) as RefusalCode[] // its own keys
const refused = fc.record({
  code: fc.constantFrom(...codes),
  current: fc.constantFrom(0, 1, 2, 1000, 2 ** 31, 2 ** 40),
  takeOver: fc.boolean(),
  retry: fc.boolean(),
  changes: fc.option(changes),
})
const wrong = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('change' as const), changes }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('refuse' as const), refused }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bytes' as const), bytes: hostileBytes, status: fc.constantFrom(200, 200, 204, 301, 401, 404, 409, 500), retryAfter: fc.option(fc.constantFrom('0', '5', '99999999', 'x')) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('none' as const) }) },
)
type Wrong = typeof wrong extends fc.Arbitrary<infer T> ? T : never
/** For each call, over and over; null: as it is. */
const script = fc.array(fc.option(wrong, { freq: 2 }), { minLength: 3, maxLength: 30 })

interface Lived {
  readonly crashes: readonly unknown[]
  readonly startedTwice: readonly string[]
  /** Results that went from the disk although nothing that was sent judges them. */
  readonly lost: readonly string[]
  readonly mostCallsWithinASecond: number
  readonly states: readonly string[]
  readonly spooled: readonly string[]
}

async function live(answers: readonly (Wrong | null)[]): Promise<Lived> {
  const time = new VirtualTime()
  const nobody = { jobChanged: () => {}, buildChanged: () => {}, attemptLost: () => {}, eventEnded: () => {}, synced: () => {}, stored: () => {}, sealed: () => {} }
  const coordinator = new SimCoordinator(time, nobody, 1)
  const worker = new SimWorker(coordinator, nobody)
  const crashes: unknown[] = []
  const started = new Set<string>()
  const startedTwice: string[] = []
  const lost: string[] = []
  const callsAt: number[] = []
  /** All that was ever answered in a judge's words. */
  let judged = ''
  let pids = 1000

  const network = (process: SimProcess): Network => ({
    openSocket: (_, headers, events) => {
      new Headers(headers) // throws where the real one would
      time.after(1, () => events.closed('there is none'), process)
      return { close: () => undefined, ping: () => undefined }
    },
    fetch: async (url, { method, headers, body }) => {
      const pause = (ms: number) => new Promise<void>((resolve) => void time.after(ms, resolve, process))
      callsAt.push(time.now)
      new Headers(headers) // throws where the real one would
      await pause(10)
      const served = await worker.serve({ machine: process.machine, method, path: url.slice(ORIGIN.length), authorization: headers['authorization'] ?? '', body: body ?? '' })
      await pause(10)
      const what = time.now < HOSTILE_MS ? (answers[callsAt.length % answers.length] ?? null) : null
      if (served === null || what?.do === 'none') throw new TypeError('fetch failed')
      if (what?.do === 'bytes') return answered(what.status, what.retryAfter === null ? served.headers : { ...served.headers, 'retry-after': what.retryAfter }, what.bytes)
      if (what?.do === 'refuse') {
        const { code, current, takeOver, retry, changes: more } = what.refused
        const error: Json = { error: { code, message: 'said by nobody', retry, current, take_over: takeOver, size: 3 } }
        const text = more === null ? JSON.stringify(error) : mutant(error, more)
        judged += `${url} ${text}`
        return answered(REFUSALS[code].status, served.headers, new TextEncoder().encode(text))
      }
      const text = what === null ? served.body : mutant(parseJson(served.body) as Json, what.changes) // as the coordinator made it
      if (/verdict|abandon/.test(text)) judged += text
      return answered(served.status, served.headers, new TextEncoder().encode(text))
    },
  })

  const machine: SimMachine = new SimMachine(
    { name: 'one', slots: 2, queue: 'default', tags: [], doorbell: true, registrationToken: 'kdg_reg_of-the-simulation' },
    {
      time,
      seed: 1,
      wire: { network, hangUp: () => undefined },
      job: (command) => ({ prepareMs: 50, prepareFails: false, runMs: 8 * SECOND, exitStatus: 0, lines: [{ atMs: 1 * SECOND, text: command.slice(0, 100), isSecret: false }], heedsTermAfterMs: 100, killsAgentAfterMs: null }),
      head: () => 'c0ffee'.padEnd(40, '0'),
      nextPid: () => (pids += 1),
      trace: () => undefined,
      going: ({ disk }, path) => {
        const attempt = /^\/state\/spool\/([^/]+)$/.exec(path)?.[1]
        if (attempt !== undefined && disk.contents(`${path}/result.json`) !== null && !judged.includes(attempt)) lost.push(attempt)
      },
      spawned: (_, attempt) => void (started.has(attempt) ? startedTwice.push(attempt) : started.add(attempt)),
      commandEnds: () => undefined,
      printed: () => undefined,
      ended: () => void time.after(2 * SECOND, () => machine.start()), // as its supervisor does
      killedByJob: () => undefined,
      crashed: (_, error) => void crashes.push(error),
    },
  )

  const build = (command: string) => coordinator.ask((cluster, now) => cluster.createBuild(now, 'bare', createBuildRequest.parse({ command }), { idempotencyKey: command, origin: ORIGIN }))
  const { error } = console
  console.error = () => undefined // what the coordinator says of odd messages
  try {
    await coordinator.ask((cluster, now) => cluster.createProject(now, createProjectRequest.parse({ slug: 'bare', checkout: false, command: 'make' })))
    for (let n = 1; n <= BUILDS; n += 1) time.after((n - 1) * 15 * SECOND, () => build(`build ${n}`))
    time.after(HOSTILE_MS + MINUTE, () => build('the last'))
    machine.start()
    const isOver = () => time.now > HOSTILE_MS + MINUTE && coordinator.peek((cluster) => cluster.build(coordinator.now(), 'bare', BUILDS + 1, ORIGIN).ok && states().every((state) => state === 'passed' || state === 'failed') && machine.disk.below(`${STATE}/spool`).length === 0) === true
    const states = (): readonly string[] => coordinator.peek((cluster) => Array.from({ length: BUILDS + 1 }, (_, at) => cluster.build(coordinator.now(), 'bare', at + 1, ORIGIN)).map((answer) => (answer.ok ? answer.value.state : 'unknown'))) ?? []
    let lookedAt = 0
    await time.run(HOSTILE_MS + CALM_MS, () => {
      if (time.now - lookedAt < SECOND) return false
      lookedAt = time.now
      return isOver()
    })
    await coordinator.ask((cluster, now) => cluster.watch(now, 'J1-1-1.1' as never)) // awake, to be looked at
    let most = 0
    for (let from = 0, to = 0; to < callsAt.length; to += 1) {
      while ((callsAt[to] ?? 0) - (callsAt[from] ?? 0) >= SECOND) from += 1
      most = Math.max(most, to - from + 1)
    }
    return { crashes, startedTwice, lost, mostCallsWithinASecond: most, states: states(), spooled: machine.disk.below(`${STATE}/spool`) }
  } finally {
    console.error = error
    if (machine.process !== null) machine.process.isAlive = false
    coordinator.close()
  }
}

function answered(status: number, headers: Readonly<Record<string, string>>, bytes: Uint8Array): Answered {
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name) => headers[name] ?? null, has: (name) => name in headers },
    body: { async *[Symbol.asyncIterator]() { yield bytes }, cancel: async () => undefined },
  }
}

it('whatever it is answered for two minutes, an agent loses nothing that nobody judged, and works again afterwards', async () => {
  let hostile = 0
  await fc.assert(
    fc.asyncProperty(script, async (answers) => {
      const lived = await live(answers)
      hostile += answers.filter((answer) => answer !== null).length
      expect(lived).toMatchObject({ crashes: [], startedTwice: [], lost: [], spooled: [] })
      expect(lived.mostCallsWithinASecond).toBeLessThan(60)
      expect(lived.states.at(-1)).toBe('passed')
      expect(lived.states.filter((state) => state !== 'passed' && state !== 'failed')).toEqual([])
    }),
    runs(35),
  )
  expect(hostile).toBeGreaterThan(100) // else nothing was looked at
}, 120_000 * TIMES)
