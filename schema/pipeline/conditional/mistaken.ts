/**
 * What is wrong with a condition. Whoever finds it throws, and only `conditional.ts` catches: a condition has one mistake
 * at a time, because what follows the first is mostly its echo.
 */

/**
 * - `parse`: the text is no condition.
 * - `validation`: it is one, but names something that is not there or compares what cannot be compared.
 * - `evaluation`: with these values it cannot be decided.
 * - `result`: it is well formed, but neither true nor false.
 */
export type ErrorKind = 'parse' | 'validation' | 'evaluation' | 'result'

/** A part of the text, in UTF-16 units. */
export interface Span {
  readonly at: number
  readonly length: number
}

export interface ConditionalError extends Span {
  readonly kind: ErrorKind
  readonly message: string
}

export class Mistaken extends Error {
  readonly error: ConditionalError

  constructor(kind: ErrorKind, { at, length }: Span, message: string) {
    super(message)
    this.error = { kind, at, length, message }
  }
}

/** From the beginning of one to the end of the other. */
export function across(first: Span, last: Span): Span {
  return { at: first.at, length: last.at + last.length - first.at }
}

/** Something that somebody wrote, within quotes of ours. */
export function quoted(text: string): string {
  const json = JSON.stringify(text)
  return json.length <= 62 ? json : `${json.slice(0, 60)}…"`
}
