/**
 * Whatever is repeated: no text makes a reader take more of the processor than it is longer. Others write what these read:
 * pipelines, logs, annotations, bodies. What each takes at most is bounded elsewhere.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAnsi } from '../../coordinator/pages/ansi.ts'
import { withEmoji } from '../../coordinator/pages/emoji.ts'
import { renderMarkdown } from '../../coordinator/pages/markdown.ts'
import { jsonMistake } from '../../schema/json-mistake.ts'
import { readDocument } from '../../schema/pipeline/document.ts'
import { interpolate } from '../../schema/pipeline/interpolate.ts'
import { parseConditional } from '../../schema/pipeline/conditional/conditional.ts'
import { growthOf, LINEAR } from '../support/growth.ts'
import { runs } from './seed.ts'

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

describe('of whatever is repeated', () => {
  it.each(Object.entries(READERS))('%s is read in time that grows as it does', (_, { read, characters, before, units, behind }) => {
    const unit = fc.oneof(fc.constantFrom(...units), fc.tuple(fc.constantFrom(...units), fc.constantFrom(...units)).map(([one, other]) => one + other))
    fc.assert(
      fc.property(fc.constantFrom(...before), unit, fc.constantFrom(...behind), (begin, repeated, end) => {
        const text = (size: number) => begin + repeated.repeat(Math.ceil(size / repeated.length)) + end
        expect(growthOf(read, text, characters)).toBeLessThan(LINEAR)
      }),
      runs(2),
    )
  })
})
