/** Files kept with git-lfs: fetched where it is installed, named as pointers where it is not. */
import { cp, readdir, readFile, symlink, mkdir, writeFile } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { hasLfs } from '../../../agent/checkout/git.ts'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { serveGit } from '../../support/git-server.ts'
import { git, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

const isInstalled = await hasLfs({ PATH: process.env['PATH'] })

async function large(options: Parameters<typeof serveGit>[1] = {}) {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  await work.git('lfs', 'install', '--local')
  const commit = await work.commit({ '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n', 'a.bin': 'large content\n', 'small': 's\n' })
  await git(root, 'clone', '--quiet', '--bare', 'work', 'app.git')
  await cp(join(work.path, '.git/lfs/objects'), join(root, 'app.git/lfs/objects'), { recursive: true })
  return { root, work, commit, server: await serveGit(root, options) }
}

/** All of PATH that a checkout needs but git-lfs. */
async function pathWithoutLfs(): Promise<string> {
  const bin = join(await ownFolder(), 'bin')
  await mkdir(bin)
  for (const name of ['git', 'find', 'sh', 'env']) await symlink(execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), join(bin, name))
  return bin
}

it.runIf(isInstalled)('large files are fetched, with the repository\'s password, once for all slots, and cleaned like others', async () => {
  const { server, commit } = await large({ password: 'secret' })
  const agent = await checkouts()
  const repository = `${server.origin.replace('//', '//ada:secret@')}/app.git`
  const { folder } = await agent.prepare({ repository, commit })
  const content = () => readFile(join(folder, 'a.bin'), 'utf8')
  expect(await content()).toBe('large content\n')
  expect(await git(folder, '-c', 'filter.lfs.clean=git-lfs clean -- %f', 'status', '--porcelain')).toBe('')
  await writeFile(join(folder, 'a.bin'), 'changed')
  const asked = server.requests.length
  await agent.prepare({ repository, commit })
  expect(await content()).toBe('large content\n')
  const second = await agent.prepare({ repository, commit, slot: 1 })
  expect(await readFile(join(second.folder, 'a.bin'), 'utf8')).toBe('large content\n')
  expect(server.requests.length).toBe(asked)
})

it.runIf(isInstalled)('a large file that was never pushed is an error that says so', async () => {
  const { root, server, work } = await large()
  const commit = await work.commit({ 'b.bin': 'not pushed\n' })
  await work.git('-c', 'core.hooksPath=/dev/null', 'push', '--quiet', join(root, 'app.git'), 'main')
  const agent = await checkouts()
  await expect(agent.prepare({ repository: `${server.origin}/app.git`, commit })).rejects.toMatchObject({ code: 'large_files_missing' })
})

it.runIf(isInstalled)('a step that wants pointers gets them, and the next one its files', async () => {
  const { server, commit } = await large()
  const agent = await checkouts()
  const repository = `${server.origin}/app.git`
  const { folder } = await agent.prepare({ repository, commit, lfs: false })
  expect(await readFile(join(folder, 'a.bin'), 'utf8')).toMatch(/^version https:\/\/git-lfs/)
  expect(agent.log.filter((line) => line.includes('git-lfs'))).toEqual([])
  await agent.prepare({ repository, commit, lfs: true })
  expect(await readFile(join(folder, 'a.bin'), 'utf8')).toBe('large content\n')
})

it('a step that needs large files is refused where git-lfs is not installed', async () => {
  const repository = await repositoryAt(join(await ownFolder(), 'work'))
  const commit = await repository.commit({ a: 'a' })
  const agent = await checkouts({ environment: { PATH: await pathWithoutLfs() } })
  await expect(agent.prepare({ repository: repository.path, commit, lfs: true })).rejects.toMatchObject({ code: 'large_files_missing', message: expect.stringContaining('git-lfs is not on the PATH of this agent') })
})

it.runIf(isInstalled)('without git-lfs the pointers stay, the log says so, and they are fetched when it is installed', async () => {
  const { server, commit } = await large()
  const bin = await pathWithoutLfs()
  const without = await checkouts({ environment: { PATH: bin } })
  const { folder } = await without.prepare({ repository: `${server.origin}/app.git`, commit })
  expect(await readFile(join(folder, 'a.bin'), 'utf8')).toMatch(/^version https:\/\/git-lfs/)
  expect(without.log).toContain('this repository keeps large files with git-lfs, which is not installed on this agent: they are pointers only')
  await symlink(execFileSync('sh', ['-c', 'command -v git-lfs'], { encoding: 'utf8' }).trim(), join(bin, 'git-lfs'))
  await without.prepare({ repository: `${server.origin}/app.git`, commit })
  expect(await readFile(join(folder, 'a.bin'), 'utf8')).toBe('large content\n')
})

it('a repository without large files says nothing and runs nothing of git-lfs', async () => {
  const work = await repositoryAt(join(await ownFolder(), 'work'))
  const commit = await work.commit({ 'file': 'x', '.gitattributes': '*.txt text\n' })
  const agent = await checkouts()
  await agent.prepare({ repository: work.path, commit })
  expect(agent.log.join('\n')).not.toMatch(/lfs/)
  expect(await readdir(agent.folders.cache)).not.toContain('lfs')
})
