/**
 * One world from its script to its end: machines with real agents, the real coordinator, a network between them, people,
 * and what goes wrong. After the faults everything is mended and left alone; it is over when every job is final, every
 * spool empty and every log whole, and a world in which that never comes has broken a promise as well [I8].
 */
import type { AttemptId } from '../../schema/job.ts'
import { parseJson } from '../../schema/parse-json.ts'
import type { RefusalBody } from '../../schema/refusal.ts'
import type { SyncReply, SyncRequest } from '../../schema/sync.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { SimCoordinator } from './coordinator.ts'
import { GOOD_LINK } from './link.ts'
import { SimMachine, STATE, type SimProcess } from './machine.ts'
import { People } from './people.ts'
import type { Happening, Script } from './script.ts'
import { VirtualTime } from './time.ts'
import { Watch, type Violation } from './watch.ts'
import { Wire } from './wire.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
/** After the faults: long enough for every lease, grace, quarantine and backoff one after the other. */
const HEALS_WITHIN_MS = 90 * MINUTE
/** A supervisor starts an agent again that ended by itself. */
const SUPERVISED_AFTER_MS = 10 * SECOND

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
  readonly #watch: Watch
  readonly #wire: Wire
  readonly #people: People
  /** Attempts of which a disk that was rolled back holds less than it did. */
  readonly #forgotten = new Set<string>()
  readonly #printed = new Map<string, string>()
  readonly #images = new Map<string, Map<string, Uint8Array>>()
  readonly #trace: string[] | null
  readonly #steps: number
  #pids = 1000
  #head = 1
  #heals = false
  #clones = 0
  readonly #around

  constructor(script: Script, trace: boolean, steps: number) {
    this.#script = script
    this.#steps = steps
    this.#trace = trace ? [] : null
    const time = this.#time
    this.#watch = new Watch(time, () => this.#machines.values(), () => this.#coordinator)
    this.#coordinator = new SimCoordinator(time, this.#watch)
    this.#people = new People(time, this.#coordinator)
    this.#wire = new Wire(time, script.seed, () => this.#coordinator, {
      sends: (process, path, body) => this.#sends(process, path, body),
      replied: (process, path, body) => path === '/v1/agent/sync' && this.#watch.replied(process, body as SyncReply),
      heard: (process, path, body, status) => this.#heard(process, path, body, status),
    })
    this.#around = {
      time,
      seed: script.seed,
      wire: this.#wire,
      job: (command: string) => this.#people.job(command),
      head: () => `${this.#head}`.padStart(40, '0'),
      nextPid: () => (this.#pids += 1),
      trace: (machine: SimMachine, text: string) => this.tell(machine.plan.name, text),
      going: (machine: SimMachine, path: string) => this.#watch.going(machine, path),
      spawned: (machine: SimMachine, attempt: AttemptId) => {
        this.tell(machine.plan.name, `starts the command of ${attempt}`)
        this.#watch.starts(machine, attempt)
      },
      commandEnds: (attempt: AttemptId) => this.#watch.commandEnds(attempt),
      printed: (attempt: AttemptId, text: string) => void this.#printed.set(attempt, (this.#printed.get(attempt) ?? '') + text),
      ended: (machine: SimMachine, code: number) => {
        this.tell(machine.plan.name, `ended with ${code}`)
        time.after(SUPERVISED_AFTER_MS, () => machine.start())
      },
      killedByJob: (machine: SimMachine) => {
        this.tell(machine.plan.name, 'was killed by its job')
        this.#watch.fault(machine.plan.name, 60 * SECOND)
        time.after(SUPERVISED_AFTER_MS, () => machine.start())
      },
      crashed: (machine: SimMachine, error: unknown) => this.#watch.violate('crash', `the agent on ${machine.plan.name} crashed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
    }
    for (const plan of script.agents) this.#machines.set(plan.name, new SimMachine(plan, this.#around))
  }

  async live(): Promise<Report> {
    const time = this.#time
    await this.#people.settle()
    this.#watch.classTags = (jobClass) => this.#coordinator.peek((cluster) => cluster.memory.classes.get(jobClass)?.tags) ?? []
    for (const [at, machine] of [...this.#machines.values()].entries()) time.after(at * 700, () => machine.start())
    for (const { at, what } of this.#script.happenings) time.after(at, () => this.#happen(what))
    time.after(this.#script.faultsUntil, () => this.#heal())
    const lookAgain = (): void => {
      this.#watch.look()
      time.after(5 * SECOND, lookAgain)
    }
    time.after(5 * SECOND, lookAgain)
    const most = this.#script.faultsUntil + HEALS_WITHIN_MS
    let lookedAt = 0
    await time.run(most, () => {
      if (this.#watch.violations.length > 0 || time.steps >= this.#steps) return true
      if (!this.#heals || time.now - lookedAt < SECOND) return false
      lookedAt = time.now
      return this.#isOver()
    })
    if (this.#watch.violations.length === 0 && time.steps < this.#steps) {
      if (!this.#isOver()) this.#watch.violate('I8', this.#whatIsLeft())
      else this.#checkEnd()
    }
    return {
      violations: this.#watch.violations,
      jobs: this.#watch.jobs.size,
      syncs: this.#coordinator.syncs,
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

  // What happens.

  #happen(what: Happening): void {
    this.tell('world', describe(what))
    const watch = this.#watch
    const coordinator = this.#coordinator
    const time = this.#time
    switch (what.kind) {
      case 'build':
        return this.#people.build(what)
      case 'push':
        this.#head += 1
        return
      case 'cancel':
      case 'retry':
      case 'watch':
        return this.#people.change(what.kind, what.key)
      case 'outage':
        if (!coordinator.isUp) return
        watch.fault('coordinator', what.forMs + 30 * SECOND)
        watch.outage(what.forMs)
        coordinator.goAway()
        time.after(what.forMs, () => this.#comeBack())
        return
      case 'evict':
        coordinator.evict()
        coordinator.logs.evict()
        return
      case 'die in event':
        watch.fault('coordinator', 30 * SECOND)
        watch.fault('object', 30 * SECOND)
        return coordinator.dieInEvent(what.writes)
      case 'alarm':
        watch.fault('coordinator', what.how === 'lost' ? 30 * SECOND : 0)
        if (what.how === 'lost') return coordinator.loseAlarm()
        time.after(0, () => coordinator.fireAlarm())
        if (what.how === 'twice') time.after(1, () => coordinator.fireAlarm())
        return
      case 'late alarms':
        watch.fault('coordinator', what.forMs + what.byMs)
        coordinator.lateAlarmsMs = what.byMs
        time.after(what.forMs, () => (coordinator.lateAlarmsMs = 0))
        return
      case 'blob store away':
        coordinator.logs.isBlobStoreAway = true
        time.after(what.forMs, () => (coordinator.logs.isBlobStoreAway = false))
        return
      case 'wall clock':
        if (what.agent === null) {
          watch.fault('coordinator', 3 * MINUTE)
          watch.fault('object', 3 * MINUTE)
          coordinator.skewMs += what.byMs
          return
        }
        break
      default:
    }
    const machine = this.#machines.get('agent' in what && what.agent !== null ? what.agent : '')
    if (machine !== undefined) this.#happenTo(machine, what)
  }

  #happenTo(machine: SimMachine, what: Happening): void {
    const watch = this.#watch
    const time = this.#time
    const { name } = machine.plan
    const startAgainAfter = (ms: number): void => {
      watch.fault(name, ms + 60 * SECOND)
      time.after(ms, () => machine.start())
    }
    const forAWhile = (ms: number, begin: () => void, end: () => void): void => {
      watch.fault(name, ms + 60 * SECOND)
      begin()
      time.after(ms, end)
    }
    switch (what.kind) {
      case 'drain':
      case 'resume':
      case 'revoke': {
        watch.fault(name, what.kind === 'resume' ? 60 * SECOND : 5 * MINUTE)
        const id = this.#identity(machine)
        if (id === null || (what.kind === 'revoke' && machine === this.#machines.values().next().value)) return
        // The first one stays: some jobs only it can run.
        if (what.kind === 'revoke') {
          machine.isWanted = false // its owner takes it away: it can deliver nothing any more
          time.after(5 * MINUTE, () => machine.kill())
        }
        return this.#people.agent(id, what.kind)
      }
      case 'kill':
        machine.kill()
        return startAgainAfter(what.awayMs)
      case 'power':
        machine.losePower()
        return startAgainAfter(what.awayMs)
      case 'die at disk': {
        const { process } = machine
        if (process === null) return
        watch.fault(name, 5 * MINUTE)
        process.diesIn = what.acts
        process.mourned = () => {
          this.tell(name, what.power ? 'loses power within a write' : 'dies within a write')
          if (what.power) machine.losePower()
          startAgainAfter(what.awayMs)
        }
        return
      }
      case 'freeze':
        watch.fault(name, what.forMs + 60 * SECOND)
        return machine.freeze(what.forMs)
      case 'suspend':
        watch.fault(name, what.forMs + 60 * SECOND)
        return machine.suspend(what.forMs)
      case 'stop':
        if (machine.process !== null) machine.process.stoppedAt ??= time.now
        for (let times = what.times; times > 0; times -= 1) machine.process?.agent?.stop()
        watch.fault(name, what.awayMs + 5 * MINUTE)
        return
      case 'second process': {
        if (machine.process === null) return
        const second = machine.secondProcess()
        void second.then((code) => code !== 2 && watch.violate('D3', `a second agent on the state folder of ${name} ended with ${code}`))
        return
      }
      case 'clone': {
        const clone = new SimMachine({ ...machine.plan, name: `${name}-clone-${(this.#clones += 1)}` }, this.#around)
        clone.disk.restore(machine.disk.image())
        clone.isCloneOf = machine
        this.#machines.set(clone.plan.name, clone)
        for (const who of [name, clone.plan.name]) watch.fault(who, what.forMs + 20 * MINUTE)
        clone.start()
        time.after(what.forMs, () => this.#takeAway(clone))
        return
      }
      case 'snapshot':
        this.#images.set(name, machine.disk.image())
        return
      case 'roll back': {
        const image = this.#images.get(name)
        if (image === undefined) return
        machine.losePower()
        this.#forget(machine, image)
        machine.disk.restore(image)
        machine.isRolledBack = true
        startAgainAfter(3 * SECOND)
        watch.fault(name, 10 * MINUTE) // with a boot number that was used already it stands by like a copy
        return
      }
      case 'link': {
        const link = this.#wire.link(name)
        return forAWhile(what.forMs, () => (link.state = { ...GOOD_LINK, ...what.change }), () => (link.state = GOOD_LINK))
      }
      case 'rings':
        watch.fault(`rings ${name}`, what.count * what.everyMs)
        for (let n = 0; n < what.count; n += 1) time.after(n * what.everyMs, () => this.#wire.ringFalsely(name))
        return
      case 'wall clock':
        watch.fault(name, MINUTE)
        machine.skewMs += what.byMs
        return
      case 'disk full':
        return forAWhile(what.forMs, () => (machine.disk.capacity = machine.disk.used()), () => (machine.disk.capacity = Infinity))
      case 'disk read-only':
        return forAWhile(what.forMs, () => (machine.disk.isReadOnly = true), () => (machine.disk.isReadOnly = false))
      case 'disk failing':
        return forAWhile(what.forMs, () => (machine.disk.failing = what.share), () => (machine.disk.failing = 0))
      case 'disk slow':
        return forAWhile(what.forMs, () => (machine.disk.slowness = what.atMostMs), () => (machine.disk.slowness = 0))
      default:
    }
  }

  /** A machine that is gone for good, with all that was only on it. */
  #takeAway(machine: SimMachine): void {
    this.#forget(machine, new Map())
    machine.isWanted = false
    machine.losePower()
  }

  #comeBack(): void {
    this.tell('world', 'the coordinator is back')
    this.#coordinator.comeBack()
  }

  /** Faults are over. */
  #heal(): void {
    this.tell('world', 'nothing goes wrong from here on')
    this.#heals = true
    if (!this.#coordinator.isUp) this.#comeBack()
    this.#coordinator.lateAlarmsMs = 0
    this.#coordinator.logs.isBlobStoreAway = false
    for (const machine of this.#machines.values()) {
      this.#wire.link(machine.plan.name).state = GOOD_LINK
      Object.assign(machine.disk, { capacity: Infinity, isReadOnly: false, failing: 0, slowness: 0 })
      if (machine.process !== null) machine.process.diesIn = null
      if (machine.isCloneOf !== null && machine.isWanted) this.#takeAway(machine)
      const id = this.#identity(machine)
      if (id !== null && machine.isWanted) this.#people.agent(id, 'resume')
      this.#watch.fault(machine.plan.name, 2 * MINUTE)
      this.#time.after(Math.max(0, (machine.process?.frozenUntil ?? 0) - this.#time.now), () => machine.start())
    }
    this.#watch.fault('coordinator', MINUTE)
  }

  #identity(machine: SimMachine): string | null {
    const text = parseJson(new TextDecoder().decode(machine.disk.contents(`${STATE}/agent.json`) ?? new Uint8Array()))
    return typeof text === 'object' && text !== null && 'agent_id' in text && typeof text.agent_id === 'string' ? text.agent_id : null
  }

  /** What a disk that is rolled back forgets is not the agent's doing. */
  #forget(machine: SimMachine, image: ReadonlyMap<string, Uint8Array>): void {
    for (const path of machine.disk.below(`${STATE}/spool`)) {
      if (image.has(path)) continue
      this.#forgotten.add(path.slice(`${STATE}/spool/`.length).split('/', 1)[0] ?? '')
      this.tell(machine.plan.name, `forgets ${path}`)
    }
  }

  // Messages.

  #sends(process: SimProcess, path: string, body: unknown): void {
    const log = /^\/v1\/attempts\/([^/]+)\/log\?/.exec(path)?.[1]
    if (log !== undefined) this.#watch.sendsLog(process, log)
    if (path !== '/v1/agent/sync') return
    const request = body as SyncRequest & ParsedSync // as the agent composed it
    this.#watch.sends(process, request)
    for (const { attempt } of request.finished) this.#watch.sendsResult(process, attempt)
    this.tell(process.machine.plan.name, `→ sync ${request.boot_seq}/${request.seq}${list('running', request.running.map(({ attempt }) => attempt))}${list('finished', request.finished.map(({ attempt }) => attempt))}${list('lost', request.lost.map(({ attempt }) => attempt))}${request.state === 'ready' ? '' : ` ${request.state}`}`)
  }

  #heard(process: SimProcess, path: string, body: unknown, status: number): void {
    if (path !== '/v1/agent/sync') return
    if (status !== 200) {
      const { code } = (body as RefusalBody).error // as the coordinator made it
      this.tell(process.machine.plan.name, `← refused: ${code}`)
      return this.#watch.hearsRefusal(process, code)
    }
    const reply = body as SyncReply // as the coordinator made it
    this.#watch.hears(process, reply)
    this.tell(process.machine.plan.name, `← reply${list('verdicts', reply.verdicts.map(({ attempt, verdict }) => `${attempt} ${verdict}`))}${list('directives', reply.directives.map(({ attempt, directive }) => `${directive} ${attempt}`))}${list('assigned', reply.assignments.map(({ attempt }) => attempt))} next ${(reply.next_sync_ms / SECOND).toFixed(1)} s`)
  }

  // The end.

  #isOver(): boolean {
    return this.#watch.violations.length > 0 || this.#whatIsLeft() === ''
  }

  #whatIsLeft(): string {
    for (const { plan, numbers } of this.#people.builds.values()) if (numbers.size === 0) return `build ${plan.key} was never answered`
    for (const job of this.#watch.jobs.values()) if (!this.#watch.isFinal(job)) return `${job.id} is ${job.state} for ever, with fence ${job.fence} at ${job.agent}`
    for (const machine of this.#machines.values()) {
      if (!machine.isWanted) continue
      const left = machine.disk.below(`${STATE}/spool`)
      if (left.length > 0) return `${machine.plan.name} keeps ${left.join(', ')} for ever`
      if (machine.table.size > 0) return `${[...machine.table].map(({ attempt }) => attempt).join(', ')} runs for ever on ${machine.plan.name}`
    }
    return ''
  }

  #checkEnd(): void {
    for (const { plan, numbers } of this.#people.builds.values()) if (numbers.size > 1) this.#watch.violate('once', `${plan.key} was asked for once and is builds ${[...numbers].join(' and ')}`)
    for (const [id, { attempt }] of this.#watch.accepted) this.#checkLog(id, attempt)
    for (const { plan, disk } of this.#machines.values()) {
      for (const path of disk.below(STATE)) {
        if (!path.endsWith('/log')) continue
        const leak = /kdg_(sec|att)_[\w.-]+/.exec(new TextDecoder().decode(disk.contents(path) ?? new Uint8Array()))
        if (leak !== null) this.#watch.violate('I22', `${path} on ${plan.name} holds ${leak[0].slice(0, 20)}…`)
      }
    }
  }

  /** The log of an accepted attempt is what its command printed, and nothing of another. */
  #checkLog(id: string, attempt: string): void {
    const job = this.#watch.jobs.get(id)
    const result = job?.result === null || job === undefined ? null : (parseJson(job.result) as { log_bytes: number; log_sha256: string; reason: { code: string } | null }) // as the agent made it
    const stored = this.#coordinator.logs.bytes(attempt)
    if (this.#forgotten.has(attempt)) return
    if (result?.reason?.code === 'agent_disk') return // it says itself that its log is not whole
    if (result === null || result.log_bytes === 0) {
      if (stored !== null && stored.byteLength > 0) this.#watch.violate('I16', `${attempt} says that it has no log, and ${stored.byteLength} bytes are stored`)
      return
    }
    if (stored === null || stored.byteLength !== result.log_bytes || !this.#coordinator.logs.isSealed(attempt)) return this.#watch.violate('I16', `the log of ${attempt} has ${stored?.byteLength ?? 0} bytes${this.#coordinator.logs.isSealed(attempt) ? '' : ', not sealed'}; its result says ${result.log_bytes}`)
    const text = new TextDecoder().decode(stored)
    if (/kdg_(sec|att)_/.test(text)) this.#watch.violate('I22', `the log of ${attempt} holds a secret`)
    const own = text.split('\n').filter((line) => !line.startsWith('kedge: ')).join('\n')
    const printed = (this.#printed.get(attempt) ?? '').replace(/kdg_(sec|att)_[\w.-]+/g, '***')
    if (own !== printed) this.#watch.violate('I16', `the log of ${attempt} is not what was printed:\n${own}\ninstead of\n${printed}`)
  }
}

function list(name: string, of: readonly string[]): string {
  return of.length === 0 ? '' : ` ${name} ${of.join(', ')}`
}

function describe(what: Happening): string {
  if (what.kind === 'build') return `build ${what.key} is asked for${what.priority === 0 ? '' : `, priority ${what.priority}`}: prepares ${what.job.prepareMs.toFixed(0)} ms, runs ${what.job.runMs.toFixed(0)} ms, ends with ${what.job.exitStatus}${what.job.heedsTermAfterMs === null ? ', ignores SIGTERM' : ''}${what.job.killsAgentAfterMs === null ? '' : ', kills its agent'}`
  const { kind, ...rest } = what
  return `${kind}: ${Object.entries(rest).map(([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 100) / 100 : typeof value === 'object' ? JSON.stringify(value) : String(value)}`).join(', ')}`
}
