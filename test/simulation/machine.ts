/**
 * A machine that an agent lives on: its disk, its processes and their commands. Killing the agent leaves its commands
 * running, as it does out there; only the next agent's own cleaning ends them, or the power.
 */
import { startAgent, type Agent, type AgentConfig } from '../../agent/agent.ts'
import type { CommandRequest, Machine, PrepareRequest } from '../../agent/machine.ts'
import type { Clock, Network } from '../../agent/platform.ts'
import type { RunningCommand } from '../../agent/runner/attempt.ts'
import type { AttemptId } from '../../schema/job.ts'
import { Dice } from './chance.ts'
import { SimDisk, type DiskUser } from './disk.ts'
import { jobName, type JobPlan } from './job-plan.ts'
import type { AgentPlan } from './script.ts'
import type { Owner, VirtualTime } from './time.ts'

export const STATE = '/state'
/** 2027-01-15, for what people see. */
export const EPOCH = 1_800_000_000_000

export interface Command {
  readonly attempt: AttemptId
  readonly pid: number
  readonly startedBy: SimProcess
  isAlive: boolean
  kill(signal: string): void
}

/** What the machine needs of the world around it. */
export interface Surroundings {
  readonly time: VirtualTime
  readonly seed: number
  readonly wire: { network(process: SimProcess): Network; hangUp(process: SimProcess): void }
  job(name: string): JobPlan
  /** What the branch points to now. */
  head(): string
  nextPid(): number
  trace(machine: SimMachine, text: string): void
  going(machine: SimMachine, path: string): void
  spawned(machine: SimMachine, attempt: AttemptId, name: string, isAlive: () => boolean): void
  commandEnds(attempt: AttemptId): void
  /** The agent took these bytes of the attempt's output. */
  printed(attempt: AttemptId, text: string): void
  ended(machine: SimMachine, code: number): void
  killedByJob(machine: SimMachine): void
  crashed(machine: SimMachine, error: unknown): void
}

/** One agent process. */
export class SimProcess implements DiskUser {
  isAlive = true
  frozenUntil = 0
  diesIn: number | null = null
  readonly pid: number
  readonly machine: SimMachine
  readonly startedAt: number
  agent: Agent | null = null
  /** When it was first told to stop. */
  stoppedAt: number | null = null
  /** What follows its death within a write. */
  mourned: (() => void) | null = null

  constructor(machine: SimMachine, { pid, startedAt }: { readonly pid: number; readonly startedAt: number }) {
    this.machine = machine
    this.pid = pid
    this.startedAt = startedAt
  }

  /** As by `kill -9`. */
  die(): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.machine.buried(this)
    this.mourned?.()
  }
}

export class SimMachine {
  readonly plan: AgentPlan
  readonly disk: SimDisk
  readonly table = new Set<Command>()
  process: SimProcess | null = null
  /** Its wall clock against the world's. */
  skewMs = 0
  /** What its monotonic clock missed while it was suspended. */
  sleptMs = 0
  /** Cleared when a person has switched it off for good. */
  isWanted = true
  isCloneOf: SimMachine | null = null
  /** Its disk went back in time once. */
  isRolledBack = false
  /** Attempts that had something in the spool when the power failed. */
  readonly torn = new Set<string>()
  /** When it last stood still. */
  thawedAt = 0
  starts = 0
  /** Its commands stand still with it. */
  readonly power: Owner = { isAlive: true, frozenUntil: 0 }
  readonly #around: Surroundings
  readonly #dice: Dice

  constructor(plan: AgentPlan, around: Surroundings) {
    this.plan = plan
    this.#around = around
    this.#dice = new Dice(around.seed, `machine ${plan.name}`)
    this.disk = new SimDisk(around.time, new Dice(around.seed, `disk ${plan.name}`), { going: (path) => around.going(this, path) })
  }

  /** Its disk is that of another, with what befell it there. */
  becomeCloneOf(other: SimMachine): void {
    this.disk.restore(other.disk.image())
    this.isCloneOf = other
    this.isRolledBack = other.isRolledBack
    for (const attempt of other.torn) this.torn.add(attempt)
  }

