/**
 * Terminal output to HTML, line by line as it comes, for the server and the browser alike. Output is hostile: whatever
 * it holds, the HTML consists of `<span class>` and `<a href>` around escaped text, and every other control is dropped.
 *
 * A line is finished by its newline only: until then "\r" may go back and overwrite it, as progress bars do. Columns
 * are UTF-16 units, so overwriting half a character leaves U+FFFD, never a broken string.
 */
/* oxlint-disable no-control-regex -- control characters are what this file is about. */
import { escaped } from './escape.ts'

export interface Ansi {
  /** The HTML of each line that this chunk finished. */
  push(chunk: Uint8Array | string): readonly string[]
  /** The HTML of the line that is not finished yet; null when nothing stands on it. */
  unfinished(): string | null
  /** The SGR sequence that brings a fresh `Ansi` to the pen of this one, for going on elsewhere from here. */
  pen(): string
}

/** A colour of the 256, or null for the terminal's own. */
type Colour = number | null

interface Pen {
  readonly fg: Colour
  readonly bg: Colour
  readonly bold: boolean
  readonly dim: boolean
  readonly italic: boolean
  readonly underline: boolean
  readonly inverse: boolean
  readonly strike: boolean
  readonly href: string | null
}

interface Stretch {
  readonly text: string
  readonly pen: Pen
}

const PLAIN: Pen = { fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false, href: null }
/** What is shown of one line; the rest is counted. A megabyte on one line would stall the browser. */
const LINE_COLUMNS = 8192
/** An escape sequence longer than this is taken for none. */
const SEQUENCE_CHARACTERS = 4096

/** Any control, C0 or C1: what is not text. */
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g
/** A whole sequence at this place: CSI, a string ended by BEL or ST, or any other escape. A further control ends a string, or a megabyte of beginnings would each be read on to the bound. */
const SEQUENCE = /(?:\u001b\[|\u009b)([\u0030-\u003f]*)[\u0020-\u002f]*([\u0040-\u007e])|(?:\u001b([\]PX^_])|[\u0090\u0098\u009d-\u009f])([^\u0007\n\u0018\u001a\u001b\u0080-\u009f]{0,4000})(?:\u0007|\u001b\\|\u009c)|\u001b(?:[\u0020-\u002f]+[\u0030-\u007e]|(?![[\]PX^_])[\u0030-\u007e])/y
/** The beginning of a sequence that the next chunk may complete. */
const PARTIAL = /^(?:(?:\u001b\[|\u009b)[\u0030-\u003f]*[\u0020-\u002f]*|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\n\u0018\u001a\u001b\u0080-\u009f]*\u001b?|\u001b[\u0020-\u002f]*)$/

export function createAnsi(): Ansi {
  const decoder = new TextDecoder('utf-8')
  let pending = ''
  let pen = PLAIN
  let line: Stretch[] = []
  /** One entry a column, once something went back on the line; most lines never do. */
  let cells: Stretch[] | null = null
  let length = 0
  let column = 0
  let cut = 0

  const print = (text: string) => {
    const fits = text.slice(0, Math.max(0, LINE_COLUMNS - column))
    cut += text.length - fits.length
    if (fits === '') return
    if (column < length) cells ??= cellsOf(line)
    if (cells) {
      for (let at = 0; at < fits.length; at += 1) cells[column + at] = { text: fits.charAt(at), pen }
    } else {
      line.push({ text: fits, pen })
    }
    column += fits.length
    length = Math.max(length, column)
  }

  /** What stands at the cursor and behind it goes, or all of it; then the cursor stands at the end, where a terminal would leave a gap. */
  const erase = (mode: string) => {
    // To the start of the line means all of it from its end; from further left it would cost a column each time, and nobody does it.
    if (mode === '1' && column < length) return
    const kept = mode === '0' ? column : 0
    if (kept < length) {
      cells ??= cellsOf(line)
      cells.length = length = column = kept
    }
    cut = 0
  }

  const shown = () => html(cells ?? line, cut)

  const feed = (text: string): string[] => {
    const finished: string[] = []
    let at = 0
    while (at < text.length) {
      CONTROL.lastIndex = at
      const control = CONTROL.exec(text)?.index ?? text.length
      if (control > at) print(text.slice(at, control))
      at = control
      if (at === text.length) break
      const code = text.charCodeAt(at)
      if (code === 0x1b || code >= 0x90) {
        SEQUENCE.lastIndex = at
        const match = SEQUENCE.exec(text)
        if (match) {
          at += match[0].length
          if (match[2] === 'm') pen = selected(pen, match[1] ?? '')
          else if (match[2] === 'K') erase(match[1] || '0')
          else if (match[2] === 'G') column = Math.min(length, Math.max(0, (Number(match[1]) || 1) - 1))
          else if (match[3] === ']' && match[4]?.startsWith('8;')) pen = { ...pen, href: linkOf(match[4]) }
          continue
        }
        const rest = text.length - at <= SEQUENCE_CHARACTERS ? text.slice(at) : ''
        if (PARTIAL.test(rest)) {
          pending = rest
          break
        }
      } else if (code === 0x0a) {
        finished.push(shown())
        line = []
        cells = null
        length = column = cut = 0
      } else if (code === 0x0d) {
        column = 0
      } else if (code === 0x08) {
        column = Math.max(0, column - 1)
      }
      at += 1
    }
    return finished
  }

  return {
    push(chunk) {
      const text = pending + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))
      pending = ''
      return feed(text)
    },
    unfinished: () => (length === 0 && cut === 0 ? null : shown()),
    pen: () => sequenceOf(pen),
  }
}

