/** Who an agent is when its state folder is shared, copied, rolled back or taken over, and when it starts again and again. */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, scaled, sharedCoordinator, startAgent, startAgents, testFolder, TIME_SCALE } from '../support/installation.ts'
import { lives, pidsOf } from '../support/process-list.ts'
import { spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const joining = () => ({ url: coordinator().url, token: coordinator().registrationToken })

test('a second process on one state folder is refused with the pid of the first, which goes on building [D3]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const agent = await startAgent(joining())
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  const second = agent.again()
  expect(await second.ended).toEqual({ code: 2, signal: null })
  expect(second.output()).toContain(`process ${agent.pid}`)
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
})

test('two processes on one state folder by force: the older ends its build and stands by, the newer works, and neither fights [D3, C1.5]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const older = await startAgent(joining())
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: older.queue } })
  await build.running()
  await gate.hasBegun()
  const tree = pidsOf(older.state).filter((pid) => pid !== older.pid)
  rmSync(join(older.state, 'agent.lock'))
  const newer = older.again()
  await build.running(2)
  await eventually('the older stands by', () => older.output().includes('stands by'))
  await eventually('the tree of the older is dead', () => tree.filter(lives).length === 0)
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'lost' }, { fence: 2, state: 'passed' }] })
  expect(gate.passed()).toHaveLength(1)
  expect(newer.output()).not.toContain('stands by')
  expect([lives(older.pid), lives(newer.pid)]).toEqual([true, true])
})

test('a copied state folder on another machine is told of the conflict, and the build of the first goes on [D4]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const first = await startAgent(joining())
  await people.agent(first.name)
  first.signal('SIGTERM')
  await first.ended
  const copy = join(await testFolder(), 'copy')
  cpSync(first.state, copy, { recursive: true })
  // Both start from the same boot number now.
  const original = first.again()
  await people.agent(first.name)
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: first.queue } })
  const { id } = await build.running()
  const clone = await startAgent({ ...joining(), queue: first.queue, name: `${first.queue}-copy`, state: copy })
  await eventually('the copy stands by', (saw) => {
    saw(clone.output())
    return /stands by: .*same state folder, or a copy/.test(clone.output())
  })
  expect(await build.job()).toMatchObject({ state: 'running', attempts: [{ id }] })
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
  expect(gate.began()).toEqual([id])
  expect(original.output()).not.toContain('stands by')
})

test('a state folder that was rolled back: one jump of the boot number, and work as before [D5]', async () => {
  const people = client(coordinator())
  let agent = await startAgent(joining())
  await people.agent(agent.name)
  const old = readFileSync(join(agent.state, 'agent.json'))
  const boot = () => (JSON.parse(readFileSync(join(agent.state, 'agent.json'), 'utf8')) as { boot_seq: number }).boot_seq
  for (let i = 0; i < 2; i += 1) {
    agent.signal('SIGTERM')
    await agent.ended
    agent = agent.again()
    await people.agent(agent.name)
  }
  const newest = boot()
  agent.signal('SIGTERM')
  await agent.ended
  writeFileSync(join(agent.state, 'agent.json'), old)
  agent = agent.again()
  await eventually('it has jumped', (saw) => {
    saw(boot())
    return boot() === newest + 1
  })
  const build = await (await people.project()).build({ command: 'true', agents: { queue: agent.queue } })
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
  expect(agent.output()).not.toContain('stands by')
})

test('a pid that belongs to a stranger by now is left alone, and the attempt that had it is given back [D40]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const agent = await startAgent(joining())
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  const { id } = await build.running()
  const started = join(agent.state, 'spool', id, 'started')
  await eventually('its process is noted', () => existsSync(started))
  await agent.kill9()
  // A session of its own, as a build's command has; the number is what the machine could have given it.
  const stranger = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
  onTestFinished(() => void stranger.kill('SIGKILL'))
  const noted = JSON.parse(readFileSync(started, 'utf8')) as { process: { pid: number } }
  writeFileSync(started, JSON.stringify({ ...noted, process: { ...noted.process, pid: stranger.pid } }))
  agent.again()
  await build.running(2)
  expect(lives(stranger.pid ?? 0)).toBe(true)
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'lost' }, { fence: 2, state: 'passed' }] })
})

test('another version takes over while the old one drains: the old one finishes its build, the new one takes the next [D48, C14]', async () => {
  const people = client(coordinator())
  const [running, next] = [await createGate(), await createGate()]
  const old = await startAgent(joining())
  const project = await people.project()
  const first = await project.build({ command: running.command(), agents: { queue: old.queue } })
  await first.running()
  old.signal('SIGTERM')
  await eventually('the old one drains', () => old.output().includes('takes no more work'))
  const second = await project.build({ command: next.command(), agents: { queue: old.queue } })
  running.open()
  expect((await first.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
  expect(await old.ended).toEqual({ code: 0, signal: null })
  const updated = old.again({ main: await otherVersion('9.9.9') })
  await second.running()
  expect((await people.agent(updated.name)).host.version).toBe('9.9.9')
  next.open()
  expect((await second.over()).state).toBe('passed')
})

test('another version is put in place by force while it builds: the new boot gives the build back, and runs it [D48, I14]', async () => {
  const people = client(coordinator())
  const gate = await createGate()
  const old = await startAgent(joining())
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: old.queue } })
  await build.running()
  await gate.hasBegun()
  await old.kill9()
  const updated = old.again({ main: await otherVersion('9.9.9') })
  await build.running(2)
  expect((await people.agent(updated.name)).host.version).toBe('9.9.9')
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'lost' }, { fence: 2, state: 'passed' }] })
  await eventually('the spool is empty', () => spooled(updated.state).length === 0)
})

test('an agent that starts again and again within two minutes is held back and says so, its jobs run elsewhere, and it is taken back [D49, C1.6]', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  let flapping = await startAgent({ ...joining(), queue, name: `${queue}-flapping` })
  await people.agent(flapping.name)
  // Each start beyond the third doubles the time that it is held back; everyday runs leave that at some seconds.
  for (let i = 0; i < (TIME_SCALE === 1 ? 20 : 7); i += 1) {
    await flapping.kill9()
    flapping = flapping.again()
    await eventually('it is connected', () => flapping.output().includes('is connected'))
  }
  await eventually('it says that it is held back', () => flapping.output().includes('gets no work for now'))
  const project = await people.project()
  const build = await project.build({ command: 'true', agents: { queue } })
  await startAgents(1, { ...joining(), queue, name: 'steady' })
  expect((await build.over()).jobs[0]?.attempts).toMatchObject([{ fence: 1, agent: 'steady-1' }])
  await eventually('it is taken back', () => flapping.output().includes('takes work again'), { withinMs: scaled(20 * 60_000) })
})

/** A copy of the program that says it is of this version. */
async function otherVersion(version: string): Promise<string> {
  const folder = join(await testFolder(), 'kedge')
  mkdirSync(folder)
  const root = join(import.meta.dirname, '../..')
  for (const part of ['agent', 'schema', 'package.json']) cpSync(join(root, part), join(folder, part), { recursive: true, filter: (path) => !path.includes('node_modules') })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const file = join(folder, 'schema/version.ts')
  writeFileSync(file, readFileSync(file, 'utf8').replace(/\d+\.\d+\.\d+/, version))
  return join(folder, 'agent/cli/main.ts')
}
