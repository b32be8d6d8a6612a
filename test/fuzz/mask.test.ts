/** Secrets in what a build prints [C12.4]: what comes out depends on the bytes only, and no secret does. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createMask, MASKED } from '../../agent/log/mask.ts'
import { runs } from './seed.ts'

const letter = fc.constantFrom('a', 'b', '\n', '/', '"', ' ', 'ü', '*')
const secret = fc.oneof(fc.string({ unit: letter, minLength: 6, maxLength: 12 }), fc.string({ unit: 'binary', minLength: 6, maxLength: 12 }))
const secrets = fc.array(secret, { minLength: 1, maxLength: 4 })

/** A secret may be said as it is, in base64, in a URL, or in JSON. */
const said = (all: readonly string[]) =>
  fc.array(
    fc.oneof(
      fc.string({ unit: letter, maxLength: 8 }),
      fc.tuple(fc.constantFrom(...all), fc.constantFrom('', 'base64', 'url', 'json')).map(([text, form]) => (form === 'base64' ? Buffer.from(text).toString('base64') : form === 'url' ? encodeURIComponent(text.toWellFormed()) : form === 'json' ? JSON.stringify(text) : text)),
      fc.constantFrom(...all).map((text) => text.slice(0, -1)),
      fc.constantFrom(...all).map((text) => text.slice(1)),
    ),
    { maxLength: 8 },
  ).map((pieces) => Buffer.from(pieces.join('')))

function masked(all: readonly string[], output: Uint8Array, cuts: readonly number[]): Buffer {
  const mask = createMask(all)
  const ends = [...cuts.map((cut) => cut % (output.byteLength + 1)), output.byteLength].sort((a, b) => a - b)
  const shown = ends.map((end, at) => Buffer.from(mask.push(output.slice(ends[at - 1] ?? 0, end))))
  return Buffer.concat([...shown, mask.end()])
}

it('however the output is cut, the same is shown', () => {
  fc.assert(
    fc.property(secrets.chain((all) => fc.tuple(fc.constant(all), said(all))), fc.array(fc.nat(), { maxLength: 12 }), ([all, output], cuts) => {
      expect(masked(all, output, cuts).toString('latin1')).toBe(masked(all, output, []).toString('latin1'))
    }),
    runs(600),
  )
})

it('however the output is cut, no part of it that is shown holds a secret', () => {
  fc.assert(
    fc.property(secrets.chain((all) => fc.tuple(fc.constant(all), said(all))), fc.array(fc.nat(), { maxLength: 12 }), ([all, output], cuts) => {
      const parts = masked(all, output, cuts).toString('latin1').split(MASKED)
      for (const each of all) {
        const bytes = Buffer.from(each).toString('latin1')
        // One that holds the mark itself could be put together by it.
        if (!bytes.includes('*')) expect(parts.some((part) => part.includes(bytes))).toBe(false)
      }
    }),
    runs(600),
  )
})
