/**
 * An installation as its owner has it: coordinator and agents as processes of their own, started by the command line,
 * with state on disk, at a twentieth of all times (a lease lasts 6 s, a heartbeat 0.75 s, a call 0.5 s). Whatever a test starts is gone after it, builds included, and only
 * processes that belong to a folder of the test are ever ended.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { COMPILED } from './compiled.ts'
import { portOfItsOwn } from './port.ts'
import { childrenOf, commandLine, endProcess, pidsOf } from './process-list.ts'
import { scaled, TIME_SCALE } from './scale.ts'
import { bearWitness, eventually } from './wait.ts'

export { scaled, TIME_SCALE }

/** The command line as users get it; `built-programs.ts` has built it. */
export const PROGRAM = new URL('../../dist/kedge.mjs', import.meta.url).pathname

export interface Program {
  readonly pid: number
  /** Everything that it printed, stderr included. */
  output(): string
  signal(name: NodeJS.Signals): void
  /** `SIGKILL`, and gone when this returns. */
  kill9(): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

export interface Coordinator {
  readonly url: string
  readonly port: number
  readonly adminToken: string
  readonly registrationToken: string
  output(): string
  /** The process and workerd below it, both at once, as a power cut would; `alone` leaves workerd to notice by itself. */
  kill9(options?: { readonly alone?: boolean }): Promise<void>
  /** To workerd alone: killed, as when it runs out of memory, or frozen. */
  signalRuntime(name: NodeJS.Signals): void
  stop(): Promise<void>
  /** On the same folder and port. */
  restart(): Promise<void>
}

export interface Agent extends Program {
  readonly name: string
  readonly queue: string
  /** Its state folder. */
  readonly state: string
  /** Another process on the same state folder, with the same settings but for those given. */
  again(changes?: Partial<AgentSettings>): Agent
}

export interface AgentSettings {
  readonly url: string
  readonly token: string
  readonly name?: string
  readonly slots?: number
  readonly queue?: string
  readonly tags?: readonly string[]
  readonly state?: string
  readonly doorbell?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** Shell text that runs before the agent, in its place: a limit that it shall live under. */
  readonly before?: string
  /** Another entry file than the command line's. */
  readonly main?: string
}

/** A folder that is gone after the test, with every process that works in it. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kedge-e2e-'))
  onTestFinished(() => clearAway(folder))
  return folder
}

/** One coordinator for all tests of a file; they keep apart by queues and projects. */
export function sharedCoordinator(): () => Coordinator {
  let shared: Coordinator | undefined
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kedge-e2e-'))
    shared = await openCoordinator(folder)
  })
  afterAll(async () => {
    await shared?.stop()
    await clearAway(folder)
  })
  return () => {
    if (shared === undefined) throw new Error('the coordinator has not started')
    return shared
  }
}

/** One that only this test uses, and may kill. */
export async function startCoordinator({ folder, port, env }: { readonly folder?: string; readonly port?: number; readonly env?: Readonly<Record<string, string>> } = {}): Promise<Coordinator> {
  const coordinator = await openCoordinator(folder ?? (await testFolder()), port, env)
  onTestFinished(() => coordinator.stop())
  return coordinator
}

async function openCoordinator(folder: string, wantedPort?: number, env: Readonly<Record<string, string>> = {}): Promise<Coordinator> {
  let printed = ''
  const port = wantedPort ?? (await portOfItsOwn())
  const start = async () => {
    const program = run(['dev', '--agents', '0', '--json', '--port', String(port), '--state', join(folder, 'coordinator')], { folder, name: 'coordinator', env })
    const ready = await eventually('the coordinator is ready', () => {
      if (program.hasEnded()) throw new Error(program.output())
      return /^\{"url".*\}$/m.exec(program.output())?.[0]
    })
    return { program, said: JSON.parse(ready) as { url: string; admin_token: string; registration_token: string } }
  }
  let { program, said } = await start()
  const stop = async () => {
    if (program.hasEnded()) return
    program.signal('SIGTERM')
    await program.ended
  }
  return {
    url: said.url,
    port,
    adminToken: said.admin_token,
    registrationToken: said.registration_token,
    output: () => printed + program.output(),
    stop,
    signalRuntime: (name) => {
      for (const pid of childrenOf(program.pid)) if (commandLine(pid).includes('workerd')) endProcess(pid, name)
    },
    kill9: async ({ alone = false } = {}) => {
      const below = alone ? [] : childrenOf(program.pid)
      for (const pid of [...below, program.pid]) endProcess(pid)
      await program.ended
      await eventually('the port is free', async () => !(await isListening(port)))
    },
    restart: async () => {
      printed += program.output()
      await stop()
      program = (await start()).program
    },
  }
}

