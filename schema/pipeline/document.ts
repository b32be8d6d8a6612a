/**
 * The text of a pipeline file to its value, with the place of everything in it. YAML is read as Buildkite's agent reads
 * it (`true` and `false` are truth values, `yes` and `on` are text; `0777` is octal; merge keys put their entries where
 * they stand), and JSON is YAML.
 *
 * Nothing that a file says can make this slow: its size, its depth and what its aliases come to are bounded.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, Scalar, type Document as YamlDocument, type Node, type Pair, type YAMLMap } from 'yaml'
import type { Json } from './canonical.ts'

export const LARGEST_BYTES = 1024 * 1024
const MOST_VALUES = 100_000
const DEEPEST = 64
/** Further ones only repeat what the first broke. */
const MOST_MISTAKES = 20

/** 1-based; `length` in characters, at least 1, on the same line. */
export interface Place {
  readonly line: number
  readonly column: number
  readonly length: number
}

export interface DocumentMistake {
  readonly place: Place
  /** What is wrong, and the way out. */
  readonly message: string
}

export type Path = readonly (string | number)[]

export interface Document {
  readonly value: Json
  readonly text: string
  /** Where the value at the path stands, or the nearest that holds it; with `key`, where its name does. */
  at(path: Path, what?: 'value' | 'key'): Place
}

export type DocumentAnswer = { readonly ok: true; readonly document: Document } | { readonly ok: false; readonly mistakes: readonly DocumentMistake[] }

export function readDocument(text: string): DocumentAnswer {
  const start: Place = { line: 1, column: 1, length: 1 }
  if (text.length > LARGEST_BYTES) return { ok: false, mistakes: [{ place: start, message: `the file is larger than ${LARGEST_BYTES / 1024} KiB, the most that is read. Upload it in parts, by several "pipeline upload".` }] }
  const lines = new LineCounter()
  const plain = text.replace(/^\uFEFF/, '')
  const parsed = parseAllDocuments(plain, { lineCounter: lines, schema: 'core', merge: false, uniqueKeys: false, logLevel: 'silent', keepSourceTokens: false, strict: true })
  const documents: readonly YamlDocument[] = Array.isArray(parsed) ? parsed : []
  const place = (from: number, to: number): Place => {
    const { line, col } = lines.linePos(Math.min(from, plain.length))
    const end = plain.indexOf('\n', from)
    return { line, column: col, length: Math.max(1, Math.min(to, end < 0 ? plain.length : end) - from) }
  }
  const errors = documents.flatMap((one) => one.errors)
  if (errors.length > 0) {
    return { ok: false, mistakes: errors.slice(0, MOST_MISTAKES).map(({ pos, message, code }) => ({ place: place(pos[0], pos[1]), message: inWords(code, message) })) }
  }
  const [first, second] = documents.filter((one) => one.contents !== null)
  if (first === undefined) return { ok: false, mistakes: [{ place: start, message: 'the file is empty. A pipeline is a list of steps under "steps:".' }] }
  if (second !== undefined) {
    const [from = 0, to = 0] = second.range ?? []
    return { ok: false, mistakes: [{ place: place(from, to), message: 'a second document begins here ("---"). Buildkite would ignore it; put all steps into one document.' }] }
  }
  const reading = new Reading(first, place)
  const value = reading.value(first.contents, reading.top, 0)
  return reading.mistakes.length > 0 ? { ok: false, mistakes: reading.mistakes } : { ok: true, document: { value, text: plain, at: (path, what) => locate(reading.top, path, what ?? 'value') } }
}

interface Located {
  value: Place
  key: Place
  readonly children: Map<string, Located>
}

function locate(top: Located, path: Path, what: 'value' | 'key'): Place {
  let found = top
  for (const step of path) {
    const child = found.children.get(String(step))
    if (child === undefined) return found.value
    found = child
  }
  return found[what]
}

class Reading {
  readonly mistakes: DocumentMistake[] = []
  readonly top: Located
  readonly #document: YamlDocument
  readonly #place: (from: number, to: number) => Place
  /** Anchors that are being read: one of them within itself never ends. */
  readonly #open = new Set<Node>()
  #values = 0

  constructor(document: YamlDocument, place: (from: number, to: number) => Place) {
    this.#document = document
    this.#place = place
    this.top = this.#located(document.contents)
  }

