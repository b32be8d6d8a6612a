/** Networks that carry one way only, late, or not for so long that somebody has to decide. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, scaled, sharedCoordinator, startAgent, startCoordinator, testFolder } from '../support/installation.ts'
import { lives, pidsOf } from '../support/process-list.ts'
import { bringsResult, isLog, isSync, PASS, RESET, startProxy, VANISH, type Fate, type Passage, type Proxy } from '../support/proxy.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually, lasting } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const LEASE_MS = 120_000
const GRACE_MS = 45_000

/** An agent on a queue of its own, and the network between it and the coordinator. */
async function apart(settings: { readonly slots?: number } = {}) {
  const proxy = await startProxy(coordinator())
  const queue = ownQueue()
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken, queue, name: `${queue}-apart`, ...settings })
  const people = client(coordinator())
  const other = async () => await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, name: `${queue}-other` })
  return { proxy, queue, agent, other, people, project: await people.project() }
}

/** A promise and what settles it. */
function moment() {
  let come = () => {}
  const until = new Promise<void>((resolve) => (come = resolve))
  return { until, come }
}

/** The next sync arrives only then; all else passes. */
async function holdNextSync(proxy: Proxy, until: Promise<void>): Promise<Passage | undefined> {
  let isHeld = false
  proxy.set((passage) => {
    if (isHeld || !isSync(passage)) return PASS
    isHeld = true
    return { kind: 'hold-request', until }
  })
  await eventually('one sync is under way', () => isHeld)
  return proxy.syncs().findLast(({ status }) => status === null)
}

test('requests arrive and replies do not: what runs goes on, the lease renewed; what was given into the void comes back uncounted, and runs once [D12, I27]', async () => {
  const { proxy, queue, agent, other, project } = await apart({ slots: 2 })
  const [held, offered] = [await createGate(), await createGate()]
  const first = await project.build({ command: held.command(), agents: { queue } })
  const { id } = await first.running()
  await held.hasBegun()
  proxy.set((passage) => (isSync(passage) ? { kind: 'lose-reply', by: 'vanish' } : PASS), { reset: true })
  const second = await project.build({ command: offered.command(), agents: { queue } })
  const begun = performance.now()
  // Whatever it was given in the beginning, while it still seemed to hear, is not its for longer than a lease.
  await second.until('waits for somebody who hears', ({ state, attempts }) => state === 'queued' && performance.now() - begun > scaled(LEASE_MS + GRACE_MS) && attempts.every(({ state: of }) => of === 'lost'), { withinMs: 3 * scaled(LEASE_MS) + 30_000 })
  expect(await first.job()).toMatchObject({ state: 'running', attempts: [{ id, state: 'running' }] })
  const before = (await second.job()).attempts.length
  expect(before).toBeLessThanOrEqual(2)
  await other()
  await offered.hasBegun()
  expect((await second.job()).attempts.at(-1)).toMatchObject({ fence: before + 1, agent: `${queue}-other` })
  proxy.set(() => PASS, { reset: true })
  for (const gate of [held, offered]) gate.open()
  expect((await first.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed', agent: agent.name }] })
  expect((await second.over()).state).toBe('passed')
  expect([held.began().length, offered.began().length]).toEqual([1, 1])
})

test('replies arrive and requests do not, and another takes the job: at the end the first abandons it, its tree is dead, and its result counts for nothing [D13]', async () => {
  const { proxy, queue, agent, other, people, project } = await apart()
  const [old, fresh] = [await createGate(), await createGate()]
  const build = await project.build({ command: `if [ "$KEDGE_FENCE" = 1 ]; then ${old.command()}; else ${fresh.command()}; fi`, agents: { queue } })
  await build.running()
  await old.hasBegun()
  const tree = pidsOf(agent.state).filter((pid) => pid !== agent.pid)
  proxy.set((passage) => (passage.method === 'WEBSOCKET' ? PASS : VANISH)) // the doorbell goes on ringing at it
  await other()
  await build.running(2)
  proxy.set(() => PASS, { reset: true })
  await eventually('the abandoned tree is dead', () => tree.filter(lives).length === 0)
  expect(old.passed()).toEqual([])
  fresh.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'lost' }, { fence: 2, state: 'passed' }] })
  await people.agent(agent.name, ({ state, running }) => state === 'ready' && running.length === 0)
  await eventually('nothing of it waits in the spool', () => spooled(agent.state).length === 0)
})

test('replies arrive and requests do not, and nobody takes the job: its holder goes on with it [D13, C4.6]', async () => {
  const { proxy, queue, project } = await apart()
  const gate = await createGate()
  const build = await project.build({ command: gate.command(), agents: { queue } })
  const { id } = await build.running()
  proxy.set((passage) => (passage.method === 'WEBSOCKET' ? PASS : VANISH))
  await build.until('is back in the queue', ({ state }) => state === 'queued')
  proxy.set(() => PASS, { reset: true })
  await build.running(1)
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
  expect(gate.began()).toEqual([id])
})

