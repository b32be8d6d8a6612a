/**
 * Buildkite's conditions, as in `if: build.branch == "main" && build.env("DEPLOY") =~ /^y/`. They are read when a pipeline
 * is uploaded or a notification is due, never while a step runs. Whoever asks treats an error as "does not hold": a step
 * whose condition cannot be decided must not run by accident.
 */
import { Budget } from './budget.ts'
import { check } from './check.ts'
import type { Context } from './context.ts'
import { valueOf } from './decide.ts'
import type { Expression } from './expression.ts'
import { type ConditionalError, Mistaken } from './mistaken.ts'
import { parse } from './parse.ts'

export { Budget } from './budget.ts'
export type { Context } from './context.ts'
export type { ConditionalError, ErrorKind } from './mistaken.ts'

export interface Conditional {
  readonly text: string
  /** Null: nothing but blanks. */
  readonly expression: Expression | null
}

export type ConditionalAnswer = { readonly ok: true; readonly conditional: Conditional } | { readonly ok: false; readonly error: ConditionalError }

export type Verdict = { readonly ok: true; readonly holds: boolean } | { readonly ok: false; readonly error: ConditionalError }

export interface ConditionalUse {
  /** It is of a notification of a step, so `step.*` is known. */
  readonly stepVariables?: boolean
  /** Of which it is paid; one of its own when it is left out. */
  readonly budget?: Budget
}

/** One that makes sense whatever the values will be. Blanks do too, but they decide nothing: see `evaluate`. */
export function parseConditional(text: string, { stepVariables = false, budget = new Budget() }: ConditionalUse = {}): ConditionalAnswer {
  return answered(() => {
    const expression = parse(text, budget)
    if (expression !== null) check(expression, { stepVariables })
    return { ok: true, conditional: { text, expression } }
  })
}

/** Whether it holds with these values; null holds no more than false does. Blanks are an error: leave such a condition away. */
export function evaluate({ text, expression }: Conditional, context: Context, { budget = new Budget() }: Pick<ConditionalUse, 'budget'> = {}): Verdict {
  return answered(() => {
    if (expression === null) throw new Mistaken('parse', { at: 0, length: text.length }, 'this condition is empty; say when, or take it away.')
    const value = valueOf(expression, context, budget)
    if (value !== null && typeof value !== 'boolean') throw new Mistaken('result', { at: expression.at, length: expression.length }, 'a condition is true or false, but this is neither.')
    return { ok: true, holds: value === true }
  })
}

function answered<Answer>(decide: () => Answer): Answer | { readonly ok: false; readonly error: ConditionalError } {
  try {
    return decide()
  } catch (error) {
    if (error instanceof Mistaken) return { ok: false, error: error.error }
    throw error
  }
}
