/**
 * What happens to one machine: it is killed, cut off, frozen, cloned, rolled back, its disk fills. Each is told to the
 * onlooker together with the time that a machine needs to find its feet again, so that one fault is never the excuse for a
 * later one.
 */
import { parseJson } from '../../schema/parse-json.ts'
import type { SimCoordinator } from './coordinator.ts'
import { GOOD_LINK } from './link.ts'
import { SimMachine, STATE, type Surroundings } from './machine.ts'
import type { People } from './people.ts'
import type { Happening } from './script.ts'
import type { VirtualTime } from './time.ts'
import type { Watch } from './watch.ts'
import { MINUTE, SECOND } from './watch/truth.ts'
import type { Wire } from './wire.ts'

/** The world, as what happens to it needs it. */
export interface Place {
  readonly time: VirtualTime
  readonly watch: Watch
  readonly coordinator: SimCoordinator
  readonly wire: Wire
  readonly people: People
  /** By name, in order; a clone is one more. */
  readonly machines: Map<string, SimMachine>
  readonly around: Surroundings
  tell(who: string, text: string): void
}

export type MachineHappening = Extract<Happening, { readonly agent: unknown }>

export class MachineFaults {
  readonly #place: Place
  readonly #images = new Map<string, ReadonlyMap<string, Uint8Array>>()
  #clones = 0

  constructor(place: Place) {
    this.#place = place
  }

  happen(machine: SimMachine, what: MachineHappening): void {
    const { time, watch, wire } = this.#place
    const { truth } = watch
    const { disk, plan: { name } } = machine
    switch (what.kind) {
      case 'drain':
      case 'resume':
      case 'revoke':
        truth.fault(name, what.kind === 'resume' ? MINUTE : 5 * MINUTE)
        return this.#wish(machine, what.kind)
      case 'kill':
        machine.kill()
        return this.#startAgainAfter(what.awayMs, machine)
      case 'power':
        machine.losePower()
        return this.#startAgainAfter(what.awayMs, machine)
      case 'die at disk':
        return this.#dieAtDisk(machine, what)
      case 'freeze':
        truth.fault(name, what.forMs + MINUTE)
        return machine.freeze(what.forMs)
      case 'suspend':
        truth.fault(name, what.forMs + MINUTE)
        return machine.suspend(what.forMs)
      case 'stop':
        if (machine.process !== null) machine.process.stoppedAt ??= time.now
        for (let times = what.times; times > 0; times -= 1) machine.process?.agent?.stop()
        truth.fault(name, what.awayMs + 5 * MINUTE)
        return
      case 'second process':
        if (machine.process !== null) void machine.secondProcess().then((code) => watch.machines.secondEnded(machine, code))
        return
      case 'clone':
        return this.#clone(machine, what.forMs)
      case 'snapshot':
        this.#images.set(name, disk.image())
        return
      case 'roll back':
        return this.#rollBack(machine)
      case 'link': {
        const link = wire.link(name)
        return this.#forAWhile(what.forMs, machine, () => (link.state = { ...GOOD_LINK, ...what.change }), () => (link.state = GOOD_LINK))
      }
      case 'rings':
        truth.fault(`rings ${name}`, what.count * what.everyMs)
        for (let n = 0; n < what.count; n += 1) time.after(n * what.everyMs, () => wire.ringFalsely(name))
        return
      case 'wall clock':
        truth.fault(name, MINUTE)
        machine.skewMs += what.byMs
        return
      case 'disk full':
        return this.#forAWhile(what.forMs, machine, () => (disk.capacity = disk.used()), () => (disk.capacity = Infinity))
      case 'disk read-only':
        return this.#forAWhile(what.forMs, machine, () => (disk.isReadOnly = true), () => (disk.isReadOnly = false))
      case 'disk failing':
        return this.#forAWhile(what.forMs, machine, () => (disk.failing = what.share), () => (disk.failing = 0))
      case 'disk slow':
        return this.#forAWhile(what.forMs, machine, () => (disk.slowness = what.atMostMs), () => (disk.slowness = 0))
      default:
        return what satisfies never
    }
  }

  #startAgainAfter(ms: number, machine: SimMachine): void {
    this.#place.watch.truth.fault(machine.plan.name, ms + MINUTE)
    this.#place.time.after(ms, () => machine.start())
  }

  #forAWhile(ms: number, { plan }: SimMachine, begin: () => void, end: () => void): void {
    this.#place.watch.truth.fault(plan.name, ms + MINUTE)
    begin()
    this.#place.time.after(ms, end)
  }

  #wish(machine: SimMachine, wish: 'drain' | 'resume' | 'revoke'): void {
    const { time, people, machines } = this.#place
    const id = identityOf(machine)
    // The first one stays: some jobs only it can run.
    if (id === null || (wish === 'revoke' && machine === machines.values().next().value)) return
    if (wish === 'revoke') {
      machine.isWanted = false // its owner takes it away: it can deliver nothing any more
      time.after(5 * MINUTE, () => machine.kill())
    }
    people.agent(id, wish)
  }

  #dieAtDisk(machine: SimMachine, { acts, power, awayMs }: Extract<Happening, { readonly kind: 'die at disk' }>): void {
    const { process, plan: { name } } = machine
    if (process === null) return
    this.#place.watch.truth.fault(name, 5 * MINUTE)
    process.diesIn = acts
    process.mourned = () => {
      this.#place.tell(name, power ? 'loses power within a write' : 'dies within a write')
      if (power) machine.losePower()
      this.#startAgainAfter(awayMs, machine)
    }
  }

  #clone(machine: SimMachine, forMs: number): void {
    const { time, watch, machines, around } = this.#place
    const clone = new SimMachine({ ...machine.plan, name: `${machine.plan.name}-clone-${(this.#clones += 1)}` }, around)
    clone.becomeCloneOf(machine)
    machines.set(clone.plan.name, clone)
    for (const { plan } of [machine, clone]) watch.truth.fault(plan.name, forMs + 20 * MINUTE)
    clone.start()
    time.after(forMs, () => this.takeAway(clone))
  }

  #rollBack(machine: SimMachine): void {
    const { name } = machine.plan
    const image = this.#images.get(name)
    if (image === undefined) return
    machine.losePower()
    this.#forget(machine, image)
    machine.disk.restore(image)
    machine.isRolledBack = true
    this.#startAgainAfter(3 * SECOND, machine)
    this.#place.watch.truth.fault(name, 10 * MINUTE) // with a boot number that was used already it stands by like a copy
  }

  /** It is gone for good, with all that was only on it. */
  takeAway(machine: SimMachine): void {
    this.#forget(machine, new Map())
    machine.isWanted = false
    machine.losePower()
  }

  /** What a disk that is rolled back forgets is not the agent's doing. */
  #forget({ disk, plan }: SimMachine, image: ReadonlyMap<string, Uint8Array>): void {
    for (const path of disk.below(`${STATE}/spool`)) {
      if (image.has(path)) continue
      this.#place.watch.end.forgets(path.slice(`${STATE}/spool/`.length).split('/', 1)[0] ?? '')
      this.#place.tell(plan.name, `forgets ${path}`)
    }
  }
}

/** The agent's id, as its disk has it. */
export function identityOf({ disk }: SimMachine): string | null {
  const text = parseJson(new TextDecoder().decode(disk.contents(`${STATE}/agent.json`) ?? new Uint8Array()))
  return typeof text === 'object' && text !== null && 'agent_id' in text && typeof text.agent_id === 'string' ? text.agent_id : null
}
