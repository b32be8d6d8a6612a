/** A URL at which something else than a git server answers: a sign-in page, a proxy, an address that was mistyped. */
import { readdir } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { serveGit } from '../../support/git-server.ts'
import { listening } from '../../support/listening.ts'
import { git, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

const PASSWORD = 'hunter2'
const COMMIT = 'a'.repeat(40)

/** A URL whose every path is answered by `answer`. */
async function page(answer: (response: ServerResponse, path: string) => void): Promise<string> {
  return `${await listening(createServer((request, response) => answer(response, request.url ?? '')))}/app.git`
}

const html = (text: string) => (response: ServerResponse) => void response.writeHead(200, { 'content-type': 'text/html' }).end(text)

it.each<readonly [string, (response: ServerResponse, path: string) => void]>([
  ['a page of one line', html('<html>Sign in</html>')],
  ['a page of several lines', html('<html>\n<body>Sign in</body>\n</html>\n')],
  ['an empty page', html('')],
  ['a page that is announced as what git expects', (response) => void response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' }).end('<html>\n</html>\n')],
  ['a way to a sign-in page', (response, path) => (path.startsWith('/sign-in') ? html('<html>\n')(response) : void response.writeHead(302, { location: '/sign-in' }).end())],
])('%s is told from a repository, and is nobody\'s fault at the agent', async (_, answer) => {
  const url = await page(answer)
  const agent = await checkouts()
  for (const [wanted, what] of [[{ commit: COMMIT }, 'aaaaaaa'], [{ commit: COMMIT, branch: 'main' }, 'aaaaaaa'], [{ branch: 'main' }, 'branch main'], [{}, 'the default branch']] as const) {
    const why = 'something else than a git server answers there. Is the URL right, or does a proxy or sign-in page stand in between?'
    await expect(agent.prepare({ repository: url, ...wanted })).rejects.toMatchObject({ code: 'repository_not_git', message: `cannot check out ${what} of ${url}: ${why}` })
  }
})

it('a real repository without a commit is told as one, by whatever protocol it answers', async () => {
  const root = await ownFolder()
  await repositoryAt(join(root, 'empty.git'), '--bare')
  for (const protocol of [0, 2] as const) {
    const { origin } = await serveGit(root, { protocol })
    const agent = await checkouts()
    await expect(agent.prepare({ repository: `${origin}/empty.git` })).rejects.toMatchObject({ code: 'repository_empty' })
    await expect(agent.prepare({ repository: `${origin}/empty.git`, commit: COMMIT })).rejects.toMatchObject({ code: 'commit_missing' })
  }
})

it('a page in a server\'s place lets nobody read what is kept, and takes no branch away from it', async () => {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const commit = await work.commit({ file: 'one\n' })
  await git(root, 'clone', '--quiet', '--bare', work.path, 'app.git')
  const server = await serveGit(root, { password: PASSWORD })
  const url = `${server.origin}/app.git`
  const agent = await checkouts()
  await agent.prepare({ repository: url, branch: 'main', credentials: { username: 'ada', password: PASSWORD } })
  const [mirror = ''] = (await readdir(agent.folders.cache)).filter((name) => name.startsWith('app-') && !name.endsWith('.lock'))
  const branches = () => git(join(agent.folders.cache, mirror), 'for-each-ref')
  const before = await branches()
  expect(before).toContain('refs/remotes/origin/main')
  server.answerWithPage('Sign in')
  await expect(agent.prepare({ repository: url, commit, slot: 1, credentials: { username: 'ada', password: 'of nobody' } })).rejects.toMatchObject({ code: 'repository_not_git' })
  await expect(agent.prepare({ repository: url, commit: COMMIT, credentials: { username: 'ada', password: PASSWORD } })).rejects.toMatchObject({ code: 'repository_not_git' })
  expect(await branches()).toBe(before)
  expect(agent.log.filter((line) => line.includes('damaged'))).toEqual([])
  server.answerAgain()
  expect((await agent.prepare({ repository: url, commit, credentials: { username: 'ada', password: PASSWORD } })).commit).toBe(commit)
})
