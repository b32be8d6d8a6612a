/**
 * Variables in the text of a pipeline, as Buildkite's agent expands them when it uploads: one level deep, by a small
 * grammar that is not a shell's. `$(` and whatever stands in `$$` or `\$` is left for the shell that runs the command.
 */

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
/** What one file may grow to by its variables, and be looked through for parts of them. */
const MOST_CHARACTERS = 4 * 1024 * 1024

/** What may still be filled in; shared by all texts of one file, since a long variable may stand in each of them. */
export interface Budget {
  characters: number
}

export function newBudget(): Budget {
  return { characters: MOST_CHARACTERS }
}

export function interpolate(text: string, lookup: Lookup, budget: Budget = newBudget()): Interpolated {
  if (!text.includes('$') && !text.includes('\\')) return { ok: true, text }
  try {
    const reader = new Reader(text, lookup, budget)
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
  readonly #budget: Budget
  #at = 0
  /** Within a default that is not taken: it must be well formed, but what is missing in it is not missed. */
  #unused = 0

  constructor(text: string, lookup: Lookup, budget: Budget) {
    this.#text = text
    this.#lookup = lookup
    this.#budget = budget
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
      else if (rest === '$' && next !== undefined && BEGINS.test(String.fromCodePoint(this.#text.codePointAt(this.#at + 1) ?? 0))) out += this.#expansion(depth)
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
    if (this.#text[this.#at] !== '{') return this.#value(this.#name(start), start) ?? ''
    this.#at += 1
    const name = this.#name(start)
    const value = this.#value(name, start)
    const operator = this.#take(1)
    let out: string
    switch (operator) {
      case '}':
        return value ?? ''
      case '-': {
        const otherwise = this.#otherwise(depth, value !== undefined)
        out = value ?? otherwise
        break
      }
      case '?': {
        const message = this.#otherwise(depth, value !== undefined)
        if (value === undefined && this.#unused === 0) this.#fail(start, this.#at + 1 - start, `$${name}: ${message === '' ? 'not set' : message}`)
        out = value ?? ''
        break
      }
      case ':':
        if (this.#text[this.#at] === '-') {
          this.#at += 1
          const isSet = value !== undefined && value !== ''
          const otherwise = this.#otherwise(depth, isSet)
          out = isSet ? value : otherwise
        } else out = this.#substring(value ?? '', start)
        break
      case '#':
      case '%':
        out = this.#without(value ?? '', operator, start)
        break
      case '':
        return this.#fail(start, this.#text.length - start, 'this "${" is never closed; close it with "}", or write "$${" for the text itself')
      default:
        return this.#fail(start, this.#at - start, `"${operator}" after $${name} is no operation; there are :- - ? : # ## % %%. Write "$$" for the text itself`)
    }
    if (this.#take(1) !== '}') this.#fail(start, this.#text.length - start, 'this "${" is never closed; close it with "}", or write "$${" for the text itself')
    return out
  }

  /** What stands behind the operator. */
  #otherwise(depth: number, isUnused: boolean): string {
    this.#unused += isUnused ? 1 : 0
    const out = this.expression('}', depth + 1)
    this.#unused -= isUnused ? 1 : 0
    return out
  }

  #value(name: string, start: number): string | undefined {
    const value = this.#lookup(name)
    if (this.#unused === 0) this.#spend(value?.length ?? 0, start)
    return value
  }

  #spend(characters: number, start: number): void {
    this.#budget.characters -= characters
    if (this.#budget.characters < 0) this.#fail(start, this.#at - start, `with its variables filled in, the file comes to more than ${MOST_CHARACTERS / 1024 / 1024} MiB`)
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
    this.#spend(this.#unused === 0 ? 0 : value.length, start) // elsewhere it was paid for when it was read
    const characters = [...value] // Buildkite counts bytes, and may halve a character
    const from = Math.min(characters.length, Math.max(0, Number(offset) < 0 ? Number(offset) + characters.length : Number(offset)))
    if (length === undefined) return characters.slice(from).join('')
    const to = Number(length) < 0 ? Number(length) + characters.length : from + Number(length)
    return characters.slice(from, Math.max(from, to)).join('')
  }

  /** Without what a pattern, in which `*` is any text and `?` any character, matches at its beginning or end: the least, or the most where the sign is doubled. */
  #without(value: string, sign: '#' | '%', start: number): string {
    const isMost = this.#text[this.#at] === sign
    if (isMost) this.#at += 1
    const end = this.#text.indexOf('}', this.#at)
    const pattern = this.#text.slice(this.#at, end < 0 ? undefined : end)
    this.#at = end < 0 ? this.#text.length : end
    this.#spend(value.length * (pattern.length + 1), start)
    const fromEnd = (text: string) => [...text].reverse().join('')
    if (sign === '#') return value.slice(matched(value, pattern, isMost ? 'most' : 'least'))
    const reversed = fromEnd(value)
    return fromEnd(reversed.slice(matched(reversed, fromEnd(pattern), isMost ? 'most' : 'least')))
  }

  #fail(at: number, length: number, message: string): never {
    throw new Mistaken({ at, length: Math.max(1, length), message })
  }
}

function isWhole(text: string | undefined): boolean {
  return text !== undefined && /^[+-]?\d{1,9}$/.test(text)
}

/** How much of the text's beginning matches, at least one character if any; in time that is the product of both lengths. */
function matched(text: string, pattern: string, which: 'least' | 'most'): number {
  /** At each place in the pattern: whether what has been read so far can have come to it. */
  let reached = openStars(pattern, [true])
  let found = 0
  for (let at = 0; at < text.length && reached.includes(true); at += 1) {
    const next: boolean[] = []
    for (let of = 0; of < pattern.length; of += 1) {
      if (reached[of] !== true) continue
      if (pattern[of] === '*') next[of] = true
      else if (pattern[of] === '?' || pattern[of] === text[at]) next[of + 1] = true
    }
    reached = openStars(pattern, next)
    if (reached[pattern.length] !== true) continue
    found = at + 1
    if (which === 'least') break
  }
  return found
}

/** A `*` may also be nothing. */
function openStars(pattern: string, reached: boolean[]): readonly boolean[] {
  for (let of = 0; of < pattern.length; of += 1) {
    if (reached[of] === true && pattern[of] === '*') reached[of + 1] = true
  }
  return reached
}
