/** What is broken on the agent's disk is made anew, and the build's log says so; nobody has to look after a machine. */
import { chmod, mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkouts, type Checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { freshClone, git, listing, repositoryAt } from '../../support/repository.ts'

async function used(options: Parameters<typeof checkouts>[0] = {}) {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const first = await work.commit({ 'file': 'one\n', 'src/inner': 'inner\n' })
  const second = await work.commit({ 'file': 'two\n', 'more': 'more\n' })
  const agent = await checkouts(options)
  const { folder } = await agent.prepare({ repository: work.path, commit: second })
  return { root, work, first, second, agent, folder, mirror: await onlyMirror(agent), clone: (commit: string) => freshClone(work.path, commit, join(root, 'clone')) }
}

async function mirrors({ folders }: Checkouts): Promise<readonly string[]> {
  return (await readdir(folders.cache)).filter((name) => /-[0-9a-f]{12}$/.test(name)).map((name) => join(folders.cache, name))
}

async function onlyMirror(agent: Checkouts): Promise<string> {
  const [mirror, ...others] = await mirrors(agent)
  if (mirror === undefined || others.length > 0) throw new Error('not one mirror')
  return mirror
}

async function packs(mirror: string, ending: string): Promise<readonly string[]> {
  const folder = join(mirror, 'objects', 'pack')
  return (await readdir(folder)).filter((name) => name.endsWith(ending)).map((name) => join(folder, name))
}

async function truncatePacks(mirror: string): Promise<void> {
  for (const pack of await packs(mirror, '.pack')) {
    await chmod(pack, 0o644)
    await truncate(pack, Math.floor((await stat(pack)).size / 2))
  }
}

const DAMAGE: Readonly<Record<string, (mirror: string) => Promise<unknown>>> = {
  'a truncated pack': truncatePacks,
  'an empty pack': async (mirror) => {
    for (const pack of await packs(mirror, '.pack')) await chmod(pack, 0o644).then(() => truncate(pack))
  },
  'a truncated pack index': async (mirror) => {
    for (const index of await packs(mirror, '.idx')) await chmod(index, 0o644).then(() => truncate(index, 100))
  },
  'no objects': (mirror) => rm(join(mirror, 'objects'), { recursive: true, force: true }),
  'no packs': (mirror) => rm(join(mirror, 'objects', 'pack'), { recursive: true, force: true }),
  'an empty HEAD': (mirror) => truncate(join(mirror, 'HEAD')),
  'an empty configuration': (mirror) => truncate(join(mirror, 'config')),
  'no configuration': (mirror) => rm(join(mirror, 'config'), { force: true }),
  'no refs': (mirror) => rm(join(mirror, 'refs'), { recursive: true, force: true }),
  'nonsense in packed-refs': (mirror) => writeFile(join(mirror, 'packed-refs'), 'nonsense\n'),
  'a file in its place': async (mirror) => {
    await rm(mirror, { recursive: true })
    await writeFile(mirror, '')
  },
}

describe('a damaged mirror is made anew, for the kept tree and for a new one, with', () => {
  for (const [what, damage] of Object.entries(DAMAGE)) {
    it(what, async () => {
      const { work, first, agent, mirror, folder, clone } = await used()
      await damage(mirror)
      expect(await agent.prepare({ repository: work.path, commit: first })).toEqual({ folder, commit: first })
      expect(await listing(folder)).toEqual(await clone(first))
      await damage(mirror)
      const third = await work.commit({ 'file': 'three\n' })
      const other = await agent.prepare({ repository: work.path, branch: 'main', slot: 1 })
      expect(other.commit).toBe(third)
      expect(await listing(other.folder)).toEqual(await clone(third))
      // Whole is what the commit reaches; a broken pack that nothing needs may lie beside it.
      await git(other.folder, 'rev-list', '--objects', '--quiet', third)
    })
  }

  it('a sentence in the log', async () => {
    const { work, first, agent, mirror } = await used()
    await truncatePacks(mirror)
    await agent.prepare({ repository: work.path, commit: first })
    expect(agent.log.join('\n')).toMatch(/the cached mirror of .* is damaged and made anew/)
  })
})

describe('a mirror', () => {
  it('that a killed fetch left locked is used all the same', async () => {
    const { work, agent, mirror } = await used()
    for (const name of ['packed-refs.lock', 'shallow.lock', 'config.lock', 'HEAD.lock']) await writeFile(join(mirror, name), '')
    const third = await work.commit({ 'file': 'three\n' })
    expect((await agent.prepare({ repository: work.path, branch: 'main' })).commit).toBe(third)
  })

  it('whose refs are locked is made anew or used, but never fails for good', async () => {
    const { work, agent, mirror } = await used()
    await mkdir(join(mirror, 'refs', 'remotes', 'origin'), { recursive: true })
    await writeFile(join(mirror, 'refs', 'remotes', 'origin', 'main.lock'), '')
    const third = await work.commit({ 'file': 'three\n' })
    expect((await agent.prepare({ repository: work.path, branch: 'main' })).commit).toBe(third)
  })

  it('does not get more refs of its own with every commit', async () => {
    const { work, agent, mirror } = await used()
    for (let at = 0; at < 4; at += 1) await agent.prepare({ repository: work.path, commit: await work.commit({ 'file': `${at}\n` }) })
    const marks = (await git(mirror, 'for-each-ref', '--format=%(refname)', 'refs/kedge')).split('\n')
    // By the first two digits of the commit: 256 at most.
    for (const mark of marks) expect(mark).toMatch(/^refs\/kedge\/[0-9a-f]{2}$/)
  })
})

it('a damaged work tree whose commit is not here yet is made anew and fetched', async () => {
  const { work, agent, folder, clone } = await used()
  const third = await work.commit({ 'file': 'three\n' })
  await writeFile(join(`${folder}.git`, 'index'), 'nonsense'.repeat(20))
  await agent.prepare({ repository: work.path, commit: third })
  expect(await listing(folder)).toEqual(await clone(third))
})

describe('a damaged work tree is made anew when', () => {
  const gitFolder = (folder: string) => `${folder}.git`
  const ruin: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
    'its index is cut off': (folder) => truncate(join(gitFolder(folder), 'index'), 20),
    'its index is empty': (folder) => truncate(join(gitFolder(folder), 'index')),
    'its index is nonsense': (folder) => writeFile(join(gitFolder(folder), 'index'), 'nonsense'.repeat(20)),
    'its index is gone': (folder) => rm(join(gitFolder(folder), 'index')),
    'its git folder is gone': (folder) => rm(gitFolder(folder), { recursive: true }),
    'its git folder is a file': async (folder) => {
      await rm(gitFolder(folder), { recursive: true })
      await writeFile(gitFolder(folder), '')
    },
    'its HEAD is nonsense': (folder) => writeFile(join(gitFolder(folder), 'HEAD'), 'nonsense'),
    'its HEAD is empty': (folder) => truncate(join(gitFolder(folder), 'HEAD')),
    'it is locked by a git that was killed': (folder) => writeFile(join(gitFolder(folder), 'index.lock'), ''),
    'its files are gone': (folder) => rm(folder, { recursive: true }),
    'it is a file': async (folder) => {
      await rm(folder, { recursive: true })
      await writeFile(folder, '')
    },
  }
  for (const [what, damage] of Object.entries(ruin)) {
    it(what, async () => {
      const { work, first, second, agent, folder, clone } = await used()
      for (const commit of [first, second]) {
        await damage(folder)
        await agent.prepare({ repository: work.path, commit })
        expect(await listing(folder)).toEqual(await clone(commit))
      }
    })
  }
})

