import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../../schema/pipeline/canonical.ts'
import { readDocument } from '../../../schema/pipeline/document.ts'
import { interpolatePipeline } from '../../../schema/pipeline/interpolate-pipeline.ts'
import { readPipeline } from '../../../schema/pipeline/read-steps.ts'
import { placeOfMistake, placeOfVariable, showMistake } from '../../../schema/pipeline/show-mistake.ts'

/** The part of the line between `‹` and `›` is meant. */
function shown(marked: string, message = 'wrong'): string {
  const [before = '', meant = '', after = ''] = marked.split(/[‹›]/)
  const text = before + meant + after
  const line = before.split('\n').length
  const column = (before.split('\n').at(-1)?.length ?? 0) + 1
  return showMistake({ file: 'pipeline.yml', text, place: { line, column, length: Math.max(1, meant.length) }, message })
}

/** All mistakes of a file, as they are shown. */
function allShown(text: string, environment: Readonly<Record<string, string>> = {}): string {
  const read = readDocument(text)
  const show = (place: { line: number; column: number; length: number }, message: string) => showMistake({ file: 'p.yml', text, place, message })
  if (!read.ok) return read.mistakes.map(({ place, message }) => show(place, message)).join('\n')
  const { document } = read
  const interpolated = interpolatePipeline(document.value, environment)
  if (interpolated.mistakes.length > 0) return interpolated.mistakes.map((mistake) => show(placeOfVariable(mistake, document), mistake.error.message)).join('\n')
  const made = canonical(interpolated.value)
  if (!made.ok) return show(document.at(made.path), made.message)
  const answer = readPipeline(made.canonical.pipeline)
  return answer.ok ? '' : answer.mistakes.map((mistake) => show(placeOfMistake(mistake, { document, interpolated, canonical: made.canonical }), mistake.message)).join('\n')
}

describe('a mistake is shown', () => {
  it('with its place, its sentence and its line, underlined', () => {
    expect(shown('steps:\n  - command: make\n    ‹agnets›: {}\n', 'did you mean "agents"?')).toBe('pipeline.yml:3:5: did you mean "agents"?\n      agnets: {}\n      ^~~~~~')
  })

  it('of one character by one sign', () => {
    expect(shown('a: ‹1›')).toBe('pipeline.yml:1:4: wrong\n  a: 1\n     ^')
  })

  it('at the end of a line, where something is missing', () => {
    expect(shown('a: "x‹›\nb: 1')).toBe('pipeline.yml:1:6: wrong\n  a: "x\n       ^')
    expect(shown('‹›')).toBe('pipeline.yml:1:1: wrong\n\n  ^')
  })

  it('under what it means behind tabs and wide characters', () => {
    expect(shown('a:\t‹b›')).toBe('pipeline.yml:1:4: wrong\n  a:  b\n      ^')
    expect(shown('\t\t‹b›')).toBe('pipeline.yml:1:3: wrong\n          b\n          ^')
    expect(shown('- 日本: ‹x›')).toBe('pipeline.yml:1:7: wrong\n  - 日本: x\n          ^')
    expect(shown('- 🙂👩‍👩‍👧: ‹x›')).toBe('pipeline.yml:1:15: wrong\n  - 🙂👩‍👩‍👧: x\n          ^')
    expect(shown('é̂: ‹日本›')).toBe('pipeline.yml:1:5: wrong\n  é̂: 日本\n     ^~~~')
  })

  it('of a file that begins with a byte order mark, or ends its lines as Windows does', () => {
    expect(showMistake({ file: 'p', text: '\uFEFFa: 1\r\n', place: { line: 1, column: 4, length: 1 }, message: 'wrong' })).toBe('p:1:4: wrong\n  a: 1\n     ^')
  })

  it('without what a terminal would obey', () => {
    expect(shown('a: \u001b[31m‹b\u0007›\u202Ec', 'says \u001b[2J\nmore')).toBe('pipeline.yml:1:9: says ␛[2J␊more\n  a: ␛[31mb␇�c\n          ^~')
    expect(shown('a: \ud800‹b›')).toBe('pipeline.yml:1:5: wrong\n  a: �b\n      ^')
  })

  it('in a part of its line, when that is long', () => {
    const [, line = '', mark = ''] = shown(`${'a'.repeat(5000)}‹bcd›${'e'.repeat(5000)}`).split('\n')
    expect(line).toBe(`  …${'a'.repeat(40)}bcd${'e'.repeat(57)}…`)
    expect(mark).toBe(`${' '.repeat(43)}^~~`)
    expect(shown(`‹bcd›${'e'.repeat(5000)}`).split('\n')[1]).toBe(`  bcd${'e'.repeat(97)}…`)
    expect(shown(`${'a'.repeat(500)}‹›`).split('\n').slice(1)).toEqual([`  …${'a'.repeat(40)}`, `${' '.repeat(43)}^`])
    const [, whole = '', under = ''] = shown(`‹${'b'.repeat(5000)}›`).split('\n')
    expect([whole.length, under.length]).toEqual([103, 102])
  })
})

