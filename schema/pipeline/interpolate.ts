/**
 * Variables in the text of a pipeline, as Buildkite's agent expands them when it uploads: one level deep, by a small
 * grammar that is not a shell's. `$(` and whatever stands in `$$` or `\$` is left for the shell that runs the command.
 */
import { matchesWildcard } from './wildcard.ts'

/** What a variable is; undefined: not set. */
export type Lookup = (name: string) => string | undefined

export type Interpolated = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly error: InterpolationError }

export interface InterpolationError {
  /** Offset into the text, and how much of it is meant. */
  readonly at: number
  readonly length: number
  readonly message: string
}

/** Defaults within defaults; deeper ones are nobody's. */
const DEEPEST = 50

export function interpolate(text: string, lookup: Lookup): Interpolated {
  if (!text.includes('$') && !text.includes('\\')) return { ok: true, text }
  try {
    const reader = new Reader(text, lookup)
    return { ok: true, text: reader.expression(null, 0) }
  } catch (error) {
    if (error instanceof Mistaken) return { ok: false, error: error.where }
    throw error
  }
}

class Mistaken extends Error {
  readonly where: InterpolationError

  constructor(where: InterpolationError) {
    super(where.message)
    this.where = where
  }
}

const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy
/** What makes a variable of a `$`; before anything else, such as the end of a regular expression, it is a dollar sign. */
const BEGINS = /[\p{L}_{]/u

class Reader {
  readonly #text: string
  readonly #lookup: Lookup
  #at = 0

  constructor(text: string, lookup: Lookup) {
    this.#text = text
    this.#lookup = lookup
  }

  /** Up to `end`, which stays to be read, or to the end of all. */
  expression(end: '}' | null, depth: number): string {
    if (depth > DEEPEST) this.#fail(this.#at, 1, `defaults are nested more than ${DEEPEST} deep`)
    let out = ''
    while (this.#at < this.#text.length) {
      const rest = this.#text[this.#at] ?? ''
      const next = this.#text[this.#at + 1]
      if (rest === end) break
      if (rest === '\\' && next === '\\') out += this.#take(2)
      else if ((rest === '\\' || rest === '$') && next === '$') {
        this.#at += 2
        out += '$'
      } else if (rest === '$' && next === '(') out += this.#take(2)
      else if (rest === '$' && next !== undefined && BEGINS.test(next)) out += this.#expansion(depth)
      else out += this.#take(1)
    }
    return out
  }

  #take(count: number): string {
    const taken = this.#text.slice(this.#at, this.#at + count)
    this.#at += count
    return taken
  }

  #expansion(depth: number): string {
    const start = this.#at
    this.#at += 1
    if (this.#text[this.#at] !== '{') return this.#lookup(this.#name(start)) ?? ''
    this.#at += 1
    const name = this.#name(start)
    const value = this.#lookup(name)
    const operator = this.#take(1)
    let out: string
    switch (operator) {
      case '}':
        return value ?? ''
      case '-': {
        const otherwise = this.expression('}', depth + 1)
        out = value ?? otherwise
        break
      }
      case '?': {
        const message = this.expression('}', depth + 1)
        if (value === undefined) this.#fail(start, this.#at + 1 - start, `$${name}: ${message === '' ? 'not set' : message}`)
        out = value
        break
      }
      case ':':
        if (this.#text[this.#at] === '-') {
          this.#at += 1
          const otherwise = this.expression('}', depth + 1)
          out = value === undefined || value === '' ? otherwise : value
        } else out = this.#substring(value ?? '', start)
        break
      case '#':
      case '%':
        out = this.#without(value ?? '', operator)
        break
      case '':
        return this.#fail(start, this.#text.length - start, 'this "${" is never closed; close it with "}", or write "$${" for the text itself')
      default:
        return this.#fail(start, this.#at - start, `"${operator}" after $${name} is no operation; there are :- - ? : # ## % %%. Write "$$" for the text itself`)
    }
    if (this.#take(1) !== '}') this.#fail(start, this.#text.length - start, 'this "${" is never closed; close it with "}", or write "$${" for the text itself')
    return out
  }

  #name(start: number): string {
    NAME.lastIndex = this.#at
    const name = NAME.exec(this.#text)?.[0]
    if (name === undefined) return this.#fail(start, this.#at + 1 - start, `what follows "$" is no name of a variable; write "$$" for the text itself`)
    this.#at += name.length
    return name
  }

  /** `:offset` or `:offset:length`; from the end where they are negative, and never beyond what is there. */
  #substring(value: string, start: number): string {
    const end = this.#text.indexOf('}', this.#at)
    const written = this.#text.slice(this.#at, end < 0 ? undefined : end)
    const [offset, length, more] = written.split(':').map((part) => part.trim())
    if (end < 0 || more !== undefined || !isWhole(offset) || (length !== undefined && !isWhole(length))) {
      return this.#fail(start, (end < 0 ? this.#text.length : end + 1) - start, 'a part of a variable is ${NAME:offset} or ${NAME:offset:length}, whole numbers')
    }
    this.#at = end
    const bytes = [...value]
    const from = Math.min(bytes.length, Math.max(0, Number(offset) < 0 ? Number(offset) + bytes.length : Number(offset)))
    if (length === undefined) return bytes.slice(from).join('')
    const to = Number(length) < 0 ? Number(length) + bytes.length : from + Number(length)
    return bytes.slice(from, Math.max(from, to)).join('')
  }

  /** Without what a pattern, in which `*` is any text and `?` any character, matches at its beginning or end: the least, or the most where the sign is doubled. */
  #without(value: string, sign: '#' | '%'): string {
    const isMost = this.#text[this.#at] === sign
    if (isMost) this.#at += 1
    const end = this.#text.indexOf('}', this.#at)
    const pattern = this.#text.slice(this.#at, end < 0 ? undefined : end)
    this.#at = end < 0 ? this.#text.length : end
    const lengths = Array.from({ length: value.length + 1 }, (_, length) => length)
    if (isMost) lengths.reverse()
    for (const length of lengths) {
      const part = sign === '#' ? value.slice(0, length) : value.slice(value.length - length)
      if (matchesWildcard(part, pattern)) return sign === '#' ? value.slice(length) : value.slice(0, value.length - length)
    }
    return value
  }

  #fail(at: number, length: number, message: string): never {
    throw new Mistaken({ at, length: Math.max(1, length), message })
  }
}

function isWhole(text: string | undefined): boolean {
  return text !== undefined && /^[+-]?\d{1,9}$/.test(text)
}
