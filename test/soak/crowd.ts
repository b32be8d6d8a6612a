/**
 * Protocol-true agents, a thousand in one process: the agent's own loop, spool, journal and doorbell, over real HTTP and
 * real sockets. Only disk and commands are made up. What one would get wrong is a death: a killed agent's calls never
 * come back to it, its timers never fire, its disk stays as it is, and its commands go on without it.
 */
import { startAgent, type Agent } from '../../agent/agent.ts'
import type { CommandRequest, Machine } from '../../agent/machine.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Answered, Clock, Network } from '../../agent/platform.ts'
import type { RunningCommand } from '../../agent/runner/attempt.ts'
import type { AttemptId } from '../../schema/job.ts'
import { Dice } from '../simulation/chance.ts'
import { SimDisk, type DiskUser } from '../simulation/disk.ts'
import { VirtualTime } from '../simulation/time.ts'
import type { QueueName, Record } from './record.ts'
import { outputOf, readCommand } from './script.ts'

const STATE = '/state'
/** Of a disk that is neither slow nor fails: nothing of it takes time. */
const NO_TIME = new VirtualTime()
const { clock, network } = nodePlatform()
let pids = 2 ** 30

export interface MemberSettings {
  readonly name: string
  readonly url: string
  readonly registrationToken: string
  readonly queue: QueueName
  readonly slots: number
  readonly doorbell: boolean
  readonly seed: number
  readonly record: Record
}

