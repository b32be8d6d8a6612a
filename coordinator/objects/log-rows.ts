/**
 * What a JobLog keeps in SQLite: the bytes of one log in rows, and how far it got. Nothing is written before the first
 * byte, so that looking at a log that is not there leaves no object behind.
 *
 * What one would get wrong: memory follows the rows and never runs ahead. A write that fails (a full database) must
 * leave the size as it was, or the next PUT would be appended behind a hole [I16].
 */
import type { Binding } from '../store/sql.ts'

export const ROW_BYTES = 256 * 1024
/** Small PUTs are gathered in one row up to this size: each row is paid for when written and again when deleted. */
const GATHER_BYTES = 64 * 1024

/** SQLite as a log needs it: that of an object, or any other. */
export interface LogStorage {
  /** Each row as its values; bytes as an `ArrayBuffer` or a `Uint8Array`. */
  all(query: string, bindings: readonly (Binding | Uint8Array)[]): readonly (readonly unknown[])[]
  run(query: string, bindings: readonly (Binding | Uint8Array)[]): void
  /** Runs synchronously, all or nothing. */
  transaction<T>(run: () => T): T
}

export interface Known {
  readonly attempt: string
  readonly epoch: number
  readonly size: number
  readonly state: 'open' | 'sealed' | 'archived'
  /** Of all bytes, in hex; null while open. */
  readonly sha256: string | null
  /** How often R2 did not take it. */
  readonly failures: number
  readonly lastRow: Piece
}

interface Piece {
  readonly start: number
  readonly bytes: number
}

const NO_ROW: Piece = { start: 0, bytes: 0 }
const NOTHING: Known = { attempt: '', epoch: 1, size: 0, state: 'open', sha256: null, failures: 0, lastRow: NO_ROW }

export class LogRows {
  readonly #on: LogStorage
  #known: Known = NOTHING

  constructor(on: LogStorage) {
    this.#on = on
    if (on.all("select 1 from sqlite_master where type = 'table' and name = 'log'", []).length === 0) return
    const row = on.all('select attempt, epoch, size, state, sha256, failures from log', [])[0]
    if (!row) return
    const [attempt, epoch, size, state, sha256, failures] = row as [string, number, number | null, Known['state'], string | null, number] // as `#begun` makes the table
    const [start, bytes] = (on.all('select start, length(bytes) from piece order by start desc limit 1', [])[0] ?? [0, 0]) as [number, number]
    this.#known = { attempt, epoch, size: size ?? start + bytes, state, sha256, failures, lastRow: { start, bytes } }
  }

  get known(): Known {
    return this.#known
  }

  /** What `epoch` has: nothing yet, if the agent begins to send all of it again. */
  sizeIn(epoch: number): number {
    return this.#isAnew(epoch) ? 0 : this.#known.size
  }

  #isAnew(epoch: number): boolean {
    return epoch > this.#known.epoch && this.#known.state === 'open'
  }

  /** Appends, after emptying the log if this epoch is a new one; all or nothing. */
  append(attempt: string, epoch: number, bytes: Uint8Array): void {
    this.#known = this.#on.transaction(() => this.#written(this.#begun(attempt, epoch), bytes))
  }

  seal(attempt: string, epoch: number, sha256: string): void {
    this.#known = this.#on.transaction(() => {
      const known = this.#begun(attempt, epoch)
      this.#on.run("update log set state = 'sealed', size = ?, sha256 = ?", [known.size, sha256])
      return { ...known, state: 'sealed', sha256 }
    })
  }

  /** R2 has it: only what is known of it stays. */
  giveAway(): void {
    this.#known = this.#on.transaction(() => {
      this.#on.run("update log set state = 'archived'", [])
      this.#on.run('delete from piece', [])
      return { ...this.#known, state: 'archived', lastRow: NO_ROW }
    })
  }

  countFailure(): number {
    const failures = this.#known.failures + 1
    this.#on.run('update log set failures = ?', [failures])
    this.#known = { ...this.#known, failures }
    return failures
  }

  /** Bytes from `offset`, at most `most`, from one row; null at the end. */
  piece(offset: number, most: number): Uint8Array | null {
    if (offset >= this.#known.size || this.#known.state === 'archived') return null
    const row = this.#on.all('select start, bytes from piece where start <= ? order by start desc limit 1', [offset])[0]
    if (!row) return null
    const within = offset - Number(row[0])
    return bytesOf(row[1]).subarray(within, within + most)
  }

  /** Every row in order, one at a time: memory stays flat however long the log is. */
  *all(): Generator<Uint8Array> {
    if (this.#known.size === 0) return
    for (let last = -1; ; ) {
      const row = this.#on.all('select start, bytes from piece where start > ? order by start limit 1', [last])[0]
      if (!row) return
      last = Number(row[0])
      yield bytesOf(row[1])
    }
  }

  #begun(attempt: string, epoch: number): Known {
    if (this.#known === NOTHING) {
      this.#on.run('create table if not exists piece (start integer primary key, bytes blob not null)', [])
      this.#on.run('create table if not exists log (id integer primary key, attempt text not null, epoch integer not null, size integer, state text not null, sha256 text, failures integer not null)', [])
      this.#on.run("insert into log (id, attempt, epoch, state, failures) values (1, ?, ?, 'open', 0)", [attempt, epoch])
      return { ...NOTHING, attempt, epoch }
    }
    if (!this.#isAnew(epoch)) return this.#known
    this.#on.run('delete from piece', [])
    this.#on.run('update log set epoch = ?', [epoch])
    return { ...this.#known, epoch, size: 0, lastRow: NO_ROW }
  }

  #written(known: Known, bytes: Uint8Array): Known {
    let { size, lastRow } = known
    if (lastRow.bytes > 0 && lastRow.bytes + bytes.byteLength <= GATHER_BYTES) {
      const joined = new Uint8Array(lastRow.bytes + bytes.byteLength)
      joined.set(bytesOf(this.#on.all('select bytes from piece where start = ?', [lastRow.start])[0]?.[0]))
      joined.set(bytes, lastRow.bytes)
      this.#on.run('update piece set bytes = ? where start = ?', [joined, lastRow.start])
      return { ...known, size: size + bytes.byteLength, lastRow: { start: lastRow.start, bytes: joined.byteLength } }
    }
    for (let at = 0; at < bytes.byteLength; at += ROW_BYTES) {
      const piece = bytes.subarray(at, at + ROW_BYTES)
      this.#on.run('insert into piece (start, bytes) values (?, ?)', [size, piece])
      lastRow = { start: size, bytes: piece.byteLength }
      size += piece.byteLength
    }
    return { ...known, size, lastRow }
  }
}

/** Without a copy. */
function bytesOf(stored: unknown): Uint8Array {
  if (stored instanceof Uint8Array) return stored
  if (stored instanceof ArrayBuffer) return new Uint8Array(stored)
  throw new Error('a row of the log is gone, or holds no bytes')
}
