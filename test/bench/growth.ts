/**
 * Whatever is repeated: no text makes a reader take more of the processor than it is longer. Others write what these read:
 * pipelines, logs, annotations, bodies, and the secrets that a job adds. What each takes at most is bounded elsewhere.
 *
 * It is the ratio of the times that an input takes and one that is eight times as long, the best of a few tries; what is
 * quadratic takes 64 times as long.
 */
import fc from 'fast-check'
import { createMask } from '../../agent/log/mask.ts'
import { createAnsi } from '../../coordinator/pages/ansi.ts'
import { withEmoji } from '../../coordinator/pages/emoji.ts'
import { renderMarkdown } from '../../coordinator/pages/markdown.ts'
import { jsonMistake } from '../../schema/json-mistake.ts'
import { readDocument } from '../../schema/pipeline/document.ts'
import { interpolate } from '../../schema/pipeline/interpolate.ts'
import { parseConditional } from '../../schema/pipeline/conditional/conditional.ts'
import { graphOf } from '../../schema/pipeline/graph.ts'
import { commandStep, placed } from '../support/steps.ts'
import type { Bar, Row } from './row.ts'

const TIMES = 8
/** Between eight, for what is linear, and this, there is room for caches and compilers. */
const MOST = 3 * TIMES
/** Texts that are made up for each reader. */
const TEXTS = 60
/** So long is each repeated, since a single run of most is too short to be measured. */
const ENOUGH_MS = 4
const TRIES = 3

interface Reader {
  readonly read: (text: string) => unknown
  /** Of the smaller text; the larger has eight times as many. */
  readonly characters: number
  readonly before: readonly string[]
  readonly units: readonly string[]
  readonly behind: readonly string[]
}

const isRefused = (text: string): boolean => {
  try {
    JSON.parse(text)
    return false
  } catch {
    return true
  }
}

const READERS: Readonly<Record<string, Reader>> = {
  'a pipeline file': {
    read: readDocument,
    characters: 2000,
    before: ['', 'a: ', '- ', 'a: "', 'a: [', 'a: {', 'a: |\n ', 'a: &a b\nb: '],
    units: ['a', 'a: b\n', '- a\n', '? ', ': ', '[', '{', ',', 'a,', '\n', '\n\n', '  \n', ' ', '"', "'", '#', '# a\n', '&a ', '*a ', '!', '|\n', '---\n', '%', '<<: *a\n', '\r\n', ' a  \n', '\u0000', '\ud800', '1_'],
    behind: ['', '\n', '"', '}'],
  },
  'what is no JSON': { read: (text) => isRefused(text) && jsonMistake(text), characters: 8000, before: ['', '[', '{"', '"'], units: ['[', '{', '"', '\\', '\\"', '{"":', '1', '-', 'a', ' ', '\n', '[1,', '\\u0'], behind: ['', 'x', '"'] },
  'variables of a pipeline': {
    read: (text) => interpolate(text, (name) => (name.startsWith('L') ? 'abc'.repeat(20) : name.startsWith('S') ? 'x' : undefined)),
    characters: 4000,
    before: ['', '${S:-', '${N:-', '${L#'],
    units: ['$', '\\', '\\$', '${', '${S', '${S}', '${L}', '${S:-', '${N:-', '${L:0:1}', '${L#a}', '${L%%*c}', '${L:', '$(', '}', '$S', '${N?', 'é'],
    behind: ['', '}'],
  },
  'a condition': { read: (text) => parseConditional(text), characters: 2000, before: ['', 'a == "', 'a =~ /'], units: ['(', '!', '"', "'", '$A', '${A:-', '[', 'a && ', '1 == ', '/', '\\', '[[:a:', '(?=', 'a|', ' '], behind: ['', '"', '/'] },
  'a log': {
    read: (text) => {
      const ansi = createAnsi()
      ansi.push(new TextEncoder().encode(text))
      return ansi.unfinished()
    },
    characters: 500, // within what is held of one sequence, which bounds the rest
    before: ['', '\u001b[1m', 'x'.repeat(80) + '\r'],
    units: ['\u001b', '\u001b[', '\u001b[31ma', '\u001b]', '\u001b]8;;http://a\u001b\\b', '\ra', '\b', '\u001b[K', 'a\u001b[2K', '\u009b', '\u0090', '\u0090a', '\u009d8;;', '\u001bP', 'a', '\n', '\u001b[38;5;1ma'],
    behind: ['', '\n'],
  },
  'an annotation': {
    read: (text) => renderMarkdown(text, '/artifacts'),
    characters: 1000,
    before: ['', '> ', '- ', '[', '`', '| a |\n| - |\n', '<details>\n'],
    units: ['*', '**a', '*a ', '_a_', '[', '[a](', '![', '](', '<', '<a href="b">', '<code>', '<!--', '`', '``a', '~~', '|', '|a|\n', '- ', '- a\n', '>', '> a\n', '1. ', '# a\n', '```\n', '[a]: b\n', '[a][a]', '&', '\\*', 'http://', 'www.', 'a@b.c ', '://', '"', '<details>\n', '</details>\n', ' ', 'a  \n', '=\n', ':a:'],
    behind: ['', '\n\nx', ']', '</details>'],
  },
  'a label': { read: withEmoji, characters: 8000, before: ['', 'a'], units: [':', ':a', ':a:', ':+1:', 'a:', '_:', ' :a:'], behind: ['', 'x'] },
}

