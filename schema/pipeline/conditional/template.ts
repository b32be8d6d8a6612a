/**
 * Variables as a shell writes them, alone or within double quotes: `$NAME`, `${NAME}`, `${NAME:-otherwise}`,
 * `${NAME:+instead}`, `${NAME:?}`, `${NAME:offset:count}`. The agent replaces those of a pipeline file before anything
 * else; what comes here was written `$$NAME` there.
 *
 * A mistake within one is a part of the template: it counts only when the evaluation comes to it.
 */
import { readEscape, readSingleQuotedEscape, withCharacters } from './escapes.ts'
import { CONDITIONAL_LIMITS } from './limits.ts'
import { quoted } from './mistaken.ts'

export type Template = readonly Part[]

export type Part = { readonly kind: 'text'; readonly text: string } | Variable | Wrong

export interface Variable {
  readonly kind: 'variable'
  readonly name: string
  readonly operation: Operation
}

export interface Wrong {
  readonly kind: 'wrong'
  readonly message: string
}

/** `countsEmpty`: written with a colon, so that an empty value is as good as none. */
export type Operation =
  | { readonly kind: 'value'; readonly suffix: string }
  | { readonly kind: 'otherwise' | 'instead' | 'required'; readonly countsEmpty: boolean; readonly template: Template }
  | { readonly kind: 'part'; readonly offset: Template; readonly count: Template | null }

const NAME = /[A-Za-z_]\w*/y
const BARE = /\$[A-Za-z_][\w.]*/y
const OPERATOR = /^(:?)([?+-])/
const OPERATIONS = { '-': 'otherwise', '+': 'instead', '?': 'required' } as const

/** Where the variable that begins at `at` ends, or why none does. */
export function endOfVariable(text: string, at: number): number | Wrong {
  BARE.lastIndex = at
  const bare = BARE.exec(text)?.[0]
  if (bare !== undefined) return at + bare.length
  if (text[at + 1] !== '{') return wrong('what follows "$" is no name of a variable')
  let depth = 1
  for (let index = at + 2; index < text.length; index += 1) {
    const sign = text[index]
    if (sign === '\\') index += 1
    else if (sign === '"' || sign === "'") {
      index = endOfQuotes(text, index) - 1
    } else if (sign === '$' && text[index + 1] === '{') {
      depth += 1
      index += 1
      if (depth > CONDITIONAL_LIMITS.variableDepth) return wrong(`variables are nested more than ${CONDITIONAL_LIMITS.variableDepth} deep`)
    } else if (sign === '}') {
      depth -= 1
      if (depth === 0) return index + 1
    }
  }
  return wrong('this "${" is never closed; close it with "}"')
}

/** Behind the closing quote, or behind all of the text. */
function endOfQuotes(text: string, at: number): number {
  for (let index = at + 1; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1
    else if (text[index] === text[at]) return index + 1
  }
  return text.length + 1
}

/** Whether what stands between double quotes depends on a variable. */
export function hasVariable(text: string): boolean {
  for (let at = 0; at < text.length; ) {
    if (text.startsWith('$$', at)) at += 2
    else if (text[at] === '$' && typeof endOfVariable(text, at) === 'number') return true
    else if (text[at] === '\\') {
      const escape = readEscape(text, at)
      at = 'wrong' in escape ? at + 1 : escape.next
    } else at += 1
  }
  return false
}

/** Of a variable that stands alone, its `$` included. */
export function readVariable(text: string, depth = 0): Variable | Wrong {
  const isBraced = text.startsWith('${')
  const inner = isBraced ? text.slice(2, -1) : text.slice(1)
  NAME.lastIndex = 0
  const name = NAME.exec(inner)?.[0]
  if (name === undefined) return wrong(`${quoted(text)} does not begin with the name of a variable`)
  const rest = inner.slice(name.length)
  if (!isBraced || rest === '') return { kind: 'variable', name, operation: { kind: 'value', suffix: rest } }
  const [written, colon, sign] = OPERATOR.exec(rest) ?? []
  if (written !== undefined) {
    const kind = OPERATIONS[sign as keyof typeof OPERATIONS] // The expression lets no other through.
    return { kind: 'variable', name, operation: { kind, countsEmpty: colon === ':', template: readTemplate(rest.slice(written.length), depth + 1) } }
  }
  if (!rest.startsWith(':')) return wrong(`what follows the name in ${quoted(text)} is no operation; there are :- - :+ + :? ? and :offset:count`)
  const [offset = '', count, more] = partsOf(rest.slice(1))
  if (more !== undefined) return wrong(`${quoted(text)} has more than an offset and a count`)
  return { kind: 'variable', name, operation: { kind: 'part', offset: readTemplate(offset, depth + 1), count: count === undefined ? null : readTemplate(count, depth + 1) } }
}

/** Separated by colons that stand neither in quotes nor in another variable. */
function partsOf(text: string): readonly string[] {
  const parts: string[] = []
  let begin = 0
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"' || text[at] === "'") at = endOfQuotes(text, at) - 1
    else if (text.startsWith('${', at)) {
      const end = endOfVariable(text, at)
      if (typeof end === 'number') at = end - 1
    } else if (text[at] === ':') {
      parts.push(text.slice(begin, at))
      begin = at + 1
    }
  }
  return [...parts, text.slice(begin)]
}

/** Of what stands between double quotes, or behind an operator. Quotes within it are taken away, as a shell does. */
export function readTemplate(text: string, depth = 0): Template {
  if (depth > CONDITIONAL_LIMITS.variableDepth) return [wrong(`variables are nested more than ${CONDITIONAL_LIMITS.variableDepth} deep`)]
  const parts: Part[] = []
  let plain = ''
  let quote: '"' | "'" | null = null
  const flush = () => {
    if (plain !== '') parts.push({ kind: 'text', text: withCharacters(plain) })
    plain = ''
  }
  for (let at = 0; at < text.length; ) {
    const sign = text[at]
    if (sign === '\\') {
      const escape = quote === "'" ? readSingleQuotedEscape(text, at) : readEscape(text, at)
      if ('wrong' in escape) return [...parts, wrong(escape.wrong)]
      plain += escape.text
      at = escape.next
    } else if (sign === quote || (quote === null && (sign === '"' || sign === "'"))) {
      quote = sign === quote ? null : sign
      at += 1
    } else if (sign === '$' && quote !== "'") {
      const end = text[at + 1] === '$' ? null : endOfVariable(text, at)
      if (typeof end === 'number') {
        flush()
        parts.push(readVariable(text.slice(at, end), depth))
        at = end
      } else {
        plain += '$'
        at += end === null ? 2 : 1
      }
    } else {
      plain += sign
      at += 1
    }
  }
  if (quote !== null) return [...parts, wrong(`a quote (${quote}) within this text is never closed; write "\\${quote}" for the sign itself`)]
  flush()
  return parts
}

function wrong(message: string): Wrong {
  return { kind: 'wrong', message }
}