function cellsOf(line: readonly Stretch[]): Stretch[] {
  return line.flatMap(({ text, pen }) => text.split('').map((unit) => ({ text: unit, pen })))
}

/** The pen after `ESC [ parameters m` (ECMA-48 8.3.117); `38:5:n` and `38;5;n` are both about. */
function selected(pen: Pen, parameters: string): Pen {
  if (parameters === '' || parameters === '0') return pen.href === null ? PLAIN : { ...PLAIN, href: pen.href }
  if (!/^[\d;:]*$/.test(parameters)) return pen
  const codes = parameters.split(';')
  let next = pen
  for (let at = 0; at < codes.length; at += 1) {
    const [code = 0, ...sub] = (codes[at] ?? '').split(':').map(Number)
    if (code === 38 || code === 48) {
      const given = sub.length > 0 ? withoutColourSpace(sub) : codes.slice(at + 1, at + 5).map(Number)
      const { colour, used } = extended(given)
      if (sub.length === 0) at += used
      if (colour !== undefined) next = code === 38 ? { ...next, fg: colour } : { ...next, bg: colour }
    } else {
      next = { ...next, ...attribute(code, sub[0], next) }
    }
  }
  return next
}

function attribute(code: number, sub: number | undefined, pen: Pen): Partial<Pen> {
  if (code >= 30 && code <= 37) return { fg: code - 30 }
  if (code >= 40 && code <= 47) return { bg: code - 40 }
  if (code >= 90 && code <= 97) return { fg: code - 82 }
  if (code >= 100 && code <= 107) return { bg: code - 92 }
  switch (code) {
    case 0: return { ...PLAIN, href: pen.href }
    case 1: return { bold: true }
    case 2: return { dim: true }
    case 3: return { italic: true }
    case 4: return { underline: sub !== 0 }
    case 7: return { inverse: true }
    case 9: return { strike: true }
    case 21: return { underline: true }
    case 22: return { bold: false, dim: false }
    case 23: return { italic: false }
    case 24: return { underline: false }
    case 27: return { inverse: false }
    case 29: return { strike: false }
    case 39: return { fg: null }
    case 49: return { bg: null }
    default: return {}
  }
}

/** ITU T.416 puts a colour space before red, green and blue: `2::r:g:b`; many programs leave it out. */
function withoutColourSpace(sub: readonly number[]): readonly number[] {
  return sub[0] === 2 && sub.length >= 5 ? [2, ...sub.slice(2)] : sub
}

function extended([mode, a, b, c]: readonly number[]): { readonly colour?: number; readonly used: number } {
  const isByte = (value: number | undefined): value is number => value !== undefined && value >= 0 && value <= 255
  if (mode === 5) return isByte(a) ? { colour: a, used: 2 } : { used: 2 }
  if (mode === 2) return isByte(a) && isByte(b) && isByte(c) ? { colour: nearest(a, b, c), used: 4 } : { used: 4 }
  return { used: 0 }
}

