/** The loop's own rules, before a coordinator that answers as the test says; standing by is in `standby.test.ts`. */
import { expect, onTestFinished, test } from 'vitest'
import { startSync, type Heard, type Report } from '../../../agent/loop/sync.ts'
import { agentTimes } from '../../../agent/loop/times.ts'
import { spoolResult } from '../../../agent/spool/entry.ts'
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS, type RefusalBody, type RefusalCode } from '../../../schema/refusal.ts'
import type { AgentId } from '../../../schema/job.ts'
import { SYNC_BODY_BYTES, type SyncReply, type SyncRequest } from '../../../schema/sync.ts'
import { A, id, resultOf } from '../../support/spool-bench.ts'
import { loadedDice, turnedClock } from '../../support/turned-clock.ts'

/** `silence` never ends by itself. */
type Answer = Partial<SyncReply> | { readonly refuse: RefusalCode; readonly error?: Partial<RefusalBody['error']>; readonly afterMs?: number } | 'no route' | 'silence'

interface Call {
  readonly path: string
  readonly at: number
  readonly credential: string
  readonly bytes: number
  readonly request: SyncRequest
}

const PACE = 10_000
const REPLY: SyncReply = { proto: 1, session: 'kdg_ses_1', server_time: 0, verdicts: [], directives: [], assignments: [], next_sync_ms: PACE, hb_ms: 2000, log_ms: 5000, watched: [], self_fence_ms: 85_000, drain: false, held_back: null, need: [] }
const RUNNING: Report['running'] = [{ attempt: A, phase: 'running', commit: null, log_bytes: 0 }]

/** A loop that gets these answers, one at each call, and then replies of nothing new. */
function bench(...answers: readonly Answer[]) {
  return joining({ registrationToken: null }, ...answers)
}

function joining({ registrationToken }: { readonly registrationToken: string | null }, ...answers: readonly Answer[]) {
  const clock = turnedClock()
  const since = clock.monotonic()
  const calls: Call[] = []
  const lines: string[] = []
  const heard: Heard[] = []
  let bootSeq = 5
  const left = [...answers]
  const report: { -readonly [key in keyof Report]: Report[key] } = { state: 'ready', reason: null, doorbell: false, running: [], pending: [], lost: [] }
  const respond = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max) } }) as never // as much as an agent looks at
  const loop = startSync({
    url: 'http://coordinator',
    identity: { agentId: 'a_00000000000000000000' as AgentId, secret: 'kdg_sec_x', get bootSeq() { return bootSeq }, bootId: 'of-this-one', jumpTo: async (next) => void (bootSeq = next) }, // the id is of the form
    registrationToken,
    offer: { name: 'builder', queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'a', version: '0' } },
    clock,
    chance: loadedDice(0.5),
    network: {
      fetch: async (url, { headers, body }) => {
        const { pathname: path } = new URL(url)
        calls.push({ path, at: clock.monotonic() - since, credential: String(headers['authorization']).slice(7), bytes: Buffer.byteLength(String(body)), request: JSON.parse(String(body)) as SyncRequest }) // written by the loop
        const answer = left.shift() ?? {}
        if (answer === 'no route') throw new Error('no route to host')
        if (answer === 'silence') return await new Promise<never>(() => {})
        if ('refuse' in answer && answer.afterMs !== undefined) await new Promise<void>((resolve) => clock.after(answer.afterMs ?? 0, resolve))
        if ('refuse' in answer) return respond(REFUSALS[answer.refuse].status, { error: { code: answer.refuse, message: 'no', retry: REFUSALS[answer.refuse].retry, ...answer.error } })
        return respond(200, path.endsWith('/register') ? { agent_id: 'a_00000000000000000000', session: 'kdg_ses_of-joining', next_sync_ms: 0 } : { ...REPLY, ...answer })
      },
      openSocket: () => ({ close: () => {}, ping: () => {} }),
    },
    times: agentTimes(),
    terminal: { line: (text) => void lines.push(text), waiting: (text) => void lines.push(text) },
    report: () => ({ ...report }),
    heard: (each) => void heard.push(each),
    superseded: () => {},
  })
  onTestFinished(() => loop.stop())
  return { clock, calls, lines, heard, report, loop, times: () => calls.map(({ at }) => at) }
}

