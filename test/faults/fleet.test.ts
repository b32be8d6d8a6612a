/** Many agents, many jobs, and agents that change or are taken away while work is on its way to them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client, type Build } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent, startAgents, testFolder, TIME_SCALE } from '../support/installation.ts'
import { lives } from '../support/process-list.ts'
import { isSync, PASS, startProxy, type Passage } from '../support/proxy.ts'
import { hasFile, spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const joining = () => ({ url: coordinator().url, token: coordinator().registrationToken })

/** A sync whose reply brings work is held until `come`; the agent goes on asking. */
async function workOnItsWay(settings: { readonly tags?: readonly string[]; readonly slots?: number } = {}) {
  const queue = ownQueue()
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ ...joining(), url: proxy.url, queue, name: `${queue}-first`, ...settings })
  const people = client(coordinator())
  await people.agent(agent.name)
  await eventually('the agent has proved that it hears', () => proxy.syncs().filter(({ delivered }) => delivered).length >= 2)
  let come = () => {}
  const until = new Promise<void>((resolve) => (come = resolve))
  proxy.set((passage) => (isSync(passage) ? { kind: 'hold-reply', until } : PASS))
  const brings = ({ reply }: Passage) => reply.includes('"assignments":[{')
  return {
    queue, proxy, agent, people, project: await people.project(),
    /** Waits until work is on its way, then lets everything after it pass. */
    isOnItsWay: async () => {
      await eventually('work is on its way', () => proxy.syncs().some(brings))
      proxy.set((passage) => (isSync(passage) && brings(passage) ? { kind: 'hold-reply', until } : PASS))
    },
    come: () => come(),
  }
}

test('an agent is revoked while it builds: it finishes, keeps the result, takes no more, and does not end; the job runs elsewhere [D31]', async () => {
  const queue = ownQueue()
  const people = client(coordinator())
  const gate = await createGate()
  const agent = await startAgent({ ...joining(), queue, name: `${queue}-revoked` })
  const build = await (await people.project()).build({ command: gate.command('exit 6'), agents: { queue } })
  const { id } = await build.running()
  await gate.hasBegun()
  const { id: agentId } = await people.agent(agent.name)
  expect((await people.ask('POST', `/api/v1/agents/${agentId}/revoke`)).status).toBe(200)
  await eventually('it is told', (saw) => {
    saw(agent.output())
    return /does not let this agent join/.test(agent.output())
  })
  gate.open()
  await eventually('its result is spooled', () => hasFile(agent.state, id, 'result.json'))
  const other = await startAgent({ ...joining(), queue, name: `${queue}-other` })
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 6, attempts: [{ agent: agent.name, state: 'lost' }, { agent: other.name, state: 'failed' }] })
  expect({ lives: lives(agent.pid), kept: hasFile(agent.state, id, 'result.json'), verdict: hasFile(agent.state, id, 'verdict') }).toEqual({ lives: true, kept: true, verdict: false })
})

test('a job that kills its agent ends after the third, and the fourth agent is untouched [D38, C5.2]', async () => {
  const queue = ownQueue()
  const people = client(coordinator())
  const fleet = [...(await startAgents(4, { ...joining(), queue }))]
  for (const { name } of fleet) await people.agent(name)
  const ran = join(await testFolder(), 'ran')
  const build = await (await people.project()).build({ command: `echo "$KEDGE_ATTEMPT" >> '${ran}'; kill -9 $PPID; sleep 60`, agents: { queue } })
  const killed = new Set<string>()
  for (let times = 1; times <= 3; times += 1) {
    const dead = await eventually(`the ${times}. agent is killed`, () => fleet.find(({ pid }) => !lives(pid)))
    killed.add(dead.name)
    fleet[fleet.indexOf(dead)] = dead.again()
  }
  const [job] = (await build.over()).jobs
  expect(job).toMatchObject({ state: 'errored', reason: { code: 'agent_lost' } })
  expect(job?.attempts.every(({ state }) => state === 'lost')).toBe(true)
  expect(readFileSync(ran, 'utf8').trim().split('\n')).toHaveLength(3) // an attempt that never arrived does not count, and did not run
  expect(killed.size).toBeLessThan(4)
  // All four work on.
  const gate = await createGate()
  const project = await people.project()
  const builds: Build[] = []
  for (const _ of fleet) builds.push(await project.build({ command: gate.command(), agents: { queue } }))
  await gate.hasBegun(4)
  gate.open()
  for (const one of builds) expect((await one.over()).state).toBe('passed')
})

