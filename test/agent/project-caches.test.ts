/** What projects keep between builds, on a real disk. */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { projectCaches, type CacheLimits } from '../../agent/project-caches.ts'
import { ownFolder } from '../support/folder.ts'
import { clock } from '../support/running-command.ts'

const MIB = 1024 * 1024

async function caches(limits: Partial<CacheLimits> = {}) {
  const folder = join(await ownFolder(), 'caches')
  return { folder, caches: projectCaches({ folder, clock, limits: { bytes: 2.5 * MIB, freeBytes: 0, everyMs: 0, ...limits } }) }
}

/** A project that was used so many minutes ago, with a mebibyte in its cache. */
function used(folder: string, project: string, minutesAgo: number): void {
  mkdirSync(join(folder, project), { recursive: true })
  writeFileSync(join(folder, project, 'large'), Buffer.alloc(MIB, 1))
  const at = new Date(Date.now() - minutesAgo * 60_000)
  utimesSync(join(folder, project), at, at)
}

describe('the cache of a project', () => {
  it('is a folder of its own that outlives the job', async () => {
    const { folder, caches: all } = await caches()
    const path = all.pathOf('app')
    const left = all.enter('app')
    writeFileSync(join(path, 'kept'), '')
    left()
    await all.tidied()
    expect(all.pathOf('app')).toBe(path)
    expect(readdirSync(path)).toEqual(['kept'])
    expect(all.pathOf('other')).toBe(join(folder, 'other'))
    expect(readdirSync(join(folder, 'other'))).toEqual([])
  })

  it.runIf(process.platform === 'linux')('that cannot be made is an error at once that says why, also where the kernel makes no folder', () => {
    expect(() => projectCaches({ folder: '/proc/kedge', clock }).pathOf('app')).toThrow("cannot make /proc/kedge/app for what the project keeps between builds: it is not there and cannot be made. On this agent's machine, make it, or name another with --cache-path.")
  })

  it('is a folder again where a job put something else', async () => {
    const { folder, caches: all } = await caches()
    all.pathOf('app')
    rmSync(join(folder, 'app'), { recursive: true })
    symlinkSync('/nowhere', join(folder, 'app'))
    expect(readdirSync(all.pathOf('app'))).toEqual([])
    rmSync(join(folder, 'app'), { recursive: true })
    writeFileSync(join(folder, 'app'), '')
    expect(readdirSync(all.pathOf('app'))).toEqual([])
  })

  it('goes, longest unused first, until all together are as small as they may be', async () => {
    const { folder, caches: all } = await caches()
    for (const [project, ago] of [['a', 10], ['b', 40], ['c', 20], ['d', 30]] as const) used(folder, project, ago)
    all.pathOf('e')
    all.enter('e')()
    await all.tidied()
    expect(readdirSync(folder).toSorted()).toEqual(['a', 'c', 'e'])
  })

  it('stays while a job of its project runs, whatever it takes, until the last of them has ended', async () => {
    const { folder, caches: all } = await caches({ bytes: 0 })
    used(folder, 'busy', 60)
    const [one, other] = [all.enter('busy'), all.enter('busy')]
    all.pathOf('e')
    all.enter('e')()
    one()
    await all.tidied()
    expect(readdirSync(folder)).toEqual(['busy'])
    other()
    await all.tidied()
    expect(readdirSync(folder)).toEqual([])
  })

  it('goes where the disk is nearly full, and with it what an earlier process had begun to remove', async () => {
    const { folder, caches: all } = await caches({ freeBytes: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER })
    used(folder, 'a', 10)
    used(folder, '.going-1-1', 10)
    all.pathOf('b')
    const left = all.enter('b')
    all.enter('c')()
    await all.tidied()
    expect(readdirSync(folder)).toEqual(['b'])
    left()
  })

  it('is looked at as seldom as it is said', async () => {
    const { folder, caches: all } = await caches({ bytes: 0, everyMs: 3_600_000 })
    const useOf = (project: string) => {
      writeFileSync(join(all.pathOf(project), 'kept'), 'something') // a folder alone takes no room on some file systems
      all.enter(project)()
    }
    useOf('a')
    await all.tidied()
    expect(existsSync(join(folder, 'a'))).toBe(false)
    useOf('a')
    await all.tidied()
    expect(existsSync(join(folder, 'a'))).toBe(true)
  })

  it('is of a slug: a name that leads elsewhere has none', async () => {
    const { caches: all } = await caches()
    for (const name of ['..', 'a/b', '', '.going-1', 'A', 'x'.repeat(65)]) expect(() => all.pathOf(name)).toThrow('is no slug')
  })
})
