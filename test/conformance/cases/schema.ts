/**
 * Whether a pipeline is valid, by the fixtures of Buildkite's published schema. Kedge reads them whole: what it refuses
 * because it cannot do it yet is not right, and says so.
 */
import { readPipeline } from '../../../schema/pipeline/read-steps.ts'
import type { Mistake } from '../../../schema/pipeline/steps.ts'
import type { Case, Judge, Outcome } from './case.ts'
import { make, short } from './pipelines.ts'

export const SCHEMA: Readonly<Record<string, Judge>> = { 'schema-fixture': judge }

function judge(one: Case): Outcome {
  const made = make(one.read(), { environment: {} })
  const read = made.ok ? readPipeline(made.pipeline) : null
  if (made.ok && read?.ok === true) return one.valid === true ? { right: true } : { right: false, got: `valid: ${short(made.pipeline)}`, wanted: 'not valid' }
  if (one.valid !== true) return { right: true }
  const mistakes: readonly Mistake[] = made.ok ? (read?.ok === false ? read.mistakes : []) : [{ path: [], message: made.message }]
  const reason = reasonOf(mistakes)
  return { right: false, got: told(mistakes), wanted: 'valid', ...(reason === null ? {} : { reason }) }
}

function told(mistakes: readonly Mistake[]): string {
  const first = mistakes.slice(0, 2).map(({ path, message }) => `${path.join('.')}: ${message}`)
  return [...first, ...(mistakes.length > 2 ? [`and ${mistakes.length - 2} more`] : [])].join(' | ')
}

/** What is wrong, though no schema of one file's shape could say so. */
const BEYOND_SCHEMA: readonly (readonly [says: RegExp, reason: string])[] = [
  [/^another step has the key /, 'a schema cannot see that two steps have one key'],
  [/ is not a branch name that git accepts\.$/, 'a schema does not look whether there can be such a branch'],
]

/** What is known to be otherwise, and on purpose; null when any of the mistakes is not of that sort. */
function reasonOf(mistakes: readonly Mistake[]): string | null {
  const reasons = mistakes.map(({ message, unsupported }) => (unsupported === true ? 'Kedge does not do that, and says so (unsupported)' : BEYOND_SCHEMA.find(([says]) => says.test(message))?.[1]))
  return reasons.includes(undefined) ? null : [...new Set(reasons)].join('; ')
}
