/**
 * What may come over a border instead of what was agreed: bytes, texts, and above all messages that were right and are
 * now a little wrong. Values are spelled by hand, since much that JSON can say no value of ours can (`1e999`, a doubled
 * key, an own `__proto__`).
 */
import fc from 'fast-check'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A value as its JSON is spelled, whatever it is. */
class Spelled {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Loose = Json | Spelled | Loose[] | Map<string, Loose>

const DEPTH = 2000

const encode = (text: string) => new Uint8Array(new TextEncoder().encode(text)) // surely on a buffer of its own

export const hostileBytes: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes)),
  fc.string({ unit: 'binary', maxLength: 100 }).map(encode),
  fc.constantFrom('', '{', 'null', '0', '""', '[]', '{}', '\uFEFF{}', '{"proto":1}', '{"format":99}', '['.repeat(DEPTH)).map(encode),
  fc.json({ maxDepth: 3 }).map(encode),
)

const spelling = fc.oneof(
  fc.constantFrom('null', 'true', '[]', '{}', '""', '-1', '0', '-0', '1.5', '1e999', '-1e999', '9007199254740993', '4294967296', '1e-7', '"1"', '"NaN"', '"\\u0000"', '"\\ud800"', '"__proto__"', '"../.."', '"a\\nb"', '{"__proto__":{"x":1}}', '{"constructor":1,"toString":2}', '[null]', '[[]]'),
  fc.constantFrom(`"${'x'.repeat(5000)}"`, `${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`, `[${'0,'.repeat(2000)}0]`),
  fc.json({ maxDepth: 2 }),
)
const key = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'hasOwnProperty', 'toString', 'then', '', 'length'), fc.string({ maxLength: 8 }))
const change = fc.record({ where: fc.nat(10_000), how: fc.constantFrom('drop', 'put', 'put', 'add', 'double'), value: spelling, key })

/** One to three of them, for `mutant`. */
export const changes = fc.array(change, { minLength: 1, maxLength: 3 })
export type Changes = typeof changes extends fc.Arbitrary<infer T> ? T : never

/** The texts of messages that differ from a valid one in one to three places. */
export function mutated(valid: Json): fc.Arbitrary<string> {
  return changes.map((all) => mutant(valid, all))
}

/** The text of a message that is as changed. */
export function mutant(valid: Json, all: Changes): string {
  let root = loosened(valid)
  for (const { where, how, value, key: name } of all) {
    const places = placesOf(root)
    const place = places[where % places.length]
    if (place === undefined) root = new Spelled(value)
    else place(how, new Spelled(value), name)
  }
  return spell(root)
}

/** The text with one bit or a few characters changed, or cut; never the text itself. */
export function damaged(text: string): fc.Arbitrary<string> {
  return fc
    .oneof(
      fc.tuple(fc.nat(text.length - 1), fc.nat(6)).map(([at, bit]) => text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1)),
      fc.nat(text.length - 1).map((length) => text.slice(0, length)),
      fc.tuple(fc.nat(text.length), fc.constantFrom('.', '=', 'A', '-', '%', ' ', '\0', 'ü', '.AAAA')).map(([at, more]) => text.slice(0, at) + more + text.slice(at)),
      fc.tuple(fc.nat(text.length - 1), fc.nat(text.length - 1)).map(([a, b]) => text.slice(0, Math.min(a, b)) + text.slice(Math.max(a, b))),
      fc.constantFrom(text + text, text.toUpperCase(), text.toLowerCase(), [...text].toReversed().join('')),
    )
    .filter((other) => other !== text)
}

function loosened(value: Json): Loose {
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map(loosened)
  return new Map(Object.entries(value).map(([name, each]) => [name, loosened(each)]))
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

type Place = (how: 'drop' | 'put' | 'add' | 'double', value: Loose, key: string) => void

/** Every field and entry of it, however deep, as what can be done to it. */
function placesOf(value: Loose): readonly Place[] {
  if (Array.isArray(value)) {
    return value.flatMap((each, at) => [
      (how, fresh) => void (how === 'drop' ? value.splice(at, 1) : how === 'put' ? (value[at] = fresh) : value.splice(at, 0, how === 'double' ? each : fresh)),
      ...placesOf(each as Loose), // an entry of a loose list is loose
    ])
  }
  if (!(value instanceof Map)) return []
  return [...value].flatMap(([name, each]): Place[] => [
    (how, fresh, other) => {
      if (how === 'drop') value.delete(name)
      else if (how === 'put') value.set(name, fresh)
      else if (how === 'add') value.set(other, fresh)
      else value.set(name, new Spelled(`${spell(each)},${JSON.stringify(name)}:${spell(fresh)}`)) // the key twice
    },
    ...placesOf(each),
  ])
}

function spell(value: Loose): string {
  if (value instanceof Spelled) return value.text
  if (Array.isArray(value)) return `[${value.map((each) => spell(each as Loose)).join(',')}]` // as above
  if (value instanceof Map) return `{${[...value].map(([name, each]) => `${JSON.stringify(name)}:${spell(each)}`).join(',')}}`
  return JSON.stringify(value)
}
