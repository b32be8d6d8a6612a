import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startAgent, type Agent, type AgentConfig } from '../../agent/agent.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Platform } from '../../agent/platform.ts'
import { openSpool } from '../../agent/spool/results.ts'
import { attemptId } from '../../schema/job.ts'
import { EMPTY_200, HTML_200, HTML_401, REDIRECT, startFakeCoordinator, unavailable, type FakeCoordinator, type Fault } from '../support/fake-coordinator.ts'
import { fakeMachine, type FakeMachine } from '../support/fake-machine.ts'
import { turnedClock } from '../support/turned-clock.ts'
import { ownFolder } from '../support/folder.ts'

interface Running {
  readonly agent: Agent
  readonly machine: FakeMachine
  readonly lines: string[]
  readonly waits: string[]
  exit: number | null
  /** As `kill -9`: from now on it reaches neither disk nor network. */
  crash(): void
}

let fake: FakeCoordinator
let folder: string
let all: Running[]

beforeEach(async () => {
  fake = await startFakeCoordinator()
  folder = await ownFolder()
  all = []
})
afterEach(async () => {
  for (const { agent } of all) for (let i = 0; i < 3; i += 1) agent.stop()
  await fake.close()
  await Promise.all(all.map(({ agent, exit }) => (exit === -9 ? undefined : agent.ended)))
  expect(fake.offences).toEqual([])
})

function start(change: Partial<AgentConfig> = {}, prepare: (machine: FakeMachine) => void = () => {}): Running {
  const machine = fakeMachine()
  prepare(machine)
  const { platform, crash } = mortal(nodePlatform())
  const lines: string[] = []
  const waits: string[] = []
  const config: AgentConfig = { url: fake.url, registrationToken: 'kdg_reg_test', name: 'builder', slots: 2, queue: 'default', tags: ['os=linux'], stateFolder: folder, doorbell: false, timeScale: 20, limits: { health: { freeBytes: 0, freeShare: 0 } }, ...change }
  const agent = startAgent(config, platform, { line: (text) => lines.push(text), waiting: (text) => waits.push(text) }, machine)
  const running: Running = {
    agent,
    machine,
    lines,
    waits,
    exit: null,
    crash: () => {
      crash()
      machine.die()
      running.exit = -9
    },
  }
  void agent.ended.then((exit) => (running.exit ??= exit))
  all.push(running)
  return running
}

/** A platform whose disk and network stand still for ever once it has died. */
function mortal(platform: Platform): { platform: Platform; crash(): void } {
  let dead = false
  const never = new Promise<never>(() => {})
  const guard = <T extends object>(part: T): T =>
    new Proxy(part, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? (...words: unknown[]) => (dead ? never : after(value.apply(target, words))) : value
      },
    })
  const after = (result: unknown) => (result instanceof Promise ? result.then((value) => (dead ? never : value)) : result)
  return { platform: { ...platform, disk: guard(platform.disk), network: { ...platform.network, fetch: guard(platform.network).fetch } }, crash: () => void (dead = true) }
}

const isFinal = (job: { state: string }) => !['queued', 'live'].includes(job.state)

