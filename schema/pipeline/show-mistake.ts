/**
 * A mistake as people see it: file, line, column and sentence, then the line of the file with what is meant underlined.
 * What is shown may be anybody's: control characters, and those that turn the direction of text, are shown as signs.
 */
import type { Canonical } from './canonical.ts'
import type { Document, Place } from './document.ts'
import type { InterpolatedPipeline, InterpolationMistake } from './interpolate-pipeline.ts'
import type { Path } from './json.ts'
import type { Mistake } from './steps.ts'

export interface ShownMistake {
  /** As whoever reads it would open it. */
  readonly file: string
  /** All of the file. */
  readonly text: string
  readonly place: Place
  readonly message: string
}

/** Several lines, without one at the end. */
export function showMistake({ file, text, place, message }: ShownMistake): string {
  const line = (text.split('\n')[place.line - 1] ?? '').replace(/\r$/, '')
  const { shown, before, marked } = excerpt(place.line === 1 ? line.replace(/^\uFEFF/, '') : line, place)
  return `${harmless(file)}:${place.line}:${place.column}: ${harmless(message)}\n${`  ${shown}`.trimEnd()}\n  ${' '.repeat(before)}^${'~'.repeat(Math.max(0, marked - 1))}`
}

/** How a canonical pipeline was made of a document; `interpolated` when its variables were filled in before. */
export interface Making {
  readonly document: Document
  readonly interpolated?: Pick<InterpolatedPipeline, 'origin'>
  readonly canonical: Pick<Canonical, 'origin'>
}

/** Where a mistake of `readPipeline` or `graphOf` stands in the file: at a name when that is wrong, or when its value is more than a word. */
export function placeOfMistake({ path, isOfName }: Pick<Mistake, 'path' | 'isOfName'>, { document, interpolated, canonical }: Making): Place {
  const spelled = canonical.origin(path)
  const written = interpolated?.origin(spelled) ?? spelled
  return document.at(written, isOfName === true || isCollection(document, written) ? 'key' : 'value')
}

/** Where a variable that could not be filled in stands: within the text that is meant, where it can be found there. */
export function placeOfVariable({ path, isName, error }: InterpolationMistake, document: Document): Place {
  const place = document.at(path, isName ? 'key' : 'value')
  const text = isName ? path.at(-1) : valueAt(document, path)
  const part = typeof text === 'string' ? (text.slice(error.at, error.at + error.length).split('\n')[0] ?? '') : ''
  const start = document.text.split('\n', place.line - 1).reduce((sum, line) => sum + line.length + 1, 0) + place.column - 1
  const found = part === '' ? -1 : document.text.indexOf(part, start)
  if (found < 0) return place
  const before = document.text.slice(start, found).split('\n')
  const column = before.length === 1 ? place.column + found - start : (before.at(-1)?.length ?? 0) + 1
  return { line: place.line + before.length - 1, column, length: part.length }
}

function isCollection(document: Document, path: Path): boolean {
  const value = valueAt(document, path)
  return typeof value === 'object' && value !== null && typeof path.at(-1) === 'string'
}

function valueAt(document: Document, path: Path): unknown {
  let at: unknown = document.value
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Readonly<Record<string | number, unknown>>)[name] // a list has its indexes as own names
  }
  return at
}

/** Columns of a terminal that a line is shown in, and how many of them stand before what is meant. */
const WIDEST = 100
const BEFORE = 40
/** Of the file's characters looked at on each side; most are one column wide. */
const NEAR = 400

interface Excerpt {
  readonly shown: string
  /** Columns of a terminal. */
  readonly before: number
  readonly marked: number
}

interface Cell {
  readonly text: string
  readonly width: number
  readonly isMarked: boolean
}

function excerpt(line: string, { column, length }: Place): Excerpt {
  const from = Math.max(0, column - 1 - NEAR)
  const to = Math.min(line.length, column - 1 + NEAR)
  const cells = cellsOf(line.slice(from, to), { start: column - 1 - from, end: column - 1 - from + length })
  const first = cells.findIndex(({ isMarked }) => isMarked)
  const meant = first < 0 ? cells.length : first // at the end of the line something is missing
  const isLong = from > 0 || to < line.length || widthOf(cells) > WIDEST
  const begin = isLong && widthOf(cells.slice(0, meant)) > BEFORE ? beginBefore(cells, meant) : 0
  const end = isLong ? endWithin(cells, begin) : cells.length
  const [head, tail] = [begin > 0 || (isLong && from > 0) ? '…' : '', end < cells.length || to < line.length ? '…' : '']
  const visible = cells.slice(begin, end)
  return {
    shown: `${head}${visible.map(({ text }) => text).join('')}${tail}`,
    before: head.length + widthOf(cells.slice(begin, meant)),
    marked: widthOf(visible.filter(({ isMarked }) => isMarked)),
  }
}

function beginBefore(cells: readonly Cell[], meant: number): number {
  let begin = meant
  for (let width = 0; begin > 0 && width < BEFORE; begin -= 1) width += cells[begin - 1]?.width ?? 0
  return begin
}

function endWithin(cells: readonly Cell[], begin: number): number {
  let end = begin
  for (let width = 0; end < cells.length; end += 1) {
    width += cells[end]?.width ?? 0
    if (width > WIDEST) break
  }
  return end
}

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' })
const TAB = 4

/** What a reader takes for one character each; `start` and `end` are offsets into the text. */
function cellsOf(text: string, { start, end }: { readonly start: number; readonly end: number }): readonly Cell[] {
  const cells: Cell[] = []
  let column = 0
  for (const { segment, index } of GRAPHEMES.segment(text)) {
    const shown = segment === '\t' ? ' '.repeat(TAB - (column % TAB)) : harmless(segment)
    const width = segment === '\t' ? shown.length : columnsOf(shown)
    cells.push({ text: shown, width, isMarked: index + segment.length > start && index < end })
    column += width
  }
  return cells
}

function widthOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, { width }) => sum + width, 0)
}

const WIDE = /\p{Emoji_Presentation}|\uFE0F|[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1F64F}\u{1F900}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u

/** Of a terminal, for one character as readers see it. */
function columnsOf(grapheme: string): number {
  if (NO_WIDTH.test(grapheme)) return 0
  if (WIDE.test(grapheme)) return 2
  return grapheme === '\uFFFD\uFFFD' ? 2 : 1
}

/** Signs for what a terminal would obey, and for what would show text in another order than it is read. */
function harmless(text: string): string {
  return text
    .replace(/[\u0000-\u001F]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
    .replace(/\u007F/g, '\u2421')
    .replace(/[\u0080-\u009F\u061C\u200B\u200E\u200F\u2028-\u202E\u2060\u2066-\u2069\uFEFF]|\p{Cs}/gu, '\uFFFD')
}
