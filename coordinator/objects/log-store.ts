/**
 * What a log takes and what it refuses [C12]. It is always a prefix of the file that the agent spooled [I16]: a PUT
 * beyond the end is refused, the known part of an overlap is skipped. Once sealed it moves away and the rows go. It knows
 * no platform, so that the very same code runs in the object (`job-log.ts`) and under simulation.
 *
 * `known` is a new object whenever anything was stored, and the same one else.
 */
import { createHash } from 'node:crypto'
import { LOG_LIMIT_BYTES, LOG_PUT_BYTES, LOG_TAIL_BYTES, type SealReply, type SealRequest } from '../../schema/attempt.ts'
import { LogRows, ROW_BYTES, type Known, type LogStorage } from './log-rows.ts'
import type { AgentAnswer } from './scheduler-api.ts'

/** Head, marker and tail of a log that was cut by its agent. */
const MOST_BYTES = LOG_LIMIT_BYTES + LOG_TAIL_BYTES + 64 * 1024
/** After the seal: a moment in which viewers get the last bytes from the rows. */
export const ARCHIVE_AFTER_MS = 2000
const ARCHIVE_AGAIN_MS = 30_000
const ARCHIVE_SLOWEST_MS = 3_600_000

/** A log that is whole, for whoever copies it away. */
export interface SealedLog {
  readonly size: number
  readonly sha256: string
  /** Bytes from `offset` on, or null at the end. */
  piece(offset: number): Uint8Array | null
}

export interface LogPut {
  readonly attempt: string
  /** 2 when the agent sends all of it again. */
  readonly epoch: number
  /** How many bytes come before these. */
  readonly offset: number
  readonly bytes: Uint8Array
}

export class LogStore {
  readonly #rows: LogRows

  constructor(on: LogStorage) {
    this.#rows = new LogRows(on)
  }

  get known(): Known {
    return this.#rows.known
  }

  /** Answers with the bytes stored so far, of this epoch. */
  put({ attempt, epoch, offset, bytes }: LogPut): AgentAnswer<{ readonly size: number }> {
    if (bytes.byteLength > LOG_PUT_BYTES) return { ok: false, code: 'payload_too_large', message: `one PUT takes at most ${LOG_PUT_BYTES} bytes` }
    if (epoch < this.known.epoch) return SENT_AGAIN
    const size = this.#rows.sizeIn(epoch)
    if (offset > size) return { ok: false, code: 'log_gap', message: `the log has ${size} bytes; go on there`, extra: { size } }
    const fresh = bytes.subarray(size - offset)
    if (fresh.byteLength === 0) return { ok: true, value: { size } }
    if (this.known.state !== 'open') return sealed(size)
    if (size + fresh.byteLength > MOST_BYTES) return { ok: false, code: 'payload_too_large', message: `a log has at most ${MOST_BYTES} bytes` }
    this.#rows.append(attempt, epoch, fresh)
    return { ok: true, value: { size: this.known.size } }
  }

  /** Whoever seals sees to it that `archive` is called `ARCHIVE_AFTER_MS` later, also if he dies meanwhile. */
  seal(attempt: string, epoch: number, { bytes, sha256 }: SealRequest): AgentAnswer<SealReply> {
    const { known } = this
    if (epoch < known.epoch) return SENT_AGAIN
    const size = this.#rows.sizeIn(epoch)
    if (bytes > size) return known.state === 'open' ? { ok: false, code: 'log_gap', message: `the log has only ${size} of ${bytes} bytes`, extra: { size } } : sealed(size)
    if (bytes < size) return { ok: false, code: 'log_mismatch', message: `the log has ${size} bytes, more than the ${bytes} of its seal` }
    if ((known.sha256 ?? this.#hash(size)) !== sha256) return { ok: false, code: 'log_mismatch', message: 'the stored bytes have another SHA-256 than the seal' }
    if (known.state === 'open') this.#rows.seal(attempt, epoch, sha256)
    return { ok: true, value: { size, sealed: true } }
  }

  #hash(size: number): string {
    const hash = createHash('sha256')
    if (size > 0) for (const bytes of this.#rows.all()) hash.update(bytes)
    return hash.digest('hex')
  }

  /**
   * Moves a sealed log away and gives up its rows; to be called once at a time. Answers after how many milliseconds to
   * call it again, or null when there is nothing left to do. `copy` throws when the log was not taken whole; `chance` is
   * at least 0 and less than 1.
   */
  async archive(copy: (attempt: string, log: SealedLog) => Promise<void>, chance: () => number): Promise<number | null> {
    const { attempt, size, sha256, state } = this.known
    if (state !== 'sealed' || sha256 === null) return null
    try {
      await copy(attempt, { size, sha256, piece: (offset) => this.#rows.piece(offset, ROW_BYTES) })
      this.#rows.giveAway()
      return null
    } catch (error) {
      // Where it should go is away: the rows stay, readable. All logs of an outage must not come back at the same instant.
      const afterMs = Math.min(ARCHIVE_SLOWEST_MS, ARCHIVE_AGAIN_MS * 2 ** (this.#rows.countFailure() - 1)) * (0.75 + chance() / 4)
      console.error(`kedge: the log of ${attempt} could not be archived; it stays here and is tried again in ${Math.round(afterMs / 1000)} s`, error)
      return afterMs
    }
  }

  /** Bytes from `offset`, at most `most`; null where there are none, and when they have moved away. */
  piece(offset: number, most: number): Uint8Array | null {
    return this.#rows.piece(offset, most)
  }

  /** What of it lies within: `from` inclusive, `to` exclusive; negative `from` counts from the end. */
  range(from: number, to: number): { readonly start: number; readonly end: number } {
    const { size } = this.known
    return { start: from < 0 ? Math.max(0, size + from) : from, end: Math.min(to, size) }
  }
}

const SENT_AGAIN = { ok: false, code: 'log_mismatch', message: 'this log is being sent again from the start' } as const

function sealed(size: number): AgentAnswer<never> {
  return { ok: false, code: 'log_sealed', message: 'the log is sealed', extra: { size } }
}
