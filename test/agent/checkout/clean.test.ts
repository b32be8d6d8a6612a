/** Whatever a build did, the next one finds exactly what a fresh clone would hold. */
import { execFileSync } from 'node:child_process'
import { chmod, copyFile, lstat, mkdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { checkouts, type Checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { freshClone, git, listing, repositoryAt, type Repository } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

async function project(): Promise<{ readonly work: Repository; readonly agent: Checkouts; readonly commit: string; readonly scratch: string }> {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const commit = await work.commit({
    'readme': 'read me\n',
    'run.sh': { program: '#!/bin/sh\n' },
    'src/a': 'a\n',
    'src/b': 'b\n',
    'src/deep/c': 'c\n',
    'link': { link: 'src/a' },
    '.gitignore': 'out\n*.o\n',
    'name with spaces/ü': 'x\n',
  })
  return { work, agent: await checkouts(), commit, scratch: join(root, 'fresh') }
}

const endsInCrlf = async (path: string) => (await readFile(path, 'utf8')).endsWith('\r\n')

type Damage = (folder: string) => Promise<unknown> | unknown

const DAMAGES: readonly (readonly [string, Damage])[] = [
  ['changed, removed and added files', async (at) => {
    await writeFile(join(at, 'readme'), 'changed')
    await rm(join(at, 'src/a'))
    await writeFile(join(at, 'added'), 'x')
    await mkdir(join(at, 'empty/er'), { recursive: true })
  }],
  ['ignored files and folders', async (at) => {
    await mkdir(join(at, 'out/deep'), { recursive: true })
    await writeFile(join(at, 'out/deep/x.o'), 'x')
    await writeFile(join(at, 'src/y.o'), 'y')
  }],
  ['permissions that git does not keep', async (at) => {
    await chmod(join(at, 'readme'), 0o600)
    await chmod(join(at, 'run.sh'), 0o644)
    await chmod(join(at, 'src/a'), 0o777)
    await chmod(join(at, 'src/b'), 0o4755)
    await chmod(join(at, 'src/deep'), 0o700)
    await chmod(at, 0o711)
  }],
  ['read-only folders, as Go leaves them', async (at) => {
    await mkdir(join(at, 'mod/x'), { recursive: true })
    await writeFile(join(at, 'mod/x/y'), 'y', { mode: 0o400 })
    await chmod(join(at, 'mod/x'), 0o500)
    await chmod(join(at, 'mod'), 0o500)
    await chmod(join(at, 'src/deep'), 0o500)
    await chmod(join(at, 'src'), 0)
  }],
  ['a change of the same size with the time set back', async (at) => {
    const { atime, mtime } = await lstat(join(at, 'readme'))
    await writeFile(join(at, 'readme'), 'READ ME\n')
    await utimes(join(at, 'readme'), atime, mtime)
  }],
  ['flags in the index that hide changes', async (at) => {
    await git(at, 'update-index', '--assume-unchanged', 'readme')
    await git(at, 'update-index', '--skip-worktree', 'src/a')
    await writeFile(join(at, 'readme'), 'hidden')
    await rm(join(at, 'src/a'))
  }],
  ['a sparse checkout', (at) => git(at, 'sparse-checkout', 'set', '--no-cone', 'readme')],
  ['hooks and settings', async (at) => {
    await mkdir(join(at, '.git/hooks'))
    for (const hook of ['post-checkout', 'post-index-change', 'reference-transaction']) await writeFile(join(at, '.git/hooks', hook), `#!/bin/sh\ntouch ${at}/hooked\n`, { mode: 0o755 })
    await git(at, 'config', 'core.hooksPath', join(at, '.git/hooks'))
    await git(at, 'config', 'core.autocrlf', 'true')
    await git(at, 'config', 'core.worktree', '/tmp')
    await git(at, 'config', 'filter.x.smudge', 'tr a-z A-Z')
    await writeFile(join(at, '.git/info/attributes'), '* filter=x\n')
    await writeFile(join(at, '.git/info/exclude'), '*\n')
    await writeFile(join(at, 'excluded'), 'x')
  }],
  ['locks', async (at) => {
    for (const name of ['index.lock', 'HEAD.lock', 'config.lock']) await writeFile(join(at, '.git', name), '')
  }],
  ['commits, branches, tags, a rebase under way', async (at) => {
    await git(at, 'checkout', '--quiet', '-b', 'mine')
    await git(at, 'rm', '--quiet', '-r', 'src')
    await git(at, 'commit', '--quiet', '--message', 'gone')
    await git(at, 'tag', 'mine-too')
    await mkdir(join(at, '.git/rebase-merge'))
  }],
  ['files that became folders and folders that became files', async (at) => {
    await rm(join(at, 'readme'))
    await mkdir(join(at, 'readme'))
    await writeFile(join(at, 'readme/x'), 'x')
    await rm(join(at, 'src'), { recursive: true })
    await writeFile(join(at, 'src'), 'x')
    await rm(join(at, 'link'))
    await writeFile(join(at, 'link'), 'src/a')
  }],
  ['a folder that became a link to somewhere else', async (at) => {
    await rm(`${at}-elsewhere`, { recursive: true, force: true })
    await rename(join(at, 'src'), `${at}-elsewhere`)
    await symlink(`${at}-elsewhere`, join(at, 'src'))
  }],
  ['repositories inside: beside tracked files, and untracked', async (at) => {
    for (const folder of ['src', 'own']) {
      await mkdir(join(at, folder), { recursive: true })
      await git(join(at, folder), 'init', '--quiet')
      await git(join(at, folder), '-c', 'user.name=x', '-c', 'user.email=x', 'commit', '--quiet', '--allow-empty', '--message', 'x')
    }
    await writeFile(join(at, 'src/deep/.git'), 'gitdir: /nowhere\n')
  }],
  ['pipes where git does not look', (at) => execFileSync('mkfifo', [join(at, 'src/pipe'), join(at, 'pipe')])],
  ['no .git at all', (at) => rm(join(at, '.git'), { recursive: true })],
  ['a file as .git', async (at) => {
    await rm(join(at, '.git'), { recursive: true })
    await writeFile(join(at, '.git'), 'gitdir: /nowhere\n')
  }],
  ['no folder at all', (at) => rm(at, { recursive: true })],
  ['a link in place of the folder', async (at) => {
    await rm(at, { recursive: true })
    await symlink('/usr', at)
  }],
]

describe('a kept work tree is what a fresh clone would hold after a build left', () => {
  it.each(DAMAGES)('%s', async (_what, damage) => {
    const { work, agent, commit, scratch } = await project()
    const { folder } = await agent.prepare({ repository: work.path, commit })
    const fresh = await freshClone(work.path, commit, scratch)
    expect(await listing(folder)).toEqual(fresh)
    await damage(folder)
    expect((await agent.prepare({ repository: work.path, commit })).folder).toBe(folder)
    expect(await listing(folder)).toEqual(fresh)
    expect(await git(folder, 'status', '--porcelain', '--ignored')).toBe('')
    expect(await git(folder, 'rev-parse', 'HEAD')).toBe(commit)
    expect(await git(folder, 'config', '--get-regexp', 'core.(hookspath|autocrlf|worktree)').catch(() => '')).toBe('')
    // And on to another commit, with the damage done again on the way.
    await damage(folder)
    const next = await work.commit({ 'readme': 'next\n', 'src/a': null, 'src/new': 'n\n', 'run.sh': 'no program\n' })
    await agent.prepare({ repository: work.path, commit: next })
    expect(await listing(folder)).toEqual(await freshClone(work.path, next, scratch))
  })

  it('permissions changed in the second in which files were written, of few files and of many', async () => {
    const { work, agent, scratch } = await project()
    for (const count of [3, 400]) {
      const commit = await work.commit(Object.fromEntries(Array.from({ length: count }, (_, at) => [`many/${count}-${at}`, `${at}\n`])))
      const { folder } = await agent.prepare({ repository: work.path, commit })
      await chmod(join(folder, `many/${count}-2`), 0o666)
      await agent.prepare({ repository: work.path, commit })
      expect(await listing(folder)).toEqual(await freshClone(work.path, commit, scratch))
    }
  })

  it('permissions changed in a later second', async () => {
    const { work, agent, commit, scratch } = await project()
    const { folder } = await agent.prepare({ repository: work.path, commit })
    const writtenAt = Math.floor((await lstat(join(folder, 'readme'))).ctimeMs / 1000)
    await expect.poll(() => Math.floor(Date.now() / 1000), { timeout: 10_000 }).toBeGreaterThan(writtenAt + 1)
    // Once more, so that no file is younger than the index.
    await agent.prepare({ repository: work.path, commit })
    await chmod(join(folder, 'readme'), 0o666)
    await chmod(join(folder, 'run.sh'), 0o4755)
    await agent.prepare({ repository: work.path, commit })
    expect(await listing(folder)).toEqual(await freshClone(work.path, commit, scratch))
  })

  it('attributes that change how files are written, from commit to commit', async () => {
    const { work, agent, commit: plain } = await project()
    const crlf = await work.commit({ '.gitattributes': 'readme text eol=crlf\n' })
    const deeper = await work.commit({ 'src/.gitattributes': 'a text eol=crlf\n' })
    const none = await work.commit({ '.gitattributes': null, 'src/.gitattributes': null })
    for (const commit of [plain, crlf, deeper, none, crlf]) {
      const { folder } = await agent.prepare({ repository: work.path, commit })
      const ended = { crlf: await endsInCrlf(join(folder, 'readme')), deeper: await endsInCrlf(join(folder, 'src/a')) }
      expect(ended).toEqual({ crlf: commit === crlf || commit === deeper, deeper: commit === deeper })
    }
  })

  it('untouched files, without writing them again', async () => {
    const { work, agent, commit } = await project()
    const { folder } = await agent.prepare({ repository: work.path, commit })
    const before = await lstat(join(folder, 'src/a'), { bigint: true })
    await writeFile(join(folder, 'readme'), 'x')
    await agent.prepare({ repository: work.path, commit: await work.commit({ 'src/b': 'other\n' }) })
    expect(await lstat(join(folder, 'src/a'), { bigint: true })).toMatchObject({ ino: before.ino, ctimeNs: before.ctimeNs })
  })
})

it('a fresh checkout throws the kept work tree away', async () => {
  const { work, agent, commit } = await project()
  const { folder } = await agent.prepare({ repository: work.path, commit })
  const before = await lstat(join(folder, 'src/a'), { bigint: true })
  await agent.prepare({ repository: work.path, commit, fresh: true })
  expect((await lstat(join(folder, 'src/a'), { bigint: true })).ctimeNs).not.toBe(before.ctimeNs)
  expect(await git(folder, 'status', '--porcelain')).toBe('')
})

it('what a checkout that was killed left behind is no obstacle', async () => {
  const { work, agent, commit, scratch } = await project()
  const { folder } = await agent.prepare({ repository: work.path, commit })
  const next = await work.commit({ 'readme': 'next\n' })
  await agent.prepare({ repository: work.path, commit: next })
  const mirror = (await readFile(join(`${folder}.git`, 'objects/info/alternates'), 'utf8')).trim().replace(/\/objects$/, '')
  await writeFile(join(`${folder}.git`, 'index.lock'), '')
  await copyFile(join(`${folder}.git`, 'index'), join(`${folder}.git`, 'HEAD.lock'))
  await writeFile(join(mirror, 'packed-refs.lock'), '')
  await mkdir(`${mirror}.new`)
  await rm(join(`${folder}.git`, 'kedge-whole'))
  await agent.prepare({ repository: work.path, branch: 'main' })
  expect(await listing(folder)).toEqual(await freshClone(work.path, next, scratch))
})

it('settings of the agent\'s user that would change the work tree or run programs do not', async () => {
  const { work, commit, scratch } = await project()
  const settings = join(await ownFolder(), 'gitconfig')
  await writeFile(settings, '[core]\n\thooksPath = /tmp/hooks\n\tfsmonitor = /bin/false\n\tsplitIndex = true\n\tuntrackedCache = true\n\tcheckStat = minimal\n[index]\n\tversion = 4\n\tsparse = true\n[feature]\n\tmanyFiles = true\n[submodule]\n\trecurse = true\n[fetch]\n\tprune = true\n\tpruneTags = true\n[protocol "ext"]\n\tallow = always\n')
  const agent = await checkouts({ environment: { GIT_CONFIG_GLOBAL: settings, GIT_DIR: '/nowhere', GIT_WORK_TREE: '/nowhere', GIT_INDEX_FILE: '/nowhere' } })
  await agent.prepare({ repository: work.path, commit })
  const { folder } = await agent.prepare({ repository: work.path, branch: 'main' })
  expect(await listing(folder)).toEqual(await freshClone(work.path, commit, scratch))
  expect(await git(folder, 'status', '--porcelain')).toBe('')
})
