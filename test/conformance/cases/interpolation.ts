/** One text with variables, and what becomes of it: the text, or the sentence of the mistake. */
import { z } from 'zod'
import { interpolate } from '../../../schema/pipeline/interpolate.ts'
import type { Case, Judge, Outcome } from './case.ts'

const CASE = z.object({ test: z.string(), env: z.record(z.string(), z.string()).nullish(), input: z.string(), expected: z.string() })

/** What a test of buildkite/interpolate sets around its table, which cases that were cut out of the table leave out. */
const SET_BY_TEST: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  TestSubstringsWithOffsets: { BUILDKITE_COMMIT: '1adf998e39f647b4b25842f107c6ed9d30a3a7c7' },
  TestRemoveShortestFromBackend: { VERSION: '123.55.66' },
}

const NO_INTERPOLATION: Readonly<Record<string, string>> = {
  TestExtractingIdentifiers: 'no interpolation: that test asks which names a text mentions, and these are two of the names',
}

export const INTERPOLATION: Readonly<Record<string, Judge>> = { interpolation: judge }

function judge(one: Case): Outcome {
  const { test, env, input, expected } = one.wanted(CASE)
  const variables = new Map(Object.entries({ ...SET_BY_TEST[test], ...env }))
  const filled = interpolate(input, (name) => variables.get(name))
  const got = filled.ok ? filled.text : filled.error.message
  if (got === expected) return { right: true }
  const reason = NO_INTERPOLATION[test]
  return { right: false, got: JSON.stringify(got), wanted: JSON.stringify(expected), ...(reason === undefined ? {} : { reason }) }
}
