/**
 * What may never happen, whatever the world does: the invariants of docs/protocol.md, checked from outside. It sees the
 * rows as SQLite changes them, the messages as they pass, the disks and the processes as they are; it shares no code with
 * what it watches, and changes nothing. The checks themselves are in `watch/`, by what they look at.
 */
import type { EventsOnlooker, SimCoordinator } from './coordinator.ts'
import type { SimMachine } from './machine.ts'
import type { People } from './people.ts'
import type { VirtualTime } from './time.ts'
import { End } from './watch/end.ts'
import { Gates } from './watch/gates.ts'
import { Machines } from './watch/machines.ts'
import { Messages, type Synced } from './watch/messages.ts'
import { Rows } from './watch/rows.ts'
import { Steps } from './watch/steps.ts'
import { Times } from './watch/times.ts'
import { Truth } from './watch/truth.ts'
import type { CallsOnlooker } from './worker.ts'

/** All but the time are asked for when they are needed: the coordinator itself needs its onlooker first. */
interface Watched {
  readonly time: VirtualTime
  machines(): Iterable<SimMachine>
  coordinator(): SimCoordinator
  people(): People
}

export class Watch implements EventsOnlooker, CallsOnlooker {
  readonly truth: Truth
  readonly messages: Messages
  readonly machines: Machines
  readonly times: Times
  readonly end: End
  readonly steps: Steps
  readonly #rows: Rows
  readonly #gates: Gates
  /** The event that is under way is a sync that is not refused. */
  #isSync = false

  constructor({ time, machines, coordinator, people }: Watched) {
    this.truth = new Truth(time, machines, coordinator)
    this.#gates = new Gates(this.truth, people)
    const steps = new Steps(this.truth, people)
    this.steps = steps
    this.#rows = new Rows(this.truth, { steps, gates: this.#gates })
    this.messages = new Messages(this.truth)
    this.machines = new Machines(this.truth)
    this.times = new Times(this.truth)
    this.end = new End(this.truth, people, steps)
  }

  get lost(): number {
    return this.#rows.lost
  }

  jobChanged(before: readonly unknown[] | null, after: readonly unknown[]): void {
    this.#rows.jobChanged(before, after)
  }

  buildChanged(before: readonly unknown[] | null, after: readonly unknown[]): void {
    this.#rows.buildChanged(before, after)
  }

  attemptLost(row: readonly unknown[]): void {
    this.#rows.attemptLost(row)
  }

  synced(call: Synced): void {
    this.#isSync = call.answer.ok
    this.messages.synced(call)
  }

  eventEnded(how: 'committed' | 'undone'): void {
    this.truth.endEvent(how)
    this.#gates.eventEnded(how)
    this.steps.eventEnded(how)
    if (how === 'committed') this.times.committed({ wasSync: this.#isSync })
    this.#isSync = false
  }

  stored(machine: SimMachine, attempt: string): void {
    this.machines.stored(machine, attempt)
  }

  sealed(machine: SimMachine, attempt: string): void {
    this.machines.sealed(machine, attempt)
    if (this.machines.hasCopyOf(attempt, machine)) this.end.forgets(attempt) // one sealed what it had, of an attempt that it has lost; the other may go on
  }
}
