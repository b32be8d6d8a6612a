/**
 * Bounds that keep a condition cheap whoever wrote it: reading one is linear in its text, and matching is linear in what
 * is matched, so a bound on each is a bound on all.
 */
export const CONDITIONAL_LIMITS = {
  /** Of the text, in UTF-16 units. The longest in public pipelines is under two thousand. */
  characters: 32 * 1024,
  /** Parentheses, negations, choices, lists and calls within each other. */
  depth: 64,
  /** Comparisons in a row without `&&` or `||`, as in `a == b == c`, which nest too. */
  chain: 32,
  /** Variables within what stands for a variable that is not set. */
  variableDepth: 32,
  /** Of the values of environment variables, in one evaluation or all that are made together: a short text can name a long one often. */
  variableCharacters: 1024 * 1024,
  patternCharacters: 2000,
  /** About how many instructions all the regular expressions of one condition are compiled to. */
  patternInstructions: 20_000,
  /** Instructions times characters that they are held against, likewise. */
  matchingWork: 30_000_000,
} as const
