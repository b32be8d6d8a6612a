/**
 * Where a text stops being JSON, and what should stand there. `JSON.parse` decides whether it is JSON; this only runs
 * after it refused, because its messages name no place for half of all mistakes. It keeps its own stack, so that a
 * megabyte of "[" is an answer and not an overflow.
 */

export interface JsonMistake {
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number
  /** Continues "line 2, column 5: expected …". */
  readonly message: string
}

type Expected = 'value' | 'value or "]"' | 'name in double quotes' | 'name in double quotes or "}"' | '":"' | '"," or "]"' | '"," or "}"' | 'nothing more'

/** The first place at which `text`, which `JSON.parse` refused, is wrong. */
export function jsonMistake(text: string): JsonMistake {
  const open: ('[' | '{')[] = []
  let expected: Expected = 'value'
  let at = 0
  const afterValue = (): Expected => (open.at(-1) === '[' ? '"," or "]"' : open.at(-1) === '{' ? '"," or "}"' : 'nothing more')

  for (;;) {
    at = skip(text, at)
    const character = text[at]
    if (character === undefined) return mistake(text, at, `expected ${expected}, but the text ends`)

    if (expected === '":"') {
      if (character !== ':') break
      expected = 'value'
      at++
    } else if (expected === '"," or "]"' || expected === '"," or "}"') {
      if (character === ',') expected = expected === '"," or "]"' ? 'value' : 'name in double quotes'
      else if (expected.includes(character) && character !== '"') {
        open.pop()
        expected = afterValue()
      } else break
      at++
    } else if (expected === 'nothing more') {
      break
    } else if ((character === ']' && expected === 'value or "]"') || (character === '}' && expected === 'name in double quotes or "}"')) {
      open.pop()
      expected = afterValue()
      at++
    } else if (character === '"') {
      const wrong = stringMistake(text, at)
      if (wrong.message !== null) return mistake(text, wrong.at, wrong.message)
      at = wrong.at
      expected = expected.startsWith('name') ? '":"' : afterValue()
    } else if (expected.startsWith('name')) {
      break
    } else if (character === '[' || character === '{') {
      open.push(character)
      expected = character === '[' ? 'value or "]"' : 'name in double quotes or "}"'
      at++
    } else {
      PLAIN_VALUE.lastIndex = at
      if (!PLAIN_VALUE.test(text)) break
      at = PLAIN_VALUE.lastIndex
      expected = afterValue()
    }
  }
  return mistake(text, at, `expected ${expected}, found ${JSON.stringify(/[\w.+-]{1,20}|[^]/uy.exec(text.slice(at, at + 40))?.[0] ?? '')}`)
}

const PLAIN_VALUE = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y

function skip(text: string, from: number): number {
  let at = from
  while (at < text.length && ' \t\n\r'.includes(text[at] ?? '?')) at++
  return at
}

/** The end of the string that begins at `from`, or the place in it that is wrong. */
function stringMistake(text: string, from: number): { readonly at: number; readonly message: string | null } {
  for (let at = from + 1; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === '"') return { at: at + 1, message: null }
    if (character < ' ') return { at, message: 'a string may not hold a line break or another control character; write \\n' }
    if (character !== '\\') continue
    ESCAPE.lastIndex = at
    if (!ESCAPE.test(text)) return { at, message: `${JSON.stringify(text.slice(at, at + 2))} is not an escape that JSON knows; a backslash is written \\\\` }
    at = ESCAPE.lastIndex - 1
  }
  return { at: from, message: 'this string has no closing quote' }
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

function mistake(text: string, at: number, message: string): JsonMistake {
  const before = text.slice(0, at).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, message }
}
