/** An agent that is told to stop, and the state folder that it lets go [C14]. */
import { describe, expect, it, vi } from 'vitest'
import { startAgent, type AgentConfig } from '../../../agent/agent.ts'
import { nodePlatform } from '../../../agent/node-platform.ts'
import { openSpool } from '../../../agent/spool/results.ts'
import { attemptId } from '../../../schema/job.ts'
import { agentsBeforeFake } from '../../support/agents-before-fake.ts'
import { fakeMachine } from '../../support/fake-machine.ts'
import { spooled } from '../../support/spool.ts'
import { turnedClock } from '../../support/turned-clock.ts'

const { fake, folder, start } = agentsBeforeFake()

describe('stopping [C14, D50]', () => {
  it('once: takes no more, finishes, delivers, exits 0', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const later = fake().enqueue({ command: 'true' })
    const { agent, machine } = start({ slots: 1 })
    await fake().until(() => machine.commands.length === 1)
    agent.stop()
    await fake().until(() => fake().syncs.at(-1)?.request.state === 'draining')
    machine.commands[0]?.end(0)
    expect(await agent.ended).toBe(0)
    expect(job.state).toBe('passed')
    expect(later.state).toBe('queued')
  })

  it('twice: ends what runs and hands it back uncounted', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { agent, machine } = start()
    await fake().until(() => machine.commands.length === 1)
    agent.stop()
    agent.stop()
    expect(await agent.ended).toBe(0)
    expect(machine.commands[0]?.stops[0]?.why).toBe('agent_stopping')
    expect(job).toMatchObject({ state: 'queued', lost: ['agent_stopping'], result: null })
    expect(spooled(folder())).toEqual([]) // nothing for the next start to wonder about
  })

  it('three times: exits 1 at once', async () => {
    fake().enqueue({ command: 'stubborn', cancel_grace_s: 600 })
    const { agent, machine } = start()
    await fake().until(() => machine.commands.length === 1)
    for (let i = 0; i < 3; i += 1) agent.stop()
    expect(await agent.ended).toBe(1)
    expect(machine.commands[0]?.stops.at(-1)?.graceMs).toBe(0)
  })

  it('hands back what arrives while it drains [D47]', async () => {
    const { agent } = start()
    await fake().until(() => fake().syncs.length > 2)
    fake().fault('sync', { kind: 'half-open-reply' })
    const job = fake().enqueue({ command: 'wait' })
    await vi.waitFor(() => expect(job.state).toBe('live'))
    agent.stop()
    expect(await agent.ended).toBe(0)
    expect(job).toMatchObject({ state: 'queued', lost: ['handed_back'] })
  })

  it('leaves undelivered results in the spool for the next start', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { agent, machine } = start({ timeScale: 200 })
    await fake().until(() => machine.commands.length === 1)
    fake().always('all', { kind: 'drop-request' })
    machine.commands[0]?.end(0)
    agent.stop()
    expect(await agent.ended).toBe(0)
    fake().always('all', null)
    start()
    await fake().until(() => job.state === 'passed')
    expect(job.fence).toBe(1)
  })

  it('twice before it has begun: exits 0 all the same', async () => {
    const { agent } = start()
    agent.stop()
    agent.stop()
    expect(await agent.ended).toBe(0)
  })

  it('exits at once when it holds nothing and was never heard', async () => {
    fake().always('all', { kind: 'half-open' })
    const { agent } = start({ timeScale: 1 })
    agent.stop()
    expect(await agent.ended).toBe(0)
  })
})

describe('the state folder', () => {
  it('is let go only when the spool is closed, also after a start that failed', async () => {
    const { disk } = nodePlatform()
    const earlier = await openSpool(folder(), disk, turnedClock())
    const attempt = attemptId({ project: 1, build: 1, n: 1, fence: 1 })
    await earlier.journal({ attempt, token: 'kdg_att_of-a-test' })
    await earlier.finish(attempt, { outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: 1, finished_at: 2, log_bytes: 0, log_sha256: '0' })
    await earlier.settle(attempt, 'accepted')
    const done: string[] = []
    const watched = { ...disk, remove: async (path: string) => (await disk.remove(path), void done.push(path.slice(folder().length))) }
    const machine = { ...fakeMachine(), killLeftovers: () => Promise.reject(new Error('no process table')) }
    const config: AgentConfig = { url: fake().url, registrationToken: null, name: 'builder', slots: 1, queue: 'default', tags: [], stateFolder: folder(), doorbell: false, timeScale: 1 }
    await expect(startAgent(config, { ...nodePlatform(), disk: watched }, { line: () => {}, waiting: () => {} }, machine).ended).rejects.toThrow('no process table')
    expect(done).toEqual([`/spool/${attempt}`, '/agent.lock'])
  })
})
