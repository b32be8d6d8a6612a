/** Disks that become full or read-only under a real agent [D33]. Each test makes a small disk of its own, which takes the right to mount. */
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RESERVE_BYTES } from '../../agent/spool/reserve.ts'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent, startCoordinator, testFolder } from '../support/installation.ts'
import { pidsOf } from '../support/process-list.ts'
import { PASS, RESET, startProxy } from '../support/proxy.ts'
import { smallDisk } from '../support/small-disk.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

/** An agent whose state folder, and only that, lies on a small disk, behind a network that can be cut. */
async function onSmallDisk(settings: { readonly slots?: number } = {}) {
  const disk = await smallDisk()
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken, state: join(disk.folder, 'agent'), ...settings })
  const people = client(coordinator())
  await people.agent(agent.name, ({ state }) => state === 'ready')
  return { disk, proxy, agent, people, project: await people.project() }
}

/** A build that prints nothing, so that no log is written, until it is told to end with 7. All that comes before its end is on the disk. */
async function silentBuild({ agent, project }: Awaited<ReturnType<typeof onSmallDisk>>) {
  const open = join(await testFolder(), 'open')
  const build = await project.build({ command: `until [ -e '${open}' ]; do sleep 0.05; done; exit 7`, agents: { queue: agent.queue } })
  const { id } = await build.running()
  await eventually('its process is noted', () => hasFile(agent.state, id, 'started'))
  return { build, id, end: () => writeFileSync(open, '') }
}

test('below its floor of free room an agent says why and takes no work, and takes it when there is room again [D33]', async () => {
  const { disk, agent, people, project } = await onSmallDisk()
  disk.leave(100)
  const { reason } = await people.agent(agent.name, ({ state }) => state === 'unhealthy')
  expect(reason).toMatch(/MiB free, 5\.0 GiB needed/)
  const build = await project.build({ command: 'true', agents: { queue: agent.queue } })
  expect((await build.job()).waiting?.reason).toContain(agent.name)
  disk.recover()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
})

test('a disk that fills up while a build prints: it ends as a failure of the machine, whose result the reserve makes room for [D33, C15.2]', async () => {
  const { disk, agent, people, project } = await onSmallDisk()
  const build = await project.build({ command: 'while :; do echo "a line of output that somebody may want to read"; sleep 0.01; done', agents: { queue: agent.queue } })
  const { id } = await build.running()
  await eventually('it prints', () => hasFile(agent.state, id, 'started'))
  disk.fill()
  const { state, jobs } = await build.over()
  expect(state).toBe('failed')
  expect(jobs[0]).toMatchObject({ state: 'errored', reason: { code: 'agent_disk', message: expect.stringMatching(/log cannot be written.*(ENOSPC|no space)/i) }, attempts: [{ fence: 1 }] })
  expect(pidsOf(agent.state)).toEqual([agent.pid])
  disk.recover()
  await people.agent(agent.name, ({ state: now }) => now === 'ready')
  expect((await (await project.build({ command: 'true', agents: { queue: agent.queue } })).over()).state).toBe('passed')
  await eventually('the spool is empty', () => spooled(agent.state).length === 0)
})

test('a disk that is full when a silent build ends: the reserve takes its result, and it counts [D33, C15.2]', async () => {
  const stage = await onSmallDisk()
  const { disk } = stage
  const { build, end } = await silentBuild(stage)
  disk.fill()
  end()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 7, attempts: [{ fence: 1 }] })
})

test('a full disk whose reserve is spent: the result waits in memory, a person is told, and it is delivered once there is room [D33, I5]', async () => {
  const stage = await onSmallDisk()
  const { disk, agent, people } = stage
  const { build, id, end } = await silentBuild(stage)
  rmSync(join(agent.state, 'reserve'))
  disk.fill()
  end()
  await eventually('it says that it cannot write', (saw) => {
    saw(agent.output())
    return /cannot write the result of .*make room on the disk/.test(agent.output())
  })
  expect(hasFile(agent.state, id, 'result.json')).toBe(false)
  expect((await build.view()).state).toBe('running')
  disk.recover()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 7, attempts: [{ fence: 1 }] })
  await people.agent(agent.name, ({ state }) => state === 'ready')
  await eventually('the reserve is whole again', () => statSync(join(agent.state, 'reserve')).size === RESERVE_BYTES)
})

test('on a disk that became read-only an idle agent takes no work and says why, instead of handing each job back [D33]', async () => {
  const { disk, proxy, agent, people, project } = await onSmallDisk()
  disk.makeReadOnly()
  const { reason } = await people.agent(agent.name, ({ state }) => state === 'unhealthy')
  expect(reason).toMatch(/read-only/)
  const build = await project.build({ command: 'true', agents: { queue: agent.queue } })
  expect(proxy.syncs().flatMap(({ sync }) => sync.lost)).toEqual([])
  disk.recover()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
})

