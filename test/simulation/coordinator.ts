/**
 * The coordinator as its platform lives it: the real cluster, upkeep, doorbell and logs over real SQLite, in an object that
 * sleeps, is evicted, dies within an event and is away. An event commits whole or not at all, together with the alarm it
 * armed, and nothing of it is heard of before it has: that is what the platform promises, and all it does.
 */
import { readFileSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { numbers } from '../../coordinator/core/numbers.ts'
import { readRegister, readSync } from '../../coordinator/http/agent-calls.ts'
import { readPut, readSeal, readSealBody } from '../../coordinator/http/attempt-calls.ts'
import { attemptOf, callerOf } from '../../coordinator/http/agent-credentials.ts'
import { Cluster, type Outcome } from '../../coordinator/objects/cluster.ts'
import { Doorbell } from '../../coordinator/objects/doorbell.ts'
import type { AgentAnswer, Caller } from '../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { Upkeep } from '../../coordinator/objects/upkeep.ts'
import { migrate, type Migrations } from '../../coordinator/store/migrate.ts'
import type { Sql } from '../../coordinator/store/sql.ts'
import { signing } from '../../coordinator/trust/signing.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import type { AgentId } from '../../schema/job.ts'
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS } from '../../schema/refusal.ts'
import type { SyncReply } from '../../schema/sync.ts'
import type { Call, DoorbellSocket, Served } from './calls.ts'
import { LogHouse } from './logs.ts'
import { EPOCH, type SimMachine, type SimProcess } from './machine.ts'
import type { Owner, VirtualTime } from './time.ts'

/** Who looks on. It may not change anything. */
export interface Onlooker {
  /** A row of `job` is now so, in the event that is under way; `before` is null for a new one. */
  jobChanged(before: readonly unknown[] | null, after: readonly unknown[]): void
  buildChanged(before: readonly unknown[], after: readonly unknown[]): void
  attemptLost(row: readonly unknown[]): void
  /** The event came to pass, or never happened. */
  eventEnded(how: 'committed' | 'undone'): void
  synced(call: { readonly machine: SimMachine; readonly request: ParsedSync; readonly caller: Caller; readonly answer: AgentAnswer<SyncReply>; readonly rowsWritten: number }): void
  stored(machine: SimMachine, attempt: string): void
  sealed(machine: SimMachine, attempt: string): void
}

const KEY = 'the signing key of the simulation, long enough to be one'
const SLEEPS_AFTER_MS = 10_000
const HEADERS = { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max) }

class ObjectDied extends Error {}

const MIGRATIONS = readMigrations()

function readMigrations(): Migrations {
  const folder = new URL('../../schema/migrations/', import.meta.url)
  const journal = JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')) as Migrations['journal'] // written by drizzle-kit
  return { journal, migrations: Object.fromEntries(journal.entries.map(({ idx, tag }) => [`m${String(idx).padStart(4, '0')}`, readFileSync(new URL(`${tag}.sql`, folder), 'utf8')])) }
}

export class SimCoordinator {
  isUp = true
  skewMs = 0
  alarmAt: number | null = null
  lateAlarmsMs = 0
  readonly sockets = new Set<DoorbellSocket>()
  readonly logs: LogHouse
  syncs = 0
  /** How often the object began anew, with an empty memory. */
  lives = 0
  readonly numbers = numbers()
  readonly #time: VirtualTime
  readonly #onlooker: Onlooker
  readonly #database = new DatabaseSync(':memory:')
  readonly #prepared = new Map<string, StatementSync>()
  readonly #sql: Sql
  #instance: { readonly upkeep: Upkeep; readonly owner: Owner } | null = null
  #lastEventAt = 0
  /** The object dies within the next event: after so many writes; null, at its end. */
  #doom: { writes: number | null } | null = null
  #undoomed = 0
  #isInEvent = false
  #sent: (() => void)[] = []
  #ids = 0
  #isArming = false

