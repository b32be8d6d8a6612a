/**
 * Whether a build may get more jobs that succeed others. All jobs of a build are in one reply and on one page, and whoever
 * changes one of them loads the others, so what they come to has a bound, however often it is tried again.
 */
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { JobRow } from '../core/decision.ts'
import * as load from '../store/load.ts'
import type { Sql } from '../store/sql.ts'

/** So little of each never comes to too much, as the jobs are counted: then nothing is summed. */
const LITTLE = PIPELINE_LIMITS.charactersPerBuild / (2 * PIPELINE_LIMITS.jobsPerBuild)

/** `more`: as they are to be, all of one build, with the numbers that follow on those it has. */
export function hasRoomFor(on: Sql, more: readonly JobRow[]): boolean {
  const [first] = more
  if (first === undefined) return true
  if (Math.max(...more.map(({ n }) => n)) > 2 * PIPELINE_LIMITS.jobsPerBuild) return false
  if (more.every(({ spec }) => spec.length <= LITTLE)) return true
  return load.charactersOfBuild(on, first) + more.reduce((sum, { spec }) => sum + spec.length, 0) <= 2 * PIPELINE_LIMITS.charactersPerBuild
}
