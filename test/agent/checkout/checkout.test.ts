/** Which commit a build gets, from whichever remote, or the sentence that says why it gets none. */
import { execFileSync } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { serveGit } from '../../support/git-server.ts'
import { ownFolder } from '../../support/folder.ts'
import { git, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

/** A repository with two commits, and its bare copy behind a server. */
async function served(options: Parameters<typeof serveGit>[1] = {}) {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const first = await work.commit({ 'file': 'one\n' })
  const second = await work.commit({ 'file': 'two\n' })
  await git(root, 'clone', '--quiet', '--bare', work.path, 'app.git')
  await work.git('remote', 'add', 'origin', join(root, 'app.git'))
  const server = await serveGit(root, options)
  return { root, work, first, second, server, url: `${server.origin}/app.git`, push: (...args: string[]) => work.git('push', '--quiet', '--force', 'origin', ...args) }
}

const fileIn = (folder: string) => readFile(join(folder, 'file'), 'utf8')

describe('the commit', () => {
  it('is fetched by its id alone when the mirror lacks it, and asked of nobody when the mirror has it', async () => {
    const { url, first, second, server } = await served()
    const agent = await checkouts()
    const { folder } = await agent.prepare({ repository: url, commit: second, branch: 'main' })
    expect(await fileIn(folder)).toBe('two\n')
    const asked = server.requests.length
    expect(await agent.prepare({ repository: url, commit: first })).toEqual({ folder, commit: first })
    expect(await fileIn(folder)).toBe('one\n')
    expect(server.requests.length).toBe(asked)
  })

  it('needs one command of git when the tree is kept, also for another commit that the mirror has', async () => {
    const { url, first, second } = await served()
    const agent = await checkouts()
    await agent.prepare({ repository: url, commit: second })
    await agent.commands()
    await agent.prepare({ repository: url, commit: second })
    expect((await agent.commands()).map((command) => command.split(' ')[0])).toEqual(['checkout'])
    await agent.prepare({ repository: url, commit: first })
    expect((await agent.commands()).map((command) => command.split(' ')[0])).toEqual(['checkout'])
  })

  it('is had of a branch when the server gives nothing out by id', async () => {
    const { url, push, work, first } = await served({ protocol: 0 })
    const agent = await checkouts()
    expect((await agent.prepare({ repository: url, commit: first, branch: 'main' })).commit).toBe(first)
    const third = await work.commit({ 'file': 'third\n' })
    await work.commit({ 'file': 'fourth\n' })
    await push('main')
    await agent.commands()
    expect((await agent.prepare({ repository: url, commit: third, branch: 'main' })).commit).toBe(third)
    expect((await agent.commands()).filter((command) => command.startsWith('fetch')).length).toBe(2)
  })

  it('comes with the branches that there are when the repository is fetched first, as scripts compare with them', async () => {
    const { url, push, work, first, second } = await served()
    await work.git('checkout', '--quiet', '-b', 'side', first)
    const side = await work.commit({ 'side': 'x' })
    await push('side')
    const agent = await checkouts()
    const another = await checkouts()
    const { folder } = await agent.prepare({ repository: url, commit: side })
    const { folder: ofTip } = await another.prepare({ repository: url, branch: 'side' })
    expect(await git(ofTip, 'rev-parse', 'origin/main')).toBe(second)
    expect(await git(folder, 'rev-parse', 'origin/main', 'origin/side')).toBe(`${second}\n${side}`)
    expect(await git(folder, 'merge-base', 'origin/main', 'HEAD')).toBe(first)
  })

  it('is had of any branch when the server gives nothing out by id and no branch is named', async () => {
    const { url, push, work, first } = await served({ protocol: 0 })
    await work.git('checkout', '--quiet', '-b', 'side', first)
    const side = await work.commit({ 'side': 'x' })
    const last = await work.commit({ 'side': 'y' })
    await push('side')
    const agent = await checkouts()
    expect((await agent.prepare({ repository: url, commit: side, branch: 'gone' })).commit).toBe(side)
    expect((await agent.prepare({ repository: url, commit: last })).commit).toBe(last)
  })

  it('is had though no branch holds it', async () => {
    const { url, push, work, first } = await served()
    const dangling = await work.commit({ 'file': 'dangling\n' })
    await push('main')
    await work.git('reset', '--quiet', '--hard', first)
    await push('main')
    const agent = await checkouts()
    expect(await fileIn((await agent.prepare({ repository: url, commit: dangling, branch: 'main' })).folder)).toBe('dangling\n')
  })

  it('that no branch holds is refused with the reason when the server gives nothing out by id', async () => {
    const { url, push, work, first } = await served({ protocol: 0 })
    const dangling = await work.commit({ 'file': 'dangling\n' })
    await push('main')
    await work.git('reset', '--quiet', '--hard', first)
    await push('main')
    const agent = await checkouts()
    await expect(agent.prepare({ repository: url, commit: dangling, branch: 'main' })).rejects.toMatchObject({
      code: 'commit_missing',
      message: `cannot check out ${dangling.slice(0, 7)} of ${url}: no branch or tag of the remote holds the commit, and the server gives nothing else out. Push a branch that holds it, or build it from its path.`,
    })
  })

  it('that is not on the remote is refused with what to do', async () => {
    const { url } = await served()
    const agent = await checkouts()
    await expect(agent.prepare({ repository: url, commit: '3f2a91c'.padEnd(40, '0') })).rejects.toMatchObject({ code: 'commit_missing', message: `cannot check out 3f2a91c of ${url}: the commit is not on the remote. Push it, or build it from its path.` })
  })

  it('of a repository with 64 digits works, also found by branch alone', async () => {
    const root = await ownFolder()
    const work = await repositoryAt(join(root, 'work'), '--object-format=sha256')
    const commit = await work.commit({ 'file': 'long\n' })
    const agent = await checkouts()
    expect(await agent.prepare({ repository: work.path, commit })).toMatchObject({ commit })
    const other = await checkouts()
    expect(await other.prepare({ repository: work.path, branch: 'main' })).toMatchObject({ commit })
    expect(await git((await other.prepare({ repository: work.path, commit })).folder, 'status', '--porcelain')).toBe('')
  })
})

describe('a branch without a commit', () => {
  it('is taken where it is now, also after a force push', async () => {
    const { url, push, work, first, second } = await served()
    const agent = await checkouts()
    expect((await agent.prepare({ repository: url, branch: 'main' })).commit).toBe(second)
    await work.git('reset', '--quiet', '--hard', first)
    const other = await work.commit({ 'file': 'other\n' })
    await push('main')
    const { folder, commit } = await agent.prepare({ repository: url, branch: 'main' })
    expect(commit).toBe(other)
    expect(await fileIn(folder)).toBe('other\n')
    // What was forced away is still had, for the build that wants it.
    expect((await agent.prepare({ repository: url, commit: second })).commit).toBe(second)
  })

  it('may be a tag, also an annotated one, or a whole ref', async () => {
    const { url, push, work, first } = await served()
    await work.git('tag', '--annotate', '--message', 'v1', 'v1', first)
    await push('v1', `${first}:refs/pull/7/head`)
    const agent = await checkouts()
    expect((await agent.prepare({ repository: url, branch: 'v1' })).commit).toBe(first)
    expect((await agent.prepare({ repository: url, branch: 'refs/pull/7/head' })).commit).toBe(first)
  })

  it('is found when a branch above or below it had its name before', async () => {
    const { url, push, second, first } = await served()
    await push(`${first}:refs/heads/feature`)
    const agent = await checkouts()
    expect((await agent.prepare({ repository: url, branch: 'feature' })).commit).toBe(first)
    await push(':refs/heads/feature')
    await push(`${second}:refs/heads/feature/new`)
    expect((await agent.prepare({ repository: url, branch: 'feature/new' })).commit).toBe(second)
  })

  it('that does not exist is refused with the default branch that does', async () => {
    const { url } = await served()
    const agent = await checkouts()
    await expect(agent.prepare({ repository: url, branch: 'master' })).rejects.toMatchObject({ code: 'branch_missing', message: `cannot check out branch master of ${url}: there is no branch or tag of that name; its default branch is main. Push it, or name another.` })
  })
})

describe('neither branch nor commit', () => {
  it('is the default branch, also after it was renamed', async () => {
    const { root, url, second, push, work } = await served()
    const agent = await checkouts()
    expect((await agent.prepare({ repository: url })).commit).toBe(second)
    await work.git('branch', '--move', 'main', 'trunk')
    const third = await work.commit({ 'file': 'three\n' })
    await push('trunk')
    await git(join(root, 'app.git'), 'symbolic-ref', 'HEAD', 'refs/heads/trunk')
    await push(':main')
    expect((await agent.prepare({ repository: url })).commit).toBe(third)
    await expect(agent.prepare({ repository: url, branch: 'main' })).rejects.toMatchObject({ message: expect.stringContaining('its default branch is trunk') })
  })

  it('of an empty repository is refused with what to do', async () => {
    const root = await ownFolder()
    await git(root, 'init', '--quiet', '--bare', 'app.git')
    const { origin } = await serveGit(root)
    const agent = await checkouts()
    const empty = { code: 'repository_empty', message: `cannot check out the default branch of ${origin}/app.git: the repository has no commit yet. Push one.` }
    await expect(agent.prepare({ repository: `${origin}/app.git` })).rejects.toMatchObject(empty)
    await expect(agent.prepare({ repository: `${origin}/app.git`, branch: 'main' })).rejects.toMatchObject({ code: 'repository_empty' })
    await expect(agent.prepare({ repository: `${origin}/app.git`, commit: 'a'.repeat(40), branch: 'main' })).rejects.toMatchObject({ code: 'commit_missing' })
  })
})

describe('a repository on this machine', () => {
  it('gives also what exists only there: an unpushed commit, a commit that no branch holds', async () => {
    const work = await repositoryAt(join(await ownFolder(), 'work'))
    const first = await work.commit({ 'file': 'one\n' })
    const dangling = await work.commit({ 'file': 'dangling\n' })
    await work.git('reset', '--quiet', '--hard', first)
    const agent = await checkouts()
    expect(await fileIn((await agent.prepare({ repository: work.path, commit: dangling })).folder)).toBe('dangling\n')
    expect(await fileIn((await agent.prepare({ repository: `file://${work.path}` })).folder)).toBe('one\n')
    await expect(agent.prepare({ repository: work.path, commit: 'b'.repeat(40) })).rejects.toMatchObject({ code: 'commit_missing', message: expect.stringContaining('the commit is not in that repository') })
  })

  it('may be shallow', async () => {
    const root = await ownFolder()
    const work = await repositoryAt(join(root, 'work'))
    await work.commit({ 'file': 'one\n' })
    const commit = await work.commit({ 'file': 'two\n' })
    await git(root, 'clone', '--quiet', '--depth=1', `file://${work.path}`, 'shallow')
    const agent = await checkouts()
    const byId = await agent.prepare({ repository: join(root, 'shallow'), commit })
    expect(await git(byId.folder, 'log', '--format=%H')).toBe(commit)
    const other = await checkouts()
    const { folder } = await other.prepare({ repository: join(root, 'shallow'), branch: 'main' })
    expect(await fileIn(folder)).toBe('two\n')
    await other.prepare({ repository: join(root, 'shallow'), branch: 'main' })
    expect(await git(folder, 'fsck', '--no-dangling')).toBe('')
  })

  it.runIf(process.getuid?.() === 0)('may belong to somebody else', async () => {
    const work = await repositoryAt(join(await ownFolder(), 'work'))
    const commit = await work.commit({ 'file': 'one\n' })
    execFileSync('chown', ['-R', '12345:12345', work.path])
    const agent = await checkouts()
    expect((await agent.prepare({ repository: work.path, commit })).commit).toBe(commit)
    expect((await agent.prepare({ repository: work.path, branch: 'main' })).commit).toBe(commit)
  })
})

describe('a repository that cannot be had', () => {
  it('because it does not exist is said to be missing', async () => {
    const { server } = await served()
    const agent = await checkouts()
    const missing = join(agent.folder, 'nothing')
    await expect(agent.prepare({ repository: `${server.origin}/other.git` })).rejects.toMatchObject({ code: 'repository_missing' })
    await expect(agent.prepare({ repository: missing, commit: 'a'.repeat(40) })).rejects.toMatchObject({ code: 'repository_missing', message: expect.stringContaining(`cannot check out aaaaaaa of ${missing}: there is no repository there`) })
  })

  it('because nobody listens is said to be unreachable', async () => {
    const agent = await checkouts()
    await expect(agent.prepare({ repository: 'http://127.0.0.1:1/app.git' })).rejects.toMatchObject({ code: 'repository_unreachable' })
  })

  it.each(['ext::sh -c touch% pwned', '--upload-pack=touch pwned', 'fd::3', ''])('because its address is %j is never shown to git', async (repository) => {
    const agent = await checkouts()
    await expect(agent.prepare({ repository })).rejects.toMatchObject({ code: 'repository_refused' })
    expect(await agent.commands()).toEqual([])
  })

  it('because git is not installed blames the agent', async () => {
    const agent = await checkouts({ environment: { PATH: '/nowhere' } })
    await rm(join(agent.folder, 'bin', 'git'))
    await expect(agent.prepare({ repository: '/somewhere' })).rejects.toMatchObject({ code: 'agent_git_missing' })
  })
})

describe('what a build finds in .git', () => {
  it('is a repository of its own with the remote, its branches and its tags', async () => {
    const { url, push, work, first, second } = await served()
    await work.git('tag', 'v1', first)
    await push('v1')
    const agent = await checkouts()
    await agent.prepare({ repository: url, branch: 'main' })
    const { folder } = await agent.prepare({ repository: url, commit: second })
    expect(await git(folder, 'describe', '--tags')).toMatch(/^v1-1-g/)
    expect(await git(folder, 'rev-parse', 'HEAD', 'origin/main')).toBe(`${second}\n${second}`)
    expect(await git(folder, 'status', '--porcelain')).toBe('')
    expect(await git(folder, 'for-each-ref', '--format=%(refname)')).not.toContain('kedge')
    await git(folder, 'commit', '--quiet', '--allow-empty', '--message', 'by a build')
    await git(folder, 'fetch', '--quiet', 'origin')
    expect(await git(folder, 'fsck', '--no-dangling')).toBe('')
  })

  it('does not reach the mirror: a build that breaks its repository breaks only its own', async () => {
    const { url, second } = await served()
    const agent = await checkouts()
    const { folder } = await agent.prepare({ repository: url, commit: second })
    await git(folder, 'config', 'core.bare', 'true')
    await git(folder, 'update-ref', '-d', 'refs/remotes/origin/main')
    await writeFile(join(folder, '.git', 'HEAD'), 'nonsense')
    await agent.commands()
    await agent.prepare({ repository: url, commit: second })
    expect(await git(folder, 'rev-parse', 'HEAD')).toBe(second)
    expect((await agent.commands()).length).toBe(1)
  })
})
