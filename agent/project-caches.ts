/**
 * Folders that outlive builds, one a project (`KEDGE_CACHE_DIR`): what tools download and compile, since work trees are
 * always as clean as a fresh clone. They are bounded: when all together are larger than they may be, or the disk is
 * nearly full, those of the projects that were used longest ago go, whole.
 *
 * What one would get wrong: a folder goes by one rename and only then bit by bit, so a job finds its cache whole or
 * empty; and that of a project whose job runs stays, whatever it takes.
 */
import { lstatSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { sizes } from './checkout/cache.ts'
import { removeWhole } from './checkout/drift.ts'
import { diskTrouble } from './disk-trouble.ts'
import { makeFolderNow } from './make-folder.ts'
import type { Clock } from './platform.ts'

export interface CacheLimits {
  /** Of all projects together. */
  readonly bytes: number
  /** Below this much free room on their disk, they go one by one. */
  readonly freeBytes: number
  /** Asking for the size of each file takes its time, so it is done this seldom. */
  readonly everyMs: number
}

const GIB = 1024 ** 3
/** The free room is twice that below which an agent takes no work (`loop/health.ts`): caches go before that. */
export const CACHE_LIMITS: CacheLimits = { bytes: 20 * GIB, freeBytes: 10 * GIB, everyMs: 10 * 60_000 }

export interface ProjectCaches {
  /** The folder of the project, there. */
  pathOf(project: string): string
  /** A job of the project runs: its folder stays until the function that is returned was called. */
  enter(project: string): () => void
  /** What was begun to keep the bounds is over. */
  tidied(): Promise<void>
}

export interface ProjectCachesOptions {
  readonly folder: string
  readonly clock: Clock
  readonly limits?: CacheLimits
}

/** Of a slug, which may stand in a path; anything else is refused before a job has it. */
const PROJECT = /^[a-z0-9][a-z0-9-]{0,63}$/
const GOING = '.going-'

export function projectCaches({ folder, clock, limits = CACHE_LIMITS }: ProjectCachesOptions): ProjectCaches {
  const users = new Map<string, number>()
  let tidying: Promise<void> = Promise.resolve()
  let isTidying = false
  let looked: number | null = null
  let count = 0

  async function bound(): Promise<void> {
    for (const name of names().filter((one) => one.startsWith(GOING))) await removeWhole(join(folder, name)) // of a process that was killed meanwhile
    const found = names().filter((name) => PROJECT.test(name)).map((name) => ({ name, path: join(folder, name), usedAt: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    const bytesOf = await sizes(found.map(({ path }) => path), new AbortController().signal)
    let total = found.reduce((sum, { path }) => sum + (bytesOf.get(path) ?? 0), 0)
    for (const { name, path } of found.sort((a, b) => a.usedAt - b.usedAt)) {
      const { bavail, bsize } = await statfs(folder)
      if (total <= limits.bytes && bavail * bsize >= limits.freeBytes) return
      if (users.has(name)) continue
      const going = join(folder, `${GOING}${process.pid}-${(count += 1)}`)
      renameSync(path, going) // in the same step as the look at its users: nobody comes in between
      await removeWhole(going)
      total -= bytesOf.get(path) ?? 0
    }
  }

  function leave(project: string): void {
    const left = (users.get(project) ?? 1) - 1
    if (left > 0) users.set(project, left)
    else users.delete(project)
    touch(join(folder, project))
    const now = clock.monotonic()
    if (isTidying || (looked !== null && now - looked < limits.everyMs)) return
    looked = now
    isTidying = true
    // Off the way of builds; what goes wrong here goes wrong again, or not, after a later job.
    tidying = bound().catch(() => undefined).finally(() => (isTidying = false))
  }

  function names(): readonly string[] {
    return readdirSync(folder)
  }

  return {
    pathOf: (project) => {
      if (!PROJECT.test(project)) throw new Error(`cannot keep a cache for the project ${JSON.stringify(project)}: that is no slug.`)
      const path = join(folder, project)
      // A job may have put something else in its place; the next is to have a folder all the same.
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(path)
      try {
        makeFolderNow(path, 0o700)
      } catch (error) {
        const { why, remedy } = diskTrouble(error)
        throw new Error(`cannot make ${path} for what the project keeps between builds: ${why}. On this agent's machine, ${remedy}, or name another with --cache-path.`, { cause: error })
      }
      return path
    },
    enter: (project) => {
      users.set(project, (users.get(project) ?? 0) + 1)
      touch(join(folder, project))
      return () => leave(project)
    },
    tidied: () => tidying,
  }
}

/** Used now; what cannot be marked is only taken for older than it is. */
function touch(path: string): void {
  try {
    const now = new Date()
    utimesSync(path, now, now)
  } catch {
    // A job may have removed its own cache.
  }
}
