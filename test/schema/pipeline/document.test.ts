import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, Path } from '../../../schema/pipeline/json.ts'
import { LARGEST_BYTES, readDocument, type Document } from '../../../schema/pipeline/document.ts'

function documentOf(text: string): Document {
  const answer = readDocument(text)
  if (!answer.ok) throw new Error(`refused: ${JSON.stringify(answer.mistakes)}`)
  return answer.document
}

/** As JSON shows it, so that prototypes do not count. */
function valueOf(text: string): Json {
  return JSON.parse(JSON.stringify(documentOf(text).value)) as Json // JSON is what it was
}

/** `line:column message` of each. */
function mistakesOf(text: string): readonly string[] {
  const answer = readDocument(text)
  return answer.ok ? [] : answer.mistakes.map(({ place, message }) => `${place.line}:${place.column} ${message}`)
}

/** The text at which a place points. */
function pointedAt(text: string, path: Path, what: 'key' | 'value' = 'value'): string {
  const { line, column, length } = documentOf(text).at(path, what)
  return text.split('\n')[line - 1]?.slice(column - 1, column - 1 + length) ?? ''
}

describe('a plain word', () => {
  it.each([
    ['yes', 'yes'], ['no', 'no'], ['on', 'on'], ['OFF', 'OFF'], ['y', 'y'],
    ['true', true], ['True', true], ['FALSE', false],
    ['null', null], ['~', null], ['Null', null], ['', null],
    ['2001-01-01', '2001-01-01'], ['12:30:45', '12:30:45'], ['1.2.3', '1.2.3'],
  ])('%s is %j', (written, value) => {
    expect(valueOf(`a: ${written}`)).toEqual({ a: value })
  })
})

describe('a number', () => {
  it.each([
    ['0777', 511], ['0o17', 15], ['08', 8], ['0x1F', 31], ['-0x1F', -31], ['0b11', 3], ['0b12', '0b12'],
    ['1_000', 1000], ['0_7', 7], ['1_0.5', 10.5], ['_1', '_1'], ['+12', 12],
    ['1e3', 1000], ['1.', 1], ['.5', 0.5], ['+.5', 0.5], ['._5', '._5'], ['12e', '12e'], ['"7"', '7'],
  ])('%s is %j', (written, value) => {
    expect(valueOf(`a: ${written}`)).toEqual({ a: value })
  })

  it('keeps all its digits: as text, where a number could not', () => {
    expect(valueOf('[ 9007199254740991, 9007199254740993, -1234567890123456789, 0xFFFFFFFFFFFFFFFF ]')).toEqual([9007199254740991, '9007199254740993', '-1234567890123456789', '18446744073709551615'])
  })

  it('is not infinite', () => {
    expect(mistakesOf('a: .inf\nb: .nan')).toEqual(['1:4 a number in a pipeline is finite; write text in quotes.', '2:4 a number in a pipeline is finite; write text in quotes.'])
    expect(valueOf('a: ".inf"\nb: 1e400')).toEqual({ a: '.inf', b: '1e400' })
  })
})

describe('a name', () => {
  it('is text, whatever it looks like', () => {
    expect(valueOf('yes: 1\ntrue: 2\n0x10: 3\n1.5: 4\n"": 5')).toEqual({ yes: 1, true: 2, 16: 3, '1.500000e+00': 4, '': 5 })
  })

  it('may be one that objects have of themselves', () => {
    const { a } = documentOf('a: { __proto__: { x: 1 }, constructor: 2 }').value as { readonly a: Json }
    expect(Object.entries(a as object).map(([name]) => name)).toEqual(['__proto__', 'constructor'])
  })

  it('that is none is a mistake, once', () => {
    expect(mistakesOf('~: 3')).toEqual(['1:1 a name in a mapping is missing here.'])
    expect(mistakesOf('? [ a, b ]\n: 1')).toEqual(['1:3 a name in a mapping must be text.'])
  })

  it('stands once in a mapping; the mistake names both lines', () => {
    expect(mistakesOf('a: 1\nb: 2\na: 3')).toEqual(['3:1 "a" stands here twice, first in line 1. Keep one of them.'])
    expect(mistakesOf('0x10: 1\nb: 2\n"16": 3')).toEqual(['3:1 "16" stands here twice, first in line 1. Keep one of them.'])
  })
})

