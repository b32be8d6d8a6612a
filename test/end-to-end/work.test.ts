import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client, type Build } from '../support/client.ts'
import { createGate, type Gate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent, startAgents, startCoordinator, testFolder } from '../support/installation.ts'
import { pidsOf } from '../support/process-list.ts'
import { portOfItsOwn } from '../support/port.ts'
import { commitFile, createRepository } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const agentsOf = () => ({ url: coordinator().url, token: coordinator().registrationToken })

for (const doorbell of [true, false]) {
  test(`no slot is idle while work waits: 14 jobs on 2 agents with 2 slots each, ${doorbell ? 'with' : 'without'} the doorbell [I7, I15]`, async () => {
    const people = client(coordinator())
    const queue = ownQueue()
    const project = await people.project()
    const gates = await Promise.all(Array.from({ length: 14 }, () => createGate()))
    const builds: Build[] = []
    for (const gate of gates) builds.push(await project.build({ command: gate.command(), agents: { queue } }))
    const fleet = await startAgents(2, { ...agentsOf(), queue, slots: 2, doorbell })

    // Each gate that opens frees one slot; the next job must come without any other slot being freed.
    const opened = new Set<Gate>()
    const working = () => gates.filter((gate) => gate.began().length > 0 && !opened.has(gate))
    for (let over = 0; over < gates.length; over += 1) {
      const full = Math.min(4, gates.length - over)
      await eventually(`${full} jobs run after ${over} are over`, (saw) => {
        saw(gates.map((gate) => [gate.began(), gate.passed()]))
        return working().length >= full
      })
      expect(working()).toHaveLength(full) // never more than slots
      if (full === 4) {
        const shares = await Promise.all(fleet.map(({ name }) => people.agent(name, ({ running }) => running.length === 2)))
        expect(shares).toHaveLength(2)
      }
      const [next] = working()
      if (next === undefined) throw new Error('unreachable: so many work')
      opened.add(next)
      next.open()
    }
    for (const build of builds) expect((await build.over()).state).toBe('passed')
    expect(gates.map((gate) => gate.passed().length)).toEqual(gates.map(() => 1))
  })
}

test('several agents each take a share, and a job that asks for a tag waits for the agent that has it', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  const plain = await startAgents(2, { ...agentsOf(), queue })
  for (const { name } of plain) await people.agent(name)
  const project = await people.project()
  const gates = await Promise.all([1, 2, 3].map(() => createGate()))
  const [one, two, special] = gates.map((gate) => gate.command()) as [string, string, string] // as many as gates
  const tagged = await project.build({ command: special, agents: { queue, tags: ['gpu=yes'] } })
  const shared = [await project.build({ command: one, agents: { queue } }), await project.build({ command: two, agents: { queue } })]
  const names = []
  for (const build of shared) names.push((await build.running()).agent)
  expect(names.toSorted()).toEqual(plain.map(({ name }) => name))
  expect(await tagged.job()).toMatchObject({ state: 'queued', waiting: { code: 'no_agent', reason: `no agent of the queue ${queue} has the tag gpu=yes` } })
  const able = await startAgent({ ...agentsOf(), queue, name: `${queue}-able`, tags: ['gpu=yes'] })
  expect((await tagged.running()).agent).toBe(able.name)
  for (const gate of gates) gate.open()
  for (const build of [tagged, ...shared]) expect((await build.over()).state).toBe('passed')
})

test('an agent that is started before its coordinator waits for it, and joins by itself [D2]', async () => {
  const port = await portOfItsOwn()
  const folder = await testFolder()
  const coordinatorFolder = await testFolder()

  // The token is known before: it is kept with the state of a coordinator that was here once.
  const first = await startCoordinator({ folder: coordinatorFolder, port })
  await first.stop()
  const agent = await startAgent({ url: `http://127.0.0.1:${port}`, token: first.registrationToken, state: join(folder, 'agent') })
  await eventually('the agent says that it waits', (saw) => {
    saw(agent.output())
    return /cannot reach .*connection refused/.test(agent.output())
  })
  await startCoordinator({ folder: coordinatorFolder, port })
  const people = client(first)
  await people.agent(agent.name)
  const build = await (await people.project()).build({ command: 'true', agents: { queue: agent.queue } })
  expect((await build.over()).state).toBe('passed')
  expect(pidsOf(join(folder, 'agent'))).toEqual([agent.pid])
})

for (const [what, url, says] of [
  ['name is not known', () => 'http://no-such-host.invalid', /no such host name|name service does not answer/],
  ['address does not speak TLS', () => coordinator().url.replace('http:', 'https:'), /TLS: it does not speak TLS there/],
] as const) {
  test(`an agent whose coordinator's ${what} says so, and tries again until it is stopped [D2]`, async () => {
    const agent = await startAgent({ url: url(), token: coordinator().registrationToken })
    const saidTwice = () => agent.output().split('\n').filter((line) => says.test(line) && line.includes('trying again')).length >= 2
    await eventually('it has said so twice', (saw) => {
      saw(agent.output())
      return saidTwice()
    })
    agent.signal('SIGTERM')
    expect(await agent.ended).toEqual({ code: 0, signal: null })
  })
}

test('a commit of a real repository is checked out and built, in a tree as clean as a fresh clone', async () => {
  const people = client(coordinator())
  const repository = await createRepository()
  const commit = await commitFile(repository, 'greeting.txt', 'hello from the commit\n')
  const agent = await startAgent(agentsOf())
  const project = await people.project({ checkout: true, repository, default_branch: 'main' })
  const request = { command: 'cat greeting.txt; git status --porcelain --ignored; touch litter.txt', agents: { queue: agent.queue } }
  for (const asked of [{ commit }, {}]) {
    const build = await project.build({ ...request, ...asked })
    expect(await build.over()).toMatchObject({ state: 'passed', commit })
    await eventually('the whole log is there', async (saw) => {
      const log = await build.log()
      saw(log)
      return log.includes('hello from the commit') && !log.includes('litter')
    })
  }
})