/** Two answers that a loop has behind it once it is heard: the first comes by the secret, the second shows the session. */
const JOINED: readonly Answer[] = [{}, {}]

test.each(['session_expired', 'token_invalid'] as const)('a session that is over (%s) is replaced in the same moment, by the secret', async (refuse) => {
  const { clock, calls, heard } = bench(...JOINED, { refuse }, { session: 'kdg_ses_2' })
  await clock.turn(PACE)
  expect(calls.map(({ credential }) => credential)).toEqual(['kdg_sec_x', 'kdg_ses_1', 'kdg_ses_1', 'kdg_sec_x'])
  expect(calls[3]?.at).toBe(calls[2]?.at)
  expect(heard).toHaveLength(3)
})

test('a secret that is refused like a session is not tried again in the same moment', async () => {
  const { clock, calls } = bench({ refuse: 'session_expired' }, { refuse: 'session_expired' })
  await clock.turn(0)
  expect(calls).toHaveLength(1)
})

test('of a message that is sent twice it is the second send that is acknowledged [C16.1]', async () => {
  const { clock, calls, loop } = bench(...JOINED, { refuse: 'session_expired', afterMs: 3000 })
  await clock.turn(0.9 * PACE + 3000)
  expect(calls.map(({ at }) => at)).toEqual([0, 0, 9000, 12_000])
  expect(loop.acknowledged()?.monotonic).toBe(1000 + 12_000)
})

test('a session is presented at once when it was gained, but no more than once a minute', async () => {
  const expired = { refuse: 'session_expired' } as const
  const { clock, times } = bench(...JOINED, expired, {}, {}, {}, {}, {}, {}, expired)
  await clock.turn(9 * PACE)
  // The session that is gained at 9 s waits for the pace, that at 63 s does not.
  expect(times()).toEqual([0, 0, 9000, 9000, 18_000, 27_000, 36_000, 45_000, 54_000, 63_000, 63_000, 63_000, 72_000, 81_000, 90_000])
})

test('the wait after no answer doubles, and is a first one again after an answer', async () => {
  const { clock, times } = bench(...JOINED, 'no route', 'no route', 'no route', {}, 'no route')
  await clock.turn(40_000)
  const waits = times().map((at, n, all) => (all[n + 1] ?? NaN) - at).slice(1, 7)
  expect(waits).toEqual([0.9 * PACE, 500, 1000, 2000, 0.9 * PACE, 500])
})

test.each([['nothing', 30_000], ['a build', 15_000], ['a result', 15_000]] as const)('an agent that holds %s waits no longer than %d ms between tries', async (what, most) => {
  const { clock, times, report } = bench(...JOINED, ...Array.from({ length: 40 }, () => 'no route' as const))
  if (what === 'a build') report.running = RUNNING
  if (what === 'a result') report.pending = [spoolResult(A, resultOf())]
  await clock.turn(200_000)
  const tries = times().slice(JOINED.length)
  expect(Math.max(...tries.map((at, n) => at - (tries[n - 1] ?? at)))).toBe(most / 2) // by the dice
})

test('while a build runs it syncs by the heartbeat, and otherwise by the pace', async () => {
  const { clock, times, report } = bench()
  await clock.turn(0.9 * PACE)
  expect(times()).toEqual([0, 0, 9000])
  report.running = RUNNING
  await clock.turn(0.9 * PACE) // from here on
  const before = times().length
  await clock.turn(3600)
  expect(times().length - before).toBe(2)
})

test('an offer that is asked for comes at once, and one that is known is not sent again', async () => {
  const { clock, calls } = bench(...JOINED, { need: ['offer'] })
  await clock.turn(PACE)
  expect(calls.map(({ at, request }) => [at, request.offer?.name])).toEqual([[0, 'builder'], [0, undefined], [9000, undefined], [9000, 'builder']])
})

