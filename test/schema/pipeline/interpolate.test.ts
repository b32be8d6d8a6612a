import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { interpolate, newBudget } from '../../../schema/pipeline/interpolate.ts'

const VARIABLES: Readonly<Record<string, string>> = { NAME: 'kedge', EMPTY: '', COMMIT: '0123456789abcdef', PATH_: 'a/b/c.tar.gz', REF: '$NAME', EMOJI: '🙂é!', Ünïcode: 'yes', A1: 'one' }
const lookup = (name: string) => (Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined)

function filled(text: string): string {
  const answer = interpolate(text, lookup)
  return answer.ok ? answer.text : `refused: ${answer.error.message}`
}

/** The part of the text that is refused, and why. */
function refused(text: string): readonly [part: string, message: string] {
  const answer = interpolate(text, lookup)
  if (answer.ok) throw new Error(`"${answer.text}" was not refused`)
  const { at, length, message } = answer.error
  return [text.slice(at, at + length), message]
}

describe('a variable', () => {
  it.each([
    ['$NAME', 'kedge'], ['${NAME}', 'kedge'], ['my$NAME', 'mykedge'], ['$NAME/x', 'kedge/x'], ['${NAME}x', 'kedgex'], ['$NAMEx', ''],
    ['$A1-$A1', 'one-one'], ['$NONE', ''], ['${NONE}', ''], ['$EMPTY|', '|'], ['$Ünïcode', 'yes'], ['$constructor', ''],
  ])('%s is %j', (text, value) => {
    expect(filled(text)).toBe(value)
  })

  it('is filled in one level deep', () => {
    expect(filled('$REF ${REF} ${NONE:-$REF}')).toBe('$NAME $NAME $NAME')
  })
})

describe('a dollar sign stays', () => {
  it.each([
    ['$$NAME', '$NAME'], ['\\$NAME', '$NAME'], ['$${NAME}', '${NAME}'], ['\\${NAME}', '${NAME}'], ['$$$NAME', '$kedge'], ['$$$$', '$$'],
    ['\\\\$NAME', '\\\\kedge'], ['\\n', '\\n'], ['C:\\dir', 'C:\\dir'],
    ['$(date)', '$(date)'], ['$(', '$('], ['$(echo $NAME)', '$(echo kedge)'],
    ['^a$|b', '^a$|b'], ['a$', 'a$'], ['$', '$'], ['$1', '$1'], ['$ x', '$ x'], ['"$"', '"$"'], ['$?', '$?'], ['$@', '$@'],
  ])('%s is %j', (text, value) => {
    expect(filled(text)).toBe(value)
  })
})

describe('a default', () => {
  it.each([
    ['${NONE:-x}', 'x'], ['${EMPTY:-x}', 'x'], ['${NAME:-x}', 'kedge'],
    ['${NONE-x}', 'x'], ['${EMPTY-x}', ''], ['${NAME-x}', 'kedge'],
    ['${NONE:-}', ''], ['${NONE:--:{}}', '-:{}'], ['${NONE:-a b\n"c"}', 'a b\n"c"'],
    ['${NONE:-${NAME}}', 'kedge'], ['${NONE:-${NONE:-${NAME:-x}}}', 'kedge'], ['${NONE:-<$NAME>}', '<kedge>'], ['${NONE:-$$x}', '$x'], ['${NONE:-\\}}', '\\}'],
  ])('%s is %j', (text, value) => {
    expect(filled(text)).toBe(value)
  })

  it('that is not taken misses nothing', () => {
    expect(filled('${NAME:-${NONE?must be set}}')).toBe('kedge')
    expect(filled('${EMPTY-${NONE?must be set}}')).toBe('')
    expect(filled('${NONE:-${NONE?must be set}}')).toBe('refused: $NONE: must be set')
    expect(filled('${NAME:-${OPEN')).toMatch(/^refused: this "\$\{" is never closed/)
  })
})

describe('a required variable', () => {
  it('that is set is its value, also when that is empty', () => {
    expect(filled('${NAME?} ${EMPTY?not there}.')).toBe('kedge .')
  })

  it('that is not set is a mistake in the words of the file', () => {
    expect(refused('a ${NONE?} b')).toEqual(['${NONE?}', '$NONE: not set'])
    expect(refused('a ${NONE?set $NAME :-{} b')).toEqual(['${NONE?set $NAME :-{}', '$NONE: set kedge :-{'])
  })
})

