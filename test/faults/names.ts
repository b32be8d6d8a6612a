/** Which tests show which rows, read from the test files themselves, and which rows a person means by a name. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nearest } from '../../schema/nearest.ts'
import { PROCESS_FOLDERS, ROWS, type FaultRow } from './rows.ts'

export const ROOT = join(import.meta.dirname, '../..')

export interface NamedTest {
  readonly file: string
  /** As it is written: `${…}` and `%s` stand for anything. */
  readonly name: string
  /** Of the row numbers among the last brackets. */
  readonly rows: readonly string[]
}

/** Every test with real processes that names a row. */
export function processTests(): readonly NamedTest[] {
  return PROCESS_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: ROOT }).sort()).flatMap((file) =>
    namesIn(file)
      .map((name) => ({ file, name, rows: rowsNamed(name) }))
      .filter(({ rows }) => rows.length > 0),
  )
}

/** The names of all tests that are written in a file. */
export function namesIn(file: string): readonly string[] {
  const source = readFileSync(join(ROOT, file), 'utf8')
  // Whatever follows `test(` or `.each(…)(`: a literal and a comma.
  return [...source.matchAll(/(?:\b(?:test|it)|\))\(\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`), /g)].map(([, literal = '']) => literal.slice(1, -1).replaceAll(/\\(.)/g, '$1'))
}

export function rowsNamed(name: string): readonly string[] {
  const brackets = /\[([^\]]*)\]\W*$/.exec(name)?.[1] ?? ''
  return brackets.match(/\bD\d+\b/g) ?? []
}

/** A pattern for the name as it will be when it runs. */
export function patternOf(name: string): string {
  return name
    .split(/\$\{[^}]*\}|%[a-z]/)
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`))
    .join('.*')
}

export type Chosen = { readonly rows: readonly FaultRow[] } | { readonly unknown: string; readonly meant: string | null }

/** `D12`, `D12-D16`, or a word of a row's sentence or of the names of its tests. */
export function choose(words: readonly string[]): Chosen {
  if (words.length === 0) return { rows: ROWS }
  const tests = processTests()
  const chosen = new Set<FaultRow>()
  for (const word of words) {
    const [, from, to] = /^d(\d+)(?:-d?(\d+))?$/i.exec(word) ?? []
    const fits = ({ id, fault }: FaultRow): boolean => {
      const number = Number(id.slice(1))
      if (from !== undefined) return number >= Number(from) && number <= Number(to ?? from)
      return [fault, ...tests.filter(({ rows }) => rows.includes(id)).map(({ name }) => name)].some((text) => text.toLowerCase().includes(word.toLowerCase()))
    }
    const found = ROWS.filter(fits)
    if (found.length === 0) return { unknown: word, meant: nearest(word, [...ROWS.map(({ id }) => id), ...new Set(ROWS.flatMap(({ fault }) => fault.match(/[\w-]{4,}/g) ?? []))]) }
    for (const row of found) chosen.add(row)
  }
  return { rows: ROWS.filter((row) => chosen.has(row)) }
}
