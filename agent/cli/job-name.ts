/** How people name a job: what its step is called, and the place in its build by which commands find it. */
import type { BuildView, JobView } from '../../schema/api.ts'
import { parseJobId } from '../../schema/job.ts'
import { oneLine } from './output.ts'

/** Null: nobody gave it a name. */
export function jobTitle({ label = null, parallel = null }: JobView): string | null {
  // a coordinator of before steps says neither
  return label === null ? null : `${oneLine(label)}${parallel === null ? '' : ` (${parallel.index + 1} of ${parallel.count})`}`
}

/** Such as `app#12/3`; `findBuild` reads it. */
export function jobPlace({ project, number }: BuildView, job: JobView): string {
  return `${project}#${number}/${placeOf(job)}`
}

/** From 1; 0 where a coordinator of another version spells ids otherwise. */
export function placeOf({ id }: JobView): number {
  return parseJobId(id)?.n ?? 0
}
