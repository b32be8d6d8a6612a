/**
 * What happens to the world: each happening of the script, said in a line and done. What is done to one machine is in
 * `machine-faults.ts`. Whatever is wrong is told to the onlooker, and for how long, so that it holds no promise about time
 * against those whom it concerns.
 */
import { GOOD_LINK } from './link.ts'
import { identityOf, MachineFaults, type Place } from './machine-faults.ts'
import type { SimMachine } from './machine.ts'
import type { Happening } from './script.ts'
import { MINUTE, SECOND } from './watch/truth.ts'

export class Faults {
  /** Everything was mended. */
  isOver = false
  readonly #place: Place
  readonly #ofMachines: MachineFaults
  #pushes = 1

  constructor(place: Place) {
    this.#place = place
    this.#ofMachines = new MachineFaults(place)
  }

  /** The commit that the branch points to now. */
  head(): string {
    return `${this.#pushes}`.padStart(40, '0')
  }

  happen(what: Happening): void {
    const { time, coordinator, people, machines, tell } = this.#place
    const { truth } = this.#place.watch
    tell('world', describe(what))
    switch (what.kind) {
      case 'build':
        return people.build(what)
      case 'push':
        this.#pushes += 1
        return
      case 'cancel':
      case 'retry':
      case 'watch':
        return people.change(what.kind, what.key)
      case 'retry job':
        return people.retryJob(what.key, what.share)
      case 'outage':
        if (!coordinator.isUp) return
        truth.fault('coordinator', what.forMs + 30 * SECOND)
        truth.outage(what.forMs)
        coordinator.goAway()
        time.after(what.forMs, () => this.#comeBack())
        return
      case 'evict':
        coordinator.evict()
        coordinator.logs.evict()
        return
      case 'die in event':
        truth.fault('coordinator', 30 * SECOND)
        truth.fault('object', 30 * SECOND)
        return coordinator.dieInEvent(what.writes)
      case 'alarm':
        truth.fault('coordinator', what.how === 'lost' ? 30 * SECOND : 0)
        if (what.how === 'lost') return coordinator.loseAlarm()
        time.after(0, () => coordinator.fireAlarm())
        if (what.how === 'twice') time.after(1, () => coordinator.fireAlarm())
        return
      case 'late alarms':
        truth.fault('coordinator', what.forMs + what.byMs)
        coordinator.lateAlarmsMs = what.byMs
        time.after(what.forMs, () => (coordinator.lateAlarmsMs = 0))
        return
      case 'blob store away':
        coordinator.logs.isBlobStoreAway = true
        time.after(what.forMs, () => (coordinator.logs.isBlobStoreAway = false))
        return
      case 'wall clock':
        if (what.agent !== null) break
        truth.fault('coordinator', 3 * MINUTE)
        truth.fault('object', 3 * MINUTE)
        coordinator.skewMs += what.byMs
        return
      default:
    }
    const machine = what.agent === null ? undefined : machines.get(what.agent)
    if (machine !== undefined) this.#ofMachines.happen(machine, what)
  }

  #comeBack(): void {
    this.#place.tell('world', 'the coordinator is back')
    this.#place.coordinator.comeBack()
  }

  /** Everything is mended, and nothing goes wrong any more. */
  heal(): void {
    const { coordinator, machines, watch, tell } = this.#place
    tell('world', 'nothing goes wrong from here on')
    this.isOver = true
    if (!coordinator.isUp) this.#comeBack()
    coordinator.lateAlarmsMs = 0
    coordinator.logs.isBlobStoreAway = false
    coordinator.webhooks.isMended = true
    for (const machine of machines.values()) this.#healMachine(machine)
    watch.truth.fault('coordinator', MINUTE)
  }

  #healMachine(machine: SimMachine): void {
    const { time, wire, people, watch } = this.#place
    const { name } = machine.plan
    wire.link(name).state = GOOD_LINK
    Object.assign(machine.disk, { capacity: Infinity, isReadOnly: false, failing: 0, slowness: 0 })
    if (machine.process !== null) machine.process.diesIn = null
    if (machine.isCloneOf !== null && machine.isWanted) this.#ofMachines.takeAway(machine)
    const id = identityOf(machine)
    if (id !== null && machine.isWanted) people.agent(id, 'resume')
    watch.truth.fault(name, 2 * MINUTE)
    time.after(Math.max(0, (machine.process?.frozenUntil ?? 0) - time.now), () => machine.start())
  }
}

function describe(what: Happening): string {
  if (what.kind === 'build') return `build ${what.key} is asked for${what.priority === 0 ? '' : `, priority ${what.priority}`}: prepares ${what.job.prepareMs.toFixed(0)} ms, runs ${what.job.runMs.toFixed(0)} ms, ends with ${what.job.exitStatus}${what.job.heedsTermAfterMs === null ? ', ignores SIGTERM' : ''}${what.job.killsAgentAfterMs === null ? '' : ', kills its agent'}`
  const { kind, ...rest } = what
  return `${kind}: ${Object.entries(rest).map(([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 100) / 100 : typeof value === 'object' ? JSON.stringify(value) : String(value)}`).join(', ')}`
}