describe('an alias', () => {
  it('is what its anchor named last, above it', () => {
    expect(valueOf('a: &x 1\nb: *x\nc: &x { d: 2 }\ne: [ *x, *x ]')).toEqual({ a: 1, b: 1, c: { d: 2 }, e: [{ d: 2 }, { d: 2 }] })
  })

  it('may be a name', () => {
    expect(valueOf('a: &x key\n*x : 1')).toEqual({ a: 'key', key: 1 })
    expect(mistakesOf('*x : 1')).toEqual(['1:1 there is no anchor "&x" before this alias.'])
  })

  it('needs an anchor above it', () => {
    expect(mistakesOf('a: *x\nb: &x 1')).toEqual(['1:4 there is no anchor "&x" before this alias.'])
  })

  it('shows a mistake of its anchor once', () => {
    expect(mistakesOf('a: &a { b: 1, b: 2 }\nc: [ *a, *a ]')).toEqual(['1:15 "b" stands here twice, first in line 1. Keep one of them.'])
  })

  it('within what it names would never end', () => {
    expect(mistakesOf('a: &x 1\nc: &x { d: *x }\ne: *x')).toEqual(['2:12 "*x" stands within what "&x" names, so it would never end.'])
    expect(mistakesOf('a: &a { b: *a }')).toEqual(['1:12 "*a" stands within what "&a" names, so it would never end.'])
    expect(mistakesOf('&a [ [ *a ] ]')).toEqual(['1:8 "*a" stands within what "&a" names, so it would never end.'])
  })
})

describe('a merge key', () => {
  it('puts its entries where it stands, but for names that the mapping has itself', () => {
    const text = 'x: &x { b: 1, c: 2 }\ny:\n  c: 9\n  <<: *x\n  z: 1'
    expect(JSON.stringify(documentOf(text).value)).toBe('{"x":{"b":1,"c":2},"y":{"c":9,"b":1,"z":1}}')
    expect(valueOf('x: &x { b: 1 }\ny: { <<: *x, b: 3 }')).toMatchObject({ y: { b: 3 } })
  })

  it('takes the first of several, also of a list', () => {
    const bases = 'a: &a { n: 1 }\nb: &b { n: 2, m: 2 }\n'
    expect(valueOf(`${bases}c: { <<: [ *a, *b ] }`)).toMatchObject({ c: { n: 1, m: 2 } })
    expect(valueOf(`${bases}c:\n  <<: *b\n  <<: *a`)).toMatchObject({ c: { n: 2, m: 2 } })
    expect(valueOf(`${bases}l: &l [ *a, *b ]\nc: { <<: *l }`)).toMatchObject({ c: { n: 1, m: 2 } })
  })

  it('merges what the merged mapping merges', () => {
    expect(valueOf('a: &a { n: 1, o: 1 }\nb: &b { <<: *a, n: 2 }\nc: { <<: *b, p: 3 }')).toMatchObject({ c: { n: 2, o: 1, p: 3 } })
  })

  it('of the mapping in which it stands brings nothing', () => {
    expect(valueOf('a: &a\n  b: 1\n  <<: *a')).toEqual({ a: { b: 1 } })
    expect(mistakesOf('a: &a { b: { <<: *a } }')).toEqual(['1:12 this is merged into itself, so it would never end.'])
  })

  it('of no mapping is a mistake', () => {
    expect(mistakesOf('<<: 1')).toEqual(['1:5 "<<" merges a mapping, or a list of them, such as "<<: *name".'])
    expect(mistakesOf('a: &a text\nb: { <<: [ *a ] }')).toEqual(['2:12 "<<" merges a mapping, or a list of them, such as "<<: *name".'])
  })

  it('in quotes is a name', () => {
    expect(valueOf('"<<": { a: 1 }')).toEqual({ '<<': { a: 1 } })
  })
})