describe('a job\'s way through the agent', () => {
  it('registers, takes a job, delivers its result and its log', async () => {
    const job = fake.enqueue({ command: 'say hello' })
    const { lines } = start()
    await fake.until(() => isFinal(job) && fake.logs.get('J1-1-1.1' as never)?.sealed === true)
    expect(job).toMatchObject({ state: 'passed', fence: 1, result: { exit_status: 0, signal: null, log_bytes: 6 } })
    expect(fake.logs.get('J1-1-1.1' as never)?.bytes.toString()).toBe('hello\n')
    expect(fake.registrations).toBe(1)
    expect(lines).toEqual([`builder is connected to ${fake.url}`, 'J1-1-1.1 begins: test #1', 'J1-1-1.1 passed'])
  })

  it('tells an exit status from a pass', async () => {
    const job = fake.enqueue({ command: 'exit 3' })
    start()
    await fake.until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'failed', result: { exit_status: 3 } })
  })

  it('delivers a result and takes the next job in one sync: finish is claim [C8]', async () => {
    fake.pace.next_sync_ms = fake.pace.hb_ms = 60_000 // nothing comes by the pace
    for (let i = 0; i < 10; i += 1) fake.enqueue()
    start({ slots: 1 })
    await fake.until(() => fake.jobs.every(isFinal))
    const delivering = fake.syncs.filter(({ request }) => request.finished.length > 0)
    expect(delivering).toHaveLength(10)
    expect(fake.syncs.length).toBeLessThanOrEqual(14)
  })

  it('names what it holds in every sync, and never has two in flight', async () => {
    fake.enqueue({ command: 'wait' })
    fake.always('sync', { kind: 'delay', ms: 20 })
    const { machine } = start()
    await fake.until(() => machine.commands.length === 1)
    const from = fake.syncs.length
    await fake.until(() => fake.syncs.length > from + 5)
    expect(fake.syncs.slice(from + 1).every(({ request }) => request.running[0]?.attempt === 'J1-1-1.1')).toBe(true)
    expect(fake.syncs.map(({ request }) => request.seq)).toEqual([...fake.syncs.keys()].map((n) => n + 2)) // the first was answered "who are you?"
  })

  it('fetches a spec that is too large for a sync', async () => {
    const job = fake.enqueue({ command: `say ${'x'.repeat(40_000)}` })
    fake.fault('spec', unavailable(), HTML_200)
    start()
    await fake.until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'passed', result: { log_bytes: 40_001 } })
  })

  it('says with a code why a build could not begin', async () => {
    const job = fake.enqueue()
    start({}, (machine) => (machine.prepareError = Object.assign(new Error('the commit is not on the remote'), { code: 'commit_missing' })))
    await fake.until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'errored', result: { reason: { code: 'commit_missing', message: 'the commit is not on the remote' } } })
  })

  it('blames the machine when it is the machine\'s fault [C15.3]', async () => {
    const job = fake.enqueue()
    start({}, (machine) => (machine.prepareError = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })))
    await fake.until(() => isFinal(job))
    expect(job.result?.reason?.code).toBe('agent_disk')
  })

  it('ends a build at its time limit, also while it is being prepared', async () => {
    const job = fake.enqueue({ timeout_s: 1 })
    start({}, (machine) => (machine.preparing = new Promise(() => {})))
    await fake.until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'timed_out', result: { reason: { code: 'timed_out' } } })
  })

  it('puts attempts into the lowest free slot', async () => {
    for (let i = 0; i < 3; i += 1) fake.enqueue({ command: 'wait' })
    const { machine } = start({ slots: 2 })
    await fake.until(() => machine.commands.length === 2)
    const [first, second] = machine.commands
    expect([first?.request.slot, second?.request.slot].toSorted()).toEqual([0, 1])
    second?.end(0)
    await fake.until(() => machine.commands.length === 3)
    expect(machine.commands[2]?.request.slot).toBe(second?.request.slot)
  })
})