describe('a mistake of the pipeline stands', () => {
  it('at the name that is unknown, and at the value that is wrong', () => {
    expect(allShown('steps:\n  - command: make\n    agnets: { queue: x }\n')).toMatch(/^p\.yml:3:5: .*\n {6}agnets: \{ queue: x \}\n {6}\^~~~~~$/)
    expect(allShown('steps:\n  - command: make\n    image: alpine\n')).toMatch(/^p\.yml:3:5: .*\n {6}image: alpine\n {6}\^~~~~$/)
    expect(allShown('steps:\n  - command: make\n    parallelism: many\n')).toMatch(/^p\.yml:3:18: .*\n.*\n {19}\^~~~$/)
  })

  it('where it was written, though it has another name or place by now', () => {
    expect(allShown('- commands: make\n  id: "a b"\n')).toMatch(/^p\.yml:2:7: .*\n.*\n {8}\^~~~~$/)
    expect(allShown('- command: make\n  ${NAME}: 1\n', { NAME: 'agnets' })).toMatch(/^p\.yml:2:3: .*\n {4}\$\{NAME\}: 1\n {4}\^~~~~~~$/)
  })

  it('at the variable that cannot be filled in', () => {
    expect(allShown('steps:\n  - command: |\n      make\n      make ${TARGET?name one} all\n')).toBe('p.yml:4:12: $TARGET: name one\n        make ${TARGET?name one} all\n             ^~~~~~~~~~~~~~~~~~')
    expect(allShown('- command: make\n  env: { "${A?}": 1 }\n')).toMatch(/^p\.yml:2:11: \$A: not set\n.*\n {12}\^~~~~$/)
    expect(allShown('- command: "make\\t${A?}"\n')).toMatch(/^p\.yml:1:19: /)
  })

  it('at the character that is no YAML', () => {
    expect(allShown('steps:\n\t- wait\n')).toBe('p.yml:2:1: a tab stands in the indentation. YAML indents by spaces only.\n      - wait\n  ^~~~')
  })
})

it('whatever is meant of whatever text, three lines are shown', () => {
  const text = fc.array(fc.constantFrom('a', ' ', '\t', '日', '🙂', '\u0301', '\u001b', '\u202E', '\r', '\n', '\ud83d', 'x'.repeat(90)), { maxLength: 60 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 3000 }), (file, line, column, length) => {
      const [first, second, mark = '', ...more] = showMistake({ file: 'f', text: file, place: { line, column, length }, message: 'm' }).split('\n')
      expect([first, more]).toEqual([`f:${line}:${column}: m`, []])
      expect(second).not.toMatch(/[\u0000-\u001F\u202E]/)
      expect(mark).toMatch(/^ +\^~*$/)
      expect(mark.length).toBeLessThan(210)
    }),
    { numRuns: 2000 },
  )
})
