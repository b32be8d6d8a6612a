/**
 * One world from its script to its end: machines with real agents, the real coordinator, a network between them, people,
 * and what goes wrong. After the faults everything is mended and left alone; it is over when every job is final, every
 * spool empty and every log whole, and a world in which that never comes has broken a promise as well [I8].
 */
import type { RefusalBody } from '../../schema/refusal.ts'
import type { SyncReply, SyncRequest } from '../../schema/sync.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { placesOf } from './acts.ts'
import { SimCoordinator } from './coordinator.ts'
import { Faults } from './faults.ts'
import { SimMachine, type SimProcess, type Surroundings } from './machine.ts'
import { People } from './people.ts'
import type { Script } from './script.ts'
import { VirtualTime } from './time.ts'
import { Watch } from './watch.ts'
import { MINUTE, SECOND, type Violation } from './watch/truth.ts'
import { Wire } from './wire.ts'
import { SimWorker } from './worker.ts'

/** After the faults and beside the work: long enough for every lease, grace, quarantine and backoff one after the other. */
const HEALS_WITHIN_MS = 90 * MINUTE
/** A supervisor starts an agent again that ended by itself. */
const SUPERVISED_AFTER_MS = 10 * SECOND
const LOOKS_EVERY_MS = 5 * SECOND

export interface Report {
  readonly violations: readonly Violation[]
  readonly jobs: number
  readonly syncs: number
  readonly steps: number
  readonly lost: number
  /** Virtual milliseconds until it was over. */
  readonly lastedMs: number
  readonly trace: readonly string[]
}

export async function live(script: Script, { trace = false, steps = Infinity } = {}): Promise<Report> {
  const world = new World(script, trace, steps)
  const { error } = console
  console.error = (text: unknown) => world.tell('coordinator', String(text)) // as its platform keeps what it says
  try {
    return await world.live()
  } finally {
    console.error = error
    world.end()
  }
}

class World {
  readonly #script: Script
  readonly #time = new VirtualTime()
  readonly #machines = new Map<string, SimMachine>()
  readonly #coordinator: SimCoordinator
  readonly #worker: SimWorker
  readonly #watch: Watch
  readonly #wire: Wire
  readonly #people: People
  readonly #faults: Faults
  readonly #trace: string[] | null
  readonly #steps: number
  #pids = 1000