describe('the cache', () => {
  it('loses the mirror that was used longest ago with its trees, and what is used again comes again', async () => {
    const { work, second, agent, folder, mirror, clone } = await used({ cacheBytes: 1 })
    await utimes(join(mirror, 'kedge-used'), 1, 1)
    const other = await repositoryAt(join(await ownFolder(), 'other'))
    await other.commit({ 'file': 'other\n' })
    await agent.prepare({ repository: other.path, branch: 'main' })
    await expect.poll(async () => (await mirrors(agent)).includes(mirror)).toBe(false)
    await expect.poll(() => stat(folder).then(() => true, () => false)).toBe(false)
    expect((await mirrors(agent)).length).toBe(1)
    await agent.prepare({ repository: work.path, commit: second })
    expect(await listing(folder)).toEqual(await clone(second))
  })

  it('keeps what a build of another slot has, however small it is', async () => {
    const { agent, folder, mirror } = await used({ cacheBytes: 1 })
    const other = await repositoryAt(join(await ownFolder(), 'other'))
    await other.commit({ 'file': 'other\n' })
    const third = await repositoryAt(join(await ownFolder(), 'third'))
    await third.commit({ 'file': 'third\n' })
    const { folder: gone } = await agent.prepare({ repository: other.path, branch: 'main', slot: 1 })
    await agent.prepare({ repository: third.path, branch: 'main', slot: 1 })
    await expect.poll(() => stat(gone).then(() => true, () => false)).toBe(false)
    expect(await mirrors(agent)).toContain(mirror)
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('two\n')
  })

  it('may lose a mirror by hand: the tree that borrowed from it is made anew', async () => {
    const { work, second, agent, folder, mirror, clone } = await used()
    await rm(mirror, { recursive: true })
    await agent.prepare({ repository: work.path, commit: second })
    expect(await listing(folder)).toEqual(await clone(second))
    expect(await git(folder, 'fsck', '--no-dangling')).toBe('')
  })
})
