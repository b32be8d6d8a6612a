import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { client, type Build } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent } from '../support/installation.ts'
import { bringsResult, isLog, isSync, PASS, RESET, startProxy, VANISH, type Fate } from '../support/proxy.ts'
import { hasFile, rejected, spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

/** An agent, and the network between it and the coordinator. */
async function apart(settings: { readonly slots?: number; readonly queue?: string; readonly name?: string; readonly token?: string } = {}) {
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken, ...settings })
  return { proxy, agent, people: client(coordinator()) }
}

const portal = (headers = {}): Fate => ({ kind: 'answer', status: 200, body: '<html>Welcome to our Wi-Fi. Please sign in.</html>', headers })

test('a lost reply to joining costs a single-use token nothing: the same agent joins with it [D1]', async () => {
  const people = client(coordinator())
  const made = await people.ask('POST', '/api/v1/tokens', { kind: 'registration', name: 'for one', max_uses: 1 })
  const { token, id } = (await made.json()) as { token: string; id: string }
  const proxy = await startProxy(coordinator())
  proxy.set((passage) => (passage.path === '/v1/agents/register' && passage.before === 0 ? { kind: 'lose-reply', by: 'reset' } : PASS))
  const agent = await startAgent({ url: proxy.url, token })
  await people.agent(agent.name)
  const [first] = proxy.passages.filter(({ path }) => path === '/v1/agents/register')
  expect(first).toMatchObject({ status: 200, delivered: false })
  // An agent that asks again, though it is known by now, hears the same; any other is refused.
  const again = await fetch(`${coordinator().url}/v1/agents/register`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: first?.body ?? '' })
  expect({ status: again.status, reply: await again.json() }).toMatchObject({ status: 200, reply: { agent_id: JSON.parse(first?.reply ?? '').agent_id } })
  const late = await startAgent({ url: proxy.url, token })
  expect(await late.ended).toEqual({ code: 5, signal: null })
  const tokens = (await (await people.ask('GET', '/api/v1/tokens')).json()) as readonly { id: string; uses: number }[]
  expect(tokens.find((one) => one.id === id)?.uses).toBe(1)
})

test('behind a captive portal an agent neither ends nor believes what it reads, and joins when it is gone [D2]', async () => {
  const proxy = await startProxy(coordinator())
  proxy.set(() => portal())
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken })
  await eventually('it says what it found', () => /something else than a coordinator answers/.test(agent.output()))
  proxy.set(() => ({ kind: 'answer', status: 302, headers: { location: 'https://portal.example.com/' }, body: '' }))
  await eventually('it says where it was sent', () => agent.output().includes('portal.example.com'))
  proxy.set(() => PASS)
  await client(coordinator()).agent(agent.name)
})

const LOSSES: readonly (readonly [string, Fate])[] = [
  ['requests are lost', RESET],
  ['replies are lost', { kind: 'lose-reply', by: 'reset' }],
  ['replies break off', { kind: 'cut-reply' }],
  ['requests arrive twice', { kind: 'twice' }],
]
for (const [what, fate] of LOSSES) {
  test(`every second time ${what}: each job still runs once, and nothing is lost [D6, I24]`, async () => {
    const { proxy, agent, people } = await apart({ slots: 2 })
    proxy.set((passage) => ((isSync(passage) || isLog(passage)) && passage.before % 2 === 1 ? fate : PASS))
    const project = await people.project()
    const builds: Build[] = []
    const gate = await createGate()
    gate.open()
    for (let i = 0; i < 5; i += 1) builds.push(await project.build({ command: gate.command(), agents: { queue: agent.queue } }))
    for (const build of builds) expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
    expect(gate.passed()).toHaveLength(5)
    await eventually('the spool is empty', () => spooled(agent.state).length === 0)
    for (const build of builds) expect(await build.log()).toContain('begun\nthrough\n')
  })
}

test('a partition longer than the lease ends; nobody took the job: its finished build is accepted and no work is lost [D14]', async () => {
  const { proxy, agent, people } = await apart()
  const gate = await createGate()
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  const { id } = await build.running()
  proxy.set(() => RESET, { reset: true })
  await build.until('is back in the queue', ({ state }) => state === 'queued')
  gate.open()
  await eventually('the result is spooled', () => hasFile(agent.state, id, 'result.json'))
  proxy.set(() => PASS)
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
  expect(gate.began()).toEqual([id])
})

test('a partition longer than the lease ends; nobody took the job: its holder goes on with it [D14, C4.6]', async () => {
  const { proxy, agent, people } = await apart()
  const gate = await createGate()
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  const { id } = await build.running()
  proxy.set(() => VANISH, { reset: true })
  await build.until('is back in the queue', ({ state }) => state === 'queued')
  proxy.set(() => PASS, { reset: true })
  await build.running(1)
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
  expect(gate.began()).toEqual([id])
})

