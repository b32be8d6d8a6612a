/** What is damaged is noticed by git's failures, thrown away, made anew once, and told. */
import { chmod, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { freshClone, git, listing, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

async function kept() {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const commit = await work.commit({ 'a': 'a\n', 'deep/b': 'b\n' })
  const agent = await checkouts()
  const { folder } = await agent.prepare({ repository: work.path, commit, branch: 'main' })
  const mirror = (await readFile(join(folder, '.git/objects/info/alternates'), 'utf8')).trim().replace(/\/objects$/, '')
  return { work, commit, agent, folder, mirror, fresh: await freshClone(work.path, commit, join(root, 'fresh')), scratch: join(root, 'fresh') }
}

async function packsOf(mirror: string): Promise<readonly string[]> {
  return (await readdir(join(mirror, 'objects/pack'))).filter((name) => name.endsWith('.pack')).map((name) => join(mirror, 'objects/pack', name))
}

it.each([
  ['a torn index', async (gitFolder: string) => truncate(join(gitFolder, 'index'), 20)],
  ['no index', async (gitFolder: string) => rm(join(gitFolder, 'index'))],
  ['a torn head', async (gitFolder: string) => writeFile(join(gitFolder, 'HEAD'), 'nonsense')],
  ['no git folder', async (gitFolder: string) => rm(gitFolder, { recursive: true })],
  ['a torn mark', async (gitFolder: string) => writeFile(join(gitFolder, 'kedge-whole'), '{')],
])('a work tree with %s is made anew', async (_what, damage) => {
  const { agent, folder, work, commit, fresh } = await kept()
  await damage(`${folder}.git`)
  await writeFile(join(folder, 'a'), 'x')
  await agent.prepare({ repository: work.path, commit })
  expect(await listing(folder)).toEqual(fresh)
  expect(agent.log.join('\n')).not.toContain('mirror')
})

async function flipBits(mirror: string): Promise<void> {
  for (const pack of await packsOf(mirror)) {
    const bytes = await readFile(pack)
    for (let at = 20; at < bytes.length - 20; at += 1) bytes[at] = (bytes[at] ?? 0) ^ 0x5a
    await chmod(pack, 0o644)
    await writeFile(pack, bytes)
  }
}

async function tear(mirror: string): Promise<void> {
  for (const pack of await packsOf(mirror)) {
    await chmod(pack, 0o644)
    await truncate(pack, 60)
  }
}

it.each([
  ['a torn pack', tear],
  ['flipped bits in a pack', flipBits],
  ['no packs', async (mirror: string) => rm(join(mirror, 'objects/pack'), { recursive: true })],
  ['no head', async (mirror: string) => rm(join(mirror, 'HEAD'))],
  ['no configuration', async (mirror: string) => writeFile(join(mirror, 'config'), '[core')],
  ['a ref to nowhere', async (mirror: string) => writeFile(join(mirror, 'packed-refs'), `# pack-refs with: peeled fully-peeled sorted \n${'e'.repeat(40)} refs/remotes/origin/main\n`)],
])('a mirror with %s still gives every commit', async (_what, damage) => {
  const { agent, folder, work, mirror, commit, fresh, scratch } = await kept()
  await damage(mirror)
  const next = await work.commit({ 'a': 'next\n' })
  await agent.prepare({ repository: work.path, commit: next, branch: 'main' })
  expect(await listing(folder)).toEqual(await freshClone(work.path, next, scratch))
  await agent.prepare({ repository: work.path, commit, fresh: true })
  expect(await listing(folder)).toEqual(fresh)
})

it('a damaged mirror is thrown away once, and told in the log', async () => {
  const { agent, work, mirror, commit, folder, fresh } = await kept()
  await flipBits(mirror)
  await agent.prepare({ repository: work.path, commit, fresh: true })
  expect(agent.log.filter((line) => line.includes(`mirror of ${work.path} is damaged and made anew`))).toHaveLength(1)
  expect(await listing(folder)).toEqual(fresh)
  expect(await git(folder, 'fsck', '--no-dangling')).toBe('')
})

it('no mirror at all is simply fetched again', async () => {
  const { agent, work, mirror, commit, folder, fresh } = await kept()
  await rm(mirror, { recursive: true })
  await agent.prepare({ repository: work.path, commit })
  expect(await listing(folder)).toEqual(fresh)
  expect(agent.log.join('\n')).not.toContain('damaged')
})
