/**
 * What a backslash means. In double quotes it is Ruby's list; in single quotes it only hides a quote or another backslash.
 * `\x` and `\101` name bytes, not characters: a run of them is read as UTF-8, and one that is none stays apart as a lone
 * surrogate, so that it equals itself and no character.
 */

export type Escape = { readonly text: string; readonly next: number } | { readonly wrong: string }

const NAMED: Readonly<Record<string, string>> = { n: '\n', s: ' ', r: '\r', t: '\t', v: '\v', f: '\f', b: '\b', a: '\x07', e: '\x1b' }
const HEX = /x([0-9a-fA-F]{2})/y
const OCTAL = /[0-7]{1,3}/y

/** `at` is the backslash. */
export function readEscape(text: string, at: number): Escape {
  const letter = text[at + 1]
  if (letter === undefined) return { wrong: 'nothing follows this backslash; write two for the sign itself' }
  const named = Object.hasOwn(NAMED, letter) ? NAMED[letter] : undefined
  if (named !== undefined) return { text: named, next: at + 2 }
  HEX.lastIndex = at + 1
  const hex = HEX.exec(text)?.[1]
  if (hex !== undefined) return { text: byte(Number.parseInt(hex, 16)), next: at + 4 }
  OCTAL.lastIndex = at + 1
  const octal = OCTAL.exec(text)?.[0]
  if (octal === undefined) return { text: letter, next: at + 2 }
  const value = Number.parseInt(octal, 8)
  return value > 0xff ? { wrong: `"\\${octal}" is more than a byte, which ends at "\\377"` } : { text: byte(value), next: at + 1 + octal.length }
}

/** The same in single quotes, where what is no escape stays as it is. */
export function readSingleQuotedEscape(text: string, at: number): Escape {
  const letter = text[at + 1]
  if (letter === undefined) return { wrong: 'nothing follows this backslash; write two for the sign itself' }
  return { text: letter === '\\' || letter === "'" ? letter : `\\${letter}`, next: at + 2 }
}

const BYTES = /[\uDC80-\uDCFF]+/g
const UTF8 = /[\xC2-\xDF][\x80-\xBF]|[\xE0-\xEF][\x80-\xBF]{2}|[\xF0-\xF4][\x80-\xBF]{3}/g

function byte(value: number): string {
  return String.fromCharCode(value < 0x80 ? value : 0xdc00 + value)
}

/** Makes characters of the bytes that escapes named, once all of a text is there. */
export function withCharacters(text: string): string {
  return text.replace(BYTES, (bytes, at: number) => {
    // The second half of a character of two units looks like a byte.
    if (at > 0 && /[\uD800-\uDBFF]/.test(text[at - 1] ?? '')) return (bytes[0] ?? '') + charactersOf(bytes.slice(1))
    return charactersOf(bytes)
  })
}

function charactersOf(bytes: string): string {
  const latin = String.fromCharCode(...Array.from(bytes, (one) => one.charCodeAt(0) - 0xdc00))
  let out = ''
  let end = 0
  for (const { 0: sequence, index } of latin.matchAll(UTF8)) {
    out += bytes.slice(end, index) + (decoded(sequence) ?? bytes.slice(index, index + sequence.length))
    end = index + sequence.length
  }
  return out + bytes.slice(end)
}

function decoded(latin: string): string | null {
  try {
    return decodeURIComponent(Array.from(latin, (one) => `%${one.charCodeAt(0).toString(16)}`).join(''))
  } catch {
    return null // Overlong, a surrogate, or beyond the last character.
  }
}
