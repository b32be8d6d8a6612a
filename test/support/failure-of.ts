/** The refusal that a call of the command line ends with; anything else is the test's own failure. */
import { Failure } from '../../agent/cli/output.ts'

export function failureOf(work: () => unknown): Failure {
  try {
    work()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('it did not fail')
}
