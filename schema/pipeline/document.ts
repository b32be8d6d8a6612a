/**
 * The text of a pipeline file to its value, with the place of everything in it. YAML is read as Buildkite's agent reads
 * it (`true` and `false` are truth values, `yes` and `on` are text; `0777` is octal; merge keys put their entries where
 * they stand), and JSON is YAML.
 *
 * Nothing that a file says can make this slow: its size, its depth and what its aliases come to are bounded.
 */
import { Composer, isAlias, isCollection, isMap, isScalar, isSeq, Lexer, LineCounter, Parser, Scalar, type Alias, type CST, type Document as YamlDocument, type Node, type Pair, type YAMLMap } from 'yaml'
import type { Json, Path } from './json.ts'

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
  const place = (from: number, to: number): Place => {
    const { line, col } = lines.linePos(Math.min(from, plain.length))
    const end = (lines.lineStarts[line] ?? plain.length + 1) - 1
    return { line, column: col, length: Math.max(1, Math.min(to, end) - from) }
  }
  const mistake = (from: number, to: number, message: string): DocumentAnswer => ({ ok: false, mistakes: [{ place: place(from, to), message }] })
  const documents: YamlDocument[] = []
  try {
    const composer = new Composer({ lineCounter: lines, schema: 'core', merge: false, uniqueKeys: false, logLevel: 'silent', keepSourceTokens: false, strict: true })
    for (const document of composer.compose(tokensOf(plain, lines))) documents.push(document)
  } catch (error) {
    if (error instanceof TooDeep) return mistake(error.at, error.at + 1, TOO_DEEP)
    throw error
  }
  const errors = documents.flatMap((one) => one.errors)
  if (errors.length > 0) {
    return { ok: false, mistakes: errors.slice(0, MOST_MISTAKES).map(({ pos, message, code }) => ({ place: place(pos[0], pos[1]), message: inWords(code, message) })) }
  }
  const [first, second] = documents.filter(({ contents }) => contents !== null && !isNothing(contents))
  if (first === undefined) return { ok: false, mistakes: [{ place: start, message: 'the file is empty. A pipeline is a list of steps under "steps:".' }] }
  const [from = 0] = second?.range ?? []
  if (second !== undefined) return mistake(from, from + 3, 'a second document begins here ("---"). Buildkite would ignore it; put all steps into one document.')
  const reading = new Reading(first, place)
  const value = reading.value(first.contents, reading.top, 0)
  return reading.mistakes.length > 0 ? { ok: false, mistakes: reading.mistakes } : { ok: true, document: { value, text: plain, at: (path, what) => locate(reading.top, path, what ?? 'value') } }
}

const TOO_DEEP = `what stands here is nested more than ${DEEPEST} deep.`

class TooDeep extends Error {
  readonly at: number

  constructor(at: number) {
    super(TOO_DEEP)
    this.at = at
  }
}

/** What is far too deep is refused here: the library composes it with one call in another, and that ends somewhere. */
function* tokensOf(text: string, lines: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine)
  lines.addNewLine(0)
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme)
    if (parser.stack.length > 2 * DEEPEST) throw new TooDeep(parser.offset - 1)
  }
  yield* parser.end()
}

/** Between two `---`, or behind the last, nothing may stand at all. */
function isNothing(node: Node): boolean {
  return isScalar(node) && node.value === null && (node.source ?? '') === ''
}

/** What each alias stands for: what its anchor named last, above it. Asked one by one, the library looks from the top each time. */
function targetsOf(top: Node | null): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>()
  const targets = new Map<Alias, Node>()
  const open: unknown[] = [top]
  while (open.length > 0) {
    const node = open.pop()
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target !== undefined) targets.set(node, target)
      continue
    }
    if (!isScalar(node) && !isCollection(node)) continue
    if (node.anchor !== undefined) anchors.set(node.anchor, node)
    if (isMap(node)) for (const pair of node.items.toReversed()) open.push(pair.value, pair.key)
    else if (isSeq(node)) for (const item of node.items.toReversed()) open.push(item)
  }
  return targets
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

/** Entries of a mapping, those that it merges among them. */
interface Merging {
  /** What has been merged already, or is being. */
  readonly merged: Set<Node>
  readonly take: (name: string, pair: Pair) => void
}

