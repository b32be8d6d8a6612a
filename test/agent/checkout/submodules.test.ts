/** Submodules: laid, kept, moved and cleaned like the tree that holds them. */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { serveGit } from '../../support/git-server.ts'
import { freshClone, git, listing, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

/** `app` holds `lib`, which holds `inner`; addresses are relative, so that they work from a path and from a server. */
async function nested() {
  const root = await ownFolder()
  const inner = await repositoryAt(join(root, 'inner'))
  await inner.commit({ 'i': 'inner one\n' })
  const lib = await repositoryAt(join(root, 'lib'))
  await lib.commit({ 'l': 'lib one\n', 'deep/x': 'x\n' })
  await lib.git('submodule', '--quiet', 'add', '../inner', 'nested/inner')
  await lib.commit({})
  const app = await repositoryAt(join(root, 'app'))
  await app.commit({ 'a': 'app one\n' })
  await app.git('submodule', '--quiet', 'add', '--name', 'the lib', '../lib', 'libs/lib')
  const commit = await app.commit({})
  await app.git('submodule', '--quiet', 'update', '--init', '--recursive')
  return { root, inner, lib, app, commit, scratch: join(root, 'fresh') }
}

it('submodules are as a fresh clone would have them, from the first build to the next commit of theirs', async () => {
  const { app, lib, inner, commit, scratch } = await nested()
  const agent = await checkouts()
  const { folder } = await agent.prepare({ repository: app.path, commit })
  const fresh = await freshClone(app.path, commit, scratch)
  expect(await listing(folder)).toEqual(fresh)
  expect(await git(folder, 'submodule', 'status', '--recursive')).not.toMatch(/^[-+U]/m)

  const sub = join(folder, 'libs/lib')
  await writeFile(join(sub, 'l'), 'changed')
  await writeFile(join(sub, 'added'), 'x')
  await chmod(join(sub, 'deep'), 0o700)
  await git(sub, 'update-index', '--assume-unchanged', 'deep/x')
  await writeFile(join(sub, 'deep/x'), 'hidden')
  await git(sub, 'config', 'core.autocrlf', 'true')
  await rm(join(sub, 'nested/inner/i'))
  await agent.prepare({ repository: app.path, commit })
  expect(await listing(folder)).toEqual(fresh)
  expect(await git(folder, 'status', '--porcelain', '--ignored')).toBe('')

  await inner.commit({ 'i': 'inner two\n' })
  await git(join(lib.path, 'nested/inner'), 'pull', '--quiet', 'origin', 'main')
  await lib.commit({ 'l': 'lib two\n' })
  await git(join(app.path, 'libs/lib'), 'pull', '--quiet', 'origin', 'main')
  const next = await app.commit({})
  await agent.prepare({ repository: app.path, commit: next })
  expect(await listing(folder)).toEqual(await freshClone(app.path, next, scratch))
})

it('without submodules their folders are empty, also where an earlier build had them, and they come back', async () => {
  const { root, app, commit, scratch } = await nested()
  const agent = await checkouts()
  const { folder } = await agent.prepare({ repository: app.path, commit })
  await agent.prepare({ repository: app.path, commit, submodules: false })
  const plain = join(root, 'plain')
  await git(root, 'clone', '--quiet', app.path, plain)
  expect(await listing(folder)).toEqual(await listing(plain))
  await agent.prepare({ repository: app.path, commit, submodules: false })
  expect(await listing(folder)).toEqual(await listing(plain))
  await agent.prepare({ repository: app.path, commit })
  expect(await listing(folder)).toEqual(await freshClone(app.path, commit, scratch))
})

it('a submodule that goes, becomes a folder, and comes back leaves nothing behind', async () => {
  const { app, commit, scratch } = await nested()
  const agent = await checkouts()
  await agent.prepare({ repository: app.path, commit })
  await app.git('rm', '--quiet', '-r', 'libs/lib')
  const gone = await app.commit({})
  const asFolder = await app.commit({ 'libs/lib/own': 'own\n' })
  for (const each of [gone, commit, asFolder, commit]) {
    const { folder } = await agent.prepare({ repository: app.path, commit: each })
    expect(await listing(folder)).toEqual(await freshClone(app.path, each, scratch))
  }
})

it('a build that put a link in place of a submodule does not lead the next one astray', async () => {
  const { app, commit, scratch, root } = await nested()
  const agent = await checkouts()
  const { folder } = await agent.prepare({ repository: app.path, commit })
  await rm(join(folder, 'libs/lib'), { recursive: true })
  await mkdir(join(root, 'precious'))
  await writeFile(join(root, 'precious/file'), 'x')
  await symlink(join(root, 'precious'), join(folder, 'libs/lib'))
  await agent.prepare({ repository: app.path, commit })
  expect(await listing(folder)).toEqual(await freshClone(app.path, commit, scratch))
  expect(await listing(join(root, 'precious'))).toHaveLength(2)
})

it('submodules come from a server with its password, which no foreign submodule gets', async () => {
  const { root, app, commit } = await nested()
  for (const name of ['inner', 'lib', 'app']) await git(root, 'clone', '--quiet', '--bare', name, `bare/${name}`)
  const server = await serveGit(join(root, 'bare'), { password: 'secret' })
  const agent = await checkouts()
  const url = server.origin.replace('//', '//ada:secret@')
  const { folder } = await agent.prepare({ repository: `${url}/app`, commit })
  expect(await listing(folder)).toEqual(await freshClone(app.path, commit, join(root, 'fresh')))

  const other = await serveGit(join(root, 'bare'), { password: 'secret' })
  await app.git('config', '--file', '.gitmodules', 'submodule.the lib.url', `${other.origin}/lib`)
  const foreign = await app.commit({})
  await app.git('push', '--quiet', join(root, 'bare/app'), 'main')
  await expect(agent.prepare({ repository: `${url}/app`, commit: foreign })).rejects.toMatchObject({ code: 'repository_forbidden', message: expect.stringContaining(`of ${other.origin}/lib, submodule libs/lib of ${server.origin}/app: the server wants credentials`) })
})

it('a submodule whose commit was never pushed is named in the error', async () => {
  const { app, lib } = await nested()
  await git(join(app.path, 'libs/lib'), 'commit', '--quiet', '--allow-empty', '--message', 'not pushed')
  const commit = await app.commit({})
  const agent = await checkouts()
  await expect(agent.prepare({ repository: app.path, commit })).rejects.toMatchObject({ code: 'commit_missing', message: expect.stringMatching(new RegExp(`^cannot check out [0-9a-f]{7} of ${lib.path}, submodule libs/lib of ${app.path}: the commit is not in that repository`)) })
})