let queues = 0
/** A queue that no other test of this file's coordinator has. */
export function ownQueue(): string {
  queues += 1
  return `q${queues}`
}

/** Joins by itself; nothing here waits for that. */
export async function startAgent(settings: AgentSettings): Promise<Agent> {
  return openAgent({ ...settings, state: settings.state ?? join(await testFolder(), 'agent') })
}

/** `count` agents on a queue of their own. */
export async function startAgents(count: number, settings: AgentSettings): Promise<readonly Agent[]> {
  const queue = settings.queue ?? ownQueue()
  return Promise.all(Array.from({ length: count }, (_, i) => startAgent({ ...settings, queue, name: `${settings.name ?? queue}-${i + 1}` })))
}

function openAgent(settings: AgentSettings & { readonly state: string }): Agent {
  const { url, token, state, slots = 1, queue = ownQueue(), name = `agent-${queue}`, tags = [], doorbell = true, env = {}, before, main } = settings
  const args = ['agent', '--url', url, '--name', name, '--slots', String(slots), '--queue', queue, '--state', state, ...tags.flatMap((tag) => ['--tag', tag]), ...(doorbell ? [] : ['--no-doorbell'])]
  const program = run(args, { folder: join(state, '..'), name, env: { KEDGE_REGISTRATION_TOKEN: token, ...env }, ...(before === undefined ? {} : { before }), ...(main === undefined ? {} : { main }) })
  return { ...program, name, queue, state, again: (changes = {}) => openAgent({ ...settings, queue, name, ...changes, state }) }
}

interface ProgramSettings {
  readonly folder: string
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly before?: string
  readonly main?: string
}

function run(args: readonly string[], { folder, name, env, before = '', main = PROGRAM }: ProgramSettings): Program & { hasEnded(): boolean } {
  const words = [process.execPath, main, ...args]
  const [program = '', ...rest] = before === '' ? words : ['/bin/sh', '-c', `${before}; exec "$@"`, 'sh', ...words]
  const child = spawn(program, rest, {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, KEDGE_TIME_SCALE: String(TIME_SCALE), NODE_COMPILE_CACHE: COMPILED, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`cannot start ${args.join(' ')}`)
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => void child.once('close', (code, signal) => resolve({ code, signal })))
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const forget = bearWitness(`${name} (${pid})`, () => `${printed}${hasEnded() ? `[ended: ${child.signalCode ?? child.exitCode}]` : ''}`)
  folders.set(folder, [...(folders.get(folder) ?? []), forget])
  return {
    pid,
    output: () => printed,
    hasEnded,
    ended,
    signal: (signal) => void child.kill(signal),
    kill9: async () => {
      child.kill('SIGKILL')
      await new Promise<void>((resolve) => (hasEnded() ? resolve() : void child.once('exit', () => resolve())))
    },
  }
}

/** By folder: how to forget the processes that were started in it. */
const folders = new Map<string, readonly (() => void)[]>()

/** Kills what works in the folder (its environment names it, or it is there), until nothing does, then removes it. */
async function clearAway(folder: string): Promise<void> {
  await eventually(`nothing works in ${folder}`, (saw) => {
    const pids = pidsOf(folder)
    saw(pids)
    for (const pid of pids) endProcess(pid)
    return pids.length === 0
  })
  for (const forget of folders.get(folder) ?? []) forget()
  folders.delete(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

async function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
