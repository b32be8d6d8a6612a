/** Passwords reach the server that they are for and nothing else; a server that hangs ends no agent. */
import { execFileSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { serveGit, type GitServerOptions } from '../../support/git-server.ts'
import { git, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

const PASSWORD = 'hunter2+/=@'

async function locked(options: GitServerOptions = { password: PASSWORD }) {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const commit = await work.commit({ 'file': 'one\n' })
  await git(root, 'clone', '--quiet', '--bare', work.path, 'app.git')
  const server = await serveGit(root, options)
  return { commit, server, url: `${server.origin}/app.git`, withPassword: `${server.origin.replace('//', `//ada:${encodeURIComponent(PASSWORD)}@`)}/app.git` }
}

async function textsBelow(folder: string): Promise<string> {
  const texts: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) if (entry.isFile()) texts.push(await readFile(join(entry.parentPath, entry.name), 'latin1'))
  return texts.join('\n')
}

it('a password in the URL works, and is then in no argument, no log and no file', async () => {
  const { withPassword, url, commit } = await locked()
  const agent = await checkouts()
  const { folder } = await agent.prepare({ repository: withPassword, commit })
  await agent.prepare({ repository: withPassword, branch: 'main' })
  expect(await git(folder, 'config', 'remote.origin.url')).toBe(url)
  await expect(agent.prepare({ repository: withPassword, branch: 'gone' })).rejects.toThrow(`cannot check out branch gone of ${url}: `)
  const written = `${await textsBelow(agent.folder)}\n${agent.log.join('\n')}\n${(await agent.commands()).join('\n')}`
  expect(written).toContain(url)
  for (const form of [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(`ada:${PASSWORD}`).toString('base64')]) expect(written).not.toContain(form)
})

it('a password that comes beside the URL works', async () => {
  const { url, commit } = await locked()
  const agent = await checkouts()
  expect((await agent.prepare({ repository: url, commit, credentials: { username: 'ada', password: PASSWORD } })).commit).toBe(commit)
})

it('the agent\'s own credential helper works, and never hears of a given password', async () => {
  const { url, withPassword, commit } = await locked()
  const settings = await ownFolder()
  await writeFile(join(settings, 'helper'), `#!/bin/sh\necho "$1" >> ${settings}/asked\ncat >> ${settings}/asked\n[ "$1" = get ] && printf 'username=ada\\npassword=%s\\n' '${PASSWORD}'\nexit 0\n`, { mode: 0o755 })
  await writeFile(join(settings, 'config'), `[credential]\n\thelper = ${settings}/helper\n`)
  const given = await checkouts({ environment: { GIT_CONFIG_GLOBAL: join(settings, 'config') } })
  await given.prepare({ repository: withPassword, commit })
  await expect(readFile(join(settings, 'asked'))).rejects.toThrow('ENOENT')
  const own = await checkouts({ environment: { GIT_CONFIG_GLOBAL: join(settings, 'config') } })
  expect((await own.prepare({ repository: url, commit })).commit).toBe(commit)
})

it('a missing or wrong password is an error at once, not a question that nobody answers', async () => {
  const { url, server, commit } = await locked()
  const agent = await checkouts()
  const forbidden = { code: 'repository_forbidden', message: expect.stringContaining(`of ${url}: the server wants credentials, and the agent's are missing or refused`) }
  await expect(agent.prepare({ repository: url, commit })).rejects.toMatchObject(forbidden)
  await expect(agent.prepare({ repository: `${server.origin.replace('//', '//ada:wrong@')}/app.git`, commit })).rejects.toMatchObject(forbidden)
})

it('a commit that other credentials fetched is given to nobody whom the server refuses', async () => {
  const { url, server, withPassword, commit } = await locked()
  const agent = await checkouts()
  await agent.prepare({ repository: withPassword, commit })
  const forbidden = { code: 'repository_forbidden' }
  for (const slot of [0, 1]) {
    await expect(agent.prepare({ repository: url, commit, slot })).rejects.toMatchObject(forbidden)
    await expect(agent.prepare({ repository: url, commit, slot, fresh: true, credentials: { username: 'ada', password: 'wrong' } })).rejects.toMatchObject(forbidden)
  }
  const { length } = server.requests
  expect((await agent.prepare({ repository: withPassword, commit })).commit).toBe(commit)
  expect(server.requests.slice(length)).toEqual([]) // they were let in before
})

it('nor to a repository that names the other as its submodule', async () => {
  const { url, withPassword, commit } = await locked()
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  await writeFile(join(work.path, '.gitmodules'), `[submodule "lib"]\n\tpath = lib\n\turl = ${url}\n`)
  await work.git('add', '.gitmodules')
  await work.git('update-index', '--add', '--cacheinfo', `160000,${commit},lib`)
  await work.git('commit', '--quiet', '--message', 'Name what is not mine')
  await git(root, 'clone', '--quiet', '--bare', work.path, 'open.git')
  const agent = await checkouts()
  await agent.prepare({ repository: withPassword, commit })
  await expect(agent.prepare({ repository: `${(await serveGit(root)).origin}/open.git`, branch: 'main', slot: 1 })).rejects.toMatchObject({ code: 'repository_forbidden', message: expect.stringContaining('submodule lib') })
})

it('new credentials are asked about once, and what is there is not fetched again', async () => {
  const { url, server, commit } = await locked({ password: [PASSWORD, 'of-this-hour'] })
  const agent = await checkouts()
  await agent.prepare({ repository: url, commit, credentials: { username: 'ada', password: PASSWORD } })
  await agent.commands()
  const next = { repository: url, commit, credentials: { username: 'ada', password: 'of-this-hour' } }
  await agent.prepare(next)
  expect((await agent.commands()).filter((line) => /^(fetch|ls-remote) /.test(line))).toEqual([`ls-remote -- ${url} HEAD`])
  expect(agent.log).toContain(`asking ${url} whether this build may read it`)
  const { length } = server.requests
  await agent.prepare(next)
  expect(server.requests.slice(length)).toEqual([])
})

it('a server that falls silent is given up, and no process of the fetch is left', async () => {
  const { url, server } = await locked({})
  server.fallSilent()
  const agent = await checkouts({ stallMs: 1500 })
  await expect(agent.prepare({ repository: url, branch: 'main' })).rejects.toMatchObject({ code: 'repository_stalled', message: expect.stringContaining('the server stopped answering') })
  await vi.waitFor(() => expect(processesWith(server.origin)).toEqual([]), { timeout: 10_000 })
  server.answerAgain()
  expect((await agent.prepare({ repository: url, branch: 'main' })).commit).toMatch(/^[0-9a-f]{40}$/)
})

it('a cancelled checkout stops its fetch', async () => {
  const { url, server } = await locked({})
  server.fallSilent()
  const agent = await checkouts()
  const stopping = new AbortController()
  const prepared = agent.prepare({ repository: url, branch: 'main', signal: stopping.signal })
  prepared.catch(() => undefined)
  await vi.waitFor(() => expect(server.requests.length).toBeGreaterThan(0), { timeout: 30_000 })
  stopping.abort()
  await expect(prepared).rejects.toMatchObject({ code: 'canceled' })
  await vi.waitFor(() => expect(processesWith(server.origin)).toEqual([]), { timeout: 10_000 })
})

function processesWith(text: string): readonly string[] {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => line.includes(text))
}