describe('a part of a variable', () => {
  it.each([
    ['${COMMIT:0:7}', '0123456'], ['${COMMIT:7}', '789abcdef'], ['${COMMIT: -4}', 'cdef'], ['${COMMIT:-4}', '0123456789abcdef'], ['${COMMIT:2:-2}', '23456789abcd'],
    ['${COMMIT:0}', '0123456789abcdef'], ['${COMMIT:99}', ''], ['${COMMIT: -99}', '0123456789abcdef'], ['${COMMIT:7:0}', ''], ['${COMMIT:0:99}', '0123456789abcdef'], ['${COMMIT:7:-99}', ''],
    ['${NONE:0:7}', ''], ['${EMOJI:1:1}', 'é'], ['${EMOJI: -1}', '!'],
  ])('%s is %j', (text, value) => {
    expect(filled(text)).toBe(value)
  })

  it.each(['${COMMIT:x}', '${COMMIT:}', '${COMMIT:1:2:3}', '${COMMIT:1:}', '${COMMIT:1.5}'])('%s is a mistake', (text) => {
    expect(refused(`a ${text} b`)).toEqual([text, 'a part of a variable is ${NAME:offset} or ${NAME:offset:length}, whole numbers'])
  })

  it.each([
    ['${PATH_%.*}', 'a/b/c.tar'], ['${PATH_%%.*}', 'a/b/c'], ['${PATH_#*/}', 'b/c.tar.gz'], ['${PATH_##*/}', 'c.tar.gz'],
    ['${PATH_%x}', 'a/b/c.tar.gz'], ['${PATH_#a?b}', '/c.tar.gz'], ['${PATH_%%*}', ''], ['${PATH_##*}', ''], ['${PATH_#}', 'a/b/c.tar.gz'], ['${NONE%.*}', ''],
  ])('%s is %j', (text, value) => {
    expect(filled(text)).toBe(value)
  })
})

describe('what is no variable is refused with its part of the text', () => {
  it.each([
    ['a ${NAME', '${NAME', 'this "${" is never closed; close it with "}", or write "$${" for the text itself'],
    ['a ${NONE:-x', '${NONE:-x', 'this "${" is never closed; close it with "}", or write "$${" for the text itself'],
    ['${PATH_%x', '${PATH_%x', 'this "${" is never closed; close it with "}", or write "$${" for the text itself'],
    ['a ${} b', '${}', 'what follows "$" is no name of a variable; write "$$" for the text itself'],
    ['${1}', '${1', 'what follows "$" is no name of a variable; write "$$" for the text itself'],
    ['a ${NAME!} b', '${NAME!', '"!" after $NAME is no operation; there are :- - ? : # ## % %%. Write "$$" for the text itself'],
    ['${NAME x}', '${NAME ', '" " after $NAME is no operation; there are :- - ? : # ## % %%. Write "$$" for the text itself'],
  ])('%s', (text, part, message) => {
    expect(refused(text)).toEqual([part, message])
  })

  it('where it stands among others', () => {
    expect(refused('$NAME ${NAME} ${!}')[0]).toBe('${!')
  })
})

describe('however a text is made', () => {
  const words = fc.array(fc.constantFrom('$', '${', '}', ':-', '-', '?', ':', '#', '%', '*', '\\', '(', 'NAME', 'NONE', 'EMPTY', '1', ' ', '🙂', '\n'), { maxLength: 40 }).map((parts) => parts.join(''))

  it('it is filled in or refused at a part of it, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.oneof(words, fc.string({ unit: 'binary', maxLength: 100 })), (text) => {
        const answer = interpolate(text, lookup)
        if (answer.ok) return
        const { at, length, message } = answer.error
        expect(message).not.toBe('')
        expect(at >= 0 && length >= 1 && at + length <= text.length + 1).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })

  it('it comes out as it was when each dollar sign and backslash is escaped', () => {
    fc.assert(
      fc.property(fc.oneof(words, fc.string()), (text) => {
        fc.pre(!text.includes('\\'))
        expect(filled(text.replaceAll('$', '$$$$'))).toBe(text)
      }),
    )
  })

  it.each([
    ['defaults in each other', '${A:-'.repeat(100_000)],
    ['dollar signs', '$'.repeat(1_000_000)],
    ['open braces', '${NAME'.repeat(100_000)],
    ['stars', `\${LONG##${'*a'.repeat(500)}b}`.repeat(20)],
    ['parts of a long value', '${LONG:1:1}'.repeat(90_000)],
    ['a long value', '$LONG'.repeat(200_000)],
    ['patterns as long as the value', `\${LONG%%${'*'.repeat(100_000)}}`],
  ])('%s do not keep it busy', (_name, text) => {
    const long = 'a'.repeat(200_000)
    const answer = interpolate(text, (name) => (name === 'LONG' ? long : lookup(name)))
    expect(answer.ok ? answer.text.length : answer.error.message.length).toBeLessThan(5_000_000)
  })

  it('a default that is not taken cannot look through a long variable without end either', () => {
    const lookup = (name: string) => (name === 'LONG' ? 'x'.repeat(100_000) : name === 'SET' ? 'x' : undefined)
    for (const part of ['${LONG:0:1}', '${LONG%}', '${LONG#a}']) expect(interpolate(`\${SET:-${part.repeat(100)}}`, lookup), part).toMatchObject({ ok: false, error: { message: expect.stringContaining('4 MiB') } })
  })

  it('all texts of a file together come to no more than 4 MiB', () => {
    const budget = newBudget()
    const long = 'a'.repeat(1_000_000)
    const answers = Array.from({ length: 5 }, () => interpolate('x $LONG', () => long, budget))
    expect(answers.map(({ ok }) => ok)).toEqual([true, true, true, true, false])
    expect(answers[4]).toMatchObject({ error: { at: 2, length: 5, message: 'with its variables filled in, the file comes to more than 4 MiB' } })
  })
})