test('on_partition stop: the build is dead before its job could be given away, and runs elsewhere after that [D16, C16.2]', async () => {
  const { proxy, queue, agent, other, project } = await apart()
  const gate = await createGate()
  const pids = join(await testFolder(), 'pids')
  // Deaf to SIGTERM, so that all of the grace is used; whoever comes second looks whether the first still lives.
  const command = `trap '' TERM; if [ -e '${pids}' ]; then kill -0 "$(cat '${pids}')" 2>/dev/null && echo overlap; else echo $$ > '${pids}'; fi; ${gate.command()}`
  const build = await project.build({ command, on_partition: 'stop', agents: { queue } })
  await build.running()
  await gate.hasBegun()
  const first = Number(readFileSync(pids, 'utf8'))
  await other()
  proxy.set(() => RESET, { reset: true })
  await build.until('is no longer of the first', ({ attempts }) => attempts[0]?.state === 'lost' || attempts.length > 1)
  expect(lives(first)).toBe(false)
  expect(pidsOf(agent.state).filter((pid) => pid !== agent.pid)).toEqual([])
  await gate.hasBegun(2)
  gate.open()
  expect((await build.over()).state).toBe('passed')
  expect(await build.log()).not.toContain('overlap')
  proxy.set(() => PASS)
  await eventually('nothing of it waits in the spool', () => spooled(agent.state).length === 0)
  expect((await build.job()).attempts).toMatchObject([{ fence: 1, state: 'lost' }, { fence: 2, state: 'passed' }])
})

test('a sync that arrives 100 s late, after newer ones, gives nothing and takes nothing away [D7, C4.3]', async () => {
  const { proxy, queue, project } = await apart({ slots: 2 })
  const gates = [await createGate(), await createGate()]
  const [first, late] = [await project.build({ command: gates[0]?.command() ?? '', agents: { queue } }), moment()]
  await first.running()
  const held = await holdNextSync(proxy, late.until)
  const second = await project.build({ command: gates[1]?.command() ?? '', agents: { queue } })
  await second.running()
  await lasting(scaled(100_000))
  late.come()
  await eventually('it has arrived', () => held?.status !== null)
  const reply = JSON.parse(held?.reply ?? '{}') as { assignments?: unknown[]; directives?: unknown[] }
  expect({ status: held?.status, assignments: reply.assignments ?? [], directives: reply.directives ?? [] }).toEqual({ status: 200, assignments: [], directives: [] })
  for (const gate of gates) gate.open()
  for (const build of [first, second]) expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'passed' }] })
})

test('a sync of an older boot that arrives after the restart is refused, and the build of the new boot goes on [D7, I12]', async () => {
  const { proxy, queue, agent, people, project } = await apart()
  const [gate, late] = [await createGate(), moment()]
  const build = await project.build({ command: gate.command(), agents: { queue } })
  await build.running()
  const held = await holdNextSync(proxy, late.until)
  await agent.kill9()
  const again = agent.again()
  await build.running(2)
  late.come()
  await eventually('it has arrived', () => held?.status !== null)
  expect({ status: held?.status, reply: held?.reply }).toMatchObject({ status: 409, reply: expect.stringContaining('session_superseded') })
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1, state: 'lost' }, { fence: 2, state: 'passed' }] })
  expect(again.output()).not.toContain('stands by')
  await people.agent(again.name, ({ running }) => running.length === 0)
})

test('syncs are lost while the log arrives: the lease ends all the same, as logs are no heartbeats; and nothing of the log is lost [D43]', async () => {
  const { proxy, queue, agent, project } = await apart()
  const gate = await createGate()
  const build = await project.build({ command: `(while :; do echo tick; sleep 0.1; done) & ${gate.command('kill $!')}`, agents: { queue } })
  const { id } = await build.running()
  await gate.hasBegun()
  proxy.set((passage) => (isSync(passage) ? RESET : PASS), { reset: true })
  await build.until('is back in the queue', ({ state }) => state === 'queued')
  const before = proxy.passages.filter(isLog).length
  await eventually('its log still arrives', () => proxy.passages.filter((passage) => isLog(passage) && passage.status === 200).length > before)
  gate.open()
  await eventually('the result is spooled', () => hasFile(agent.state, id, 'result.json'))
  proxy.set(() => PASS)
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
  await eventually('the log is whole', async (saw) => {
    const log = await build.log()
    saw(log)
    return log.includes('through') && log.startsWith('begun')
  })
})

test('two outages 15 s apart: whatever is taken back or given away, each build ends once and counts once [D20, I2]', async () => {
  const own = await startCoordinator()
  const people = client(own)
  const queue = ownQueue()
  const proxy = await startProxy(own)
  const agents = [await startAgent({ url: proxy.url, token: own.registrationToken, queue, name: 'one', slots: 2 }), await startAgent({ url: proxy.url, token: own.registrationToken, queue, name: 'two', slots: 2 })]
  for (const { name } of agents) await people.agent(name)
  const project = await people.project()
  const gate = await createGate()
  const builds = []
  for (let i = 0; i < 3; i += 1) builds.push(await project.build({ command: gate.command(), agents: { queue } }))
  await gate.hasBegun(3)
  const cut: Fate = RESET
  for (const awayMs of [60_000, 100_000]) {
    await own.kill9()
    proxy.set(() => cut, { reset: true })
    await lasting(scaled(awayMs))
    await own.restart()
    proxy.set(() => PASS)
    await lasting(scaled(15_000))
  }
  gate.open()
  for (const build of builds) {
    const [job] = (await build.over()).jobs
    expect(job?.state).toBe('passed')
    expect(job?.attempts.filter(({ state }) => state === 'passed')).toHaveLength(1)
    expect(job?.attempts.at(-1)?.state).toBe('passed')
  }
  const accepted = proxy.passages.filter((passage) => bringsResult(passage) && passage.status === 200).flatMap(({ reply }) => (JSON.parse(reply) as { verdicts: { attempt: string; verdict: string }[] }).verdicts.filter(({ verdict }) => verdict === 'accepted').map(({ attempt }) => attempt))
  expect(new Set(accepted).size).toBe(3)
  for (const { state } of agents) await eventually('the spool is empty', () => spooled(state).length === 0)
})
