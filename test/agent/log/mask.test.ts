import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createGrowingMask, createMask, MASKED } from '../../../agent/log/mask.ts'

/** The masked text, fed in pieces cut at these places. */
function mask(secrets: readonly string[], text: string | Buffer, cuts: readonly number[] = []): string {
  const bytes = Buffer.from(text as string)
  const scanner = createMask(secrets)
  const out: Uint8Array[] = []
  let from = 0
  for (const cut of [...cuts.map((each) => Math.min(each, bytes.byteLength)).sort((a, b) => a - b), bytes.byteLength]) {
    out.push(Buffer.from(scanner.push(bytes.subarray(from, cut))))
    from = cut
  }
  out.push(scanner.end())
  return Buffer.concat(out).toString('latin1')
}

describe('what is masked [I22]', () => {
  test('a secret is replaced, what stands around it stays', () => {
    expect(mask(['hunter22'], 'login hunter22 ok')).toBe(`login ${MASKED} ok`)
  })

  test('a secret cut anywhere is replaced just the same [D44]', () => {
    for (let cut = 0; cut <= 17; cut += 1) expect(mask(['hunter22'], 'login hunter22 ok', [cut])).toBe(`login ${MASKED} ok`)
  })

  test('a value of five characters is not masked, one of six is', () => {
    expect(mask(['abcde'], 'x abcde x')).toBe('x abcde x')
    expect(mask(['abcdef'], 'x abcdef x')).toBe(`x ${MASKED} x`)
  })

  test('it is found in base64 at each alignment, also in the URL alphabet', () => {
    const secret = 'p>?ssw0rd>?>'
    for (const before of ['', 'a', 'ab', 'abc', 'user:']) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const encoded = Buffer.from(`${before}${secret}tail`).toString(encoding)
        const masked = mask([secret], `header ${encoded}`)
        expect(masked).toContain(MASKED)
        expect(Buffer.from(masked.replace('header ', '').replaceAll(MASKED, ''), 'base64').toString('latin1')).not.toContain('ssw0')
      }
    }
    expect(mask([secret], Buffer.from(secret).toString('base64'))).toBe(MASKED)
  })

  test('it is found in a URL, in a form and in JSON', () => {
    const secret = 'pa/s "w&rd\té'
    expect(mask([secret], `?t=${encodeURIComponent(secret)}&x`)).toBe(`?t=${MASKED}&x`)
    expect(mask([secret], new URLSearchParams({ t: secret }).toString())).toBe(`t=${MASKED}`)
    expect(mask([secret], JSON.stringify({ t: secret }))).toBe(`{"t":"${MASKED}"}`)
    expect(mask([secret], '{"t":"pa/s \\"w&rd\\t\\u00e9"}')).toBe(`{"t":"${MASKED}"}`)
  })

  test('each line of a secret of many lines is masked alone, with either kind of line end', () => {
    const key = '-----BEGIN KEY-----\nMIIabcdefgh\nxyz\n-----END KEY-----\n'
    expect(mask([key], 'one MIIabcdefgh two')).toBe(`one ${MASKED} two`)
    expect(mask([key], key.replaceAll('\n', '\r\n'))).not.toMatch(/KEY|MII/)
    expect(mask([key], key)).toBe(MASKED)
  })

  test('secrets that overlap or touch leave nothing of either', () => {
    expect(mask(['abcdefgh', 'efghijkl'], '<abcdefghijkl>')).toBe(`<${MASKED}>`)
    expect(mask(['abcdefgh'], '<abcdefghabcdefgh>', [9])).toBe(`<${MASKED}>`)
    expect(mask(['abcdef', 'abcdefghij'], '<abcdefghij> <abcdefgh>')).toBe(`<${MASKED}> <${MASKED}gh>`)
  })
})