for (const when of ['while it runs there', 'when it is over there'] as const) {
  test(`a partition longer than the lease ends ${when}: the newest attempt wins, and each keeps its own log [D15, I17]`, async () => {
    const queue = ownQueue()
    const { proxy, agent, people } = await apart({ queue, name: `${queue}-cut-off` })
    const [old, fresh] = [await createGate(), await createGate()]
    const build = await (await people.project()).build({ command: `if [ "$KEDGE_FENCE" = 1 ]; then ${old.command('exit 9')}; else ${fresh.command()}; fi`, agents: { queue } })
    const { id } = await build.running()
    await old.hasBegun()
    proxy.set(() => RESET, { reset: true })
    const other = await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, name: `${queue}-other` })
    await build.running(2)
    await fresh.hasBegun()
    old.open()
    await eventually('the result of the first is spooled', () => hasFile(agent.state, id, 'result.json'))
    if (when === 'when it is over there') {
      fresh.open()
      await build.over()
    }
    proxy.set(() => PASS)
    await eventually('the result of the first is put aside', (saw) => {
      saw({ spool: spooled(agent.state), rejected: rejected(agent.state) })
      return rejected(agent.state).some((name) => name.startsWith(id))
    })
    fresh.open()
    const { state, jobs } = await build.over()
    expect(state).toBe('passed')
    expect(jobs[0]).toMatchObject({ exit_status: 0, attempts: [{ fence: 1, agent: agent.name, state: 'lost' }, { fence: 2, agent: other.name, state: 'passed' }] })
    for (const fence of [1, 2]) {
      await eventually(`the log of attempt ${fence} is whole`, async (saw) => {
        const log = await build.log(fence)
        saw(log)
        return log === 'begun\nthrough\n'
      })
    }
  })
}

test('whatever else answers than a coordinator, the agent keeps its result and its build, and tries again [D28, C2.1]', async () => {
  const { proxy, agent, people } = await apart({ slots: 2 })
  const [done, runs] = [await createGate(), await createGate()]
  const project = await people.project()
  const finished = await project.build({ command: done.command('exit 4'), agents: { queue: agent.queue } })
  const running = await project.build({ command: runs.command(), agents: { queue: agent.queue } })
  const { id } = await finished.running()
  await running.running()
  await runs.hasBegun()

  const html = '<html><h1>Something went wrong</h1></html>'
  const json = { 'content-type': 'application/json' }
  // Believed, this one would end the build.
  const standBy = '{"error":{"code":"session_superseded","message":"another is this agent now","retry":false}}'
  const ours = { ...json, 'x-kedge-protocol': '1' }
  const answers: readonly (readonly [string, Fate])[] = [
    ...[500, 502, 503, 504, 520, 530].map((status) => [`${status}`, { kind: 'answer', status, body: html }] as const),
    ['500 in our name', { kind: 'answer', status: 500, headers: ours, body: standBy }],
    ['200 empty', { kind: 'answer', status: 200, body: '' }],
    ['200 HTML', { kind: 'answer', status: 200, body: html }],
    ['200 of another shape', { kind: 'answer', status: 200, headers: ours, body: '{}' }],
    ['200 half a gzip', { kind: 'answer', status: 200, headers: { ...ours, 'content-encoding': 'gzip' }, body: gzipSync(html).subarray(0, 9).toString('latin1') }],
    ['301', { kind: 'answer', status: 301, headers: { location: '/elsewhere' }, body: '' }],
    ['401 HTML', { kind: 'answer', status: 401, body: html }],
    ['403 HTML', { kind: 'answer', status: 403, body: html }],
    ['404 HTML', { kind: 'answer', status: 404, body: html }],
    ['409 JSON of a stranger', { kind: 'answer', status: 409, headers: json, body: standBy }],
    ['reset', RESET],
    ['reset in the middle of the body', { kind: 'cut-reply' }],
  ]
  for (const [name, fate] of answers) {
    const before = proxy.passages.filter(bringsResult).length
    proxy.set(() => fate, { reset: true })
    done.open()
    await eventually(`the result is sent twice into "${name}"`, (saw) => {
      saw(proxy.passages.filter(bringsResult).length - before)
      return proxy.passages.filter(bringsResult).length >= before + 2
    })
    expect({ name, spooled: hasFile(agent.state, id, 'result.json'), verdict: hasFile(agent.state, id, 'verdict') }).toEqual({ name, spooled: true, verdict: false })
    expect(runs.passed()).toEqual([])
  }
  proxy.set(() => PASS, { reset: true })
  expect((await finished.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 4, attempts: [{ id }] })
  runs.open()
  expect((await running.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'passed' }] })
  expect(rejected(agent.state)).toEqual([])
})

test('a half-open connection is given up and the sync tried again on another [D29]', async () => {
  const { proxy, agent, people } = await apart()
  const gate = await createGate()
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  const before = proxy.syncs().length
  proxy.set((passage) => (isSync(passage) ? VANISH : PASS))
  gate.open()
  await eventually('three syncs have vanished', () => proxy.syncs().length >= before + 3)
  proxy.set(() => PASS)
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
})

test('a half-open connection for the log holds up neither the verdict nor, in the end, the log [D29, C12.3]', async () => {
  const { proxy, agent, people } = await apart()
  proxy.set((passage) => (isLog(passage) ? VANISH : PASS))
  const build = await (await people.project()).build({ command: 'echo a line that must not be lost', agents: { queue: agent.queue } })
  expect((await build.over()).state).toBe('passed')
  await eventually('the log was sent into the void', () => proxy.passages.some(isLog))
  proxy.set(() => PASS)
  await eventually('the log is there', async (saw) => {
    const log = await build.log()
    saw(log)
    return log === 'a line that must not be lost\n'
  })
  await eventually('the spool is empty', () => spooled(agent.state).length === 0)
})

test('a doorbell that nobody hears costs time and nothing else [D29, I26]', async () => {
  const { proxy, agent, people } = await apart()
  await people.agent(agent.name)
  await eventually('the doorbell is open', () => proxy.syncs().some(({ body }) => JSON.parse(body).doorbell === true))
  proxy.set((passage) => (passage.method === 'WEBSOCKET' || passage.path === '/v1/agent/doorbell' ? VANISH : PASS))
  const build = await (await people.project()).build({ command: 'true', agents: { queue: agent.queue } })
  expect((await build.over()).state).toBe('passed')
})