  constructor(script: Script, trace: boolean, steps: number) {
    this.#script = script
    this.#steps = steps
    this.#trace = trace ? [] : null
    const time = this.#time
    this.#watch = new Watch({ time, machines: () => this.#machines.values(), coordinator: () => this.#coordinator, people: () => this.#people })
    this.#coordinator = new SimCoordinator(time, this.#watch, script.seed)
    this.#worker = new SimWorker(this.#coordinator, this.#watch)
    this.#people = new People(time, this.#coordinator, { asks: (attempt, what) => this.tell(attempt, what), refused: (...call) => this.#watch.steps.refused(...call), cancels: (...call) => this.#watch.steps.cancels(...call), canceled: (...call) => this.#watch.steps.canceled(...call), retries: (asked) => this.#watch.steps.retries(asked) })
    this.#wire = new Wire(time, script.seed, () => this.#worker, {
      sends: (process, path, body) => this.#sends(process, path, body),
      replied: (process, path) => path === '/v1/agent/sync' && this.#watch.messages.replied(process),
      heard: (process, path, body, status) => this.#heard(process, path, body, status),
    })
    const around = this.#surroundings()
    this.#faults = new Faults({ time, watch: this.#watch, coordinator: this.#coordinator, wire: this.#wire, people: this.#people, machines: this.#machines, around, tell: (who, text) => this.tell(who, text) })
    for (const plan of script.agents) this.#machines.set(plan.name, new SimMachine(plan, around))
  }

  /** Of each machine. */
  #surroundings(): Surroundings {
    const { machines, end, truth } = this.#watch
    const startSoon = (machine: SimMachine): void => {
      this.#time.after(SUPERVISED_AFTER_MS, () => machine.start())
    }
    return {
      time: this.#time,
      seed: this.#script.seed,
      wire: this.#wire,
      job: (name) => this.#people.job(name),
      head: () => this.#faults.head(),
      nextPid: () => (this.#pids += 1),
      trace: (machine, text) => this.tell(machine.plan.name, text),
      going: (machine, path) => machines.going(machine, path),
      spawned: (machine, attempt, name, isAlive) => {
        this.tell(machine.plan.name, `starts the command of ${attempt}`)
        machines.starts(machine, attempt)
        this.#people.commandBegins(attempt, name, isAlive)
      },
      commandEnds: (attempt) => machines.commandEnds(attempt),
      printed: (attempt, text) => end.printed(attempt, text),
      ended: (machine, code) => {
        this.tell(machine.plan.name, `ended with ${code}`)
        startSoon(machine)
      },
      killedByJob: (machine) => {
        this.tell(machine.plan.name, 'was killed by its job')
        truth.fault(machine.plan.name, MINUTE)
        startSoon(machine)
      },
      crashed: (machine, error) => machines.crashed(machine, error),
    }
  }

  async live(): Promise<Report> {
    const time = this.#time
    const { truth, times, end } = this.#watch
    await this.#people.settle()
    for (const [at, machine] of [...this.#machines.values()].entries()) time.after(at * 700, () => machine.start())
    for (const { at, what } of this.#script.happenings) time.after(at, () => this.#faults.happen(what))
    time.after(this.#script.faultsUntil, () => this.#faults.heal())
    const lookAgain = (): void => {
      times.look()
      time.after(LOOKS_EVERY_MS, lookAgain)
    }
    time.after(LOOKS_EVERY_MS, lookAgain)
    let lookedAt = 0
    await time.run(this.#script.faultsUntil + HEALS_WITHIN_MS + workMs(this.#script), () => {
      if (truth.violations.length > 0 || time.steps >= this.#steps) return true
      if (!this.#faults.isOver || time.now - lookedAt < SECOND) return false
      lookedAt = time.now
      return end.whatIsLeft() === ''
    })
    if (truth.violations.length === 0 && time.steps < this.#steps) end.judge()
    return {
      violations: truth.violations,
      jobs: truth.jobs.size,
      syncs: this.#worker.syncs,
      steps: time.steps,
      lost: this.#watch.lost,
      lastedMs: time.now,
      trace: this.#trace ?? [],
    }
  }

  end(): void {
    for (const { process } of this.#machines.values()) if (process !== null) process.isAlive = false
    this.#coordinator.close()
  }

  tell(who: string, text: string): void {
    this.#trace?.push(`${(this.#time.now / SECOND).toFixed(3).padStart(10)}  ${who.padEnd(12)} ${text}`)
  }

  // Messages.

  #sends(process: SimProcess, path: string, body: string | Uint8Array): void {
    const log = /^\/v1\/attempts\/([^/]+)\/log\?/.exec(path)?.[1]
    if (log !== undefined) this.#watch.machines.sendsLog(process, log)
    if (path !== '/v1/agent/sync') return
    const request = JSON.parse(String(body)) as SyncRequest & ParsedSync // as the agent composed it
    this.#watch.messages.sends(process, request)
    for (const { attempt } of request.finished) this.#watch.messages.sendsResult(process, attempt)
    this.tell(process.machine.plan.name, `→ sync ${request.boot_seq}/${request.seq}${list('running', request.running.map(({ attempt }) => attempt))}${list('finished', request.finished.map(({ attempt }) => attempt))}${list('lost', request.lost.map(({ attempt }) => attempt))}${request.state === 'ready' ? '' : ` ${request.state}`}`)
  }

  #heard(process: SimProcess, path: string, body: string, status: number): void {
    if (path !== '/v1/agent/sync') return
    if (status !== 200) {
      const { code } = (JSON.parse(body) as RefusalBody).error // as the coordinator made it
      this.tell(process.machine.plan.name, `← refused: ${code}`)
      return this.#watch.messages.hearsRefusal(process, code)
    }
    const reply = JSON.parse(body) as SyncReply // as the coordinator made it
    this.#watch.messages.hears(process, reply)
    this.tell(process.machine.plan.name, `← reply${list('verdicts', reply.verdicts.map(({ attempt, verdict }) => `${attempt} ${verdict}`))}${list('directives', reply.directives.map(({ attempt, directive }) => `${directive} ${attempt}`))}${list('assigned', reply.assignments.map(({ attempt }) => attempt))} next ${(reply.next_sync_ms / SECOND).toFixed(1)} s`)
  }
}

/** How long one agent with one slot would take for all that is asked for: in some worlds a single one has the tags of it all. */
function workMs({ happenings }: Script): number {
  const plans = happenings.flatMap(({ what }) => (what.kind === 'build' ? [what.job, ...placesOf(what).flatMap(({ plans, number }) => (plans[number]?.jobs ?? []).flatMap((job) => job ?? []))] : []))
  return plans.reduce((sum, { prepareMs, runMs }) => sum + prepareMs + runMs, 0)
}

function list(name: string, of: readonly string[]): string {
  return of.length === 0 ? '' : ` ${name} ${of.join(', ')}`
}