describe('what is held back', () => {
  test('without secrets a chunk passes as it is', () => {
    const chunk = Buffer.from('anything')
    expect(createMask([]).push(chunk)).toBe(chunk)
    expect(createMask(['short']).push(chunk)).toBe(chunk)
  })

  test('a prompt that could begin no secret passes at once', () => {
    expect(Buffer.from(createMask(['hunter22']).push(Buffer.from('Password: '))).toString()).toBe('Password: ')
  })

  test('only the bytes that could begin a secret are held, and come when they do not', () => {
    const scanner = createMask(['hunter22'])
    expect(Buffer.from(scanner.push(Buffer.from('a hunt'))).toString()).toBe('a ')
    expect(Buffer.from(scanner.push(Buffer.from('ing'))).toString()).toBe('hunting')
    expect(Buffer.from(scanner.push(Buffer.from(' hun'))).toString()).toBe(' ')
    expect(Buffer.from(scanner.end()).toString()).toBe('hun')
  })
})

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n', '/', 'é', '"'), minLength: 6, maxLength: 12 })
const texts = (secrets: readonly string[]) => fc.array(fc.oneof(fc.constantFrom(...secrets, ...secrets.map((each) => each.slice(0, -1)), ...secrets.map((each) => JSON.stringify(each))), letters), { maxLength: 12 })

describe('for any secrets and any output', () => {
  const cases = fc.array(letters, { minLength: 1, maxLength: 3 }).chain((secrets) => fc.tuple(fc.constant(secrets), texts(secrets), fc.array(fc.nat(150), { maxLength: 30 })))

  test('what comes out does not depend on how the bytes were cut', () => {
    fc.assert(
      fc.property(cases, ([secrets, pieces, cuts]) => {
        const text = pieces.join('')
        expect(mask(secrets, text, cuts)).toBe(mask(secrets, text))
        expect(mask(secrets, text, [...Array(Buffer.byteLength(text)).keys()])).toBe(mask(secrets, text))
      }),
      { numRuns: 500 },
    )
  })

  test('no secret comes out, in any form that is promised', () => {
    fc.assert(
      fc.property(cases, ([secrets, pieces, cuts]) => {
        const out = mask(secrets, pieces.join(''), cuts)
        for (const secret of secrets) {
          for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) expect(out).not.toContain(Buffer.from(form).toString('latin1'))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('broken UTF-8 and zero bytes pass unchanged', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300)), (bytes, cuts) => {
        expect(mask(['zzzzzzzzzz'], Buffer.from(bytes), cuts)).toBe(Buffer.from(bytes).toString('latin1'))
      }),
    )
  })
})

describe('a mask that grows', () => {
  test('hides what was added from there on, and still what it hid before', () => {
    const added: string[][] = []
    const mask = createGrowingMask(['hunter22'], () => added.shift() ?? [])
    const push = (text: string) => Buffer.from(mask.push(Buffer.from(text))).toString()
    added.push([])
    expect(push('hunter22 sesame! ')).toBe(`${MASKED} sesame! `)
    added.push(['sesame!', 'x'])
    expect(push('hunter22 sesame! x ')).toBe(`${MASKED} ${MASKED} x `)
    expect(push('ses') + push('ame! hun') + push('ter22')).toBe(`${MASKED} ${MASKED}`)
    expect(Buffer.from(mask.end()).toString()).toBe('')
  })

  test('loses nothing of what was held back when it grew', () => {
    for (let cut = 0; cut <= 20; cut += 1) {
      for (const secrets of [[], ['hunter22']]) {
        const added = [[], ['sesame!', 'hunter22']]
        const mask = createGrowingMask(secrets, () => added.shift() ?? [])
        const text = 'a hunter2 b hunter22'
        const all = Buffer.concat([mask.push(Buffer.from(text.slice(0, cut))), mask.push(Buffer.from(text.slice(cut))), mask.end()].map((part) => Buffer.from(part))).toString()
        const isHidden = secrets.length > 0 || cut <= 12
        expect(all).toBe(isHidden ? `a hunter2 b ${MASKED}` : text)
      }
    }
  })
})
