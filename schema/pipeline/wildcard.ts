/**
 * Whether all of a text matches a pattern in which `*` is any text and `?` any character; in time that is at most the
 * product of both lengths.
 */
export function matchesWildcard(text: string, pattern: string): boolean {
  let [at, of, star, from] = [0, 0, -1, 0]
  while (at < text.length) {
    if (of < pattern.length && pattern[of] === '*') [star, from, of] = [of, at, of + 1]
    else if (of < pattern.length && (pattern[of] === '?' || pattern[of] === text[at])) [at, of] = [at + 1, of + 1]
    else if (star >= 0) [of, from, at] = [star + 1, from + 1, from + 1]
    else return false
  }
  while (pattern[of] === '*') of += 1
  return of === pattern.length
}
