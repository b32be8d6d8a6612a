import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { holdCheckout } from '../support/git-stop.ts'
import { ownQueue, sharedCoordinator, startAgent } from '../support/installation.ts'
import { lives, pidsOf } from '../support/process-list.ts'
import { bringsResult, isSync, PASS, RESET, startProxy } from '../support/proxy.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const joining = () => ({ url: coordinator().url, token: coordinator().registrationToken })

test('a build that waits is cancelled at once, and never starts [D37]', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  const gate = await createGate()
  const project = await people.project()
  const build = await project.build({ command: gate.command(), agents: { queue } })
  expect((await build.cancel()).state).toBe('canceled')
  await startAgent({ ...joining(), queue })
  expect((await (await project.build({ command: 'true', agents: { queue } })).over()).state).toBe('passed')
  expect((await build.view()).jobs[0]).toMatchObject({ state: 'canceled', attempts: [] })
  expect(gate.began()).toEqual([])
})

test('a build that is on its way to an agent is cancelled, though reply after reply is lost [D37]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ ...joining(), url: proxy.url })
  await people.agent(agent.name)
  await eventually('the agent has proved that it hears', () => proxy.syncs().filter(({ delivered }) => delivered).length >= 2)
  proxy.set((passage) => (isSync(passage) ? { kind: 'lose-reply', by: 'reset' } : PASS))
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.until('is assigned', ({ state }) => state === 'assigned')
  await build.cancel()
  const before = proxy.syncs().length
  await eventually('two more replies are lost', () => proxy.syncs().length >= before + 2)
  proxy.set(() => PASS)
  expect((await build.over()).state).toBe('canceled')
  expect(gate.passed()).toEqual([])
})

test('a build that is being checked out is cancelled [D37]', async () => {
  const gate = await createGate()
  const { build } = await holdCheckout(coordinator(), gate.command())
  await build.until('is named by its agent', ({ state }) => state === 'running')
  await build.cancel()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'canceled', attempts: [{ fence: 1, state: 'canceled' }] })
  expect(gate.began()).toEqual([])
})

test('a running build is cancelled, twice as well as once: its tree is gone, and its log is kept [D37]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const agent = await startAgent(joining())
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  await gate.hasBegun()
  const tree = pidsOf(agent.state).filter((pid) => pid !== agent.pid)
  expect(tree).not.toEqual([])
  await build.cancel()
  await build.cancel()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'canceled', reason: { code: 'canceled' }, attempts: [{ fence: 1, state: 'canceled' }] })
  expect(tree.filter(lives)).toEqual([])
  await eventually('its log is there', async (saw) => {
    const log = await build.log()
    saw(log)
    return log.startsWith('begun\n') && log.includes('cancelled')
  })
  expect((await build.cancel()).state).toBe('canceled')
})

test('a result that was spooled before the cancel arrived wins [D37, C13.1]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ ...joining(), url: proxy.url })
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  const { id } = await build.running()
  proxy.set((passage) => (bringsResult(passage) ? RESET : PASS))
  gate.open()
  await eventually('the result is spooled', () => hasFile(agent.state, id, 'result.json'))
  await build.cancel()
  proxy.set(() => PASS)
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
})

for (const comesBack of [true, false]) {
  test(`an agent that dies with a cancelled build ${comesBack ? 'and is started again' : 'for good'} leaves it cancelled, never queued again [D37, I18]`, async () => {
    const people = client(coordinator())
    const queue = ownQueue()
    const gate = await createGate()
    const agent = await startAgent({ ...joining(), queue })
    const build = await (await people.project()).build({ command: gate.command(), agents: { queue } })
    await build.running()
    await gate.hasBegun()
    agent.signal('SIGSTOP') // it hears nothing of the cancel
    await build.cancel()
    await agent.kill9()
    const next = comesBack ? agent.again() : await startAgent({ ...joining(), queue, name: `${queue}-other` })
    expect((await build.over()).jobs[0]).toMatchObject({ state: 'canceled', attempts: [{ fence: 1 }] })
    expect(gate.began()).toHaveLength(1)
    await people.agent(next.name, ({ running }) => running.length === 0)
    if (comesBack) await eventually('nothing waits in its spool', () => spooled(agent.state).length === 0)
  })
}