test('results that did not fit are sent at once when verdicts made room, and not before', async () => {
  const { clock, times, report } = bench(...JOINED, {}, { verdicts: [{ attempt: A, verdict: 'accepted' }] })
  const large = Array.from({ length: 200 }, (_, n) => spoolResult(id(n + 1), resultOf({ reason: { code: 'failed', message: 'x'.repeat(1000) } })))
  await clock.turn(0)
  report.pending = large
  await clock.turn(0.9 * PACE)
  expect(times()).toEqual([0, 0, 9000])
  await clock.turn(0.9 * PACE)
  expect(times()).toEqual([0, 0, 9000, 18_000, 18_000])
})

test('a message that is too large is made smaller until it passes, and then has its size again', async () => {
  const { clock, calls, report, lines } = bench(...JOINED, { refuse: 'payload_too_large' }, { refuse: 'payload_too_large' }, {}, {})
  report.pending = Array.from({ length: 200 }, (_, n) => spoolResult(id(n + 1), resultOf({ reason: { code: 'failed', message: 'x'.repeat(1000) } })))
  await clock.turn(3 * PACE)
  expect(calls.slice(2, 6).map(({ bytes }) => Math.ceil((4 * bytes) / SYNC_BODY_BYTES))).toEqual([4, 2, 1, 4]) // quarters
  expect(lines.join('\n')).toContain('finds the message too large')
})

test('a reason or a list of losses of any length makes no message that is refused', async () => {
  const { clock, calls, report } = bench()
  report.reason = 'x'.repeat(10_000)
  report.lost = Array.from({ length: 1000 }, (_, n) => ({ attempt: id(n + 1), why: 'process_restart' }) as const)
  await clock.turn(0)
  expect([calls[0]?.request.reason?.length, calls[0]?.request.lost.length]).toEqual([500, 256])
})

test('what a reply acknowledges is what was told by the message that it answers', async () => {
  const { clock, heard, report } = bench('no route')
  report.lost = [{ attempt: A, why: 'process_restart' }]
  await clock.turn(0)
  report.lost = [{ attempt: id(2), why: 'handed_back' }]
  report.state = 'draining'
  await clock.turn(500)
  expect(heard[0]).toMatchObject({ lost: [{ attempt: id(2) }], state: 'draining' })
})

test('an agent that is not known joins with its registration token, and presents the session that it got', async () => {
  const { clock, calls, heard } = joining({ registrationToken: 'kdg_reg_x' }, { refuse: 'agent_unknown' })
  await clock.turn(0)
  expect(calls.slice(0, 3).map(({ path, credential }) => [path, credential])).toEqual([['/v1/agent/sync', 'kdg_sec_x'], ['/v1/agents/register', 'kdg_reg_x'], ['/v1/agent/sync', 'kdg_ses_of-joining']])
  expect(heard.length).toBeGreaterThan(0)
})

test('without a registration token it says what to do, and ends', async () => {
  const { clock, loop } = bench({ refuse: 'agent_unknown' })
  await clock.turn(0)
  expect(await loop.ended).toEqual({ refused: expect.stringMatching(/does not let this agent join: no agent a_0{20} has joined there; give it a registration token/) })
})

test('an agent that has just joined and is not known joins no second time', async () => {
  const { clock, loop, calls } = joining({ registrationToken: 'kdg_reg_x' }, { refuse: 'agent_unknown' }, {}, { refuse: 'agent_unknown' })
  await clock.turn(0)
  expect([(await loop.ended).refused, calls.length]).toEqual([expect.stringContaining('may have lost its records'), 3])
})

test('a registration token that opens nothing is said with what to do; a coordinator that is busy is waited for', async () => {
  const { clock, loop } = joining({ registrationToken: 'kdg_reg_x' }, { refuse: 'agent_unknown' }, { refuse: 'slow_down' }, { refuse: 'agent_unknown' }, 'no route', { refuse: 'agent_unknown' }, { refuse: 'token_invalid' })
  await clock.turn(60_000)
  expect((await loop.ended).refused).toContain('an admin makes another token with: npx kedge token create')
})