describe('a file', () => {
  it('may begin with a byte order mark and end its lines as Windows does', () => {
    const text = '\uFEFFa: 1\r\nb: |\r\n  x\r\n  y\r\nc:\r\n  - d\r\n'
    expect(valueOf(text)).toEqual({ a: 1, b: 'x\ny\n', c: ['d'] })
    expect(documentOf(text).at(['c', 0])).toEqual({ line: 6, column: 5, length: 1 })
    expect(mistakesOf('\uFEFFa: 1\r\na: 2\r\n')).toEqual(['2:1 "a" stands here twice, first in line 1. Keep one of them.'])
  })

  it('may be JSON', () => {
    expect(valueOf('{"steps": [\n\t{"command": "a\\u00e9\\n", "env": {"A": 1e2}}\n]}')).toEqual({ steps: [{ command: 'aé\n', env: { A: 100 } }] })
  })

  it('has no tabs in its indentation', () => {
    expect(mistakesOf('a:\n\tb: 1')).toEqual(['2:1 a tab stands in the indentation. YAML indents by spaces only.'])
    expect(valueOf('a:\tb')).toEqual({ a: 'b' })
  })

  it('is one document; what stands behind an end of it is another', () => {
    expect(mistakesOf('---\na: 1\n---\nb: 2\n')).toEqual(['3:1 a second document begins here ("---"). Buildkite would ignore it; put all steps into one document.'])
    expect(valueOf('---\na: 1\n---\n')).toEqual({ a: 1 })
    expect(valueOf('---\na: 1\n...\n# the end\n')).toEqual({ a: 1 })
  })

  it.each(['', '\n\n', '# nothing', '---\n', '\t'])('%j is empty', (text) => {
    expect(mistakesOf(text)).toEqual(['1:1 the file is empty. A pipeline is a list of steps under "steps:".'])
  })

  it('that is no YAML is told of with its place', () => {
    expect(mistakesOf('a: "unclosed')[0]).toMatch(/^1:13 something is missing here, such as a closing quote/)
    expect(mistakesOf('a: b: c')[0]).toMatch(/^1:4 this is not YAML: nested mappings/)
    expect(mistakesOf('@a: 1')[0]).toMatch(/^1:1 this is not YAML/)
    expect(mistakesOf('a: !!binary aGk=')).toEqual(['1:13 a pipeline has no binary values; write text.'])
  })

  it('is told no more of it than a person reads', () => {
    expect(mistakesOf('"a\n'.repeat(500)).length).toBeLessThanOrEqual(20)
    expect(mistakesOf('!'.repeat(300_000))[0]?.length).toBeLessThan(300)
  })
})

describe('a place', () => {
  const text = 'steps:\n  - label: "a b"\n    command: >\n      make\n    env: { A: 1 }\n  - wait\n'

  it.each([
    [['steps', 0, 'label'], 'value', '"a b"'],
    [['steps', 0, 'label'], 'key', 'label'],
    [['steps', 0, 'env', 'A'], 'value', '1'],
    [['steps', 0, 'env', 'A'], 'key', 'A'],
    [['steps', 1], 'value', 'wait'],
    [['steps', 1], 'key', 'wait'],
    [['steps', 0, 'command'], 'value', '>'],
    [['steps'], 'key', 'steps'],
  ] as const)('of %j, its %s, is that of %s', (path, what, found) => {
    expect(pointedAt(text, path, what)).toBe(found)
  })

  it('of what is not there is that of the nearest that holds it', () => {
    expect(pointedAt(text, ['steps', 1, 'branches'])).toBe('wait')
    expect(pointedAt(text, ['steps', 0, 'env', 'B'])).toBe('{ A: 1 }')
  })

  it('of an empty value is that of its name', () => {
    expect(pointedAt('a: 1\nb:\nc: 2', ['b'], 'key')).toBe('b')
    expect(documentOf('a: 1\nb:\nc: 2').at(['b']).line).toBe(2)
  })

  it('of what was merged is where it was written', () => {
    const merged = 'x: &x\n  command: make\ny:\n  <<: *x\n'
    expect(documentOf(merged).at(['y', 'command'])).toMatchObject({ line: 2 })
  })

  it('of what an alias names is the alias, and within it where it was written', () => {
    const aliased = 'x: &x { a: 1 }\ny: *x'
    expect(pointedAt(aliased, ['y'])).toBe('*x')
    expect(documentOf(aliased).at(['y', 'a'])).toMatchObject({ line: 1 })
  })
})

