/**
 * What bars are measured on: the real coordinator in workerd, real agents as processes, a bare object for a floor; all
 * on loopback, in folders of their own. Whatever is opened here is gone after `clearAway`, however the bar ended.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCoordinator, type Coordinator } from '../../agent/embedded.ts'
import { startBareWorker } from '../support/bare-worker.ts'
import { client, type Client } from '../support/client.ts'
import { endProcess, pidsOf } from '../support/process-list.ts'

/** As it is published; `npm run bench` builds it first. */
const MAIN = new URL('../../dist/kedge.mjs', import.meta.url).pathname
const STOPPED_WITHIN_MS = 5000

const undo: (() => Promise<void>)[] = []

export async function clearAway(): Promise<void> {
  for (const step of undo.splice(0).reverse()) {
    await step().catch((error: unknown) => console.error(`bench: could not clear away: ${error instanceof Error ? error.message : String(error)}`))
  }
}

export function afterwards(step: () => Promise<void>): void {
  undo.push(step)
}

/** Gone after the bar, with every process that was started for it. */
export async function ownFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kedge-bench-'))
  afterwards(async () => {
    for (const pid of pidsOf(folder)) endProcess(pid)
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return folder
}

export interface Site extends Coordinator {
  readonly folder: string
  readonly people: Client
}

export async function openCoordinator(): Promise<Site> {
  const folder = await ownFolder()
  const coordinator = await startCoordinator({ host: '127.0.0.1', port: 0, state: join(folder, 'coordinator') })
  afterwards(() => coordinator.stop())
  return { ...coordinator, folder, people: client(coordinator) }
}

export interface AgentProcess {
  readonly name: string
  readonly pid: number
  /** `SIGKILL`, and gone when this returns. */
  kill9(): Promise<void>
}

/** Joined, idle and attached when this returns, unless `joins` is false. */
export async function openAgent(site: Site, { slots = 1, name = 'bench', url = site.url, joins = true } = {}): Promise<AgentProcess> {
  const child = spawn(process.execPath, [MAIN, 'agent', '--url', url, '--name', name, '--slots', String(slots), '--state', join(site.folder, name)], {
    cwd: site.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: site.folder, KEDGE_REGISTRATION_TOKEN: site.registrationToken, GIT_CONFIG_GLOBAL: '/dev/null' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-4000)))
  const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const kill9 = async () => {
    child.kill('SIGKILL')
    await ended
  }
  afterwards(async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS)
    await ended
    clearTimeout(late)
  })
  if (joins) {
    await site.people.agent(name).catch((error: unknown) => {
      throw new Error(`the agent did not join: ${said}`, { cause: error })
    })
  }
  return { name, pid: child.pid ?? 0, kill9 }
}

/** `script` exports `Bare` and a default. */
export async function openBare(script: string): Promise<string> {
  const worker = await startBareWorker({ name: 'bare', className: 'Bare', script, folder: join(await ownFolder(), 'state') })
  afterwards(() => worker.stop())
  return worker.url
}

/** The rest of a bare Worker: everything goes to its one object. */
export const TO_THE_OBJECT = 'export default { fetch: (request, env) => env.OBJECT.get(env.OBJECT.idFromName("one")).fetch(request) }\n'

export interface Poster {
  post(path: string, token: string, body: string): Promise<string>
}

/** The plainest client that keeps its connections; floor and figure use the same. */
export function poster(url: string, connections: number): Poster {
  const { hostname, port } = new URL(url)
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections })
  afterwards(async () => agent.destroy())
  return {
    post: (path, token, body) =>
      new Promise((resolve, reject) => {
        const request = http.request({ agent, hostname, port, path, method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
          response.once('end', () => (response.statusCode !== undefined && response.statusCode < 300 ? resolve(text) : reject(new Error(`POST ${path}: ${response.statusCode} ${text}`))))
        })
        request.once('error', reject)
        request.end(body)
      }),
  }
}
