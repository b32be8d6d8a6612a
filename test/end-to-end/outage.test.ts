import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client, type Build } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, scaled, startAgent, startAgents, startCoordinator, testFolder, type Coordinator } from '../support/installation.ts'
import { startProxy } from '../support/proxy.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually, lasting } from '../support/wait.ts'

const OUTAGES: readonly { readonly name: string; away(coordinator: Coordinator): Promise<void> }[] = [
  { name: 'is stopped and started again', away: (coordinator) => coordinator.stop() },
  ...[1, 40, 70].map((seconds) => ({
    name: `dies and is away for ${seconds} s`,
    away: async (coordinator: Coordinator) => {
      await coordinator.kill9()
      await lasting(scaled(seconds * 1000))
    },
  })),
]

for (const { name, away } of OUTAGES) {
  test(`the coordinator ${name}: builds go on, what waited still waits, and nothing is lost [D17, D19, I10]`, async () => {
    const coordinator = await startCoordinator()
    const people = client(coordinator)
    const queue = ownQueue()
    const fleet = await startAgents(2, { url: coordinator.url, token: coordinator.registrationToken, queue })
    for (const { name: agent } of fleet) await people.agent(agent)
    const project = await people.project()
    const gates = await Promise.all([1, 2, 3].map(() => createGate()))
    const builds: Build[] = []
    for (const gate of gates) builds.push(await project.build({ command: gate.command(), agents: { queue } }))
    const [endsMeanwhile, goesOn, waits] = gates
    await endsMeanwhile?.hasBegun()
    await goesOn?.hasBegun()

    await away(coordinator)
    endsMeanwhile?.open()
    await coordinator.restart()

    await waits?.hasBegun()
    for (const gate of gates) gate.open()
    for (const build of builds) expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'passed' }] })
    expect(gates.map((gate) => gate.began().length)).toEqual([1, 1, 1])
  })
}

test('a coordinator that dies again and again among its writes loses no job and runs none twice [D18, I24]', async () => {
  const coordinator = await startCoordinator()
  const people = client(coordinator)
  const queue = ownQueue()
  const ran = join(await testFolder(), 'ran')
  appendFileSync(ran, '')
  const attempts = () => readFileSync(ran, 'utf8').trim().split('\n').filter((line) => line !== '')
  await startAgents(2, { url: coordinator.url, token: coordinator.registrationToken, queue, slots: 2 })
  const project = await people.project()
  const builds: Build[] = []
  for (let i = 0; i < 30; i += 1) builds.push(await project.build({ command: `echo "$KEDGE_ATTEMPT" >> '${ran}'`, agents: { queue } }))
  for (const so of [4, 11, 19]) {
    await eventually(`${so} jobs have run`, (saw) => {
      saw(attempts())
      return attempts().length >= so
    })
    await coordinator.kill9()
    await coordinator.restart()
  }
  const ids: string[] = []
  for (const build of builds) {
    const [job] = (await build.over({ withinMs: 60_000 })).jobs
    expect(job).toMatchObject({ state: 'passed' })
    ids.push(job?.attempts.at(-1)?.id ?? '')
  }
  expect(attempts().toSorted()).toEqual(ids.toSorted())
})

test('a result outlives an outage longer than any budget of retries, and a restart of its agent in it [D19, I5]', async () => {
  const coordinator = await startCoordinator()
  const people = client(coordinator)
  const proxy = await startProxy(coordinator)
  const gate = await createGate()
  const agent = await startAgent({ url: proxy.url, token: coordinator.registrationToken })
  const build = await (await people.project()).build({ command: gate.command('exit 3'), agents: { queue: agent.queue } })
  const { id } = await build.running()

  await coordinator.kill9()
  gate.open()
  await eventually('the result is spooled', () => hasFile(agent.state, id, 'result.json'))
  const tries = async (times: number) => {
    const before = proxy.syncs().length
    await eventually(`the agent tries ${times} times more`, (saw) => {
      saw(proxy.syncs().length - before)
      return proxy.syncs().length >= before + times
    })
  }
  await tries(10) // more than any client's usual three, five or eight
  await agent.kill9()
  const again = agent.again()
  await tries(5)
  expect(again.output()).toContain('cannot reach')
  await coordinator.restart()

  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 3, attempts: [{ id, state: 'failed' }] })
  expect(gate.passed()).toEqual([id])
  await eventually('the spool is empty', () => spooled(agent.state).length === 0)
})