const CUBE = [0, 95, 135, 175, 215, 255] as const

/** Of the 256, whose first 16 are the theme's: the cube's or the greys' nearest. True colours would need style attributes. */
function nearest(red: number, green: number, blue: number): number {
  const step = (value: number) => CUBE.reduce<number>((best, level, index) => (Math.abs(level - value) < Math.abs((CUBE[best] ?? 0) - value) ? index : best), 0)
  const cube = 16 + 36 * step(red) + 6 * step(green) + step(blue)
  const grey = 232 + Math.min(23, Math.max(0, Math.round(((red + green + blue) / 3 - 8) / 10)))
  const distance = (colour: number) => rgb(colour).reduce((sum, value, index) => sum + (value - ([red, green, blue][index] ?? 0)) ** 2, 0)
  return distance(grey) < distance(cube) ? grey : cube
}

/** Red, green and blue of a colour from 16 to 255. */
export function rgb(colour: number): readonly [number, number, number] {
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10
    return [grey, grey, grey]
  }
  const place = colour - 16
  return [CUBE[Math.floor(place / 36)] ?? 0, CUBE[Math.floor(place / 6) % 6] ?? 0, CUBE[place % 6] ?? 0]
}

/** OSC 8: `8;params;URI`. Only what a click may safely open; a name before "@" is there to mislead. */
function linkOf(body: string): string | null {
  const text = body.slice(body.indexOf(';', 2) + 1)
  if (text === '' || text.length > 2048 || body.indexOf(';', 2) < 0 || !URL.canParse(text)) return null
  const url = new URL(text)
  return (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === '' ? url.href : null
}

function html(line: readonly Stretch[], cut: number): string {
  let shown = ''
  let text = ''
  line.forEach((stretch, index) => {
    text += stretch.text
    const next = line[index + 1]
    if (next && (next.pen === stretch.pen || looksAlike(next.pen, stretch.pen))) return
    shown += element(text, stretch.pen)
    text = ''
  })
  return cut > 0 ? `${shown}<span class="cut"> … ${cut} more characters on this line</span>` : shown
}

function element(text: string, pen: Pen): string {
  const names = classesOf(pen)
  const attributes = names === '' ? '' : ` class="${names}"`
  if (pen.href !== null) return `<a${attributes} href="${escaped(pen.href)}" rel="noopener noreferrer nofollow">${escaped(text)}</a>`
  return attributes === '' ? escaped(text) : `<span${attributes}>${escaped(text)}</span>`
}

function looksAlike(one: Pen, other: Pen): boolean {
  return one.href === other.href && classesOf(one) === classesOf(other)
}

/**
 * `fN` colours the text and `gN` the ground. Inverse: the ground takes the text's colour, `vN` for the theme's 16, and
 * `fi` and `gi` are the terminal's own, swapped. `style.ts` knows them all.
 */
function classesOf(pen: Pen): string {
  if (pen === PLAIN) return ''
  const fg = pen.inverse ? (pen.bg ?? 'i') : pen.fg
  const bg = pen.inverse ? (pen.fg ?? 'i') : pen.bg
  const ground = bg === null ? '' : `${pen.inverse && typeof bg === 'number' && bg < 16 ? 'v' : 'g'}${bg} on`
  return [fg === null ? '' : `f${fg}`, ground, pen.bold ? 'b' : '', pen.dim ? 'd' : '', pen.italic ? 'i' : '', pen.underline ? 'u' : '', pen.strike ? 's' : ''].filter((name) => name !== '').join(' ')
}

function sequenceOf(pen: Pen): string {
  const codes = [pen.bold && '1', pen.dim && '2', pen.italic && '3', pen.underline && '4', pen.inverse && '7', pen.strike && '9', pen.fg !== null && `38;5;${pen.fg}`, pen.bg !== null && `48;5;${pen.bg}`]
  const link = pen.href === null ? '' : `\u001b]8;;${pen.href}\u001b\\`
  const chosen = codes.filter((code) => code !== false)
  return chosen.length === 0 ? link : `\u001b[${chosen.join(';')}m${link}`
}