test('a disk that becomes read-only under a build: its result waits in memory, and counts when it can be written [D33, I5]', async () => {
  const stage = await onSmallDisk()
  const { disk, agent } = stage
  const { build, end } = await silentBuild(stage)
  disk.makeReadOnly()
  end()
  await eventually('it says that it cannot write', (saw) => {
    saw(agent.output())
    return /cannot write the result of .*/.test(agent.output())
  })
  disk.recover()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 7, attempts: [{ fence: 1 }] })
})

test('without a file more to make (inodes) an agent takes no work, and the result of what runs still finds its place [D33]', async () => {
  const stage = await onSmallDisk()
  const { disk, agent, people } = stage
  const { build, end } = await silentBuild(stage)
  disk.fillInodes()
  const { reason } = await people.agent(agent.name, ({ reason: said }) => said !== null)
  expect(reason).toMatch(/inodes/)
  end()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 7, attempts: [{ fence: 1 }] })
  disk.recover()
  await people.agent(agent.name, ({ state }) => state === 'ready')
  await eventually('the spool is empty', () => spooled(agent.state).length === 0)
})

test('a verdict that no disk takes is heard again and written later; nothing runs twice and no result is kept for ever [D33, I2]', async () => {
  const { disk, proxy, agent, people, project } = await onSmallDisk()
  const gate = await createGate()
  const build = await project.build({ command: gate.command('exit 4'), agents: { queue: agent.queue } })
  const { id } = await build.running()
  proxy.set(() => RESET, { reset: true })
  gate.open()
  await eventually('the result is spooled', () => hasFile(agent.state, id, 'result.json'))
  disk.makeReadOnly()
  proxy.set(() => PASS)
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 4, attempts: [{ id }] })
  await eventually('the result is sent again', () => proxy.syncs().filter(({ sync, status }) => status === 200 && sync.finished.length > 0).length >= 2)
  expect(hasFile(agent.state, id, 'verdict')).toBe(false)
  disk.recover()
  await eventually('the spool is empty', (saw) => {
    saw(spooled(agent.state))
    return spooled(agent.state).length === 0
  })
  expect(gate.passed()).toEqual([id])
  await people.agent(agent.name, ({ state }) => state === 'ready')
})

test('an agent that may open no more files fails the build that it cannot start, not itself [D33]', async () => {
  const queue = ownQueue()
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, before: 'ulimit -n 100' })
  const people = client(coordinator())
  await people.agent(agent.name, ({ state }) => state === 'ready')
  const build = await (await people.project()).build({ command: 'true', agents: { queue } })
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'errored', reason: { code: expect.stringMatching(/^agent_/), message: expect.stringMatching(/too many open files/) } })
  await people.agent(agent.name, ({ running }) => running.length === 0)
})

test('the disk of the coordinator fills up: agents keep what they have, people are refused what cannot be stored, and all goes on when there is room [D33, I5]', async () => {
  const disk = await smallDisk()
  const own = await startCoordinator({ folder: disk.folder })
  const people = client(own)
  const proxy = await startProxy(own)
  const agent = await startAgent({ url: proxy.url, token: own.registrationToken, slots: 2 })
  const project = await people.project()
  const gates = [await createGate(), await createGate()]
  const builds = []
  for (const gate of gates) builds.push(await project.build({ command: gate.command('exit 7'), agents: { queue: agent.queue } }))
  for (const gate of gates) await gate.hasBegun()
  for (const build of builds) await build.running()
  disk.fill()
  gates[0]?.open()
  const ask = async () => (await people.ask('POST', `/api/v1/projects/${project.slug}/builds`, { command: 'true', agents: { queue: agent.queue } })).status
  const asked = await eventually('something cannot be stored', async (saw) => {
    const status = await ask()
    saw(status)
    return status >= 500
  })
  expect(asked).toBe(true)
  await eventually('the result is sent again and again', () => proxy.syncs().filter(({ sync, status }) => sync.finished.length > 0 && (status ?? 599) >= 500).length >= 2)
  disk.recover()
  gates[1]?.open()
  for (const build of builds) expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 7, attempts: [{ fence: 1 }] })
  expect(gates.map((gate) => gate.passed().length)).toEqual([1, 1])
  await eventually('the spool is empty', () => spooled(agent.state).length === 0)
  for (const build of builds) expect(await build.log()).toBe('begun\nthrough\n')
  expect((await (await project.build({ command: 'true', agents: { queue: agent.queue } })).over()).state).toBe('passed')
})
