/**
 * Artifacts of a build: whether an attempt may have more of them, which rows they become, and which of a build's are
 * meant by what somebody asks for. Their bytes are in R2 by then, and what a path may be was judged where it came in.
 */
import type { Problem } from '../../schema/api.ts'
import { ARTIFACT_LIMITS, type UploadedFile } from '../../schema/artifacts.ts'
import { jobId, type AttemptKey } from '../../schema/job.ts'
import type { ArtifactRow, Change, JobRow, StepRow } from './decision.ts'

export interface HeldArtifacts {
  /** How many the attempt has. */
  readonly count: number
  /** Of the paths that are put now, as they were. */
  readonly before: ReadonlyMap<string, ArtifactRow>
}

/** All of them or nothing; no change for those that the attempt has already. Of a path that stands there twice, the last counts. */
export function putArtifacts({ project, build, n, fence }: AttemptKey, files: readonly UploadedFile[], { count, before }: HeldArtifacts, now: number): readonly Change[] | Problem {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const more = [...byPath.keys()].filter((path) => !before.has(path)).length
  if (more > 0 && count + more > ARTIFACT_LIMITS.files) {
    return { title: 'Too many artifacts', status: 422, code: 'artifacts-full', detail: `With these the job would have ${count + more} artifacts, and it may have ${ARTIFACT_LIMITS.files}. Pack them into archives, such as with tar, and upload those.` }
  }
  return [...byPath.values()].flatMap((file): readonly Change[] => {
    const { path, bytes, sha256, sha1, content_type: contentType } = file
    const old = before.get(path)
    if (old !== undefined && old.bytes === bytes && old.sha256 === sha256 && old.sha1 === sha1 && old.contentType === contentType) return []
    return [{ kind: 'artifact.put', row: { project, build, n, fence, path, bytes, sha256, sha1, contentType, createdAt: now } }]
  })
}

/** Whose artifacts are meant; null: everybody's. */
export type Scope = ReadonlySet<number> | null

/** Jobs by the key or label of their step, their own label, or their id. Null: there is none that is called so. */
export function scopeOf(called: string, jobs: readonly JobRow[], steps: readonly StepRow[]): Scope {
  const meant = new Set(steps.flatMap(({ s, key, label }) => (key === called || label === called ? [s] : [])))
  const found = jobs.filter((job) => jobId(job) === called || (job.step !== null && meant.has(job.step)))
  return found.length === 0 ? null : new Set(found.map(({ n }) => n))
}

/** Whether it is of the attempt that speaks for its step: neither lost, nor of a job that was tried again. */
export function isOfNewest({ n, fence }: ArtifactRow, jobs: ReadonlyMap<number, JobRow>): boolean {
  const job = jobs.get(n)
  return job !== undefined && job.fence === fence && job.retriedBy === null
}