describe('faults of the network', () => {
  it.each<[string, Fault]>([
    ['lost', { kind: 'drop-request' }],
    ['processed and its reply lost', { kind: 'drop-reply' }],
    ['processed twice', { kind: 'duplicate' }],
    ['answered by a hotel\'s page', HTML_200],
    ['answered by a proxy\'s 401', HTML_401],
    ['answered with an empty 200', EMPTY_200],
    ['redirected', REDIRECT],
    ['answered with 503', unavailable()],
    ['answered with half of its JSON', { kind: 'truncated' }],
    ['cut in the middle of its answer', { kind: 'cut' }],
    ['swallowed', { kind: 'half-open' }],
    ['processed and its reply swallowed', { kind: 'half-open-reply' }],
    ['answered a byte at a time', { kind: 'drip' }],
  ])('runs every job once when each second sync is %s [D6, D28, D29, D30]', async (_, fault) => {
    for (let i = 0; i < 3; i += 1) fake.enqueue({ command: 'true' })
    fake.fault('sync', fault, { kind: 'delay', ms: 0 }, fault, { kind: 'delay', ms: 0 }, fault, { kind: 'delay', ms: 0 }, fault)
    const { machine } = start()
    await fake.until(() => fake.jobs.every(isFinal))
    expect(fake.jobs.map((job) => [job.state, job.fence])).toEqual([['passed', 1], ['passed', 1], ['passed', 1]])
    expect(machine.commands).toHaveLength(3)
  })

  it('waits for a coordinator that is not there yet, says so rarely, and joins when it comes [D2]', async () => {
    fake.always('all', { kind: 'drop-request' })
    const { lines, waits } = start()
    await vi.waitFor(() => expect(waits.length).toBeGreaterThan(0))
    expect(waits[0]).toMatch(new RegExp(`^cannot reach ${fake.url} \\(connection (reset|closed).*\\); trying again, next in \\d+ s$`))
    fake.always('all', null)
    await fake.until(() => fake.syncs.length > 0)
    await vi.waitFor(() => expect(lines).toContain(`builder is connected to ${fake.url}`))
  })

  it('registers again and gets the same when the reply was lost [D1]', async () => {
    fake.fault('register', { kind: 'drop-reply' }, HTML_200)
    start()
    await fake.until(() => fake.syncs.length > 0)
    expect(fake.agents.size).toBe(1)
  })

  it('presents its secret at once, once, when its session has ended [C1.3]', async () => {
    start()
    await fake.until(() => fake.syncs.length > 2)
    const before = fake.syncs.length
    fake.expireSessions()
    await fake.until(() => fake.syncs.length > before + 3)
    expect(fake.syncs.slice(before).filter(({ via }) => via === 'secret')).toHaveLength(1)
    expect(fake.registrations).toBe(1)
  })

  it('obeys Retry-After, even when a build ends meanwhile [D27]', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const { machine, waits } = start()
    await fake.until(() => machine.commands.length === 1)
    fake.fault('sync', { kind: 'refuse', code: 'slow_down', headers: { 'retry-after': '1' } })
    await vi.waitFor(() => expect(waits.join()).toContain('slow_down'))
    const { length } = fake.syncs
    machine.commands[0]?.end(0)
    await fake.until(() => isFinal(job))
    const [before, after] = fake.syncs.slice(length - 1)
    expect((after?.at ?? 0) - (before?.at ?? 0)).toBeGreaterThanOrEqual(1000)
  })
})

describe('a crash [D8, D10]', () => {
  it('delivers once the result that was spooled, and starts nothing twice', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const first = start()
    await fake.until(() => first.machine.commands.length === 1)
    fake.always('sync', { kind: 'drop-request' })
    first.machine.commands[0]?.end(0)
    await vi.waitFor(async () => expect(await readdir(join(folder, 'spool', 'J1-1-1.1'))).toContain('result.json'))
    first.crash()
    fake.always('sync', null)
    const second = start()
    await fake.until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'passed', fence: 1, lost: [] })
    expect(second.machine.commands).toHaveLength(0)
  })

  it('is told lost in the first sync of the next start, after its leftovers are dead', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const first = start()
    await fake.until(() => first.machine.commands.length === 1)
    first.crash()
    const second = start()
    await fake.until(() => second.machine.commands.length === 1)
    expect(second.machine.killed).toEqual(['J1-1-1.1'])
    expect(job).toMatchObject({ state: 'live', fence: 2, lost: ['restarted'] })
    expect(second.machine.commands.map(({ request }) => request.attempt)).toEqual(['J1-1-1.2'])
  })

  it('does not start what the journal knows, but says that it is lost [C4]', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const first = start()
    await fake.until(() => first.machine.commands.length === 1)
    first.crash()
    const second = start({}, (machine) => (machine.unfit = 'takes nothing new'))
    await fake.until(() => job.lost.length === 1)
    const { length } = fake.syncs
    await fake.until(() => fake.syncs.length > length + 2)
    Object.assign(job, { state: 'live', agent: fake.syncs.at(-1)?.request.agent, bootSeq: 2 }) // a redelivery of J1-1-1.1
    await fake.until(() => job.lost.length === 2)
    expect(job.lost).toEqual(['restarted', 'process_restart'])
    expect(second.machine.commands).toHaveLength(0)
  })

  it('refuses a second process on the same state folder [D3]', async () => {
    const first = start()
    await fake.until(() => fake.syncs.length > 0)
    const second = start()
    expect(await second.agent.ended).toBe(2)
    expect(second.lines[0]).toMatch(/another agent .* uses the state folder/)
    expect(first.exit).toBeNull()
  })
})

