/**
 * Agents as their owners have them: processes of the built command line, each with a state folder on the disk. What their
 * commands begin is read from the file that each command writes its attempt into.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAttemptId, type AttemptId } from '../../schema/job.ts'
import { memoryOf } from '../support/process-list.ts'
import type { Place } from './place.ts'
import type { Record } from './record.ts'

export interface RealAgent {
  readonly name: string
  readonly isThere: boolean
  start(): void
  kill(): Promise<void>
  /** By SIGTERM, once; resolves when it has ended. */
  stop(): Promise<void>
  /** Resident, in MiB, and since when, in seconds; null while it is away. */
  memory(): { readonly mib: number; readonly seconds: number } | null
}

export interface RealAgentSettings {
  readonly place: Place
  readonly name: string
  readonly url: string
  readonly registrationToken: string
  readonly record: Record
}

export function createRealAgent({ place, name, url, registrationToken, record }: RealAgentSettings): RealAgent {
  const state = join(place.folder, name)
  let child: ChildProcess | null = null
  let since = 0
  let isExpected = false
  let said = ''

  const gone = async (signal: NodeJS.Signals) => {
    const ending = child
    if (ending === null) return
    isExpected = true
    const id = existsSync(join(state, 'agent.json')) ? /a_[a-z0-9]{20}/.exec(readFileSync(join(state, 'agent.json'), 'utf8'))?.[0] : undefined
    if (id !== undefined) record.end(id)
    ending.kill(signal)
    await new Promise<void>((resolve) => (ending.exitCode !== null || ending.signalCode !== null ? resolve() : void ending.once('exit', () => resolve())))
    child = null
  }

  return {
    name,
    get isThere() {
      return child !== null
    },
    start: () => {
      isExpected = false
      since = performance.now()
      const mine = spawn(process.execPath, [place.main, 'agent', '--url', url, '--name', name, '--queue', 'short', '--state', state], {
        cwd: place.folder,
        env: { PATH: process.env['PATH'] ?? '', HOME: place.folder, KEDGE_REGISTRATION_TOKEN: registrationToken, GIT_CONFIG_GLOBAL: '/dev/null' },
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      })
      mine.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-2000)))
      mine.once('exit', (code, signal) => {
        if (!isExpected) record.complain(`${name} ended by itself with ${signal ?? code}: ${said}`)
        else if (signal === null && code !== 0) record.complain(`${name} was stopped and ended with ${code}: ${said}`)
      })
      child = mine
    },
    kill: () => gone('SIGKILL'),
    stop: () => gone('SIGTERM'),
    memory: () => {
      const mib = child?.pid === undefined ? Number.NaN : memoryOf(child.pid).mib
      return Number.isNaN(mib) ? null : { mib, seconds: (performance.now() - since) / 1000 }
    },
  }
}

/** The file that commands write their attempt into; `read` notes what is new. */
export function startedFile(place: Place, record: Record): { readonly path: string; read(): void } {
  const path = join(place.folder, 'started')
  writeFileSync(path, '')
  const file = openSync(path, 'r')
  const buffer = Buffer.alloc(64 * 1024)
  let line = ''
  return {
    path,
    read: () => {
      for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
        const lines = `${line}${buffer.toString('utf8', 0, length)}`.split('\n')
        line = lines.pop() ?? ''
        for (const one of lines) if (parseAttemptId(one) !== null) record.started(one as AttemptId, 'short') // the test before it says so
      }
    },
  }
}
