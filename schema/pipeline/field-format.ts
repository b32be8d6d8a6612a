/**
 * The `format` of a text field: a regular expression that the whole answer must match. It is of the same engine and the
 * same dialect as those of conditions, whose time is linear in the answer, since a pull request may bring both.
 */
import { Budget } from './conditional/budget.ts'
import { compilePattern, matches } from './conditional/pattern.ts'
import { pathOf } from './graph.ts'
import type { Mistake, Step } from './steps.ts'

export type FormatAnswer = { readonly ok: true; readonly fits: (answer: string) => 'fits' | 'differs' | 'too-long' } | { readonly ok: false; readonly message: string }

/** What the formats of one upload, or of one step's answers, may cost together, in what one condition may: about two seconds at the very worst. */
const ALL = 4

export function formatBudget(): Budget {
  return new Budget({ times: ALL })
}

/** `budget` pays for reading it, and for what is held against it. */
export function readFormat(source: string, budget: Budget): FormatAnswer {
  const alone = compilePattern(source, '', budget) // or a parenthesis too many would undo the anchors
  const whole = alone.ok ? compilePattern(`\\A(?:${source})\\z`, '', budget) : alone
  if (!whole.ok) return whole
  const { pattern } = whole
  return { ok: true, fits: (answer) => (!budget.spend('matching', pattern.size * answer.length) ? 'too-long' : matches(pattern, answer) ? 'fits' : 'differs') }
}

/** Formats that cannot be read: told at the upload, or nobody could ever answer. */
export function mistakenFormats(steps: readonly Step[]): readonly Mistake[] {
  const budget = formatBudget()
  const asking = steps.flatMap((step) => (step.kind === 'group' ? step.steps : [step])).filter((step) => step.kind === 'block' || step.kind === 'input')
  return asking.flatMap((step) =>
    step.fields.flatMap((field, index): readonly Mistake[] => {
      if (field.kind !== 'text' || field.format === null) return []
      const read = readFormat(field.format, budget)
      return read.ok ? [] : [{ path: [...pathOf(step), 'fields', index, 'format'], message: read.message.replace("a condition's regular expression", 'a format') }]
    }),
  )
}
