/**
 * Regular expressions. Buildkite's language is Ruby's without what it forbids; ours is RE2's, whose matching takes time
 * that is linear in the text whatever the expression. What RE2 cannot do is refused by name rather than taken for
 * something else; only looking ahead, which conditions in the wild need, is got by matching from the end (`reversed.ts`).
 */
import { RE2JS } from 're2js'
import type { Budget } from './budget.ts'
import { CONDITIONAL_LIMITS } from './limits.ts'
import { costOf, piecesOf } from './pattern-pieces.ts'
import { reversed, reversedText } from './reversed.ts'

export interface Pattern {
  readonly source: string
  readonly flags: string
  /** Instructions: what each character of a text may cost. */
  readonly size: number
  readonly compiled: RE2JS
  /** It looks ahead, so it is compiled to be matched from the end. */
  readonly isReversed: boolean
}

export type PatternAnswer = { readonly ok: true; readonly pattern: Pattern } | { readonly ok: false; readonly message: string }

export function compilePattern(source: string, flags: string, budget: Budget): PatternAnswer {
  const flag = [...flags].find((one) => one !== 'i')
  if (flag !== undefined) return { ok: false, message: `a regular expression has the flag "i" and no "${flag}"; (?s) and (?m) at its beginning are known too.` }
  if (source.length > CONDITIONAL_LIMITS.patternCharacters) return { ok: false, message: `a regular expression has at most ${CONDITIONAL_LIMITS.patternCharacters} characters, not ${source.length}.` }
  const feature = refused(source)
  if (feature !== null) return { ok: false, message: `a condition's regular expression cannot have ${feature}.` }
  if (!budget.spend('instructions', costOf(source))) return { ok: false, message: 'this regular expression is too large, by itself or with those before it; repeat less within them.' }
  try {
    return { ok: true, pattern: { source, flags, ...compiled(inRe2(source), flags === '' ? 0 : RE2JS.CASE_INSENSITIVE) } }
  } catch (error) {
    // The library says what is wrong; whatever it throws, the expression is one that cannot be used.
    const reason = error instanceof Error ? error.message.replace('error parsing regexp: ', '') : String(error)
    return { ok: false, message: `this regular expression cannot be read: ${reason.length <= 200 ? reason : `${reason.slice(0, 199)}…`}.` }
  }
}

function compiled(source: string, flags: number): Pick<Pattern, 'size' | 'compiled' | 'isReversed'> {
  const withGroups = Array.from(piecesOf(source), ({ piece }) => (LOOKS_AHEAD.has(piece) ? '(?:' : piece)).join('')
  // With groups for what looks ahead it has to be well formed: turning it round takes that for granted.
  const plain = RE2JS.compile(withGroups, flags)
  if (withGroups === source) return { size: plain.programSize(), compiled: plain, isReversed: false }
  const turned = reversed(source)
  if (turned === null) throw new SyntaxError('an expression that looks ahead cannot have \\Q or \\C')
  const behind = RE2JS.compile(turned, flags | RE2JS.LOOKBEHINDS)
  return { size: behind.programSize(), compiled: behind, isReversed: true }
}

export function matches(pattern: Pattern, text: string): boolean {
  return pattern.compiled.test(pattern.isReversed ? reversedText(text) : text)
}

const LOOKS_AHEAD: ReadonlySet<string> = new Set(['(?=', '(?!'])

const REFUSED: readonly (readonly [begin: RegExp, feature: string])[] = [
  [/\(\?<[=!]/y, 'an assertion about what stands before; say it with "&&" and a second expression'],
  [/\(\?>/y, 'an atomic group; write "(?:…)"'],
  [/\(\?(?:P?<|')/y, 'a named group; write "(…)"'],
  [/\(\?\(/y, 'a condition within it; write "a|b"'],
  [/(?:[?*+]|\{\d+(?:,\d*)?\})\+/y, 'a possessive quantifier; take the "+" behind the other away'],
  [/\\[1-9]/y, 'a reference to what a group matched'],
]

function refused(source: string): string | null {
  for (const { at } of piecesOf(source)) {
    for (const [begin, feature] of REFUSED) {
      begin.lastIndex = at
      if (begin.test(source)) return feature
    }
  }
  return null
}

/** Without comments, which RE2 does not know, and with the end "but for a line break", which it would not either. */
function inRe2(source: string): string {
  return Array.from(piecesOf(source), ({ piece }) => (piece.startsWith('(?#') ? '' : piece === '\\Z' ? '(?=\\n?\\z)' : piece)).join('')
}