export const growth: Bar = {
  name: 'growth',
  run: async () => [
    ...Object.entries(READERS).map(([name, reader]) => worstOf(name, reader)),
    rowOf('output that begins as thousands of secrets do', growthOf(({ secrets, output }) => createMask(secrets).push(output), alike, 50), ''),
    rowOf('steps that wait for one that is not there', growthOf((steps) => graphOf(steps), astray, 10), ''),
  ],
}

function worstOf(name: string, { read, characters, before, units, behind }: Reader): Row {
  const unit = fc.oneof(fc.constantFrom(...units), fc.tuple(fc.constantFrom(...units), fc.constantFrom(...units)).map(([one, other]) => one + other))
  let worst = { ratio: 0, shown: '' }
  for (const [begin, repeated, end] of fc.sample(fc.tuple(fc.constantFrom(...before), unit, fc.constantFrom(...behind)), { numRuns: TEXTS, seed: 1 })) {
    const ratio = growthOf(read, (size) => begin + repeated.repeat(Math.ceil(size / repeated.length)) + end, characters)
    if (ratio > worst.ratio) worst = { ratio, shown: JSON.stringify(begin + repeated + end) }
  }
  return rowOf(name, worst.ratio, `, ${worst.shown}`)
}

function rowOf(name: string, ratio: number, shown: string): Row {
  return { name: `${name}, ${TIMES} times as long`, figure: `${ratio.toFixed(1)} × the work${shown}`, ratio: '', bar: `≤ ${MOST} ×`, holds: ratio <= MOST }
}

function alike(size: number): { readonly secrets: readonly string[]; readonly output: Buffer } {
  return { secrets: Array.from({ length: 8 * size }, (_, index) => `aaaa${index.toString(36).padStart(3, 'b')}`), output: Buffer.alloc(200 * size, 'a') }
}

function astray(size: number): ReturnType<typeof placed> {
  const waitsForNobody = Array.from({ length: 50 }, () => ({ step: 'Zz', allowFailure: false }))
  return placed([...Array.from({ length: 20 * size }, (_, index) => commandStep(index.toString(36).padStart(2, '_'))), ...Array.from({ length: size }, () => commandStep(null, { dependsOn: waitsForNobody }))])
}

/** `work` of inputs that `input` makes of a size. */
function growthOf<T>(work: (input: T) => unknown, input: (size: number) => T, size: number): number {
  const [small, large] = [input(size), input(size * TIMES)]
  repeatedly(work, small) // until it is compiled
  return Math.min(...Array.from({ length: TRIES }, () => repeatedly(work, large) / repeatedly(work, small)))
}

/** Milliseconds of one run. */
function repeatedly<T>(work: (input: T) => unknown, input: T): number {
  const since = performance.now()
  let runs = 0
  for (let ms = 0; ms < ENOUGH_MS; ms = performance.now() - since) {
    work(input)
    runs += 1
  }
  return (performance.now() - since) / runs
}
