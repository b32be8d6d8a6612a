/** People before their pages: the list of builds, which asks again as long as it is looked at, and a build followed live. */
import { isFinalBuild, type AttemptId, type JobId } from '../../schema/job.ts'
import type { Site } from './site.ts'

/** The first page, open for so long. */
export async function lookAtBuilds(site: Site, person: string, forMs: number): Promise<void> {
  const { timeline } = site
  const until = timeline.now + forMs
  const look = async () => {
    if (timeline.now >= until) return
    timeline.after(await site.buildsPage(person), look)
  }
  await look()
}

/** The page of a build with its log, until it has ended or `mostMs` have passed. */
export async function watchBuild(site: Site, person: string, number: number, mostMs: number): Promise<void> {
  const { timeline } = site
  const until = timeline.now + mostMs
  let followed: { leave(): void } | null = null
  let isFirst = true
  const look = async () => {
    if (timeline.now >= until) return followed?.leave()
    const { build, againMs } = await site.buildPage(person, number)
    const job = build.jobs.at(-1)
    const attempt = job?.attempts.at(-1)
    if (followed === null && job !== undefined && attempt !== undefined) {
      if (isFirst) await site.logs.read(attempt.id as AttemptId) // ids of views are the coordinator's own
      if (!isFinalBuild(build.state)) {
        await site.letFollow(person, job.id as JobId)
        followed = await site.logs.follow(attempt.id as AttemptId)
      }
    }
    isFirst = false
    if (againMs !== null) timeline.after(againMs, look)
  }
  await look()
}
