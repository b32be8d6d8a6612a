/** How the list of a build's steps is put in order. */
import type { JobView } from '../../schema/api.ts'

/** The same jobs, each followed by the one that a retry put in its place. */
export function inChains(jobs: readonly JobView[]): readonly JobView[] {
  const byId = new Map(jobs.map((job) => [job.id, job]))
  const ordered = new Set<JobView>() // also what ends a chain that bites its tail
  for (const job of jobs) {
    if (job.retry_of !== null && byId.has(job.retry_of)) continue
    for (let at: JobView | undefined = job; at !== undefined && !ordered.has(at); at = at.retried_by === null ? undefined : byId.get(at.retried_by)) ordered.add(at)
  }
  for (const job of jobs) ordered.add(job)
  return [...ordered]
}
