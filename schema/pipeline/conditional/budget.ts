/**
 * What conditions may cost. One condition has a budget of its own; those of an upload, of which there may be thousands,
 * should share one, or together they could keep a Worker busy for minutes.
 */
import { CONDITIONAL_LIMITS } from './limits.ts'

/** Instructions of regular expressions; those times the characters that they are held against; characters of variables. */
export type Expense = 'instructions' | 'matching' | 'characters'

export class Budget {
  readonly #left: Record<Expense, number>

  /** `times`: for as many conditions, each of which costs all that one may. */
  constructor({ times = 1 }: { readonly times?: number } = {}) {
    this.#left = {
      instructions: CONDITIONAL_LIMITS.patternInstructions * times,
      matching: CONDITIONAL_LIMITS.matchingWork * times,
      characters: CONDITIONAL_LIMITS.variableCharacters * times,
    }
  }

  /** False when it is not to be had; nothing more is then. */
  spend(expense: Expense, amount: number): boolean {
    this.#left[expense] -= amount
    return this.#left[expense] >= 0
  }
}
