/** The coordinator's own runtime dies or freezes, alone or with the process above it. */
import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, scaled, startAgent, startAgents, startCoordinator, testFolder, type Coordinator } from '../support/installation.ts'
import { pidsOf } from '../support/process-list.ts'
import { spooled } from '../support/spool.ts'
import { eventually, lasting } from '../support/wait.ts'

/** A build that runs at an agent of its own until its gate is opened. */
async function runningBuild(coordinator: Coordinator) {
  const agent = await startAgent({ url: coordinator.url, token: coordinator.registrationToken })
  const gate = await createGate()
  const build = await (await client(coordinator).project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  await gate.hasBegun()
  return { build, gate }
}

test('workerd dies alone: it is started again, builds go on, and the new one does not outlive its parent either [D17, D18]', async () => {
  const folder = await testFolder()
  const coordinator = await startCoordinator({ folder })
  const { build, gate } = await runningBuild(coordinator)
  for (const time of [1, 2]) {
    coordinator.signalRuntime('SIGKILL')
    await eventually(`a person is told (${time})`, () => coordinator.output().split('was started again').length > time)
  }
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'passed' }] })
  expect(gate.passed()).toHaveLength(1)
  await coordinator.kill9({ alone: true })
  await eventually('nothing of the coordinator is left', (saw) => {
    saw(pidsOf(folder))
    return pidsOf(folder).length === 0
  })
})

test('workerd is frozen for three minutes and then gets all at once what agents sent meanwhile: no build is lost, and none runs twice [D19, D7, I10]', async () => {
  const coordinator = await startCoordinator()
  const people = client(coordinator)
  const queue = ownQueue()
  const fleet = await startAgents(3, { url: coordinator.url, token: coordinator.registrationToken, queue })
  const project = await people.project()
  const [ends, goesOn] = [await createGate(), await createGate()]
  const builds = [await project.build({ command: ends.command(), agents: { queue } }), await project.build({ command: goesOn.command(), agents: { queue } })]
  for (const gate of [ends, goesOn]) await gate.hasBegun()
  coordinator.signalRuntime('SIGSTOP')
  ends.open()
  await lasting(scaled(180_000))
  coordinator.signalRuntime('SIGCONT')
  await builds[0]?.over()
  await lasting(scaled(60_000)) // whoever would be taken for dead is by now
  goesOn.open()
  for (const build of builds) expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'passed' }] })
  expect([ends.began().length, goesOn.began().length]).toEqual([1, 1])
  for (const { state } of fleet) await eventually('the spool is empty', () => spooled(state).length === 0)
})

test('workerd dies while it starts, again and again: it is started until it stays, and what ran meanwhile counts [D17, D18]', async () => {
  const coordinator = await startCoordinator()
  const { build, gate } = await runningBuild(coordinator)
  const until = performance.now() + 3000
  while (performance.now() < until) {
    coordinator.signalRuntime('SIGKILL')
    await lasting(30)
  }
  gate.open()
  await eventually('a person is told', () => coordinator.output().includes('did not come back'))
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'passed' }] })
})