  /** Starts the agent, unless it runs. */
  start(): void {
    if (this.process !== null || !this.isWanted) return
    const around = this.#around
    const asleepFor = this.power.frozenUntil - around.time.now
    if (asleepFor > 0) return void around.time.after(asleepFor, () => this.start()) // nothing starts on a machine that sleeps
    const process = new SimProcess(this, { pid: around.nextPid(), startedAt: around.time.now })
    this.process = process
    const agent = this.#launch(process)
    process.agent = agent
    agent.ended.then(
      (code) => {
        if (!process.isAlive) return
        process.isAlive = false
        this.buried(process)
        around.ended(this, code)
      },
      (error: unknown) => around.crashed(this, error),
    )
  }

  /** Somebody starts another agent on the same folder; it must give way. */
  async secondProcess(): Promise<number> {
    const second = new SimProcess(this, { pid: this.#around.nextPid(), startedAt: this.#around.time.now })
    const code = await this.#launch(second).ended
    second.isAlive = false
    return code
  }

  #launch(process: SimProcess): Agent {
    const around = this.#around
    this.starts += 1
    const disk = this.disk.for(process)
    const config: AgentConfig = {
      url: 'http://kedge',
      registrationToken: this.plan.registrationToken,
      name: this.plan.name,
      slots: this.plan.slots,
      queue: this.plan.queue,
      tags: this.plan.tags,
      stateFolder: STATE,
      doorbell: this.plan.doorbell,
      timeScale: 1,
      limits: { health: { freeBytes: 100_000, freeShare: 0, freeInodes: 0 } },
    }
    const platform = { clock: this.#clock(process), chance: new Dice(around.seed, `agent ${this.plan.name} ${this.starts}`).asChance(), disk, network: around.wire.network(process) }
    const terminal = { line: (text: string) => around.trace(this, text), waiting: (text: string) => around.trace(this, text) }
    return startAgent(config, platform, terminal, this.#machine(process))
  }

  /** No process of the agent any more. */
  buried(process: SimProcess): void {
    if (this.process === process) this.process = null
    this.#around.wire.hangUp(process)
  }

  kill(): void {
    this.process?.die()
  }

  losePower(): void {
    this.process?.die()
    for (const command of this.table) command.kill('SIGKILL')
    this.table.clear()
    for (const path of this.disk.below(`${STATE}/spool`)) this.torn.add(path.slice(`${STATE}/spool/`.length).split('/', 1)[0] ?? '')
    this.disk.losePower()
    this.power.frozenUntil = 0 // whoever switches it on again wakes it too
  }

  freeze(ms: number): void {
    if (this.process !== null) this.process.frozenUntil = Math.max(this.process.frozenUntil, this.#around.time.now + ms)
  }

  /** All of it stands still, and its monotonic clock with it. */
  suspend(ms: number): void {
    this.freeze(ms)
    this.power.frozenUntil = Math.max(this.power.frozenUntil, this.#around.time.now + ms)
    this.sleptMs += ms
    this.thawedAt = this.power.frozenUntil
  }

  #clock(process: SimProcess): Clock {
    const { time } = this.#around
    const bornAt = time.now
    const sleptBefore = this.sleptMs
    let last = 0
    return {
      wall: () => EPOCH + Math.floor(time.now + this.skewMs),
      monotonic: () => (last = Math.max(last, time.now - bornAt - (this.sleptMs - sleptBefore))), // asleep it stands still, and never goes back
      after: (ms, call) => time.after(Math.max(1, Math.trunc(ms)), call, process), // as Node's timers count
    }
  }

  #machine(process: SimProcess): Machine {
    const around = this.#around
    const pause = (ms: number) => new Promise<void>((resolve) => void around.time.after(ms, resolve, process))
    return {
      host: { os: 'linux', arch: 'x64', hostname: this.plan.name },
      processes: {
        pid: process.pid,
        host: this.plan.name,
        startTime: async (pid) => (this.process?.pid === pid || [...this.table].some((command) => command.pid === pid) ? `started ${pid}` : null),
        claim: (path, text) => this.disk.claim(process, path, text),
      },
      selfTest: async () => null,
      killLeftovers: async (_, attempts) => {
        await pause(this.#dice.between(0, 50))
        for (const { attempt } of attempts) for (const command of this.table) if (command.attempt === attempt) command.kill('SIGKILL')
        return attempts.map(({ attempt }) => ({ attempt, survivors: [] }))
      },
      prepare: (request) => this.#prepare(request, process),
      startCommand: (request) => this.#spawn(request, process),
    }
  }

  async #prepare({ spec, log, signal }: PrepareRequest, process: SimProcess): Promise<{ readonly folder: string; readonly commit: string | null }> {
    const plan = this.#around.job(nameOf(spec))
    await new Promise<void>((resolve, reject) => {
      const takeBack = this.#around.time.after(plan.prepareMs, resolve, process)
      signal.addEventListener('abort', () => {
        takeBack()
        reject(new Error('the checkout was stopped'))
      }, { once: true })
    })
    if (plan.prepareFails) throw Object.assign(new Error('the commit is not on the remote'), { code: 'commit_missing' })
    const commit = spec.checkout === null ? null : (spec.checkout.commit ?? this.#around.head())
    if (commit !== null) log(`checked out ${commit}`)
    return { folder: `${STATE}/slots`, commit }
  }

  #spawn(request: CommandRequest, process: SimProcess): RunningCommand {
    const around = this.#around
    const { time } = around
    const { attempt } = request
    const name = nameOf(request.spec)
    const plan = around.job(name)
    const pid = around.nextPid()
    const taken: Promise<void>[] = []
    let stoppedBy: string | null = null
    let killAt = Infinity
    let resolve: (end: Awaited<RunningCommand['ended']>) => void = () => {}
    const ended = new Promise<Awaited<RunningCommand['ended']>>((settle) => (resolve = settle))
    const over = (exitStatus: number | null, signal: string | null): void => {
      if (!command.isAlive) return
      command.isAlive = false
      this.table.delete(command)
      around.commandEnds(attempt)
      // Whoever waits for it hears of it when it can.
      time.after(0.1, () => void Promise.all(taken).then(() => resolve({ exitStatus, signal, stoppedBy, leftovers: [], survivors: [] })), process)
    }
    const command: Command = { attempt, pid, startedBy: process, isAlive: true, kill: (signal) => over(null, signal) }
    this.table.add(command)
    around.spawned(this, attempt, name, () => command.isAlive)
    const stop = (why: string, graceMs = request.graceMs): void => {
      if (!command.isAlive) return
      stoppedBy ??= why
      if (plan.heedsTermAfterMs !== null) time.after(plan.heedsTermAfterMs, () => over(null, 'SIGTERM'), this.power)
      if (time.now + graceMs < killAt) {
        killAt = time.now + graceMs
        time.after(graceMs, () => over(null, 'SIGKILL'), this.power)
      }
    }
    for (const line of plan.lines) {
      time.after(line.atMs, () => {
        if (!command.isAlive || !process.isAlive) return
        const text = `${attempt} ${line.text}${line.isSecret ? ` ${this.#secrets(attempt)}` : ''}\n`
        time.after(0, () => {
          taken.push(request.output(new TextEncoder().encode(text)))
          around.printed(attempt, text)
        }, process)
      }, this.power)
    }
    time.after(request.timeoutMs, () => stop('timed_out'), process)
    time.after(plan.runMs, () => over(plan.exitStatus, null), this.power)
    if (plan.killsAgentAfterMs !== null) {
      time.after(plan.killsAgentAfterMs, () => {
        if (!command.isAlive || !process.isAlive) return
        process.die()
        around.killedByJob(this)
      }, this.power)
    }
    return { pid, startTime: `started ${pid}`, stop: (why, graceMs) => stop(why, graceMs), ended }
  }

  /** What a careless command prints: the credentials that lie on this machine. */
  #secrets(attempt: AttemptId): string {
    const text = [`${STATE}/agent.json`, `${STATE}/spool/${attempt}/spec.json`].map((path) => new TextDecoder().decode(this.disk.contents(path) ?? new Uint8Array())).join(' ')
    return (text.match(/kdg_(sec|att)_[\w.-]+/g) ?? []).join(' ')
  }
}

function nameOf({ command, env, step }: CommandRequest['spec']): string {
  return jobName({ command, env, parallel: step?.parallel })
}
