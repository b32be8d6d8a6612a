/**
 * The coordinator as its platform lives it: the real cluster, upkeep, doorbell and logs over real SQLite, in an object that
 * sleeps, is evicted, dies within an event and is away. An event commits whole or not at all, together with the alarm it
 * armed, and nothing of it is heard of before it has: that is what the platform promises, and all it does.
 */
import { numbers } from '../../coordinator/core/numbers.ts'
import { Cluster } from '../../coordinator/objects/cluster.ts'
import type { Outcome } from '../../coordinator/objects/event-runner.ts'
import { Doorbell, type Attachment } from '../../coordinator/objects/doorbell.ts'
import { Upkeep } from '../../coordinator/objects/upkeep.ts'
import { signing } from '../../coordinator/trust/signing.ts'
import type { DoorbellSocket } from './calls.ts'
import { WatchedDatabase, type RowsOnlooker } from './database.ts'
import { LogHouse } from './logs.ts'
import { EPOCH, type SimProcess } from './machine.ts'
import type { Owner, VirtualTime } from './time.ts'
import { Webhooks } from './webhooks.ts'

/** Who looks on. It may not change anything. */
export interface EventsOnlooker extends RowsOnlooker {
  /** The event came to pass, or never happened. */
  eventEnded(how: 'committed' | 'undone'): void
}

export const SIGNING_KEY = 'the signing key of the simulation, long enough to be one'
const SLEEPS_AFTER_MS = 10_000

class ObjectDied extends Error {}

export class SimCoordinator {
  isUp = true
  skewMs = 0
  alarmAt: number | null = null
  lateAlarmsMs = 0
  readonly sockets = new Set<DoorbellSocket>()
  readonly logs: LogHouse
  readonly webhooks: Webhooks
  /** How often the object began anew, with an empty memory. */
  lives = 0
  readonly numbers = numbers()
  readonly #time: VirtualTime
  readonly #onlooker: EventsOnlooker
  readonly #database: WatchedDatabase
  #instance: { readonly upkeep: Upkeep; readonly owner: Owner } | null = null
  #lastEventAt = 0
  /** The object dies within the next event: after so many writes; null, at its end. */
  #doom: { writes: number | null } | null = null
  #undoomed = 0
  #isInEvent = false
  #sent: (() => void)[] = []
  #ids = 0
  #isArming = false

  constructor(time: VirtualTime, onlooker: EventsOnlooker, seed: number) {
    this.#time = time
    this.webhooks = new Webhooks(time, seed)
    this.#onlooker = onlooker
    this.#database = new WatchedDatabase(onlooker)
    this.logs = new LogHouse(time)
  }