/** One process of an agent. */
class Life implements DiskUser {
  isAlive = true
  frozenUntil = 0
  diesIn = null
  readonly pid = (pids += 1)
  readonly timers = new Set<() => void>()
  readonly sockets = new Set<{ close(): void }>()
  readonly #calls = new Set<AbortController>()
  #bury: () => void = () => {}
  /** What ends with it. A dead agent never says that it has ended. */
  readonly gone = new Promise<void>((resolve) => (this.#bury = resolve))

  die(): void {
    this.isAlive = false
    this.#bury()
    for (const takeBack of this.timers) takeBack()
    for (const socket of this.sockets) socket.close()
    for (const call of this.#calls) call.abort()
  }

  /** A call that ends with its caller's signal, or with this life. */
  async call<T>(signal: AbortSignal, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const call = new AbortController()
    const forward = () => call.abort()
    signal.addEventListener('abort', forward, { once: true })
    this.#calls.add(call)
    try {
      return await act(call.signal)
    } finally {
      signal.removeEventListener('abort', forward)
      this.#calls.delete(call)
    }
  }
}

export class Member {
  readonly settings: MemberSettings
  readonly #disk: SimDisk
  /** Commands that run, also those of a killed agent. */
  readonly #commands = new Map<AttemptId, NodeJS.Timeout>()
  #life: Life | null = null
  #agent: Agent | null = null
  #starts = 0
  /** Since when each empty slot is empty; null until the agent was heard, or while it may have no work. */
  #free: number[] | null = null
  #paceMs = 0
  #isStopping = false

  constructor(settings: MemberSettings) {
    this.settings = settings
    this.#disk = new SimDisk(NO_TIME, new Dice(settings.seed, `disk ${settings.name}`), { going: () => {} })
  }

  get isThere(): boolean {
    return this.#life !== null
  }

  /** Somebody who dies at rest loses nothing. */
  get isBuilding(): boolean {
    return this.#life !== null && this.#commands.size > 0
  }

  start(): void {
    const { name, url, registrationToken, queue, slots, doorbell, seed, record } = this.settings
    this.#starts += 1
    const life = new Life()
    this.#life = life
    this.#free = null
    this.#isStopping = false
    const agent = startAgent(
      { url, registrationToken, name, slots, queue, tags: [], stateFolder: STATE, doorbell, timeScale: 1 },
      { clock: clockOf(life), chance: new Dice(seed, `agent ${name} ${this.#starts}`).asChance(), disk: this.#disk.for(life), network: this.#network(life) },
      { line: (text) => this.#read(text), waiting: () => {} },
      this.#machine(life),
    )
    this.#agent = agent
    agent.ended.then(
      (code) => {
        if (!life.isAlive) return
        life.die()
        if (this.#life === life) this.#life = null
        if (code !== 0) record.complain(`${name} ended by itself with ${code}`)
      },
      (error: unknown) => record.complain(`${name} crashed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
    )
  }

  /** As by `kill -9`. */
  kill(): void {
    if (this.#life === null) return
    this.#note()
    this.#life.die()
    this.#life = null
    this.#free = null
  }

  /** As by SIGTERM, once, however often this is called; resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#life === null || this.#agent === null) return
    this.#free = null
    if (!this.#isStopping) {
      this.#isStopping = true
      this.#note()
      this.#agent.stop()
    }
    await this.#life.gone
  }

  /** Slots that are still empty, for as long as they have been. */
  closeGaps(): void {
    if (this.settings.queue === 'deep' && this.settings.record.depth > 0) for (const from of this.#free ?? []) this.settings.record.gap(from, this.#paceMs)
    this.#free = null
  }

  endCommands(): void {
    for (const timer of this.#commands.values()) clearTimeout(timer)
    this.#commands.clear()
  }

  #note(): void {
    const id = /a_[a-z0-9]{20}/.exec(new TextDecoder().decode(this.#disk.contents(`${STATE}/agent.json`) ?? new Uint8Array()))?.[0]
    if (id !== undefined) this.settings.record.end(id)
  }

  #read(text: string): void {
    if (/Please report|cannot write|corrupt|takes over|stands by|does not let/.test(text)) this.settings.record.complain(`${this.settings.name}: ${text}`)
  }

  #network(life: Life): Network {
    const { record } = this.settings
    return {
      fetch: async (url, init) => {
        if (!life.isAlive) return await new Promise<never>(() => {})
        const what = /\/(register|spec|seal|log)\b/.exec(url)?.[1] ?? 'sync'
        record.request(what)
        const since = performance.now()
        try {
          const { bytes, ...answer } = await life.call(init.signal, async (signal) => {
            const { status, ok, headers, body } = await network.fetch(url, { ...init, signal })
            return { status, ok, headers, bytes: await bytesOf(body) }
          })
          if (what === 'sync' && answer.ok) this.#heard(since, String(bytes), life)
          return { ...answer, body: once(bytes) }
        } catch (error) {
          if (!life.isAlive) return await new Promise<never>(() => {})
          record.unanswered += 1
          throw error
        }
      },
      openSocket: (url, headers, events) => {
        const alive = <T extends readonly unknown[]>(call: (...words: T) => void) => (...words: T) => void (life.isAlive && call(...words))
        const socket = network.openSocket(url, headers, {
          opened: alive(events.opened),
          message: alive(events.message),
          pong: alive(events.pong),
          closed: alive((why: string) => {
            life.sockets.delete(socket)
            events.closed(why)
          }),
        })
        life.sockets.add(socket)
        return socket
      },
    }
  }

  /** What a reply says that is of interest here; the agent reads it for itself. */
  #heard(since: number, text: string, life: Life): void {
    const { record, queue, slots } = this.settings
    const reply = JSON.parse(text) as { verdicts: { attempt: AttemptId; verdict: string }[]; assignments: unknown[]; next_sync_ms: number; held_back: unknown } // of the coordinator itself
    for (const { attempt, verdict } of reply.verdicts) record.verdict(attempt, verdict, queue)
    record.sync(since, { isClaim: reply.assignments.length > 0, queue })
    if (!life.isAlive) return
    this.#paceMs = reply.next_sync_ms
    if (reply.held_back !== null || this.#isStopping) this.#free = null
    else this.#free ??= Array.from({ length: slots - this.#commands.size }, () => performance.now())
  }

  #machine(life: Life): Machine {
    const { name } = this.settings
    return {
      host: { os: 'linux', arch: 'x64', hostname: name },
      processes: {
        pid: life.pid,
        host: name,
        startTime: async (pid) => (this.#life?.pid === pid ? `started ${pid}` : null),
        claim: (path, text) => this.#disk.claim(life, path, text),
      },
      selfTest: async () => null,
      killLeftovers: async (_, attempts) => {
        this.endCommands()
        return attempts.map(({ attempt }) => ({ attempt, survivors: [] }))
      },
      prepare: async () => ({ folder: STATE, commit: null }),
      startCommand: (request) => this.#startCommand(request, life),
    }
  }

  #startCommand({ spec, attempt, output }: CommandRequest, life: Life): RunningCommand {
    const { name, record, queue, slots } = this.settings
    record.started(attempt, queue)
    const from = this.#free?.shift()
    if (from !== undefined && queue === 'deep' && record.depth > 0) record.gap(from, this.#paceMs)
    const script = readCommand(spec.command)
    let stoppedBy: string | null = null
    let resolve: (end: Awaited<RunningCommand['ended']>) => void = () => {}
    const ended = new Promise<Awaited<RunningCommand['ended']>>((settle) => (resolve = settle))
    const text = outputOf(script)
    if (text !== '') record.printed.set(attempt, text)
    const printed = text === '' ? Promise.resolve() : output(new TextEncoder().encode(text))
    const over = (exitStatus: number | null, signal: string | null) => {
      if (!this.#commands.delete(attempt) || !life.isAlive) return
      if (this.#life === life) this.#free?.push(performance.now())
      if (queue === 'deep' && exitStatus !== null) {
        record.busyBuilds += 1
        record.busySeconds += script.seconds
      }
      void printed.then(() => resolve({ exitStatus, signal, stoppedBy, leftovers: [], survivors: [] }))
    }
    if (this.#commands.size >= slots) record.complain(`${name} runs ${attempt} beside ${[...this.#commands.keys()].join(', ')}, and has ${slots} ${slots === 1 ? 'slot' : 'slots'}`) // I15
    this.#commands.set(attempt, setTimeout(() => over(script.exitStatus, null), 1000 * script.seconds))
    const stop = (why: string) => {
      clearTimeout(this.#commands.get(attempt))
      stoppedBy ??= why
      over(null, 'SIGTERM')
    }
    return { pid: life.pid, startTime: null, stop, ended }
  }
}

function clockOf(life: Life): Clock {
  return {
    ...clock,
    after: (ms, call) => {
      if (!life.isAlive) return () => {}
      const takeBack = clock.after(ms, () => {
        life.timers.delete(forget)
        call()
      })
      const forget = () => {
        life.timers.delete(forget)
        takeBack()
      }
      life.timers.add(forget)
      return forget
    },
  }
}

async function bytesOf(body: Answered['body']): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of body ?? []) pieces.push(piece)
  return Buffer.concat(pieces)
}

function once(bytes: Uint8Array): NonNullable<Answered['body']> {
  const pieces = (async function* () {
    yield bytes
  })()
  return Object.assign(pieces, { cancel: async () => undefined })
}
