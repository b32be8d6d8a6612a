/**
 * In which forms a secret may show up in a log [C12.5]: as it is, in base64 at each alignment within something longer,
 * in a URL, inside a JSON string, and each line of it alone. Not found: values of fewer than 6 characters, base64 that is
 * wrapped inside the value, and whatever a build computes from a secret.
 */

/** Shorter values are not masked: they would blot out half of an honest log. */
export const SECRET_CHARACTERS = 6

/** Every byte string to look for, without repeats. */
export function secretVariants(secrets: readonly string[]): Uint8Array[] {
  const found = new Set<string>() // most forms of most secrets are one text, which need not be encoded again and again
  const add = (text: string): void => void found.add(text.toWellFormed()) // as its bytes are
  for (const secret of secrets) {
    for (const value of new Set([secret, ...secret.split(/\r\n|\r|\n/), secret.trim()])) {
      if (value.length < SECRET_CHARACTERS) continue
      for (const text of textForms(value)) add(text)
      for (const text of base64Forms(Buffer.from(value))) add(text)
    }
  }
  return Array.from(found, (text) => Buffer.from(text))
}

function* textForms(value: string): Generator<string> {
  yield value
  const json = JSON.stringify(value).slice(1, -1)
  yield json
  yield json.replaceAll('/', '\\/')
  yield json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) // as Python writes JSON
  const url = encodeURIComponent(value.toWellFormed()) // throws on half a surrogate pair otherwise
  for (const form of [url, url.replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)]) {
    yield form
    yield form.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())
    yield form.replaceAll('%20', '+')
  }
}

function* base64Forms(value: Buffer): Generator<string> {
  yield* bothAlphabets(value.toString('base64'))
  yield* bothAlphabets(value.toString('base64').replace(/=+$/, ''))
  for (const before of [0, 1, 2]) {
    // Only characters whose six bits all come from the value are the same whatever stands around it.
    const text = Buffer.concat([Buffer.alloc(before), value]).toString('base64')
    yield* bothAlphabets(text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + value.byteLength) * 8) / 6)))
  }
}

function* bothAlphabets(text: string): Generator<string> {
  yield text
  yield text.replaceAll('+', '-').replaceAll('/', '_')
}