class Reading {
  readonly mistakes: DocumentMistake[] = []
  readonly top: Located
  readonly #targets: ReadonlyMap<Alias, Node>
  readonly #place: (from: number, to: number) => Place
  /** What is being read: any of it within itself never ends. */
  readonly #open = new Set<Node>()
  readonly #names = new Map<Pair, string | null>()
  #values = 0

  constructor(document: YamlDocument, place: (from: number, to: number) => Place) {
    this.#targets = targetsOf(document.contents)
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
    const place = this.#place(from, to)
    // An alias shows what is wrong in its anchor again.
    const isTold = this.mistakes.some((one) => one.message === message && one.place.line === place.line && one.place.column === place.column)
    if (!isTold && this.mistakes.length < MOST_MISTAKES) this.mistakes.push({ place, message })
    return null
  }

  /** Says so once, when there is more than anybody writes; then nothing more is read. */
  #isTooMuch(node: Node | null, values: number): boolean {
    const was = this.#values
    this.#values += values
    if (was <= MOST_VALUES && this.#values > MOST_VALUES) this.#mistake(node, `the file comes to more than ${MOST_VALUES} values, its aliases counted each time: no pipeline needs so many.`)
    return this.#values > MOST_VALUES
  }

  value(node: Node | null, at: Located, depth: number): Json {
    if (this.#isTooMuch(node, 1)) return null
    if (depth > DEEPEST) return this.#mistake(node, TOO_DEEP)
    if (node === null) return null
    const target = this.#target(node)
    if (target === null) return null
    if (this.#open.has(target)) return this.#mistake(node, isAlias(node) ? `"*${node.source}" stands within what "&${node.source}" names, so it would never end.` : 'this is merged into itself, so it would never end.')
    if (isScalar(target)) return this.#scalar(target)
    this.#open.add(target)
    try {
      if (isSeq(target)) {
        return target.items.map((item, index) => {
          const child = this.#located(item as Node | null) // a parsed sequence holds nodes
          at.children.set(String(index), child)
          return this.value(item as Node | null, child, depth + 1)
        })
      }
      if (isMap(target)) return this.#mapping(target, at, depth)
      return this.#mistake(node, 'this is neither text, a number, a list nor a mapping.')
    } finally {
      this.#open.delete(target)
    }
  }

  /** What stands there, or what the alias there names. */
  #target(node: Node): Node | null {
    if (!isAlias(node)) return node
    return this.#targets.get(node) ?? this.#mistake(node, `there is no anchor "&${node.source}" before this alias.`)
  }

  #scalar(node: Scalar): Json {
    const value = scalar(node)
    if (typeof value === 'number' && !Number.isFinite(value)) return this.#mistake(node, 'a number in a pipeline is finite; write text in quotes.')
    return value instanceof Uint8Array ? this.#mistake(node, 'a pipeline has no binary values; write text.') : value
  }

