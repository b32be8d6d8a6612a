/** The coordinator's own runtime dies, alone or with the process above it. */
import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { pidsOf, startAgent, startCoordinator, testFolder } from '../support/installation.ts'
import { eventually } from '../support/wait.ts'

test('workerd dies alone: it is started again, builds go on, and the new one does not outlive its parent either [D17, D18]', async () => {
  const folder = await testFolder()
  const coordinator = await startCoordinator({ folder })
  const people = client(coordinator)
  const agent = await startAgent({ url: coordinator.url, token: coordinator.registrationToken })
  const gate = await createGate()
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  await gate.hasBegun()
  for (const time of [1, 2]) {
    coordinator.killRuntime()
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