describe('who it is', () => {
  it('jumps once over the boot number that a rolled-back disk has lost [D5]', async () => {
    const first = start()
    await fake.until(() => fake.syncs.length > 0)
    first.crash()
    const [agent] = [...fake.agents.values()]
    if (agent) agent.bootSeq = 40
    start()
    await fake.until(() => fake.syncs.at(-1)?.request.boot_seq === 41)
  })

  it('kills its builds and stands by when another process has become this agent, and never fights [C1.5]', async () => {
    fake.enqueue({ command: 'wait' })
    const { machine, waits } = start()
    await fake.until(() => machine.commands.length === 1)
    const [agent] = [...fake.agents.values()]
    if (agent) agent.bootSeq = 99
    await vi.waitFor(() => expect(machine.commands[0]?.stops[0]?.why).toBe('abandoned'))
    expect(waits.join()).toContain('another process is this agent now')
    expect(fake.jobs[0]?.result).toBeNull()
  })

  it('stands by when its state folder was copied [D4]', async () => {
    const first = start()
    await fake.until(() => fake.syncs.length > 0)
    first.crash()
    const [agent] = [...fake.agents.values()]
    Object.assign(agent ?? {}, { bootSeq: 2, bootId: 'of-the-copy' })
    const second = start()
    await vi.waitFor(() => expect(second.waits.join()).toContain('a copy of it'))
    expect(second.exit).toBeNull()
  })

  it('registers again when the coordinator no longer knows it, and keeps what it runs', async () => {
    fake.enqueue({ command: 'wait' })
    const { machine } = start()
    await fake.until(() => machine.commands.length === 1)
    fake.agents.clear()
    await fake.until(() => fake.registrations === 2)
    expect(machine.commands[0]?.isOver).toBe(false)
  })

  it('finishes what runs and keeps the result when it is revoked [D31]', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const { machine, waits } = start({ timeScale: 500 })
    await fake.until(() => machine.commands.length === 1)
    const [agent] = [...fake.agents.values()]
    if (agent) agent.revoked = true
    await vi.waitFor(() => expect(waits.join()).toContain('does not let this agent join'))
    machine.commands[0]?.end(0)
    await vi.waitFor(async () => expect(await readdir(join(folder, 'spool', 'J1-1-1.1'))).toContain('result.json'))
    expect(job.state).toBe('live')
    if (agent) agent.revoked = false
    await fake.until(() => job.state === 'passed')
  })

  it('idles and says what to update when the protocol does not fit [D26]', async () => {
    fake.always('sync', { kind: 'refuse', code: 'proto_unsupported', extra: { proto: { min: 2, max: 3 } } })
    const { waits, exit } = start()
    await vi.waitFor(() => expect(waits.join()).toMatch(/speaks protocol 2 to 3 and this agent 1; update this agent/))
    expect(exit).toBeNull()
  })

  it('ends with 5 and a sentence when its first registration is refused', async () => {
    const { agent, lines } = start({ registrationToken: 'kdg_reg_wrong' })
    expect(await agent.ended).toBe(5)
    expect(lines.at(-1)).toMatch(/does not let this agent join: .*kedge token create/)
  })

  it('sends its offer again when the coordinator asks for it', async () => {
    start()
    await fake.until(() => fake.syncs.length > 1)
    expect(fake.syncs[1]?.request.offer).toBeUndefined()
    const [agent] = [...fake.agents.values()]
    if (agent) agent.offerRev = -1
    const before = fake.syncs.length
    await fake.until(() => fake.syncs.slice(before).some(({ request }) => request.offer !== undefined))
  })
})

