/**
 * `kedge dev`: a coordinator and agents on this machine, in one command, with all their state in one folder. The
 * agents are processes of their own: what a build does here is the same as anywhere.
 */
import type { Command } from 'commander'
import { parseForges } from '../../schema/forges.ts'
import { MOST_SLOTS } from './agent.ts'
import type { LocalAgents } from './local-agents.ts'
import { EXIT, Failure, type Surroundings } from './output.ts'
import { artifactDays, stateFolder, timeScale, wholeNumber } from './settings.ts'

interface DevFlags {
  readonly port: string
  readonly host: string
  readonly state?: string
  readonly agents: string
  readonly slots: string
  readonly json?: boolean
}

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
  const port = wholeNumber({ text: flags.port, from: '--port' }, { from: 0, to: 65_535 })
  const count = wholeNumber({ text: flags.agents, from: '--agents' }, { from: 0, to: 32 })
  const slots = wholeNumber({ text: flags.slots, from: '--slots' }, { from: 1, to: MOST_SLOTS })
  const state = stateFolder(flags.state, 'dev', surroundings)
  const scale = timeScale(surroundings)
  const days = artifactDays(surroundings)
  const forges = surroundings.environment['KEDGE_FORGES']
  const read = parseForges(forges)
  if (!read.ok) throw new Failure(EXIT.usage, `${read.message} It is in the environment of this command: mend it there, or leave it away.`)
  if (count > 0 && surroundings.os === 'win32') throw new Failure(EXIT.usage, 'agents do not run on Windows itself yet. Start kedge in WSL (wsl --install), or a coordinator alone with --agents 0.')
  let stops = 0
  let stopped = () => {}
  const told = new Promise<void>((resolve) => (stopped = resolve))
  let agents: LocalAgents | undefined
  surroundings.onStop(() => {
    stops += 1
    stopped()
    if (stops > 1) agents?.hurry()
  })

  const { CoordinatorError, startCoordinator } = await import('../embedded.ts')
  const coordinator = await startCoordinator({ host: flags.host, port, state, ...(scale === 1 ? {} : { timeScale: scale }), ...(days === undefined ? {} : { artifactDays: days }), ...(forges === undefined ? {} : { forges }), note: (text) => surroundings.note(text) }).catch((error: unknown) => {
    throw error instanceof CoordinatorError ? new Failure(EXIT.usage, error.message, { cause: error }) : error
  })
  const { url, adminToken, registrationToken } = coordinator
  const { startLocalAgents } = await import('./local-agents.ts')
  agents = startLocalAgents({ count, url, registrationToken, slots, state }, surroundings)
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
  await agents.stop()
  await coordinator.stop()
  surroundings.exit(EXIT.ok)
}

/** Null when the coordinator makes none: the token signs in as well. */
async function signInLink(url: string, adminToken: string): Promise<string | null> {
  const reply: unknown = await fetch(`${url}/api/v1/login-links`, { method: 'POST', headers: { authorization: `Bearer ${adminToken}` } })
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null)
  return typeof reply === 'object' && reply !== null && 'url' in reply && typeof reply.url === 'string' ? reply.url : null
}
