/**
 * A condition cut into words. A slash always begins a regular expression and two a comment, whatever stands before: the
 * language cannot divide.
 */
import { readEscape, readSingleQuotedEscape, withCharacters } from './escapes.ts'
import { CONDITIONAL_LIMITS } from './limits.ts'
import { Mistaken, quoted, type Span } from './mistaken.ts'
import { endOfVariable, hasVariable, readTemplate, readVariable, type Template, type Variable, type Wrong } from './template.ts'

export type Token = Span & Word

export type Sign = '==' | '!=' | '=~' | '!~' | '&&' | '||' | '!' | '?' | ':' | ',' | '(' | ')' | '[' | ']' | 'includes'

type Word =
  | { readonly kind: 'sign'; readonly sign: Sign }
  /** Dots included; `true`, `false` and `null` too. */
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'text'; readonly text: string }
  /** A text of which a part is known only when it is evaluated, or is written `$$`. */
  | { readonly kind: 'template'; readonly template: Template; readonly isStatic: boolean; readonly text: string }
  | { readonly kind: 'variable'; readonly variable: Variable | Wrong }
  | { readonly kind: 'pattern'; readonly source: string; readonly flags: string }
  | { readonly kind: 'end' }

const BLANK = /(?:[ \t\r\n]+|\/\/[^\n]*)+/y
const SIGN = /==|!=|=~|!~|&&|\|\||[!?:,()[\]]/y
const NAME = /[A-Za-z_][\w.]*/y
const INTEGER = /\d+/y
const PATTERN = /\/((?:[^/\\]|\\[^])*)\/([A-Za-z_]*)/y
const MOST = 2n ** 63n - 1n

/** All of them, the end included. */
export function tokensOf(text: string): readonly Token[] {
  if (text.length > CONDITIONAL_LIMITS.characters) throw new Mistaken('parse', { at: CONDITIONAL_LIMITS.characters, length: text.length - CONDITIONAL_LIMITS.characters }, `a condition has at most ${CONDITIONAL_LIMITS.characters} characters; decide it in a script that uploads the steps it wants.`)
  const tokens: Token[] = []
  for (let at = skipped(text, 0); at < text.length; ) {
    const token = tokenAt(text, at)
    tokens.push(token)
    at = skipped(text, at + token.length)
  }
  return [...tokens, { kind: 'end', at: text.length, length: 0 }]
}

function skipped(text: string, at: number): number {
  return at + (found(BLANK, text, at)?.[0].length ?? 0)
}

function tokenAt(text: string, at: number): Token {
  const first = text[at] ?? ''
  if (first === '"' || first === "'") return quotedAt(text, at, first)
  if (first === '$') return variableAt(text, at)
  if (first === '/') return patternAt(text, at)
  const sign = found(SIGN, text, at)?.[0]
  if (sign !== undefined) return { kind: 'sign', sign: sign as Sign, at, length: sign.length } // The expression lets no other through.
  const name = found(NAME, text, at)?.[0]
  if (name !== undefined) return nameAt(name, at)
  const digits = found(INTEGER, text, at)?.[0]
  if (digits !== undefined) return { kind: 'integer', value: integer(digits, { at, length: digits.length }), at, length: digits.length }
  const advice: Readonly<Record<string, string>> = { '=': 'equality is "=="', '&': 'both is "&&"', '|': 'either is "||"', '~': 'a regular expression is matched with "=~"', '.': 'a dot stands within names only' }
  const one = String.fromCodePoint(text.codePointAt(at) ?? 0)
  throw new Mistaken('parse', { at, length: one.length }, `${quoted(one)} means nothing here; ${(Object.hasOwn(advice, first) && advice[first]) || 'text stands in quotes'}.`)
}

function nameAt(name: string, at: number): Token {
  if (name === 'includes') return { kind: 'sign', sign: name, at, length: name.length }
  if (name.endsWith('.') || name.includes('..')) throw new Mistaken('parse', { at, length: name.length }, `${quoted(name)} is no name: a dot stands between two words of it.`)
  return { kind: 'name', name, at, length: name.length }
}

function integer(digits: string, where: Span): bigint {
  // A zero before others makes it octal, as it does for Buildkite.
  const isOctal = digits.length > 1 && digits.startsWith('0')
  if (digits.length > 64 || (isOctal && /[89]/.test(digits))) throw new Mistaken('parse', where, `${quoted(digits)} is no whole number; one that begins with 0 is octal.`)
  const value = BigInt(isOctal ? `0o${digits}` : digits)
  if (value > MOST) throw new Mistaken('parse', where, `${digits} is more than the greatest whole number, ${MOST}.`)
  return value
}

function quotedAt(text: string, at: number, quote: string): Token {
  let out = ''
  for (let index = at + 1; index < text.length; ) {
    const sign = text[index]
    if (sign === quote) return textToken(text, { at, length: index + 1 - at }, withCharacters(out))
    if (sign === '\\') {
      const escape = quote === '"' ? readEscape(text, index) : readSingleQuotedEscape(text, index)
      if ('wrong' in escape) throw new Mistaken('parse', { at: index, length: 1 }, `${escape.wrong}.`)
      out += escape.text
      index = escape.next
    } else {
      out += sign
      index += 1
    }
  }
  throw new Mistaken('parse', { at, length: text.length - at }, `this text is never closed; end it with ${quote}.`)
}

function textToken(text: string, where: Span, value: string): Token {
  const raw = text.slice(where.at + 1, where.at + where.length - 1)
  const isStatic = text[where.at] === "'" || !hasVariable(raw)
  if (isStatic && !(text[where.at] === '"' && raw.includes('$$'))) return { kind: 'text', text: value, ...where }
  return { kind: 'template', template: readTemplate(raw), isStatic, text: value, ...where }
}

function variableAt(text: string, at: number): Token {
  if (text[at + 1] === '$') throw new Mistaken('parse', { at, length: 2 }, '"$$" means nothing here. A pipeline file says "$$" where a "$" is to come through; this was not read from one, so write "$".')
  const end = endOfVariable(text, at)
  if (typeof end !== 'number') throw new Mistaken('parse', { at, length: text[at + 1] === '{' ? text.length - at : 1 }, `${end.message}.`)
  return { kind: 'variable', variable: readVariable(text.slice(at, end)), at, length: end - at }
}

function patternAt(text: string, at: number): Token {
  const [written, source, flags] = found(PATTERN, text, at) ?? []
  if (written === undefined || source === undefined || flags === undefined) throw new Mistaken('parse', { at, length: text.length - at }, 'this regular expression is never closed; end it with "/", and write "\\/" for a slash within it.')
  return { kind: 'pattern', source, flags, at, length: written.length }
}

function found(expression: RegExp, text: string, at: number): RegExpExecArray | null {
  expression.lastIndex = at
  return expression.exec(text)
}
