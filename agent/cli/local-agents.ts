/**
 * Agents on this machine as processes of their own, so that one that dies takes nobody along; each is started again on
 * the same state folder, where it tells what was lost [C4.7]. They end with us: an agent whose starter is gone stops.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Surroundings } from './output.ts'

export interface LocalAgentsOptions {
  readonly count: number
  readonly url: string
  readonly registrationToken: string
  readonly slots: number
  /** Absolute; each agent has its own folder in it. */
  readonly state: string
}

export interface LocalAgents {
  /** What runs is handed back, and goes on at the next start. */
  stop(): Promise<void>
  /** Whoever is still stopping ends at once. */
  hurry(): void
}

/** An agent that ends by itself is started again after this; one that never lives long, later and later. */
const RESTART_MS = 1000
const RESTART_SLOWEST_MS = 30_000
const LIVED_MS = 20_000

export function startLocalAgents(options: LocalAgentsOptions, surroundings: Pick<Surroundings, 'self' | 'environment' | 'note'>): LocalAgents {
  const running = new Map<number, ChildProcess>()
  const restarts = new Set<NodeJS.Timeout>()
  let isStopping = false

  const start = (number: number, restartMs: number) => {
    const since = performance.now()
    const child = spawnAgent(number, options, surroundings)
    running.set(number, child)
    child.once('error', (error) => surroundings.note(`cannot start agent ${number}: ${error.message}`))
    child.once('exit', (code, signal) => {
      running.delete(number)
      if (isStopping) return
      const waitMs = performance.now() - since > LIVED_MS ? RESTART_MS : restartMs
      surroundings.note(`agent ${number} ended (${signal ?? `exit ${code}`}); it is started again in ${waitMs / 1000} s`)
      const timer = setTimeout(() => {
        restarts.delete(timer)
        start(number, Math.min(2 * waitMs, RESTART_SLOWEST_MS))
      }, waitMs)
      restarts.add(timer)
    })
  }
  for (let number = 1; number <= options.count; number++) start(number, RESTART_MS)

  return {
    stop: async () => {
      isStopping = true
      for (const timer of restarts) clearTimeout(timer)
      await Promise.all([...running.values()].map(ended))
    },
    hurry: () => {
      for (const child of running.values()) child.kill('SIGTERM') // the third step of its stopping [C14]
    },
  }
}

function spawnAgent(number: number, { url, registrationToken, slots, state }: LocalAgentsOptions, { self, environment }: Pick<Surroundings, 'self' | 'environment'>): ChildProcess {
  const [program, ...first] = self
  const name = number === 1 ? hostname() : `${hostname()}-${number}`
  const args = [...first, 'agent', '--url', url, '--name', name, '--slots', String(slots), '--state', join(state, 'agents', String(number))]
  return spawn(program, args, {
    // The token goes by environment: arguments are there for every user of the machine to see. Those of forges are no agent's affair.
    env: { ...environment, KEDGE_FORGES: undefined, KEDGE_REGISTRATION_TOKEN: registrationToken },
    stdio: ['ignore', 2, 2, 'ipc'],
    detached: true, // Ctrl-C in the terminal comes to us alone, and goes on from here in order
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exit = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  if (child.connected) child.send('stop')
  else child.kill('SIGTERM')
  await exit
}