test('an agent that was heard before keeps what it holds and asks again, whatever it is refused with', async () => {
  const { clock, calls, loop } = bench(...JOINED, { refuse: 'agent_unknown' })
  await clock.turn(400_000)
  expect([calls.length > 4, calls[3]?.credential, loop.isRefused()]).toEqual([true, 'kdg_sec_x', false])
})

test('nor does one end that holds a result and was never heard', async () => {
  const { clock, calls, report } = bench({ refuse: 'agent_revoked' })
  report.pending = [spoolResult(A, resultOf())]
  await clock.turn(400_000)
  expect(calls.at(-1)?.request.finished.map(({ attempt }) => attempt)).toEqual([A])
})

test('a disk that was rolled back is noticed at the first word, and only then: the boot number goes on after the last one known', async () => {
  const superseded = { refuse: 'session_superseded', error: { current: 9 } } as const
  const { clock, calls } = bench(superseded, ...JOINED, superseded)
  await clock.turn(100_000)
  expect(calls.slice(0, 5).map(({ request }) => [request.boot_seq, request.state])).toEqual([[5, 'ready'], [10, 'ready'], [10, 'ready'], [10, 'ready'], [10, 'standby']])
  const twice = bench(superseded, superseded)
  await twice.clock.turn(100_000)
  expect(twice.calls.slice(0, 3).map(({ request }) => [request.boot_seq, request.state])).toEqual([[5, 'ready'], [10, 'ready'], [10, 'standby']])
})

test.each([[{ min: 2, max: 3 }, 'update this agent'], [{ min: 0, max: 0 }, 'update the coordinator'], [undefined, 'install the same kedge version on both']] as const)('a coordinator that speaks %o is said with what to update', async (proto, remedy) => {
  const { clock, calls, lines, loop } = bench({ refuse: 'proto_unsupported', error: proto === undefined ? {} : { proto } })
  await clock.turn(200_000)
  expect([lines.join('\n'), calls.length, loop.isRefused()]).toEqual([expect.stringContaining(remedy), 1, true])
})

test('a person is told of a connection once, of its loss, and when it is back', async () => {
  const { clock, lines } = bench(...JOINED, {}, 'no route', {}, {})
  await clock.turn(4 * PACE)
  expect(lines).toEqual(['builder is connected to http://coordinator', expect.stringMatching(/^cannot reach http:\/\/coordinator \(.*trying again, next in 1 s$/), 'builder is connected to http://coordinator'])
})

test('a person is told why an agent gets no work, when that changes and when it is over', async () => {
  const because = (message: string) => ({ held_back: { code: 'failing', message } })
  const { clock, lines } = bench(...JOINED, because('three in a row'), because('three in a row'), because('its queue is paused'), {}, {})
  await clock.turn(6 * PACE)
  expect(lines.slice(1)).toEqual(['gets no work for now: three in a row', 'gets no work for now: its queue is paused', 'takes work again'])
})

test('a kick during a sync makes one more right after it, however many there were', async () => {
  const { clock, times, loop } = bench()
  await Promise.resolve()
  for (let each = 0; each < 5; each += 1) loop.kick()
  await clock.turn(0.5 * PACE)
  loop.kick()
  loop.kick()
  await clock.turn(0)
  expect(times()).toEqual([0, 0, 5000])
})

test('not even a kick shortens a wait that the coordinator asked for', async () => {
  const { clock, times, loop } = bench(...JOINED, { refuse: 'agent_revoked' })
  await clock.turn(PACE)
  loop.kick()
  await clock.turn(200_000)
  expect([times().length, loop.isRefused()]).toEqual([3, true])
  await clock.turn(100_000)
  expect([times().length > 3, loop.isRefused()]).toEqual([true, false])
})

test('once stopped it says nothing more, not even of the call that was given up, and leaves no timer', async () => {
  const { clock, calls, lines, heard, loop } = bench('silence')
  await clock.turn(0)
  loop.stop()
  expect(await loop.ended).toEqual({ refused: null })
  await clock.turn(60_000)
  expect([calls.length, lines, heard, clock.waiting()]).toEqual([1, [], [], 0])
})
