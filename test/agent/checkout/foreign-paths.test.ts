/** What a repository elsewhere says may not reach into the agent's disk: everyone who may push could read or write there. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { serveGit } from '../../support/git-server.ts'
import { git, listing, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 })

async function withLibrary() {
  const root = await ownFolder()
  const library = await repositoryAt(join(root, 'library'))
  await library.commit({ 'lib': 'private\n' })
  const work = await repositoryAt(join(root, 'work'))
  await work.commit({ 'file': 'x\n' })
  return { root, library, work }
}

it('a submodule of a repository elsewhere cannot name a path of this machine', async () => {
  const { root, library, work } = await withLibrary()
  await work.git('submodule', '--quiet', 'add', library.path, 'stolen')
  const byPath = await work.commit({})
  await work.git('config', '--file', '.gitmodules', 'submodule.stolen.url', `file://${library.path}`)
  const byUrl = await work.commit({})
  await git(root, 'clone', '--quiet', '--bare', work.path, 'app.git')
  const { origin } = await serveGit(root)
  const agent = await checkouts()
  for (const commit of [byPath, byUrl]) await expect(agent.prepare({ repository: `${origin}/app.git`, commit })).rejects.toMatchObject({ code: 'repository_refused', message: expect.stringContaining(`submodule stolen of ${origin}/app.git`) })
})

it('a submodule at a path that a link leads out of the tree writes nothing there', async () => {
  const { root, library, work } = await withLibrary()
  const outside = join(root, 'outside')
  await mkdir(outside)
  // Git itself would not make such a tree, so it is written by hand: `way` is a link, and `way/out` a submodule.
  const target = execFileSync('git', ['hash-object', '-w', '--stdin'], { cwd: work.path, input: outside, encoding: 'utf8' }).trim()
  await writeFile(join(work.path, '.gitmodules'), `[submodule "x"]\n\tpath = way/out\n\turl = ${library.path}\n`)
  await work.git('add', '.gitmodules')
  await work.git('update-index', '--add', '--cacheinfo', `160000,${await library.git('rev-parse', 'HEAD')},way/out`)
  await work.git('commit', '--quiet', '--message', 'A submodule')
  const entries = await work.git('ls-tree', 'HEAD')
  const tree = execFileSync('git', ['mktree', '--missing'], { cwd: work.path, input: `${entries}\n120000 blob ${target}\tway\n`, encoding: 'utf8' }).trim()
  const commit = await work.git('commit-tree', '-m', 'A link beside it', tree)
  const agent = await checkouts()
  await agent.prepare({ repository: work.path, commit }).catch(() => undefined)
  expect(await listing(outside)).toHaveLength(1)
})
