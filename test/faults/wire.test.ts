/** What a network does to single calls: slow, doubled, cut, lost; and doorbells that lie. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client, type Build, type Client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { scaled, sharedCoordinator, startAgent, testFolder } from '../support/installation.ts'
import { bringsResult, isLog, isSync, PASS, RESET, startProxy, type Fate } from '../support/proxy.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually, lasting } from '../support/wait.ts'

const coordinator = sharedCoordinator()

async function apart(settings: { readonly slots?: number; readonly doorbell?: boolean } = {}) {
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken, ...settings })
  const people = client(coordinator())
  await people.agent(agent.name)
  return { proxy, agent, people, project: await people.project() }
}

async function digestOfLog(people: Client, build: Build): Promise<string> {
  const { id } = await build.job()
  const response = await people.ask('GET', `/api/v1/jobs/${id}/log`)
  return createHash('sha256').update(Buffer.from(await response.arrayBuffer())).digest('hex')
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex')
}

test('replies of one byte a second, never done: the deadline is for the whole call, and the result is delivered once one is whole [D30]', async () => {
  const { proxy, agent, project } = await apart()
  const gate = await createGate()
  const build = await project.build({ command: gate.command('exit 5'), agents: { queue: agent.queue } })
  const { id } = await build.running()
  proxy.set((passage) => (isSync(passage) || isLog(passage) ? { kind: 'drip-reply', everyMs: scaled(1000) } : PASS))
  const before = proxy.syncs().length
  gate.open()
  await eventually('three syncs were given up', () => proxy.syncs().length >= before + 4)
  expect({ spooled: hasFile(agent.state, id, 'result.json'), verdict: hasFile(agent.state, id, 'verdict') }).toEqual({ spooled: true, verdict: false })
  proxy.set(() => PASS)
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 5, attempts: [{ fence: 1 }] })
  await eventually('the spool is empty', () => spooled(agent.state).length === 0)
})

/** Shell text that prints the file as it is. */
const CONTENTS: readonly (readonly [string, (file: string) => string])[] = [
  ['bytes of every kind', (file) => `head -c 5000000 /dev/urandom > '${file}'`],
  ['one line of 8 MB', (file) => `head -c 8000000 /dev/zero | tr '\\0' x > '${file}'`],
  ['text that is not UTF-8, with lone carriage returns', (file) => `for i in 1 2 3 4 5 6 7 8 9; do printf '\\377\\376 \\303\\050 a\\rb\\000c\\n'; done > '${file}'`],
]
const HARMS: readonly Fate[] = [{ kind: 'twice' }, { kind: 'lose-reply', by: 'reset' }, { kind: 'cut-reply' }, RESET, { kind: 'answer', status: 502, body: '' }]
for (const [what, write] of CONTENTS) {
  test(`a log of ${what}, its pieces doubled, lost and cut on their way: whole at the end, byte for byte [D41, I16]`, async () => {
    const { proxy, agent, people, project } = await apart()
    const file = join(await testFolder(), 'printed')
    proxy.set((passage) => (isLog(passage) ? (HARMS[passage.before % (HARMS.length + 1)] ?? PASS) : PASS))
    const build = await project.build({ command: `${write(file)}; cat '${file}'`, agents: { queue: agent.queue } })
    expect((await build.over()).state).toBe('passed')
    const printed = await digestOfFile(file)
    await eventually('the log is whole', async () => (await digestOfLog(people, build)) === printed)
    await eventually('and sealed', () => spooled(agent.state).length === 0)
  })
}

test('no piece of a log arrives: the job ends all the same, the next one runs, and the log is there and sealed when it can be [D42, C12.3]', async () => {
  const { proxy, agent, project } = await apart()
  proxy.set((passage) => (isLog(passage) ? RESET : PASS))
  const builds = [await project.build({ command: 'echo one', agents: { queue: agent.queue } }), await project.build({ command: 'echo two; exit 3', agents: { queue: agent.queue } })]
  const states = []
  for (const build of builds) states.push((await build.over()).state)
  expect(states).toEqual(['passed', 'failed'])
  expect(spooled(agent.state)).toHaveLength(2)
  for (const build of builds) expect(await build.log()).toBe('')
  proxy.set(() => PASS)
  await eventually('both are sealed', () => spooled(agent.state).length === 0)
  expect(await Promise.all(builds.map((build) => build.log()))).toEqual(['one\n', 'two\n'])
})

test('a doorbell that rings a thousand times a second for nothing: syncs in bounds, and work as ever [D45, I26]', async () => {
  const { proxy, agent, project } = await apart()
  await eventually('the doorbell is open', () => proxy.ring() > 0 || null)
  const [before, begun] = [proxy.syncs().length, performance.now()]
  for (let i = 0; i < 1000; i += 1) {
    proxy.ring()
    if (i % 10 === 0) await lasting(10)
  }
  const passed = performance.now() - begun
  // A burst of ten, then one each half second of production, and what the pace itself asks for.
  const most = 10 + passed / scaled(500) + passed / scaled(2000) + 3
  expect(proxy.syncs().length - before).toBeLessThanOrEqual(most)
  const build = await project.build({ command: 'true', agents: { queue: agent.queue } })
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
})

for (const [what, fate] of [['refused', { kind: 'answer', status: 403, body: 'no sockets here' }], ['never answered', { kind: 'vanish' }]] as const) {
  test(`a doorbell that is ${what}: work goes on at the pace of one without [D45, I26]`, async () => {
    const proxy = await startProxy(coordinator())
    proxy.set((passage) => (passage.path === '/v1/agent/doorbell' ? fate : PASS))
    const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken })
    const people = client(coordinator())
    await people.agent(agent.name)
    const project = await people.project()
    for (let i = 0; i < 2; i += 1) expect((await (await project.build({ command: 'true', agents: { queue: agent.queue } })).over()).state).toBe('passed')
    expect(proxy.syncs().every(({ body }) => JSON.parse(body).doorbell === false)).toBe(true)
    await eventually('the spool is empty', () => spooled(agent.state).length === 0)
    expect(proxy.passages.filter(bringsResult).length).toBeGreaterThanOrEqual(2)
  })
}