describe('what would cost much is refused in time', () => {
  const TOO_MUCH = expect.stringContaining('comes to more than 100000 values')
  const TOO_DEEP = expect.stringContaining('nested more than 64 deep')

  it.each<readonly [string, () => string, unknown]>([
    ['a file of 2 MB', () => 'a'.repeat(2 * LARGEST_BYTES), expect.stringContaining('larger than 1024 KiB')],
    ['values beyond a hundred thousand', () => '- a\n'.repeat(100_000), TOO_MUCH],
    ['aliases of aliases', () => bomb((name, of) => `${name}: &${name} [${Array(9).fill(`*${of}`).join(',')}]`), TOO_MUCH],
    ['merges of one great mapping', () => `x: &x { ${names(20_000)} }\n${Array.from({ length: 3000 }, (_, at) => `z${at}: { <<: *x }`).join('\n')}`, TOO_MUCH],
    ['lists a thousand deep', () => '['.repeat(1000) + ']'.repeat(1000), TOO_DEEP],
    ['lists half a million deep', () => '['.repeat(500_000), TOO_DEEP],
    ['mappings a thousand deep', () => Array.from({ length: 1000 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'), TOO_DEEP],
    ['dashes', () => '- '.repeat(500_000), TOO_DEEP],
    ['lists 65 deep', () => '['.repeat(66) + ']'.repeat(66), TOO_DEEP],
    ['aliases that go deep together', () => `a: &a ${'['.repeat(40)}${']'.repeat(40)}\nb: ${'['.repeat(40)}*a${']'.repeat(40)}`, TOO_DEEP],
  ])('%s', (_name, make, message) => {
    const text = make()
    expect(mistakesOf(text)).toEqual([message])
  })

  it.each<readonly [string, () => string]>([
    ['a hundred thousand values', () => '- a\n'.repeat(99_998)],
    ['merges of merges', () => bomb((name, of) => `${name}: &${name} { <<: [${Array(9).fill(`*${of}`).join(', ')}] }`)],
    ['twenty thousand anchors', () => `${Array.from({ length: 20_000 }, (_, at) => `- &a${at} x\n- *a${at}`).join('\n')}`],
    ['one mapping merged twenty thousand times', () => `x: &x { ${names(5000)} }\ny: { <<: [${Array(20_000).fill('*x').join(',')}] }`],
    ['as many ends of documents as fit', () => `a: 1\n${'---\n'.repeat(200_000)}`],
    ['one line of a megabyte', () => `[${'aaaaaaaaa,'.repeat(90_000)}]`],
    ['64 lists in each other', () => '['.repeat(64) + ']'.repeat(64)],
  ])('but not %s', (_name, make) => {
    const text = make()
    expect(mistakesOf(text)).toEqual([])
  })

  function bomb(line: (name: string, of: string) => string): string {
    return ['a: &a { k: 1, l: 2, m: 3 }', ...Array.from('bcdefghij', (name, at) => line(name, 'abcdefghi'[at] ?? ''))].join('\n')
  }

  function names(count: number): string {
    return Array.from({ length: count }, (_, at) => `k${at}: 1`).join(', ')
  }
})

const words = fc.array(fc.constantFrom('a', 'steps', ': ', '- ', '\n', '  ', '"', "'", '{', '}', '[', ']', ', ', '&a ', '*a', '<<: ', '|\n', '---\n', '? ', '!!', '#', '\t', '\uFEFF', '\r\n', '0', '~', '🙂', '\u0000', '%'), { maxLength: 60 }).map((parts) => parts.join(''))

describe('whatever a file says', () => {
  it('it is read or refused at a place that is there, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.oneof(words, fc.string({ unit: 'binary', maxLength: 200 })), (text) => {
        const answer = readDocument(text)
        if (answer.ok) return
        const lines = text.split('\n')
        for (const { place, message } of answer.mistakes) {
          expect(message).not.toBe('')
          expect(place.line >= 1 && place.line <= lines.length && place.column >= 1 && place.length >= 1).toBe(true)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('JSON is read as JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        fc.pre(value !== null && !/"(?:<<|)":|e[+-]|\d{16}|-0\b/.test(JSON.stringify(value)))
        expect(valueOf(JSON.stringify(value, null, 2))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 500 },
    )
  })
})
