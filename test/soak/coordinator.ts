/**
 * The coordinator under a soak: `kedge dev` without agents, a process of its own with workerd below it, which may be
 * killed and started again on the same folder and port. In a process group of its own, so that Ctrl-C reaches only
 * whoever puts everything away in order.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { portOfItsOwn } from '../support/port.ts'
import { childrenOf, commandLine, endProcess, lives, memoryOf } from '../support/process-list.ts'
import type { Place } from './place.ts'

const READY_MS = 120_000
const STOPPED_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 50

export interface Coordinator {
  readonly url: string
  readonly adminToken: string
  readonly registrationToken: string
  /** Where its databases lie. */
  readonly state: string
  /** workerd alone, as when it runs out of memory; resolves when the next one answers. */
  killRuntime(): Promise<void>
  /** Both at once, as a power cut would. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
  /** Of workerd, in MiB, and for how many seconds it has been there; null while it is away. */
  memory(): { readonly mib: number; readonly seconds: number } | null
  /** The last that it printed. */
  lastWords(): string
}

export async function openCoordinator(place: Place): Promise<Coordinator> {
  const port = await portOfItsOwn()
  const state = join(place.folder, 'coordinator')
  let child: ChildProcess
  let printed = ''
  let runtime: { readonly pid: number; readonly since: number } | null = null

  const start = async () => {
    printed = ''
    child = spawn(process.execPath, [place.main, 'dev', '--agents', '0', '--json', '--port', String(port), '--state', state], {
      cwd: place.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: place.folder, TMPDIR: place.folder },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (printed = `${printed}${text}`.slice(-8000)))
    const until = performance.now() + READY_MS
    for (;;) {
      const said = /^\{"url".*\}$/m.exec(printed)?.[0]
      if (said !== undefined) return JSON.parse(said) as { url: string; admin_token: string; registration_token: string } // what `kedge dev --json` prints
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > until) throw new Error(`the coordinator does not start: ${printed}`)
      await pause(LOOK_EVERY_MS)
    }
  }
  const runtimePid = () => childrenOf(child.pid ?? 0).find((pid) => commandLine(pid).includes('workerd'))
  const ended = () => new Promise<void>((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve() : void child.once('exit', () => resolve())))
  const said = await start()

  return {
    url: said.url,
    adminToken: said.admin_token,
    registrationToken: said.registration_token,
    state,
    killRuntime: async () => {
      const pid = runtimePid()
      if (pid !== undefined) endProcess(pid, 'SIGKILL')
      await pause(LOOK_EVERY_MS)
      const until = performance.now() + READY_MS
      while (!(await answers(said.url))) {
        if (performance.now() > until) throw new Error(`workerd was killed and nothing answers at ${said.url} any more: ${printed}`)
        await pause(LOOK_EVERY_MS)
      }
    },
    kill: async () => {
      const all = [...childrenOf(child.pid ?? 0), child.pid ?? 0]
      for (const pid of all) endProcess(pid, 'SIGKILL')
      await ended()
      while (all.some(lives)) await pause(LOOK_EVERY_MS)
    },
    start: async () => void (await start()),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS)
      await ended()
      clearTimeout(late)
    },
    memory: () => {
      const pid = runtimePid()
      if (pid === undefined) return null
      if (runtime?.pid !== pid) runtime = { pid, since: performance.now() }
      const mib = memoryOf(pid).mib
      return Number.isNaN(mib) ? null : { mib, seconds: (performance.now() - runtime.since) / 1000 }
    },
    lastWords: () => printed,
  }
}

async function answers(url: string): Promise<boolean> {
  return await fetch(`${url}/v1/proto`, { signal: AbortSignal.timeout(1000) }).then(async (response) => ((await response.text()), response.ok), () => false)
}