test(`${TIME_SCALE === 1 ? 'a thousand' : 'a hundred'} jobs at once on ten agents: each runs once, every agent works, and the lowest priority is not forgotten [D46, I7]`, async () => {
  const COUNT = TIME_SCALE === 1 ? 1000 : 100
  const people = client(coordinator())
  const queue = ownQueue()
  const fleet = await startAgents(10, { ...joining(), queue })
  for (const { name } of fleet) await people.agent(name)
  const project = await people.project()
  const gate = await createGate()
  gate.open()
  const lowest = await project.build({ command: gate.command(), agents: { queue }, priority: -10 })
  const builds: Build[] = [lowest]
  while (builds.length < COUNT) builds.push(...(await Promise.all(Array.from({ length: 10 }, () => project.build({ command: gate.command(), agents: { queue } })))))
  const by = new Map<string, number>()
  for (const build of builds) {
    const { jobs } = await build.over({ withinMs: 600_000 })
    expect(jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
    const name = jobs[0]?.attempts[0]?.agent ?? ''
    by.set(name, (by.get(name) ?? 0) + 1)
  }
  expect(gate.passed()).toHaveLength(builds.length)
  expect(new Set(gate.passed()).size).toBe(builds.length)
  expect(by.size).toBe(10)
  for (const { state } of fleet) await eventually('the spool is empty', () => spooled(state).length === 0)
}, 900_000)

test('an agent is told to stop while work is on its way to it: handed back uncounted, and run elsewhere [D47, C14]', async () => {
  const { queue, agent, project, isOnItsWay, come } = await workOnItsWay()
  const gate = await createGate()
  const build = await project.build({ command: gate.command(), agents: { queue } })
  await isOnItsWay()
  agent.signal('SIGTERM')
  await eventually('it drains', () => agent.output().includes('stops'))
  come()
  expect(await agent.ended).toEqual({ code: 0, signal: null })
  expect(gate.began()).toEqual([])
  expect((await build.job()).attempts[0]).toMatchObject({ state: 'lost', reason: { code: 'handed_back' } })
  await startAgent({ ...joining(), queue, name: `${queue}-other` })
  gate.open()
  const [job] = (await build.over()).jobs
  expect(job?.attempts.at(-1)).toMatchObject({ agent: `${queue}-other`, state: 'passed' })
  expect(gate.began()).toHaveLength(1)
})

test('an agent comes back with fewer slots and other tags while work was on its way to it: what no longer fits waits for one that it fits [D47]', async () => {
  const { queue, agent, proxy, people, project, isOnItsWay, come } = await workOnItsWay({ tags: ['gpu=yes'], slots: 2 })
  const gate = await createGate()
  const tagged = await project.build({ command: gate.command(), agents: { queue, tags: ['gpu=yes'] } })
  const plain = [await project.build({ command: gate.command(), agents: { queue } }), await project.build({ command: gate.command(), agents: { queue } })]
  await isOnItsWay()
  await agent.kill9()
  proxy.set(() => PASS, { reset: true })
  const again = agent.again({ tags: ['gpu=no'], slots: 1 })
  come()
  await gate.hasBegun(1)
  const { running } = await people.agent(again.name, ({ slots, tags }) => slots === 1 && tags.includes('gpu=no'))
  expect(running).toHaveLength(1)
  const waiting = await tagged.until('waits for an agent with its tag', ({ state, waiting: why }) => state === 'queued' && why?.code === 'no_agent')
  expect(waiting.waiting?.reason).toContain('gpu=yes')
  gate.open()
  for (const build of plain) expect((await build.over()).state).toBe('passed')
  await startAgent({ ...joining(), queue, name: `${queue}-able`, tags: ['gpu=yes'] })
  expect((await tagged.over()).jobs[0]?.attempts.at(-1)).toMatchObject({ agent: `${queue}-able`, state: 'passed' })
  expect(gate.began()).toHaveLength(3)
})

test('slots are lowered while builds run: nothing is taken away, and nothing more given until there is room [D47, I15]', async () => {
  const queue = ownQueue()
  const people = client(coordinator())
  const agent = await startAgent({ ...joining(), queue, slots: 3 })
  const project = await people.project()
  const gate = await createGate()
  const { id } = await people.agent(agent.name)
  const builds = [await project.build({ command: gate.command(), agents: { queue } })]
  await gate.hasBegun(1)
  // A person's way to lower them to none.
  expect((await people.ask('POST', `/api/v1/agents/${id}/drain`)).status).toBe(200)
  await eventually('it is told', () => agent.output().includes('told to drain'))
  builds.push(await project.build({ command: gate.command(), agents: { queue } }))
  gate.open()
  expect((await builds[0]?.over())?.jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
  expect(gate.began()).toHaveLength(1)
  expect((await people.ask('POST', `/api/v1/agents/${id}/resume`)).status).toBe(200)
  expect((await builds[1]?.over())?.jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
})
