/** The build whose trigger started one, as conditions know it. */
import { buildUuid } from '../../schema/build-uuid.ts'
import type { Circumstances } from '../core/condition-context.ts'
import type { JobRow } from '../core/decision.ts'
import type { StoredSpec } from '../core/plan.ts'
import { sha256Hex } from '../trust/tokens.ts'

/** Of the build's first job. Null: a person started the build. */
export function triggeredFrom(first: JobRow): Circumstances['triggeredFrom'] {
  const { triggeredFrom: from } = JSON.parse(first.spec) as StoredSpec // written by `openBuild`
  return from === undefined ? null : { buildId: buildUuid(sha256Hex(from.url)), buildNumber: from.build, pipelineSlug: from.project }
}
