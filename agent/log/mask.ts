/**
 * Replaces secrets in a stream of bytes before anything of it is stored [I22]. A secret may lie across any number of
 * chunks, so bytes that could begin one are held back until the next chunk says more; all others pass at once. What
 * comes out depends on the bytes only, never on how they were cut.
 *
 * What one would get wrong: matches overlap. Two secrets that share bytes, or touch, become one mark; replacing the
 * first found would leave the end of the second to be read.
 */
import { secretVariants } from './variants.ts'

export interface Mask {
  /** What may be shown now; with nothing to hide it is the chunk itself, not a copy. */
  push(chunk: Uint8Array): Uint8Array
  /** What was held back and turned out to be no secret. */
  end(): Uint8Array
  /** One that hides these too from here on, in the place of this one; what this one held back goes over to it. */
  also(secrets: readonly string[]): Mask
}

/** Asks `added` before it lets anything go, and hides from then on what that answers. */
export function createGrowingMask(secrets: readonly string[], added: () => readonly string[]): Mask {
  let mask = createMask(secrets)
  const growing: Mask = {
    push: (chunk) => {
      const more = added()
      if (more.length > 0) mask = mask.also(more)
      return mask.push(chunk)
    },
    end: () => mask.end(),
    also: (more) => {
      mask = mask.also(more)
      return growing
    },
  }
  return growing
}

export const MASKED = '***'

const NOTHING = new Uint8Array(0)

export function createMask(secrets: readonly string[]): Mask {
  const patterns = secretVariants(secrets)
  if (patterns.length === 0) return { push: (chunk) => chunk, end: () => NOTHING, also: createMask }
  return createScanner(patterns)
}

/** What is not decided yet, as a scanner with more patterns takes it over. */
interface Undecided {
  readonly held: Buffer
  readonly reach: number
}

function createScanner(patterns: readonly Uint8Array[], before: Undecided = { held: Buffer.alloc(0), reach: -1 }): Mask {
  const mark = Buffer.from(MASKED)
  const finder = createFinder(patterns)
  let { held } = before
  /** How far a mark that was already shown reaches beyond what was decided: 0 touches the next byte, -1 is no mark. */
  let { reach } = before

  const scan = (bytes: Buffer, isLast: boolean): Uint8Array => {
    const shown: Uint8Array[] = []
    let until = reach
    let clear = Math.max(0, until)
    let at = 0
    for (;;) {
      // Leaves: all is decided, or from `at` on it depends on bytes that have not come.
      at = finder.next(bytes, at)
      if (at === bytes.byteLength) break
      const length = finder.match(bytes, at, isLast)
      if (length === 'undecided') break
      if (length > 0) {
        if (at > until) {
          if (at > clear) shown.push(bytes.subarray(clear, at))
          shown.push(mark)
        }
        until = clear = Math.max(until, at + length)
      }
      at += 1
    }
    if (at > clear) shown.push(bytes.subarray(clear, at))
    reach = Math.max(-1, until - at)
    held = at === bytes.byteLength ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at)) // a copy: the chunk is the caller's
    return shown.length === 1 ? (shown[0] ?? NOTHING) : Buffer.concat(shown)
  }

  return {
    push: (chunk) => {
      const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      return scan(held.byteLength === 0 ? fresh : Buffer.concat([held, fresh]), false)
    },
    end: () => scan(held, true),
    also: (secrets) => createScanner([...patterns, ...secretVariants(secrets)], { held, reach }),
  }
}

interface Finder {
  /** The first position from `at` on where a pattern could begin; the length when there is none. */
  next(bytes: Buffer, at: number): number
  /** Length of the longest pattern that stands at `at`; 0 for none. `undecided`: a longer one may, once more bytes come. */
  match(bytes: Buffer, at: number, isLast: boolean): number | 'undecided'
}