  #located(node: Node | null, key: Place | null = null): Located {
    const [from = 0, to = 0] = node?.range ?? []
    const value = this.#place(from, to)
    return { value, key: key ?? value, children: new Map() }
  }

  #mistake(node: Node | null, message: string): null {
    const [from = 0, to = 0] = node?.range ?? []
    if (this.mistakes.length < MOST_MISTAKES) this.mistakes.push({ place: this.#place(from, to), message })
    return null
  }

  value(node: Node | null, at: Located, depth: number): Json {
    if (this.mistakes.length > 0 && this.#values > MOST_VALUES) return null
    this.#values += 1
    if (this.#values > MOST_VALUES) return this.#mistake(node, `the file comes to more than ${MOST_VALUES} values, its aliases counted each time: no pipeline needs so many.`)
    if (depth > DEEPEST) return this.#mistake(node, `what stands here is nested more than ${DEEPEST} deep.`)
    if (node === null) return null
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target === undefined) return this.#mistake(node, `there is no anchor "&${node.source}" before this alias.`)
      if (this.#open.has(target)) return this.#mistake(node, `"*${node.source}" stands within what "&${node.source}" names, so it would never end.`)
      return this.#inside(target, at, depth)
    }
    return this.#inside(node, at, depth)
  }

  #inside(node: Node, at: Located, depth: number): Json {
    if (isScalar(node)) return scalar(node)
    this.#open.add(node)
    try {
      if (isSeq(node)) {
        return node.items.map((item, index) => {
          const child = this.#located(item as Node | null) // a parsed sequence holds nodes
          at.children.set(String(index), child)
          return this.value(item as Node | null, child, depth + 1)
        })
      }
      if (isMap(node)) return this.#mapping(node, at, depth)
      return this.#mistake(node, 'this is neither text, a number, a list nor a mapping.')
    } finally {
      this.#open.delete(node)
    }
  }

  #mapping(node: YAMLMap, at: Located, depth: number): Json {
    const out: Record<string, Json> = Object.create(null) as Record<string, Json> // "__proto__" is a name like any other
    const own = new Map<string, Pair>()
    for (const pair of node.items) {
      if (isMerge(pair)) continue
      const name = this.#name(pair)
      if (name === null) continue
      const before = own.get(name)
      if (before !== undefined) {
        const { line } = this.#place((before.key as Node).range?.[0] ?? 0, 0)
        this.#mistake(pair.key as Node, `"${name}" stands here twice, first in line ${line}. Keep one of them.`)
      } else own.set(name, pair)
    }
    const taken = new Set(own.keys())
    for (const pair of node.items) {
      if (isMerge(pair)) {
        this.#merge(pair.value as Node | null, { out, at, depth, taken })
        continue
      }
      const name = this.#name(pair)
      if (name !== null && own.get(name) === pair) this.#entry(name, pair, { out, at, depth })
    }
    return out
  }

  #entry(name: string, pair: Pair, { out, at, depth }: { readonly out: Record<string, Json>; readonly at: Located; readonly depth: number }): void {
    const key = pair.key as Node | null // parsed pairs hold nodes
    const value = pair.value as Node | null
    const [from = 0, to = 0] = key?.range ?? []
    const child = this.#located(value ?? key, this.#place(from, to))
    at.children.set(name, child)
    out[name] = this.value(value, child, depth + 1)
  }

  /** Entries of other mappings, where their names are not taken; of several the first that has a name. */
  #merge(node: Node | null, into: { readonly out: Record<string, Json>; readonly at: Located; readonly depth: number; readonly taken: Set<string> }): void {
    const target = isAlias(node) ? (node.resolve(this.#document) ?? null) : node
    if (isSeq(target)) {
      for (const item of target.items) this.#merge(item as Node | null, into)
      return
    }
    if (!isMap(target)) {
      this.#mistake(node, '"<<" merges a mapping, or a list of them, such as "<<: *name".')
      return
    }
    if (this.#open.has(target)) {
      this.#mistake(node, 'a mapping cannot be merged into itself.')
      return
    }
    this.#open.add(target)
    const own = new Set(target.items.flatMap((pair) => (isMerge(pair) ? [] : [this.#name(pair)])))
    for (const pair of target.items) {
      if (isMerge(pair)) {
        this.#merge(pair.value as Node | null, { ...into, taken: new Set([...into.taken, ...[...own].filter((name) => name !== null)]) })
        continue
      }
      const name = this.#name(pair)
      if (name === null || into.taken.has(name)) continue
      into.taken.add(name)
      this.#entry(name, pair, into)
    }
    this.#open.delete(target)
  }

  #name(pair: Pair): string | null {
    const key = isAlias(pair.key) ? pair.key.resolve(this.#document) : pair.key
    if (!isScalar(key)) return this.#mistake(pair.key as Node | null, 'a name in a mapping must be text.')
    const value = scalar(key)
    if (value === null) return this.#mistake(pair.key as Node | null, 'a name in a mapping is missing here.')
    if (typeof value === 'number' && !Number.isInteger(value)) return value.toExponential(6).replace(/e([+-])(\d)$/, 'e$10$2')
    return String(value)
  }
}

function isMerge(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.value === '<<' && pair.key.type === Scalar.PLAIN
}

/** Numbers as Go's YAML reads them; the library's own core schema knows fewer forms. */
function scalar(node: Scalar): Json {
  const { value, source, type } = node
  if (type !== Scalar.PLAIN || source === undefined || (node.tag !== undefined && node.tag !== 'tag:yaml.org,2002:int')) return plainOf(value)
  const text = source.replaceAll('_', '')
  if (/^[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-f]+|[1-9]\d*|0)$/i.test(text) && /^[-+]?\d/.test(source)) {
    const sign = text.startsWith('-') ? -1 : 1
    const digits = text.replace(/^[-+]/, '').replace(/^0(?=[0-7]+$)/, '0o')
    return sign * Number(digits)
  }
  return plainOf(value)
}

function plainOf(value: unknown): Json {
  if (typeof value === 'bigint') return Number(value)
  return value === undefined ? null : (value as Json) // what a parsed scalar can be
}

const WORDS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab stands in the indentation. YAML indents by spaces only.',
  BAD_ALIAS: 'this alias or anchor has no proper name.',
  DUPLICATE_KEY: 'this name stands here twice. Keep one of them.',
  MULTILINE_IMPLICIT_KEY: 'a name runs over several lines; is a ":" or a quote missing?',
  MISSING_CHAR: 'something is missing here, such as a closing quote or bracket, or a ":".',
}

function inWords(code: string, message: string): string {
  const says = WORDS[code]
  const first = message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? message
  return says === undefined ? `this is not YAML: ${first.charAt(0).toLowerCase()}${first.slice(1)}.` : says
}
