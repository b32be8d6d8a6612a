/**
 * "Did you mean …": the known name that a mistyped one is nearest to. It stays silent rather than guess: a name must be
 * within about a third of its letters.
 */

/** Pairs of letters that are looked at for one word: a pipeline may have thousands of long keys, and many words that are none. */
const MOST_PAIRS = 1_000_000

/** The candidate with the fewest edits to `word`, or null when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  if (word.length > 256) return null
  let best: string | null = null
  let fewest = Math.max(1, Math.floor(word.length / 3)) + 1
  let pairs = 0
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= fewest) continue
    pairs += word.length * candidate.length
    if (pairs > MOST_PAIRS) break
    const count = edits(word.toLowerCase(), candidate.toLowerCase())
    if (count < fewest) [best, fewest] = [candidate, count]
  }
  return best
}

/** `; did you mean "name"?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const name = nearest(word, candidates)
  return name === null ? '' : `; did you mean "${name}"?`
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function edits(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    ;[beforeLast, last] = [last, row]
  }
  return last[b.length] ?? 0
}
