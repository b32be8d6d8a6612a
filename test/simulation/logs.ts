/** The log objects of a world: the real store of each over SQLite of its own, and the blob store that they move to. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { LogStorage } from '../../coordinator/objects/log-rows.ts'
import { ARCHIVE_AFTER_MS, LogStore, type SealedLog } from '../../coordinator/objects/log-store.ts'
import type { AgentAnswer } from '../../coordinator/objects/scheduler-api.ts'
import type { LogReply, SealReply, SealRequest } from '../../schema/attempt.ts'
import type { VirtualTime } from './time.ts'

interface House {
  readonly storage: LogStorage
  store: LogStore | null
}

/** Empty ones that a former world has left: making one costs more than all that a log does with it. */
const empty: LogStorage[] = []

export class LogHouse {
  /** The blob store does not answer. */
  isBlobStoreAway = false
  readonly #blobs = new Map<string, Uint8Array>()
  readonly #houses = new Map<string, House>()
  readonly #time: VirtualTime
  readonly #watched = new Set<string>()

  constructor(time: VirtualTime) {
    this.#time = time
  }

  watch(attempt: string): void {
    this.#watched.add(attempt)
  }

  put(attempt: string, { offset, epoch }: { readonly offset: number; readonly epoch: number }, bytes: Uint8Array): AgentAnswer<LogReply> {
    const answer = this.#store(attempt).put({ attempt, epoch, offset, bytes })
    return answer.ok ? { ok: true, value: { size: answer.value.size, watched: this.#watched.has(attempt) } } : answer
  }

  seal(attempt: string, epoch: number, seal: SealRequest): AgentAnswer<SealReply> {
    const store = this.#store(attempt)
    const before = store.known
    const answer = store.seal(attempt, epoch, seal)
    if (store.known !== before) this.#time.after(ARCHIVE_AFTER_MS, () => this.#archive(attempt))
    return answer
  }

  async #archive(attempt: string): Promise<void> {
    const again = await this.#store(attempt).archive((name, log) => this.#copy(name, log), () => 0.5)
    if (again !== null) this.#time.after(again, () => this.#archive(attempt))
  }

  async #copy(attempt: string, { size, piece }: SealedLog): Promise<void> {
    if (this.isBlobStoreAway) throw new BlobStoreAway()
    const whole = new Uint8Array(size)
    for (let offset = 0, bytes = piece(0); bytes !== null; bytes = piece((offset += bytes.byteLength))) whole.set(bytes, offset)
    this.#blobs.set(attempt, whole)
  }

  #store(attempt: string): LogStore {
    let house = this.#houses.get(attempt)
    if (house === undefined) this.#houses.set(attempt, (house = { storage: empty.pop() ?? openStorage(), store: null }))
    return (house.store ??= new LogStore(house.storage))
  }

  /** What is stored, wherever; null when there never was a byte. */
  bytes(attempt: string): Uint8Array | null {
    const house = this.#houses.get(attempt)
    if (house === undefined) return null
    const blob = this.#blobs.get(attempt)
    const store = this.#store(attempt)
    if (store.known.state === 'archived') return blob ?? null
    const pieces: Uint8Array[] = []
    for (let offset = 0, bytes = store.piece(0, Infinity); bytes !== null; bytes = store.piece((offset += bytes.byteLength), Infinity)) pieces.push(bytes)
    return pieces.length === 1 ? (pieces[0] ?? null) : Buffer.concat(pieces)
  }

  isSealed(attempt: string): boolean {
    return this.#houses.has(attempt) && this.#store(attempt).known.state !== 'open'
  }

  /** Memory is gone. */
  evict(): void {
    for (const house of this.#houses.values()) house.store = null
  }

  close(): void {
    for (const { storage } of this.#houses.values()) {
      if (storage.all("select 1 from sqlite_master where name = 'log'", []).length > 0) for (const table of ['log', 'piece']) storage.run(`delete from ${table}`, [])
      empty.push(storage)
    }
  }
}

export class BlobStoreAway extends Error {
  override readonly message = 'the blob store is away'
}

function openStorage(): LogStorage {
  const database = new DatabaseSync(':memory:')
  const prepared = new Map<string, StatementSync>()
  const statement = (query: string): StatementSync => {
    let known = prepared.get(query)
    if (known === undefined) {
      known = database.prepare(query)
      known.setReturnArrays(true)
      prepared.set(query, known)
    }
    return known
  }
  return {
    all: (query, bindings) => statement(query).all(...bindings) as unknown as unknown[][], // as set when it was prepared
    run: (query, bindings) => void statement(query).run(...bindings),
    transaction: (run) => {
      statement('begin').run()
      try {
        const value = run()
        statement('commit').run()
        return value
      } catch (error) {
        statement('rollback').run()
        throw error
      }
    },
  }
}
