import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { holdCheckout } from '../support/git-stop.ts'
import { ownQueue, sharedCoordinator, startAgent, testFolder } from '../support/installation.ts'
import { pidsOf } from '../support/process-list.ts'
import { bringsResult, PASS, RESET, startProxy } from '../support/proxy.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const joining = () => ({ url: coordinator().url, token: coordinator().registrationToken })

test('SIGTERM ends an idle agent with exit 0 [D50, C14]', async () => {
  const people = client(coordinator())
  const agent = await startAgent(joining())
  await people.agent(agent.name)
  agent.signal('SIGTERM')
  expect(await agent.ended).toEqual({ code: 0, signal: null })
  expect(pidsOf(agent.state)).toEqual([])
})

test('SIGTERM ends an agent that has found no coordinator yet with exit 0 [D50]', async () => {
  const proxy = await startProxy(coordinator())
  proxy.set(() => RESET)
  const agent = await startAgent({ ...joining(), url: proxy.url })
  await eventually('it waits', () => agent.output().includes('cannot reach'))
  agent.signal('SIGTERM')
  expect(await agent.ended).toEqual({ code: 0, signal: null })
})

test('SIGTERM once: the build ends well and is delivered, and no other is taken [D50, C14]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const agent = await startAgent(joining())
  const project = await people.project()
  const build = await project.build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  agent.signal('SIGTERM')
  await people.agent(agent.name, ({ state }) => state === 'draining')
  const next = await project.build({ command: 'true', agents: { queue: agent.queue } })
  gate.open()
  expect(await agent.ended).toEqual({ code: 0, signal: null })
  expect((await build.view()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
  expect(await build.log()).toBe('begun\nthrough\n')
  expect(await next.job()).toMatchObject({ state: 'queued', attempts: [] })
  expect(spooled(agent.state)).toEqual([])
})

test('SIGTERM once during a checkout: the build goes on to its end [D50]', async () => {
  const people = client(coordinator())
  const { agent, build, stop } = await holdCheckout(coordinator(), 'cat a')
  agent.signal('SIGTERM')
  await people.agent(agent.name, ({ state }) => state === 'draining')
  stop.release()
  expect(await agent.ended).toEqual({ code: 0, signal: null })
  expect((await build.view()).state).toBe('passed')
})

test('SIGTERM once with a result that nobody takes: exit 0 all the same, and the next start delivers it [D50, I5]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ ...joining(), url: proxy.url })
  const build = await (await people.project()).build({ command: gate.command('exit 5'), agents: { queue: agent.queue } })
  const { id } = await build.running()
  proxy.set((passage) => (bringsResult(passage) ? RESET : PASS))
  gate.open()
  await eventually('the result is spooled', () => hasFile(agent.state, id, 'result.json'))
  agent.signal('SIGTERM')
  expect(await agent.ended).toEqual({ code: 0, signal: null })
  expect(hasFile(agent.state, id, 'result.json')).toBe(true)
  proxy.set(() => PASS)
  agent.again()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 5, attempts: [{ id }] })
})

test('SIGTERM twice: what runs is ended and handed back, uncounted, and runs elsewhere at once [D50, C5.2]', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  const gate = await createGate()
  const agent = await startAgent({ ...joining(), queue, name: `${queue}-first` })
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue } })
  await build.running()
  await gate.hasBegun()
  agent.signal('SIGTERM')
  await eventually('it says what once more would do', () => agent.output().includes('once more ends it'))
  agent.signal('SIGTERM')
  expect(await agent.ended).toEqual({ code: 0, signal: null })
  expect(pidsOf(agent.state)).toEqual([])
  expect(await build.job()).toMatchObject({ state: 'queued', attempts: [{ state: 'lost', reason: { code: 'agent_stopping' } }] })
  const other = await startAgent({ ...joining(), queue, name: `${queue}-other` })
  await build.running(2)
  gate.open()
  expect((await build.over()).jobs[0]?.attempts[1]).toMatchObject({ agent: other.name, state: 'passed' })
})

test('SIGTERM three times: exit 1 at once, even of a build that ignores it, and nothing of it lives on [D50, I23]', async () => {
  const people = client(coordinator())
  const folder = await testFolder()
  const [begun, told] = [join(folder, 'begun'), join(folder, 'told')]
  const agent = await startAgent(joining())
  const build = await (await people.project()).build({ command: `trap ": > '${told}'" TERM; : > '${begun}'; while [ -e '${begun}' ]; do sleep 0.1 || :; done`, agents: { queue: agent.queue } })
  await build.running()
  await eventually('it ignores by now', () => existsSync(begun))
  agent.signal('SIGTERM')
  await eventually('it says what once more would do', () => agent.output().includes('once more ends it'))
  agent.signal('SIGTERM')
  await eventually('the build was told to end', () => existsSync(told))
  agent.signal('SIGTERM')
  expect(await agent.ended).toEqual({ code: 1, signal: null })
  expect(pidsOf(agent.state)).toEqual([])
  const again = agent.again()
  await build.running(2)
  await build.cancel()
  await build.over()
  await people.agent(again.name, ({ running }) => running.length === 0)
})
