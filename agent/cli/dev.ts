/**
 * `kedge dev`: a coordinator and agents on this machine, in one command, with all their state in one folder. Agents are
 * processes of their own, so that one that dies takes nobody along, and what a build does is the same as anywhere.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { hostname } from 'node:os'
import type { Command } from 'commander'
import { agentStateUnder, MOST_SLOTS } from './agent.ts'
import { EXIT, Failure, type Surroundings } from './output.ts'
import { stateFolder, timeScale, wholeNumber } from './settings.ts'

interface DevFlags {
  readonly port: string
  readonly host: string
  readonly state?: string
  readonly agents: string
  readonly slots: string
  readonly json?: boolean
}

/** An agent that ends without being told to is started again after this. */
const RESTART_MS = 1000

export function registerDev(program: Command, surroundings: Surroundings): void {
  program
    .command('dev')
    .description('a coordinator and agents on this machine')
    .option('--port <port>', 'where it listens; 0 is any free port', '8787')
    .option('--host <address>', 'the address it listens on', '127.0.0.1')
    .option('--state <folder>', 'where everything is kept (default ~/.kedge/dev)')
    .option('--agents <n>', 'how many agents', '1')
    .option('--slots <n>', 'how many builds at a time on each', '2')
    .option('--json', 'one line of JSON on stdout when it is ready')
    .action(async (flags: DevFlags) => {
      await runDev(flags, surroundings)
    })
}

async function runDev(flags: DevFlags, surroundings: Surroundings): Promise<void> {
  const port = wholeNumber(flags.port, '--port', { from: 0, to: 65_535 })
  const count = wholeNumber(flags.agents, '--agents', { from: 0, to: 32 })
  const slots = wholeNumber(flags.slots, '--slots', { from: 1, to: MOST_SLOTS })
  const state = stateFolder(flags.state, 'dev', surroundings)
  const scale = timeScale(surroundings)
  if (count > 0 && surroundings.os === 'win32') throw new Failure(EXIT.usage, 'agents do not run on Windows itself yet. Start kedge in WSL (wsl --install), or a coordinator alone with --agents 0.')
  let stops = 0
  let stopped = () => {}
  const told = new Promise<void>((resolve) => (stopped = resolve))
  const fleet: Fleet = { agents: new Map(), isStopping: false }
  surroundings.onStop(() => {
    stops += 1
    stopped()
    if (stops > 1) for (const child of fleet.agents.values()) child.kill('SIGTERM') // its third step: at once
  })

  const { CoordinatorError, startCoordinator } = await import('../embedded.ts')
  const coordinator = await startCoordinator({ host: flags.host, port, state, ...(scale === 1 ? {} : { timeScale: scale }), note: (text) => surroundings.note(text) }).catch((error: unknown) => {
    throw error instanceof CoordinatorError ? new Failure(EXIT.usage, error.message, { cause: error }) : error
  })
  const { url, adminToken, registrationToken } = coordinator
  for (let number = 1; number <= count; number++) startAgent(fleet, { number, url, registrationToken, slots, state }, surroundings)
  if (flags.json === true) {
    surroundings.print(JSON.stringify({ url, admin_token: adminToken, registration_token: registrationToken }))
  } else {
    const link = await signInLink(url, adminToken)
    surroundings.print(`Kedge is ready on ${url}`)
    if (link !== null) surroundings.print(`  sign in once         ${link}`)
    surroundings.print(`  admin token          ${adminToken}`)
    surroundings.print(`  registration token   ${registrationToken}`)
  }

  await told
  fleet.isStopping = true
  await Promise.all([...fleet.agents.values()].map(ended))
  await coordinator.stop()
  surroundings.exit(EXIT.ok)
}

interface Fleet {
  readonly agents: Map<number, ChildProcess>
  isStopping: boolean
}

function startAgent(fleet: Fleet, agent: { readonly number: number; readonly url: string; readonly registrationToken: string; readonly slots: number; readonly state: string }, surroundings: Surroundings): void {
  const [program, ...first] = surroundings.self
  const name = agent.number === 1 ? hostname() : `${hostname()}-${agent.number}`
  const args = [...first, 'agent', '--url', agent.url, '--name', name, '--slots', String(agent.slots), '--state', agentStateUnder(agent.state, agent.number)]
  const child = spawn(program, args, {
    // The token goes by environment: arguments are there for every user of the machine to see.
    env: { ...surroundings.environment, KEDGE_REGISTRATION_TOKEN: agent.registrationToken },
    stdio: ['ignore', 2, 2, 'ipc'],
    detached: true, // Ctrl-C in the terminal comes here alone, and goes on from here in order
  })
  fleet.agents.set(agent.number, child)
  child.on('error', (error) => surroundings.note(`cannot start agent ${agent.number}: ${error.message}`))
  child.on('exit', (code, signal) => {
    fleet.agents.delete(agent.number)
    if (fleet.isStopping) return
    surroundings.note(`agent ${agent.number} ended (${signal ?? `exit ${code}`}); it is started again`)
    setTimeout(() => {
      if (!fleet.isStopping) startAgent(fleet, agent, surroundings)
    }, RESTART_MS)
  })
}

/** What runs is handed back, and goes on at the next start. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  if (child.connected) child.send('stop')
  else child.kill('SIGTERM')
  await exit
}

/** Null when the coordinator makes none: the token signs in as well. */
async function signInLink(url: string, adminToken: string): Promise<string | null> {
  const reply: unknown = await fetch(`${url}/api/v1/login-links`, { method: 'POST', headers: { authorization: `Bearer ${adminToken}` } })
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null)
  return typeof reply === 'object' && reply !== null && 'url' in reply && typeof reply.url === 'string' ? reply.url : null
}