/** By the first bytes: a look-up in a table passes over nearly all of an honest log. */
function createFinder(patterns: readonly Uint8Array[]): Finder {
  const firsts = new Uint8Array(256)
  /** 1 for each pair of bytes that a pattern begins with. */
  const pairs = new Uint8Array(65_536)
  for (const [first = 0, second = 0] of patterns) {
    firsts[first] = 1
    pairs[(first << 8) | second] = 1
  }
  const inOrder = patterns.map((pattern) => Buffer.from(pattern)).sort((a, b) => a.compare(b))
  const alike = new Map<number, Buffer[]>()
  for (const pattern of inOrder) {
    const start = startOf(pattern, 0)
    const others = alike.get(start)
    if (others === undefined) alike.set(start, [pattern])
    else others.push(pattern)
  }
  const groups = new Map(Array.from(alike, ([start, group]) => [start, createGroup(group)]))

  return {
    next: (bytes, from) => {
      const last = bytes.byteLength - 1
      let at = from
      let byte = bytes[at] ?? 0
      while (at < last) {
        const following = bytes[at + 1] ?? 0
        if (pairs[(byte << 8) | following] === 1) return at
        byte = following
        at += 1
      }
      return at === last && firsts[byte] === 1 ? last : bytes.byteLength
    },
    match: (bytes, at, isLast) => {
      const here = bytes.byteLength - at
      if (here < START_BYTES) return !isLast && inOrder.some((pattern) => bytes.compare(pattern, 0, here, at) === 0) ? 'undecided' : 0 // once a chunk
      return groups.get(startOf(bytes, at))?.match(bytes, at, isLast) ?? 0
    },
  }
}

/** No pattern is shorter. */
const START_BYTES = 4

function startOf(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at)
}

/**
 * Patterns that begin alike. A job may bring thousands, and print what begins as all of them do: so none is looked at for
 * itself. Of those in order, what a text begins with is before it, and begins the one right before it; what begins with
 * the text is right behind it.
 */
function createGroup(inOrder: readonly Buffer[]): Pick<Finder, 'match'> {
  /** For each the longest other that it begins with; -1: none. */
  const within: number[] = []
  for (const [index, pattern] of inOrder.entries()) {
    let outer = index - 1
    while (outer >= 0 && !begins(pattern, 0, inOrder[outer])) outer = within[outer] ?? -1
    within.push(outer)
  }

  return {
    match: (bytes, at, isLast) => {
      let [from, to] = [0, inOrder.length]
      while (from < to) {
        const middle = (from + to) >> 1
        const pattern = inOrder[middle]
        if (pattern !== undefined && bytes.compare(pattern, 0, pattern.byteLength, at, Math.min(bytes.byteLength, at + pattern.byteLength)) >= 0) from = middle + 1
        else to = middle
      }
      const here = bytes.byteLength - at
      const behind = inOrder[from]
      if (!isLast && behind !== undefined && behind.byteLength > here && bytes.compare(behind, 0, here, at) === 0) return 'undecided'
      const before = inOrder[from - 1]
      if (before === undefined) return 0
      const alike = sameBytes(bytes, at, before)
      for (let index = from - 1; index >= 0; index = within[index] ?? -1) {
        const length = inOrder[index]?.byteLength ?? 0
        if (length <= alike) return length
      }
      return 0
    },
  }
}

function begins(bytes: Buffer, at: number, pattern: Buffer | undefined): boolean {
  return pattern !== undefined && pattern.byteLength <= bytes.byteLength - at && bytes.compare(pattern, 0, pattern.byteLength, at, at + pattern.byteLength) === 0
}

/** How many bytes from `at` on are those of the pattern: by halves, since comparing many at once costs as little as a few. */
function sameBytes(bytes: Buffer, at: number, pattern: Buffer): number {
  let [same, most] = [0, Math.min(pattern.byteLength, bytes.byteLength - at)]
  while (same < most) {
    const middle = (same + most + 1) >> 1
    if (bytes.compare(pattern, same, middle, at + same, at + middle) === 0) same = middle
    else most = middle - 1
  }
  return same
}
