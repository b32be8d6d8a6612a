/**
 * Real agents, in this process, before a coordinator of the tests: real disk and real sockets, a fake machine. Each test
 * has a coordinator and a state folder of its own, which all its agents share, as one that starts again does. Whatever
 * an agent may never do fails the test by itself (`offences`).
 */
import { afterEach, beforeEach, expect } from 'vitest'
import { startAgent, type Agent, type AgentConfig } from '../../agent/agent.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Platform } from '../../agent/platform.ts'
import { startFakeCoordinator, type FakeCoordinator } from './fake-coordinator.ts'
import { fakeMachine, type FakeMachine } from './fake-machine.ts'
import { ownFolder } from './folder.ts'

export interface RunningAgent {
  readonly agent: Agent
  readonly machine: FakeMachine
  readonly lines: string[]
  readonly waits: string[]
  exit: number | null
  /** As `kill -9`: from now on it reaches neither disk nor network. */
  crash(): void
}

export interface AgentsBeforeFake {
  fake(): FakeCoordinator
  /** The state folder. */
  folder(): string
  start(change?: Partial<AgentConfig>, prepare?: (machine: FakeMachine) => void): RunningAgent
}

/** Call it once, at the top of a file of tests. */
export function agentsBeforeFake(): AgentsBeforeFake {
  let current: { readonly fake: FakeCoordinator; readonly folder: string; readonly all: RunningAgent[] } | null = null
  const scene = () => {
    if (current === null) throw new Error('there is an agent only within a test')
    return current
  }
  beforeEach(async () => {
    current = { fake: await startFakeCoordinator(), folder: await ownFolder(), all: [] }
  })
  afterEach(async () => {
    const { fake, all } = scene()
    for (const { agent } of all) for (let i = 0; i < 3; i += 1) agent.stop()
    await fake.close()
    await Promise.all(all.map(({ agent, exit }) => (exit === -9 ? undefined : agent.ended)))
    expect(fake.offences).toEqual([])
  })
  return {
    fake: () => scene().fake,
    folder: () => scene().folder,
    start: (change = {}, prepare = () => {}) => {
      const { fake, folder, all } = scene()
      const running = startOne({ url: fake.url, registrationToken: 'kdg_reg_test', name: 'builder', slots: 2, queue: 'default', tags: ['os=linux'], stateFolder: folder, doorbell: false, timeScale: 20, limits: { health: { freeBytes: 0, freeShare: 0 } }, ...change }, prepare)
      all.push(running)
      return running
    },
  }
}

function startOne(config: AgentConfig, prepare: (machine: FakeMachine) => void): RunningAgent {
  const machine = fakeMachine()
  prepare(machine)
  const { platform, crash } = mortal(nodePlatform())
  const lines: string[] = []
  const waits: string[] = []
  const agent = startAgent(config, platform, { line: (text) => lines.push(text), waiting: (text) => waits.push(text) }, machine)
  const running: RunningAgent = {
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

/** Of a job of the fake. */
export const isFinal = (job: { readonly state: string }) => !['queued', 'live'].includes(job.state)
