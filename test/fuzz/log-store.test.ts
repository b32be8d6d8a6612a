/** A log under any order of PUTs, seals and archivings [I16]: what is stored is a prefix of what one epoch's file holds. */
import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, it, onTestFinished, vi } from 'vitest'
import { LogStore } from '../../coordinator/objects/log-store.ts'
import { REFUSALS } from '../../schema/refusal.ts'
import { runs } from './seed.ts'
import { logStorage } from '../support/sqlite.ts'

const ATTEMPT = 'J1-1-1.1'
/** As first sent, and as sent again: nowhere the same, and no part of either comes twice soon. */
const FILES = [1, 2].map((epoch) => Buffer.from(Array.from({ length: 40_000 }, (_, line) => line * epoch).join(epoch === 1 ? ',' : ';')))

const epoch = fc.constantFrom<1 | 2>(1, 1, 1, 2)
/** Mostly near the end, where a log grows. */
const place = fc.oneof(fc.record({ from: fc.constant('end' as const), by: fc.integer({ min: -2000, max: 1 }) }), fc.record({ from: fc.constant('start' as const), by: fc.oneof(fc.nat(200_000), fc.constantFrom(0, 999_999_999_999_999)) }))
const call = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), epoch, place, length: fc.oneof(fc.nat(3000), fc.constantFrom(0, 1, 64 * 1024, 150_000)) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('seal' as const), epoch, lie: fc.constantFrom('none', 'none', 'more', 'fewer', 'hash') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('archive' as const), fails: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const) }) },
)

it('whatever is sent in whatever order, a prefix of one file is stored, and what is refused changes nothing [I16]', async () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => undefined) // of each archiving that failed
  onTestFinished(() => said.mockRestore())
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 3, maxLength: 25 }), async (calls) => {
      const database = new DatabaseSync(':memory:')
      let store = new LogStore(logStorage(database))
      let archived: Buffer | null = null
      const read = (piece: (offset: number) => Uint8Array | null) => {
        const pieces: Uint8Array[] = []
        let offset = 0
        for (let bytes = piece(0); bytes !== null; bytes = piece((offset += bytes.byteLength))) pieces.push(bytes)
        return Buffer.concat(pieces)
      }
      const rows = () => Number(database.prepare('select total_changes() as n').get()?.['n'])
      for (const step of calls) {
        const before = { rows: rows(), known: store.known }
        if (step.do === 'put' || step.do === 'seal') {
          const file = FILES[step.epoch - 1] ?? Buffer.alloc(0)
          const size = step.epoch > before.known.epoch && before.known.state === 'open' ? 0 : before.known.size
          let answer
          if (step.do === 'put') {
            const offset = step.place.from === 'start' ? step.place.by : Math.max(0, size + step.place.by)
            answer = store.put({ attempt: ATTEMPT, epoch: step.epoch, offset, bytes: file.subarray(offset, offset + step.length) })
            if (answer.ok) expect(answer.value.size).toBe(store.known.size >= size ? Math.max(size, answer.value.size) : size)
          } else {
            const end = Math.max(0, size + (step.lie === 'more' ? 1 : step.lie === 'fewer' ? -1 : 0))
            answer = store.seal(ATTEMPT, step.epoch, { bytes: end, sha256: createHash('sha256').update(file.subarray(0, end)).update(step.lie === 'hash' ? 'x' : '').digest('hex') })
            if (answer.ok) expect([step.lie === 'hash', store.known.state === 'open']).toEqual([false, false])
          }
          if (!answer.ok) {
            expect(Object.hasOwn(REFUSALS, answer.code)).toBe(true)
            expect([rows(), store.known]).toEqual([before.rows, before.known])
          }
        } else if (step.do === 'archive') {
          const again = await store.archive(async (_, log) => {
            if (step.fails) throw new Error('R2 is away')
            archived = read(log.piece)
          }, () => 0.5)
          expect(again === null).toBe(!(step.fails && before.known.state === 'sealed'))
        } else store = new LogStore(logStorage(database))
        const { known } = store
        const stored = archived ?? read((offset) => store.piece(offset, 64 * 1024))
        expect(stored.equals(FILES[known.epoch - 1]?.subarray(0, known.size) ?? Buffer.alloc(0))).toBe(true)
        expect(known.state === 'archived').toBe(archived !== null)
      }
      database.close()
    }),
    runs(120),
  )
})