  #mapping(node: YAMLMap, at: Located, depth: number): Json {
    const out: Record<string, Json> = Object.create(null) as Record<string, Json> // "__proto__" is a name like any other
    this.#entries(node, {
      merged: new Set(),
      take: (name, pair) => {
        const key = pair.key as Node | null // parsed pairs hold nodes
        const value = pair.value as Node | null
        const [from = 0, to = 0] = key?.range ?? []
        const child = this.#located(value ?? key, this.#place(from, to))
        at.children.set(name, child)
        out[name] = this.value(value, child, depth + 1)
      },
    })
    return out
  }

  /** Its own names first, wherever they stand; of merged ones the first that has a name. */
  #entries(node: YAMLMap, { merged, take }: Merging): void {
    if (merged.has(node)) return
    merged.add(node)
    if (merged.size > 1 && this.#isTooMuch(node, node.items.length)) return
    const taken = new Map<string, Pair>()
    for (const pair of node.items) {
      if (isMerge(pair)) continue
      const name = this.#name(pair)
      if (name === null) continue
      const before = taken.get(name)
      if (before === undefined) taken.set(name, pair)
      else if (merged.size === 1) this.#twice(name, before, pair)
    }
    for (const pair of node.items) {
      if (isMerge(pair)) {
        this.#merge(pair.value as Node | null, {
          merged,
          take: (name, from) => {
            if (taken.has(name)) return
            taken.set(name, from)
            take(name, from)
          },
        })
        continue
      }
      const name = this.#name(pair)
      if (name !== null) take(name, pair)
    }
  }

  #twice(name: string, before: Pair, pair: Pair): void {
    const { line } = this.#place((before.key as Node).range?.[0] ?? 0, 0)
    this.#mistake(pair.key as Node, `"${name}" stands here twice, first in line ${line}. Keep one of them.`)
  }

  #merge(node: Node | null, merging: Merging): void {
    const target = node === null ? null : this.#target(node)
    if (isMap(target)) this.#entries(target, merging)
    else if (isSeq(target)) {
      if (merging.merged.has(target) || this.#isTooMuch(node, target.items.length)) return
      merging.merged.add(target)
      for (const item of target.items) this.#merge(item as Node | null, merging)
    } else if (!isAlias(node) || target !== null) this.#mistake(node, '"<<" merges a mapping, or a list of them, such as "<<: *name".')
  }

  #name(pair: Pair): string | null {
    const known = this.#names.get(pair)
    if (known !== undefined) return known
    const name = this.#readName(pair.key as Node | null) // parsed pairs hold nodes
    this.#names.set(pair, name)
    return name
  }

  #readName(node: Node | null): string | null {
    const key = node === null ? null : this.#target(node)
    if (key === null) return isAlias(node) ? null : this.#mistake(node, 'a name in a mapping is missing here.')
    if (!isScalar(key)) return this.#mistake(node, 'a name in a mapping must be text.')
    const value = this.#scalar(key)
    if (value === null) return this.#mistake(node, 'a name in a mapping is missing here.')
    if (typeof value === 'number' && !Number.isInteger(value)) return value.toExponential(6).replace(/e([+-])(\d)$/, 'e$10$2')
    return String(value)
  }
}

function isMerge(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.value === '<<' && pair.key.type === Scalar.PLAIN
}

/** Numbers as Go's YAML reads them, which knows more forms than the library's own core schema. */
function scalar(node: Scalar): Json | Uint8Array {
  const { value, source, type } = node
  if (type !== Scalar.PLAIN || source === undefined || (node.tag !== undefined && node.tag !== 'tag:yaml.org,2002:int')) return plainOf(value)
  if (!/^[-+]?[.\d]/.test(source)) return plainOf(value)
  const text = source.startsWith('.') ? source : source.replaceAll('_', '')
  if (/^[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-f]+|[1-9]\d*|0)$/i.test(text)) return whole(text)
  if (!/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?$/i.test(text)) return typeof value === 'number' && !/inf|nan/i.test(source) ? source : plainOf(value)
  return Number.isFinite(Number(text)) ? Number(text) : source
}

/** As text where a number could not hold every digit: who writes so many means an id. */
function whole(text: string): number | string {
  const digits = BigInt(text.replace(/^[-+]/, '').replace(/^0(?=[0-7]+$)/, '0o'))
  const value = text.startsWith('-') ? -digits : digits
  return digits <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value)
}

function plainOf(value: unknown): Json | Uint8Array {
  if (typeof value === 'bigint') return Number(value)
  return value === undefined ? null : (value as Json | Uint8Array) // what a parsed scalar can be
}

const WORDS: Readonly<Record<string, string>> = {
  RESOURCE_EXHAUSTION: TOO_DEEP,
  TAB_AS_INDENT: 'a tab stands in the indentation. YAML indents by spaces only.',
  BAD_ALIAS: 'this alias or anchor has no proper name.',
  DUPLICATE_KEY: 'this name stands here twice. Keep one of them.',
  MULTILINE_IMPLICIT_KEY: 'a name runs over several lines; is a ":" or a quote missing?',
  MISSING_CHAR: 'something is missing here, such as a closing quote or bracket, or a ":".',
}

function inWords(code: string, message: string): string {
  const says = WORDS[code]
  const first = message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? message
  const brief = first.length <= 200 ? first : `${first.slice(0, 199)}…` // it may repeat a word of the file, however long
  return says === undefined ? `this is not YAML: ${brief.charAt(0).toLowerCase()}${brief.slice(1)}.` : says
}
