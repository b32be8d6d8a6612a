/** Whatever a build leaves in its kept work tree, the next build finds what a fresh clone would hold. */
import { execFileSync } from 'node:child_process'
import { appendFile, chmod, lstat, mkdir, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { freshClone, git, listing, repositoryAt } from '../../support/repository.ts'

const FILES = {
  '.gitignore': 'ignored/\n*.log\n',
  'file': 'text\n',
  'empty': '',
  'src/deep/inner.txt': 'inner\n',
  'run.sh': { program: '#!/bin/sh\n' },
  'to-file': { link: 'file' },
  'to-nowhere': { link: 'nowhere' },
  'with space and ü': 'odd\n',
} as const

async function kept() {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const first = await work.commit(FILES)
  const second = await work.commit({ 'file': 'other\n', 'src/deep/inner.txt': null, 'src/deep': 'a file now\n', 'run.sh': 'no program now\n', 'to-file': { link: 'empty' } })
  const agent = await checkouts()
  await agent.prepare({ repository: work.path, commit: first })
  const { folder } = await agent.prepare({ repository: work.path, commit: first }) // once more: its folders are known now
  await agent.commands()
  const clone = (commit: string) => freshClone(work.path, commit, join(root, 'clone'))
  return { root, work, first, second, agent, folder, clone }
}

const LEFTOVERS: Readonly<Record<string, (folder: string, git: (...args: readonly string[]) => Promise<string>) => Promise<unknown>>> = {
  'an untracked file': (folder) => writeFile(join(folder, 'new'), 'x'),
  'an untracked folder': async (folder) => {
    await mkdir(join(folder, 'src', 'new', 'below'), { recursive: true })
    await writeFile(join(folder, 'src', 'new', 'below', 'file'), 'x')
  },
  'an empty folder': (folder) => mkdir(join(folder, 'hollow')),
  'ignored files': async (folder) => {
    await mkdir(join(folder, 'ignored'))
    await writeFile(join(folder, 'ignored', 'a'), 'x')
    await writeFile(join(folder, 'build.log'), 'x')
  },
  'files that .git/info/exclude ignores': async (folder) => {
    await appendFile(join(folder, '.git', 'info', 'exclude'), 'secret\n')
    await writeFile(join(folder, 'secret'), 'x')
  },
  'a changed file': (folder) => writeFile(join(folder, 'file'), 'changed'),
  'a changed file of the same size and time': async (folder) => {
    const before = await lstat(join(folder, 'file'))
    await writeFile(join(folder, 'file'), 'TEXT\n')
    await utimes(join(folder, 'file'), before.atime, before.mtime)
  },
  'a truncated file': (folder) => truncate(join(folder, 'file')),
  'a deleted file': (folder) => rm(join(folder, 'file')),
  'a deleted folder': (folder) => rm(join(folder, 'src'), { recursive: true }),
  'all files deleted': async (folder) => execFileSync('sh', ['-c', 'rm -rf -- * .gitignore'], { cwd: folder }),
  'a file replaced by a folder': async (folder) => {
    await rm(join(folder, 'file'))
    await mkdir(join(folder, 'file'))
    await writeFile(join(folder, 'file', 'below'), 'x')
  },
  'a folder replaced by a link to elsewhere': async (folder) => {
    await rm(join(folder, 'src'), { recursive: true })
    await symlink('/tmp', join(folder, 'src'))
  },
  'a link replaced by a file': async (folder) => {
    await rm(join(folder, 'to-file'))
    await writeFile(join(folder, 'to-file'), 'file')
  },
  'an executable bit set': (folder) => chmod(join(folder, 'file'), 0o755),
  'an executable bit taken': (folder) => chmod(join(folder, 'run.sh'), 0o644),
  'a file that anyone may write': (folder) => chmod(join(folder, 'file'), 0o666),
  'a file that nobody may read': (folder) => chmod(join(folder, 'file'), 0),
  'a program with the setuid bit': (folder) => chmod(join(folder, 'run.sh'), 0o4755),
  'read-only folders, also new ones': async (folder) => {
    await mkdir(join(folder, 'cache', 'module'), { recursive: true })
    await writeFile(join(folder, 'cache', 'module', 'file'), 'x')
    await chmod(join(folder, 'cache', 'module'), 0o555)
    await chmod(join(folder, 'cache'), 0o555)
    await chmod(join(folder, 'src', 'deep'), 0o555)
    await chmod(join(folder, 'src'), 0o555)
  },
  'the top folder with other rights': (folder) => chmod(folder, 0o700),
  'a pipe': async (folder) => execFileSync('mkfifo', [join(folder, 'pipe')]),
  'a pipe in place of a file': async (folder) => {
    await rm(join(folder, 'file'))
    execFileSync('mkfifo', [join(folder, 'file')])
  },
  'an index flag that hides changes (assume-unchanged)': async (folder, git) => {
    await git('update-index', '--assume-unchanged', 'file')
    await writeFile(join(folder, 'file'), 'hidden')
  },
  'an index flag that hides deletions (skip-worktree)': async (folder, git) => {
    await git('update-index', '--skip-worktree', 'file')
    await rm(join(folder, 'file'))
  },
  'a sparse checkout': (_, git) => git('sparse-checkout', 'set', 'src'),
  'staged changes': async (folder, git) => {
    await writeFile(join(folder, 'staged'), 'x')
    await writeFile(join(folder, 'file'), 'staged')
    await git('add', '--all')
  },
  'a local commit on a local branch': async (folder, git) => {
    await git('checkout', '--quiet', '-b', 'mine')
    await writeFile(join(folder, 'mine'), 'x')
    await git('add', 'mine')
    await git('commit', '--quiet', '--message', 'mine')
  },
  'a stash': async (folder, git) => {
    await writeFile(join(folder, 'file'), 'stashed')
    await git('stash', '--quiet')
  },
  'a merge in conflict': async (folder, git) => {
    await git('checkout', '--quiet', '-b', 'one')
    await writeFile(join(folder, 'file'), 'one')
    await git('commit', '--quiet', '--all', '--message', 'one')
    await git('checkout', '--quiet', '-b', 'two', 'HEAD~')
    await writeFile(join(folder, 'file'), 'two')
    await git('commit', '--quiet', '--all', '--message', 'two')
    await git('merge', 'one').catch(() => undefined)
  },
  'hooks': async (folder) => {
    await mkdir(join(folder, '.git', 'hooks'), { recursive: true })
    for (const name of ['post-checkout', 'reference-transaction', 'post-index-change']) await writeFile(join(folder, '.git', 'hooks', name), '#!/bin/sh\ntouch hooked\n', { mode: 0o755 })
  },
  'settings that run a program or change contents': async (folder, git) => {
    await git('config', 'core.hooksPath', join(folder, 'hooks'))
    await git('config', 'core.fsmonitor', 'touch monitored; false')
    await git('config', 'core.autocrlf', 'true')
    await git('config', 'core.worktree', '/tmp')
    await git('config', 'filter.x.smudge', 'touch smudged; cat')
    await appendFile(join(folder, '.git', 'info', 'attributes'), '* filter=x\n')
  },
  'attributes of its own': (folder) => writeFile(join(folder, '.gitattributes'), '* text eol=crlf\n'),
  'an index.lock of a git that was killed': (folder) => writeFile(join(folder, '.git', 'index.lock'), ''),
  'a repository inside the tree': async (folder) => {
    await mkdir(join(folder, 'nested'))
    await git(join(folder, 'nested'), 'init', '--quiet')
    await writeFile(join(folder, 'nested', 'file'), 'x')
  },
  'a repository made of a tracked folder': (folder) => git(join(folder, 'src'), 'init', '--quiet'),
  'a file called .git below': (folder) => writeFile(join(folder, 'src', '.git'), 'gitdir: /tmp'),
  'no .git': (folder) => rm(join(folder, '.git'), { recursive: true }),
  '.git replaced by a file': async (folder) => {
    await rm(join(folder, '.git'), { recursive: true })
    await writeFile(join(folder, '.git'), 'gitdir: /tmp')
  },
  '.git replaced by a link': async (folder) => {
    await rm(join(folder, '.git'), { recursive: true })
    await symlink('/tmp', join(folder, '.git'))
  },
  'an empty index': (folder) => writeFile(join(folder, '.git', 'index'), ''),
  'names that look like options and patterns': async (folder) => {
    for (const name of ['--force', '*', ':(exclude)file', 'new\nline']) await writeFile(join(folder, name), 'x')
  },
}

describe('a kept work tree is as clean as a fresh clone after', () => {
  for (const [what, leave] of Object.entries(LEFTOVERS)) {
    it(what, async () => {
      const { first, second, work, agent, folder, clone } = await kept()
      const fresh = await clone(first)
      expect(await listing(folder)).toEqual(fresh)
      await leave(folder, (...args) => git(folder, ...args))
      expect(await agent.prepare({ repository: work.path, commit: first })).toEqual({ folder, commit: first })
      expect(await listing(folder)).toEqual(fresh)
      expect(await git(folder, 'status', '--porcelain', '--ignored')).toBe('')
      expect(await git(folder, 'ls-files', '-v')).not.toMatch(/^[a-z]|^S/m)
      expect(await git(folder, 'stash', 'list')).toBe('')
      expect(await git(folder, 'branch', '--list', '--format=%(refname)')).not.toContain('refs/heads/')
      expect(agent.log.join('\n')).not.toContain('damaged')
      // And on to another commit, which turns files into folders and back.
      await leave(folder, (...args) => git(folder, ...args)).catch(() => undefined)
      await agent.prepare({ repository: work.path, commit: second })
      expect(await listing(folder)).toEqual(await clone(second))
    })
  }
})

describe('a kept work tree', () => {
  it('in which nothing was made or removed is brought to a commit by one command of git', async () => {
    const { work, second, first, agent, folder, clone } = await kept()
    for (const commit of [second, first]) await agent.prepare({ repository: work.path, commit }) // the mirror has both
    await agent.commands()
    await writeFile(join(folder, 'file'), 'changed')
    await appendFile(join(folder, '.git', 'config'), '[core]\n\tbare = true\n')
    for (const commit of [second, second, first]) {
      await agent.prepare({ repository: work.path, commit })
      expect(await agent.commands()).toEqual([`checkout --quiet --force --detach ${commit} --`])
      expect(await listing(folder)).toEqual(await clone(commit))
    }
  })

  it('to which something was added needs no other command, and what was added is deleted', async () => {
    const { work, first, agent, folder, clone } = await kept()
    await mkdir(join(folder, 'node_modules', 'x'), { recursive: true })
    await writeFile(join(folder, 'node_modules', 'x', 'y'), 'x')
    await chmod(join(folder, 'node_modules', 'x'), 0o555)
    await writeFile(join(folder, 'src', 'deep', 'new'), 'x')
    await git(join(folder, 'src'), 'init', '--quiet')
    await agent.prepare({ repository: work.path, commit: first })
    expect(await agent.commands()).toEqual([`checkout --quiet --force --detach ${first} --`])
    expect(await listing(folder)).toEqual(await clone(first))
    await expect.poll(() => readdir(`${folder}.git`)).not.toContainEqual(expect.stringMatching(/^aside-/))
  })

  it('also loses what an agent that was killed had moved aside', async () => {
    const { work, first, agent, folder } = await kept()
    await mkdir(join(`${folder}.git`, 'aside-old', 'x'), { recursive: true })
    await writeFile(join(folder, 'new'), 'x')
    await agent.prepare({ repository: work.path, commit: first })
    await expect.poll(() => readdir(`${folder}.git`)).not.toContainEqual(expect.stringMatching(/^aside-/))
  })

  it('whose folders were exchanged is looked through by git', async () => {
    const { work, first, agent, folder, clone } = await kept()
    await rm(join(folder, 'src'), { recursive: true })
    await agent.prepare({ repository: work.path, commit: first })
    expect(await agent.commands()).toEqual(['clean -ffdx --quiet', `checkout --quiet --force --detach ${first} --`])
    expect(await listing(folder)).toEqual(await clone(first))
  })

  it('follows attributes that change without the files that they are for', async () => {
    const { work, first, agent, folder, clone } = await kept()
    const windows = await work.commit({ '.gitattributes': '*.txt text eol=crlf\n', 'a.txt': 'line\n' })
    const unix = await work.commit({ '.gitattributes': '*.txt text eol=lf\n' })
    for (const commit of [windows, unix, first, unix, windows]) {
      await agent.prepare({ repository: work.path, commit })
      expect(await listing(folder)).toEqual(await clone(commit))
    }
    expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('line\r\n')
  })

  it('is thrown away when fresh is asked for', async () => {
    const { work, first, agent, folder, clone } = await kept()
    const before = await lstat(join(folder, 'file'))
    await agent.prepare({ repository: work.path, commit: first })
    expect((await lstat(join(folder, 'file'))).ino).toBe(before.ino)
    await agent.prepare({ repository: work.path, commit: first, fresh: true })
    expect(await listing(folder)).toEqual(await clone(first))
    expect((await lstat(join(folder, 'file'))).ctimeMs).not.toBe(before.ctimeMs)
  })

  it('is another one in each slot, and two slots may use one repository at once', async () => {
    const { work, agent, first, second, clone } = await kept()
    const agents = await checkouts()
    const both = await Promise.all([0, 1, 2, 3].map((slot) => agents.prepare({ repository: work.path, commit: slot % 2 === 0 ? first : second, slot })))
    expect(new Set(both.map(({ folder }) => folder)).size).toBe(4)
    for (const [slot, { folder }] of both.entries()) expect(await listing(folder)).toEqual(await clone(slot % 2 === 0 ? first : second))
    expect(agents.log.filter((line) => line.includes('damaged'))).toEqual([])
    expect(agent.folder).not.toBe(agents.folder)
  })
})