describe('cancel and abandon', () => {
  it('ends a running build and answers with a cancelled result [C13.1]', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const { machine } = start()
    await fake.until(() => machine.commands.length === 1)
    fake.cancel(job)
    await fake.until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'canceled', result: { signal: 'SIGTERM', reason: { code: 'canceled' } } })
    expect(machine.commands[0]?.stops).toEqual([{ why: 'canceled', graceMs: 1000 }])
  })

  it('ends one that is still being prepared without starting it', async () => {
    const job = fake.enqueue()
    const { machine } = start({}, (machine) => (machine.preparing = new Promise(() => {})))
    await fake.until(() => job.state === 'live')
    fake.cancel(job)
    await fake.until(() => isFinal(job))
    expect(job.state).toBe('canceled')
    expect(machine.commands).toHaveLength(0)
  })

  it('ends an abandoned build without any result, and goes on', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const { machine } = start({ slots: 1 })
    await fake.until(() => machine.commands.length === 1)
    fake.giveAway(job)
    const next = fake.enqueue({ command: 'true' })
    await fake.until(() => isFinal(next))
    expect(machine.commands[0]?.stops[0]?.why).toBe('abandoned')
    expect(job.result).toBeNull()
  })

  it('kills a build that may not run twice before its job could be given away [C16.2]', async () => {
    fake.pace.self_fence_ms = 500
    const careful = fake.enqueue({ command: 'wait', on_partition: 'stop' })
    const other = fake.enqueue({ command: 'wait' })
    const { machine } = start()
    await fake.until(() => machine.commands.length === 2)
    fake.always('sync', { kind: 'half-open' })
    await vi.waitFor(() => expect(machine.commands.find(({ request }) => request.spec.on_partition === 'stop')?.stops[0]?.why).toBe('abandoned'), { timeout: 5000 })
    expect(machine.commands.find(({ request }) => request.spec.on_partition === 'continue')?.isOver).toBe(false)
    fake.always('sync', null)
    await fake.until(() => careful.lost.includes('agent_stopping'))
    expect(other.lost).toEqual([])
  })
})

describe('what cannot be ended', () => {
  const message = 'could not end sleep (pid 4711), which J1-1-1.1 had started: stuck in the kernel, or another user\'s. End it by hand, or restart this machine'

  it('is named in the build\'s log and at the terminal [I23]', async () => {
    fake.enqueue({ command: 'say hello' })
    const { lines } = start({}, (machine) => (machine.survivors = ['sleep (pid 4711)']))
    await fake.until(() => fake.logs.get('J1-1-1.1' as never)?.sealed === true)
    expect(fake.logs.get('J1-1-1.1' as never)?.bytes.toString()).toBe(`hello\nkedge: ${message}\n`)
    expect(lines).toContain(message)
  })

  it('is named at the next start when the agent itself had died', async () => {
    fake.enqueue({ command: 'wait' })
    const first = start()
    await fake.until(() => first.machine.commands.length === 1)
    first.crash()
    const second = start({}, (machine) => (machine.survivors = ['sleep (pid 4711)']))
    await vi.waitFor(() => expect(second.lines).toContain(message))
  })
})

describe('stopping [C14, D50]', () => {
  it('once: takes no more, finishes, delivers, exits 0', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const later = fake.enqueue({ command: 'true' })
    const { agent, machine } = start({ slots: 1 })
    await fake.until(() => machine.commands.length === 1)
    agent.stop()
    await fake.until(() => fake.syncs.at(-1)?.request.state === 'draining')
    machine.commands[0]?.end(0)
    expect(await agent.ended).toBe(0)
    expect(job.state).toBe('passed')
    expect(later.state).toBe('queued')
  })

  it('twice: ends what runs and hands it back uncounted', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const { agent, machine } = start()
    await fake.until(() => machine.commands.length === 1)
    agent.stop()
    agent.stop()
    expect(await agent.ended).toBe(0)
    expect(machine.commands[0]?.stops[0]?.why).toBe('agent_stopping')
    expect(job).toMatchObject({ state: 'queued', lost: ['agent_stopping'], result: null })
  })

  it('three times: exits 1 at once', async () => {
    fake.enqueue({ command: 'stubborn', cancel_grace_s: 600 })
    const { agent, machine } = start()
    await fake.until(() => machine.commands.length === 1)
    for (let i = 0; i < 3; i += 1) agent.stop()
    expect(await agent.ended).toBe(1)
    expect(machine.commands[0]?.stops.at(-1)?.graceMs).toBe(0)
  })

  it('hands back what arrives while it drains [D47]', async () => {
    const { agent } = start()
    await fake.until(() => fake.syncs.length > 2)
    fake.fault('sync', { kind: 'half-open-reply' })
    const job = fake.enqueue({ command: 'wait' })
    await vi.waitFor(() => expect(job.state).toBe('live'))
    agent.stop()
    expect(await agent.ended).toBe(0)
    expect(job).toMatchObject({ state: 'queued', lost: ['handed_back'] })
  })

  it('leaves undelivered results in the spool for the next start', async () => {
    const job = fake.enqueue({ command: 'wait' })
    const { agent, machine } = start({ timeScale: 200 })
    await fake.until(() => machine.commands.length === 1)
    fake.always('all', { kind: 'drop-request' })
    machine.commands[0]?.end(0)
    agent.stop()
    expect(await agent.ended).toBe(0)
    fake.always('all', null)
    start()
    await fake.until(() => job.state === 'passed')
    expect(job.fence).toBe(1)
  })

  it('twice before it has begun: exits 0 all the same', async () => {
    const { agent } = start()
    agent.stop()
    agent.stop()
    expect(await agent.ended).toBe(0)
  })

  it('exits at once when it holds nothing and was never heard', async () => {
    fake.always('all', { kind: 'half-open' })
    const { agent } = start({ timeScale: 1 })
    agent.stop()
    expect(await agent.ended).toBe(0)
  })
})

