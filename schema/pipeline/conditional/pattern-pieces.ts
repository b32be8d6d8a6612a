/** A regular expression cut into parts, which is as much as may be known of one before it costs anything. */

/** One for each escape, comment, beginning of looking ahead, character class, counted repetition, or character. */
const PIECE = /\\[^]|\(\?#[^)]*\)|\(\?[=!]|\[\^?\]?(?:\\[^]|\[:\^?\w+:\]|[^\]\\])*\]|\{\d+(?:,\d*)?\}|[^]/y
const REPETITION = /^\{(\d+)(?:,(\d*))?\}$/

export interface Piece {
  readonly at: number
  readonly piece: string
}

export function* piecesOf(source: string): Generator<Piece> {
  for (let at = 0; at < source.length; ) {
    PIECE.lastIndex = at
    const piece = PIECE.exec(source)?.[0] ?? source.slice(at)
    yield { at, piece }
    at += piece.length
  }
}

/** About how many instructions it is compiled to, or takes as long as: `((a{9}){9}){9}` is short but not small. */
export function costOf(source: string): number {
  const outer: number[] = []
  let [total, last, once] = [0, 0, 0]
  for (const { piece } of piecesOf(source)) {
    const [repetition, least, most] = REPETITION.exec(piece) ?? []
    if (repetition !== undefined) {
      const times = Math.max(1, Number(least), Number(most ?? 0))
      total += last * (times - 1)
      last *= times
    } else if (piece === '(' || piece === '(?=' || piece === '(?!') {
      outer.push(total)
      ;[total, last] = [0, 0]
    } else if (piece === ')') {
      last = total + 2
      total = (outer.pop() ?? 0) + last
    } else {
      total += 1
      last = 1
      once += classCost(piece)
    }
  }
  while (outer.length > 0) total += outer.pop() ?? 0
  return total + once
}

const UNICODE_CLASS = /\\[pP]/g
const WIDE_RANGE = /-(?:[^\0-\xff]|\\x\{)/g

/** Making the class, which is done once however often it is repeated: the wider it is, the more letters have another case. */
function classCost(piece: string): number {
  return (piece.match(UNICODE_CLASS)?.length ?? 0) * 100 + (piece.startsWith('[') ? (piece.match(WIDE_RANGE)?.length ?? 0) * 2000 : 0)
}
