/**
 * A regular expression turned round, so that it matches exactly the texts that, turned round, the first one matches.
 * What looks ahead becomes what looks behind, and that can be matched in linear time. Only whether there is a match
 * survives this: which part it is, and what its groups caught, does not.
 */

/** Parts of which none can be divided. Comments and named groups must be gone, and the rest be well formed. */
const PIECE = /\\x\{[^}]*\}|\\x[^]{2}|\\[pP](?:\{[^}]*\}|[^])|\\[0-7]{1,3}|\\[^]|\[\^?\]?(?:\\[^]|\[:\^?\w+:\]|[^\]\\])*\]|\(\?[=!]|\(\?[A-Za-z-]*[:)]|[^]/uy
const QUANTIFIER = /(?:[*+?]|\{\d+(?:,\d*)?\})\??/y
const TURNED: Readonly<Record<string, string>> = { '^': '$', $: '^', '\\A': '\\z', '\\z': '\\A', '{': '\\{', '}': '\\}' }

/** Null: it has what cannot be turned round, which is `\Q…\E` and `\C`. */
export function reversed(source: string): string | null {
  return new Turning(source).all()
}

export function reversedText(text: string): string {
  return [...text].reverse().join('')
}

/** Which of `i`, `m` and `s` are on and off at a place. */
type Flags = ReadonlyMap<string, boolean>

class Turning {
  readonly #source: string
  #at = 0
  #canTurn = true

  constructor(source: string) {
    this.#source = source
  }

  all(): string | null {
    const turned = this.#group(new Map())
    return this.#canTurn ? turned : null
  }

  /** Up to what closes it, which is taken too. */
  #group(outer: Flags): string {
    const alternatives: string[][] = [[]]
    let flags = outer
    for (let piece = this.#take(PIECE); piece !== '' && piece !== ')'; piece = this.#take(PIECE)) {
      if (piece === '|') alternatives.push([])
      else if (piece.startsWith('(?') && piece.endsWith(')')) flags = changed(flags, piece)
      else alternatives.at(-1)?.push(this.#part(piece, flags) + this.#take(QUANTIFIER))
    }
    return alternatives.map((parts) => parts.reverse().join('')).join('|')
  }

  #part(piece: string, flags: Flags): string {
    if (piece === '(?=') return `(?<=${this.#group(flags)})`
    if (piece === '(?!') return `(?<!${this.#group(flags)})`
    if (piece.startsWith('(')) return `(?:${this.#group(changed(flags, piece))})`
    if (piece === '\\Q' || piece === '\\C') this.#canTurn = false
    const turned = Object.hasOwn(TURNED, piece) ? (TURNED[piece] ?? piece) : piece
    // Each part says its own flags, and none joins its new neighbour.
    return `(?${written(flags)}:${turned})`
  }

  #take(expression: RegExp): string {
    expression.lastIndex = this.#at
    const taken = expression.exec(this.#source)?.[0] ?? ''
    this.#at += taken.length
    return taken
  }
}

/** By `(?i-s:` or `(?i-s)`. Who is greedy (`U`) does not matter for whether there is a match. */
function changed(flags: Flags, piece: string): Flags {
  const after = new Map(flags)
  let isOn = true
  for (const letter of piece) {
    if (letter === '-') isOn = false
    else if ('ims'.includes(letter)) after.set(letter, isOn)
  }
  return after
}

function written(flags: Flags): string {
  const on = [...flags.keys()].filter((flag) => flags.get(flag)).join('')
  const off = [...flags.keys()].filter((flag) => !flags.get(flag)).join('')
  return off === '' ? on : `${on}-${off}`
}