  constructor(time: VirtualTime, onlooker: Onlooker) {
    this.#time = time
    this.#onlooker = onlooker
    this.#sql = {
      all: (query, bindings) => this.#statement(query).all(...bindings) as unknown as unknown[][], // as set when it was prepared
      run: (query, bindings) => {
        if (this.#doom?.writes !== null && this.#doom !== null && (this.#doom.writes -= 1) < 0) throw new ObjectDied()
        this.#statement(query).run(...bindings)
      },
    }
    this.#statement('begin').run()
    migrate(this.#sql, MIGRATIONS)
    this.#statement('commit').run()
    this.#prepared.clear()
    this.#watchRows()
    this.logs = new LogHouse(time)
  }

  now(): number {
    return EPOCH + Math.floor(this.#time.now + this.skewMs)
  }

  #statement(query: string): StatementSync {
    let known = this.#prepared.get(query)
    if (known === undefined) {
      known = this.#database.prepare(query)
      known.setReturnArrays(true)
      this.#prepared.set(query, known)
    }
    return known
  }

  /** SQLite itself tells of each change: nothing that the code under test does can go by unseen. */
  #watchRows(): void {
    const job = ['project', 'build', 'n', 'state', 'fence', 'agent', 'boot_seq', 'cancel', 'lost_count', 'digest', 'class', 'ord', 'avoid_agent', 'spec', 'result']
    const build = ['project', 'number', 'commit_sha', 'state']
    const attempt = ['project', 'build', 'n', 'fence', 'agent', 'boot_seq', 'detail']
    const columns = (row: string, names: readonly string[]) => names.map((name) => `${row}.${name}`).join(', ')
    this.#database.function('job_inserted', { varargs: true }, (...after) => told(this.#onlooker.jobChanged(null, after)))
    this.#database.function('job_updated', { varargs: true }, (...both) => told(this.#onlooker.jobChanged(both.slice(0, job.length), both.slice(job.length))))
    this.#database.function('build_updated', { varargs: true }, (...both) => told(this.#onlooker.buildChanged(both.slice(0, build.length), both.slice(build.length))))
    this.#database.function('attempt_inserted', { varargs: true }, (...row) => told(this.#onlooker.attemptLost(row)))
    this.#database.exec(`
      create temp trigger job_inserted after insert on job begin select job_inserted(${columns('new', job)}); end;
      create temp trigger job_updated after update on job begin select job_updated(${columns('old', job)}, ${columns('new', job)}); end;
      create temp trigger build_updated after update on build begin select build_updated(${columns('old', build)}, ${columns('new', build)}); end;
      create temp trigger attempt_inserted after insert on attempt begin select attempt_inserted(${columns('new', attempt)}); end;
    `)
  }

  #rowsWritten(): number {
    return Number(this.#statement('select total_changes()').get()?.[0 as never] ?? 0) // an array, as set when it was prepared
  }

  /** The object, woken if it sleeps. */
  async #awake(): Promise<Upkeep> {
    if (this.#instance !== null && this.#time.now - this.#lastEventAt > SLEEPS_AFTER_MS) this.evict()
    this.#lastEventAt = this.#time.now
    if (this.#instance !== null) return this.#instance.upkeep
    this.lives += 1
    const owner: Owner = { isAlive: true, frozenUntil: 0 }
    const doorbell = new Doorbell(
      () => [...this.sockets].filter(({ isOpen }) => isOpen).map(({ agent, queue, tags, send }) => ({ agent: agent as AgentId, queue, tags, send })), // signed by the cluster
      (call) => void this.#time.after(this.numbers.ringAgainMs, call, owner),
    )
    const now = () => this.now()
    const cluster = new Cluster({
      sql: this.#sql,
      numbers: this.numbers,
      sign: signing(KEY, now),
      transaction: (run) => {
        this.#statement('savepoint event').run()
        try {
          const value = run()
          this.#statement('release event').run()
          return value
        } catch (error) {
          this.#statement('rollback to event').run()
          this.#statement('release event').run()
          throw error
        }
      },
      newId: () => `token-${(this.#ids += 1)}`,
      adminId: 'admin',
      attached: () => doorbell.agents(),
    })
    const upkeep = new Upkeep({ cluster, doorbell, alarm: { get: async () => this.alarmAt, set: (at) => this.#setAlarm(at) }, migrate: () => undefined, now })
    this.#instance = { upkeep, owner }
    await upkeep.wake()
    return upkeep
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
    this.#statement('begin').run()
    this.#isInEvent = true
    try {
      const value = act(upkeep)
      if (this.#doom?.writes === null) {
        this.#statement('commit').run()
        this.#onlooker.eventEnded('committed')
        this.#sent = []
        this.#die()
        return null
      }
      if (this.#undoomed > 3) this.#doom = null // no event wrote so much
      this.#statement('commit').run()
      this.#onlooker.eventEnded('committed')
      for (const send of this.#sent.splice(0)) send()
      return value
    } catch (error) {
      this.#statement('rollback').run()
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

  async serve(call: Call): Promise<Served | null> {
    if (!this.isUp) return null
    const [path = '', query = ''] = call.path.split('?')
    if (path === '/v1/agent/sync') return await this.#sync(call)
    if (path === '/v1/agents/register') {
      const read = readRegister(call.authorization, bytesOf(call.body))
      if (!read.ok) return served(read)
      const { request, tokenSha256 } = read.value
      return served(await this.ask((cluster, now) => cluster.register(now, request, { tokenSha256, isStanding: tokenSha256 === sha256Hex('kdg_reg_of-the-simulation') })))
    }
    const [, attempt = '', what = ''] = /^\/v1\/attempts\/([^/]+)\/(.+)$/.exec(path) ?? []
    const asked = new URLSearchParams(query)
    const sent = { authorization: call.authorization, attempt, epoch: asked.get('epoch') ?? undefined }
    switch (what) {
      case 'spec': {
        const read = attemptOf(call.authorization, attempt, this.#verification())
        return read.ok ? served(await this.event((upkeep) => upkeep.cluster.spec(read.value)), (text) => text) : served(read)
      }
      case 'log': {
        const read = readPut({ ...sent, offset: asked.get('offset') ?? undefined, contentEncoding: undefined }, this.#verification())
        if (!read.ok) return served(read)
        const answer = this.logs.put(read.value.attempt, read.value, bytesOf(call.body))
        this.#onlooker.stored(call.machine, read.value.attempt)
        return served(answer)
      }
      case 'log/seal': {
        const read = readSeal(sent, this.#verification())
        const seal = readSealBody(bytesOf(call.body))
        if (!read.ok || !seal.ok) return served(read.ok ? seal : read)
        const wasSealed = this.logs.isSealed(read.value.attempt)
        const answer = this.logs.seal(read.value.attempt, read.value.epoch, seal.value)
        if (answer.ok && !wasSealed) this.#onlooker.sealed(call.machine, read.value.attempt)
        return served(answer)
      }
      default:
        throw new Error(`no agent may ask for ${call.path}`)
    }
  }

  async #sync(call: Call): Promise<Served | null> {
    const caller = callerOf(call.authorization, this.#verification())
    if (!caller.ok) return served(caller)
    const read = readSync(bytesOf(call.body), this.now())
    if (!read.ok) return served(read)
    this.syncs += 1
    const answer = await this.event((upkeep) => {
      const before = this.#rowsWritten()
      const made = upkeep.sync(read.value, caller.value)
      this.#onlooker.synced({ machine: call.machine, request: read.value, caller: caller.value, answer: made, rowsWritten: this.#rowsWritten() - before })
      return made
    })
    return served(answer)
  }

  #verification(): { readonly key: string; readonly now: number } {
    return { key: KEY, now: this.now() }
  }

  async openDoorbell(process: SimProcess, authorization: string, events: { message(text: string): void; closed(): void }): Promise<DoorbellSocket | null> {
    if (!this.isUp) return null
    const caller = callerOf(authorization, this.#verification())
    if (!caller.ok || caller.value.via !== 'session') return null
    const { agent, credentialVersion } = caller.value
    const offer = await this.event((upkeep) => upkeep.cluster.offerOf(agent, credentialVersion))
    if (offer === null) return null
    for (const old of this.sockets) if (old.agent === agent) old.drop()
    const socket: DoorbellSocket = {
      process,
      agent,
      queue: offer.queue,
      tags: offer.tags,
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

  close(): void {
    this.#database.close()
    this.logs.close()
  }
}

/** What a function of SQLite gives back when it has nothing to say. */
function told(said: void): null {
  return said ?? null
}

function bytesOf(body: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return typeof body === 'string' ? new TextEncoder().encode(body) : new Uint8Array(body)
}

function served<T>(answer: AgentAnswer<T> | null, text: (value: T) => string = JSON.stringify): Served | null {
  if (answer === null) return null
  if (answer.ok) return { status: 200, headers: HEADERS, body: text(answer.value) }
  const { code, message, extra } = answer
  return { status: REFUSALS[code].status, headers: HEADERS, body: JSON.stringify({ error: { code, message, retry: REFUSALS[code].retry, ...extra } }) }
}
