/**
 * What a log takes and refuses, in plain Node on another SQLite than the objects'. The object around it is tested in
 * `job-log.test.ts`, in the real runtime.
 */
import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { LogStore, type SealedLog } from '../../../../coordinator/objects/log-store.ts'
import { logStorage } from '../../../support/sqlite.ts'

const ATTEMPT = 'J1-1-1.1'

/** A log of its own; `restart` forgets all that is not stored. */
function newLog() {
  const database = new DatabaseSync(':memory:')
  let store = new LogStore(logStorage(database))
  return {
    database,
    get known() {
      return store.known
    },
    put: (offset: number, text: string | Uint8Array, epoch = 1) => store.put({ attempt: ATTEMPT, epoch, offset, bytes: Buffer.from(text) }),
    seal: (text: string | Uint8Array, { epoch = 1, sha256 = sha256Of(text) } = {}) => store.seal(ATTEMPT, epoch, { bytes: text.length, sha256 }),
    archive: (copy: (attempt: string, log: SealedLog) => Promise<void>, chance = 0) => store.archive(copy, () => chance),
    text: () => Buffer.concat([...piecesOf((offset) => store.piece(offset, 256 * 1024))]).toString(),
    restart: () => void (store = new LogStore(logStorage(database))),
  }
}

function* piecesOf(piece: (offset: number) => Uint8Array | null): Generator<Uint8Array> {
  for (let offset = 0, bytes = piece(0); bytes !== null; bytes = piece((offset += bytes.byteLength))) yield bytes
}

function sha256Of(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

describe('a PUT', () => {
  it('leaves a prefix of the file, whatever is repeated, cut, reordered and forgotten [I16]', () => {
    const file = Buffer.from(Array.from({ length: 55_000 }, (_, line) => line).join()) // no part of it comes twice soon
    fc.assert(
      fc.property(fc.array(fc.record({ offset: fc.nat(file.length), length: fc.nat(150_000), dies: fc.boolean() }), { minLength: 4, maxLength: 12 }), (calls) => {
        const log = newLog()
        let size = 0
        for (const { offset, length, dies } of calls) {
          const start = offset % 3 === 0 ? offset : Math.max(0, size - (offset % 1000))
          const piece = file.subarray(start, start + length)
          const answer = log.put(start, piece)
          if (start > size) expect(answer).toMatchObject({ ok: false, code: 'log_gap', extra: { size } })
          else {
            size = Math.max(size, start + piece.length)
            expect(answer).toEqual({ ok: true, value: { size } })
          }
          if (dies) log.restart()
        }
        expect(log.text()).toBe(file.subarray(0, size).toString())
        expect(log.seal(file.subarray(0, size))).toEqual({ ok: true, value: { size, sealed: true } })
      }),
      { numRuns: 30 },
    )
  })

  it('of a new epoch begins the log anew, and one of the old epoch is refused then', () => {
    const log = newLog()
    log.put(0, 'damaged')
    expect(log.put(0, 'sound', 2)).toEqual({ ok: true, value: { size: 5 } })
    expect(log.put(5, ' and more')).toMatchObject({ ok: false, code: 'log_mismatch' })
    expect(log.text()).toBe('sound')
  })

  it('that is not written leaves the size as it was, so that no hole can come [I16]', () => {
    const log = newLog()
    log.put(0, 'first ')
    const { known } = log
    log.database.exec("create trigger full before update on piece begin select raise(abort, 'disk full'); end")
    expect(() => log.put(6, 'second')).toThrow('disk full')
    expect(log.known).toBe(known)
    log.database.exec('drop trigger full')
    expect(log.put(6, 'second')).toEqual({ ok: true, value: { size: 12 } })
    expect(log.text()).toBe('first second')
  })

  it('without a byte that is new stores nothing', () => {
    const log = newLog()
    log.put(0, 'text')
    const { known } = log
    expect(log.put(0, 'text')).toEqual({ ok: true, value: { size: 4 } })
    expect(log.known).toBe(known)
  })

  it('is refused after the seal, but for what is known', () => {
    const log = newLog()
    log.put(0, 'text')
    log.seal('text')
    log.restart()
    expect(log.put(2, 'xt')).toEqual({ ok: true, value: { size: 4 } })
    expect(log.put(4, '!')).toMatchObject({ ok: false, code: 'log_sealed', extra: { size: 4 } })
  })
})

describe('a seal', () => {
  it.each([
    ['of more bytes than are stored', 'text and more', 'log_gap', 'only 4 of 13 bytes'],
    ['of fewer', 'tex', 'log_mismatch', 'more than the 3'],
    ['of other bytes', 'tact', 'log_mismatch', 'another SHA-256'],
  ])('%s is refused', (_, text, code, message) => {
    const log = newLog()
    log.put(0, 'text')
    expect(log.seal(text)).toMatchObject({ ok: false, code, message: expect.stringContaining(message) })
    expect(log.known.state).toBe('open')
  })

  it('that comes twice is the same seal', () => {
    const log = newLog()
    log.put(0, 'text')
    const first = log.seal('text')
    const { known } = log
    expect(log.seal('text')).toEqual(first)
    expect(log.known).toBe(known)
  })

  it('of a log without a byte is taken', () => {
    expect(newLog().seal('')).toEqual({ ok: true, value: { size: 0, sealed: true } })
  })
})

describe('archiving', () => {
  it('hands over every byte and keeps only what is known of them', async () => {
    const log = newLog()
    const text = 'x'.repeat(600_000)
    log.put(0, text)
    log.seal(text)
    const copied: Uint8Array[] = []
    expect(await log.archive(async (_, { piece }) => void copied.push(...piecesOf(piece)))).toBeNull()
    expect(Buffer.concat(copied).toString()).toBe(text)
    log.restart()
    expect(log.known).toMatchObject({ attempt: ATTEMPT, size: 600_000, state: 'archived', sha256: sha256Of(text) })
    expect(log.text()).toBe('')
    expect(log.put(0, text)).toEqual({ ok: true, value: { size: 600_000 } })
  })

  it('that fails keeps the rows and comes again, later each time and never all at once, up to an hour', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const log = newLog()
    log.put(0, 'text')
    log.seal('text')
    const fail = (chance: number) => log.archive(() => Promise.reject(new Error('R2 is away')), chance)
    expect(await fail(1)).toBe(30_000)
    expect(await fail(0)).toBe(45_000)
    log.restart()
    expect(await fail(1)).toBe(120_000)
    for (let times = 0; times < 10; times += 1) await fail(1)
    expect(await fail(1)).toBe(3_600_000)
    expect(log.text()).toBe('text')
    said.mockRestore()
  })

  it('does nothing before the seal', async () => {
    const log = newLog()
    log.put(0, 'text')
    const copy = vi.fn(async () => {})
    expect(await log.archive(copy)).toBeNull()
    expect(copy).not.toHaveBeenCalled()
  })
})