describe('the state folder', () => {
  it('is let go only when the spool is closed, also after a start that failed', async () => {
    const { disk } = nodePlatform()
    const earlier = await openSpool(folder, disk, turnedClock())
    const attempt = attemptId({ project: 1, build: 1, n: 1, fence: 1 })
    await earlier.journal({ attempt, token: 'kdg_att_of-a-test' })
    await earlier.finish(attempt, { outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: 1, finished_at: 2, log_bytes: 0, log_sha256: '0' })
    await earlier.settle(attempt, 'accepted')
    const done: string[] = []
    const watched = { ...disk, remove: async (path: string) => (await disk.remove(path), void done.push(path.slice(folder.length))) }
    const machine = { ...fakeMachine(), killLeftovers: () => Promise.reject(new Error('no process table')) }
    const config: AgentConfig = { url: fake.url, registrationToken: null, name: 'builder', slots: 1, queue: 'default', tags: [], stateFolder: folder, doorbell: false, timeScale: 1 }
    await expect(startAgent(config, { ...nodePlatform(), disk: watched }, { line: () => {}, waiting: () => {} }, machine).ended).rejects.toThrow('no process table')
    expect(done).toEqual([`/spool/${attempt}`, '/agent.lock'])
  })
})

describe('fit for work', () => {
  it('goes on syncing as unhealthy, with the reason, and takes nothing', async () => {
    const job = fake.enqueue()
    const { machine } = start({ limits: { health: { freeBytes: 2 ** 60 } } })
    await fake.until(() => fake.syncs.length > 3)
    expect(fake.syncs.at(-1)?.request).toMatchObject({ state: 'unhealthy', reason: expect.stringMatching(/free, .* needed/) })
    expect(machine.commands).toHaveLength(0)
    expect(job.state).toBe('queued')
  })

  it('takes work once its tools are there', async () => {
    const job = fake.enqueue()
    const { machine } = start({}, (machine) => (machine.unfit = 'git does not start'))
    await fake.until(() => fake.syncs.at(-1)?.request.reason === 'git does not start')
    machine.unfit = null
    await fake.until(() => isFinal(job))
  })
})

describe('with a doorbell [C9]', () => {
  it('starts a job by a ring, long before the pace would', async () => {
    fake.pace.next_sync_ms = 600_000
    const { machine } = start({ doorbell: true })
    await fake.until(() => fake.sockets.size === 1)
    await vi.waitFor(() => expect(fake.syncs.length).toBeGreaterThan(0))
    const job = fake.enqueue()
    await fake.until(() => isFinal(job))
    expect(machine.commands).toHaveLength(1)
  })

  it('works without: a refused doorbell changes only the pace [D45]', async () => {
    fake.always('doorbell', { kind: 'drop-request' })
    const job = fake.enqueue()
    start({ doorbell: true })
    await fake.until(() => isFinal(job))
    expect(fake.syncs.every(({ request }) => !request.doorbell)).toBe(true)
  })

  it('bounds the syncs that a mad doorbell causes [D45]', async () => {
    fake.pace.next_sync_ms = 600_000
    start({ doorbell: true, timeScale: 1 })
    await fake.until(() => fake.sockets.size === 1)
    const before = fake.syncs.length
    for (let i = 0; i < 1000; i += 1) fake.ring()
    const job = fake.enqueue({ command: 'true' })
    await fake.until(() => isFinal(job))
    expect(fake.syncs.length - before).toBeLessThanOrEqual(16)
  })
})