  now(): number {
    return EPOCH + Math.floor(this.#time.now + this.skewMs)
  }

  /** The object, woken if it sleeps. */
  async #awake(): Promise<Upkeep> {
    if (this.#instance !== null && this.#time.now - this.#lastEventAt > SLEEPS_AFTER_MS) this.evict()
    this.#lastEventAt = this.#time.now
    if (this.#instance !== null) return this.#instance.upkeep
    this.lives += 1
    const owner: Owner = { isAlive: true, frozenUntil: 0 }
    const doorbell = new Doorbell(
      () => [...this.sockets].filter(({ isOpen }) => isOpen),
      (call) => void this.#time.after(this.numbers.ringAgainMs, call, owner),
    )
    const now = () => this.now()
    const { sql } = this.#database
    const cluster = new Cluster({
      sql: {
        all: sql.all,
        run: (query, bindings) => {
          if (this.#doom !== null && this.#doom.writes !== null && (this.#doom.writes -= 1) < 0) throw new ObjectDied()
          sql.run(query, bindings)
        },
      },
      numbers: this.numbers,
      sign: signing(SIGNING_KEY, now),
      transaction: (run) => {
        this.#database.does('savepoint event')
        try {
          const value = run()
          this.#database.does('release event')
          return value
        } catch (error) {
          this.#database.does('rollback to event')
          this.#database.does('release event')
          throw error
        }
      },
      newId: () => `token-${(this.#ids += 1)}`,
      adminId: 'admin',
      attached: () => doorbell.agents(),
    })
    const upkeep = new Upkeep({ cluster, doorbell, alarm: { get: async () => this.alarmAt, set: (at) => this.#setAlarm(at) }, migrate: () => undefined, now, tell: () => this.#tell(cluster, owner) })
    this.#instance = { upkeep, owner }
    await upkeep.wake()
    return upkeep
  }

  /** Whatever is due to be told leaves the object with the event. */
  #tell(cluster: Cluster, owner: Owner): void {
    for (const delivery of cluster.toTell(this.now())) this.#send(() => this.webhooks.carry(delivery, owner, (outcome) => this.ask((asked, now) => asked.told(now, delivery, outcome))))
  }

  /** Memory is gone; rows, alarm and sockets are not. */
  evict(): void {
    if (this.#instance !== null) this.#instance.owner.isAlive = false
    this.#instance = null
  }

  /** One event of the object. Null: nobody answers. */
  async event<T>(act: (upkeep: Upkeep) => T): Promise<T | null> {
    if (!this.isUp) return null
    const upkeep = await this.#awake()
    const alarm = this.alarmAt
    if (this.#doom !== null) this.#undoomed += 1
    this.#database.does('begin')
    this.#isInEvent = true
    try {
      const value = act(upkeep)
      if (this.#doom?.writes === null) {
        this.#database.does('commit')
        this.#onlooker.eventEnded('committed')
        this.#sent = []
        this.#die()
        return null
      }
      if (this.#undoomed > 3) this.#doom = null // no event wrote so much
      this.#database.does('commit')
      this.#onlooker.eventEnded('committed')
      for (const send of this.#sent.splice(0)) send()
      return value
    } catch (error) {
      this.#database.does('rollback')
      this.#onlooker.eventEnded('undone')
      this.#sent = []
      this.alarmAt = null
      if (alarm !== null) this.#setAlarm(alarm)
      const isDoomed = this.#doom !== null
      this.#die()
      if (error instanceof ObjectDied || isDoomed) return null
      throw error
    } finally {
      this.#isInEvent = false
    }
  }

  #die(): void {
    this.#doom = null
    this.#undoomed = 0
    this.evict()
    this.logs.evict()
  }

  dieInEvent(writes: number | null): void {
    this.#doom = { writes }
    this.#undoomed = 0
  }

  /** What is sent within an event leaves the object with it. */
  #send(act: () => void): void {
    if (this.#isInEvent) this.#sent.push(act)
    else act()
  }

  /** A person's request. */
  ask<T>(act: (cluster: Cluster, now: number) => Outcome<T>): Promise<T | null> {
    return this.event((upkeep) => upkeep.follow(act(upkeep.cluster, this.now())))
  }

  /** Looks without being an event. */
  peek<T>(look: (cluster: Cluster) => T): T | null {
    return this.#instance === null ? null : look(this.#instance.upkeep.cluster)
  }

  goAway(): void {
    this.isUp = false
    this.evict()
    this.logs.evict()
    for (const socket of this.sockets) socket.drop()
    this.sockets.clear()
  }

  comeBack(): void {
    this.isUp = true
    const { alarmAt } = this
    if (alarmAt === null) return
    // An alarm that fell due meanwhile is called when the platform gets to it: before the first request, or after many.
    const lateMs = alarmAt > this.now() ? 0 : (Math.floor(this.#time.now) * 7919) % 10_000
    this.#time.after(lateMs, () => this.#schedule(alarmAt))
  }

  #setAlarm(at: number): void {
    this.alarmAt = at
    this.#schedule(at)
  }

  #schedule(at: number): void {
    this.#time.after(at - this.now() + this.lateAlarmsMs, () => this.#ring(at))
  }

  async #ring(at: number): Promise<void> {
    if (this.alarmAt !== at || !this.isUp) return
    // The clock may have been set back meanwhile.
    if (at > this.now()) return this.#schedule(at)
    await this.fireAlarm()
  }

  /** Whatever the time: the platform may call early and twice. */
  async fireAlarm(): Promise<void> {
    const before = this.alarmAt
    if (!this.isUp || this.#isArming) return
    this.#isArming = true
    const done = await this.event((upkeep) => {
      this.alarmAt = null
      upkeep.alarm(0)
      return true
    })
    this.#isArming = false
    // At least once: one whose handler did not come to its end is called again.
    if (done === null && before !== null) {
      this.alarmAt ??= before
      this.#time.after(2000, () => this.#ring(before))
    }
  }

  loseAlarm(): void {
    this.alarmAt = null
    this.evict() // what it remembers of it would keep it from looking
  }

  /** Opens a doorbell; the agent's others are closed. */
  attach(process: SimProcess, attachment: Attachment, events: { message(text: string): void; closed(): void }): DoorbellSocket {
    for (const old of this.sockets) if (old.agent === attachment.agent) old.drop()
    const socket: DoorbellSocket = {
      process,
      ...attachment,
      isOpen: true,
      send: (text) => this.#send(() => socket.isOpen && events.message(text)),
      drop: () => {
        socket.isOpen = false
        this.sockets.delete(socket)
        events.closed()
      },
    }
    this.sockets.add(socket)
    return socket
  }

  /** Builds that tell somebody how they go, as they are stored. */
  tellingBuilds(): readonly { readonly name: string; readonly state: string | null }[] {
    const rows = this.#database.sql.all('select project.slug, build.number, build.state from build join project on project.id = build.project where build.notify is not null', [])
    return rows.map(([slug, number, state]) => ({ name: `${String(slug)}#${String(number)}`, state: state === null ? null : String(state) }))
  }

  rowsWritten(): number {
    return this.#database.written()
  }

  close(): void {
    this.#database.close()
    this.logs.close()
  }
}
