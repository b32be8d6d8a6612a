/** A checkout that is not wanted any more ends at once, and leaves nothing that the next one would trip over. */
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { serveGit } from '../../support/git-server.ts'
import { freshClone, git, listing, repositoryAt } from '../../support/repository.ts'

async function served() {
  const root = await ownFolder()
  const work = await repositoryAt(join(root, 'work'))
  const commit = await work.commit({ 'file': 'one\n' })
  await git(root, 'clone', '--quiet', '--bare', work.path, 'app.git')
  const server = await serveGit(root)
  return { root, work, commit, server, url: `${server.origin}/app.git` }
}

/** Processes whose arguments or folder name the text. */
function processesNaming(text: string): readonly string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).split('\n').filter((line) => line.includes(text) && !line.includes('ps -eo'))
}

describe('a checkout that is stopped', () => {
  it('while the server says nothing ends, with all processes, and the next one works', async () => {
    const { commit, server, url } = await served()
    const agent = await checkouts()
    server.fallSilent()
    const stop = new AbortController()
    const stopped = agent.prepare({ repository: url, commit, signal: stop.signal })
    await expect.poll(() => server.requests.length).toBeGreaterThan(0)
    stop.abort()
    await expect(stopped).rejects.toMatchObject({ code: 'canceled' })
    await expect.poll(() => processesNaming(url)).toEqual([])
    server.answerAgain()
    expect((await agent.prepare({ repository: url, commit })).commit).toBe(commit)
  })

  it('while a server accepts the connection and says nothing ends', async () => {
    let connections = 0
    const silent = createServer((socket) => {
      connections += 1
      socket.on('error', () => undefined)
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const address = silent.address()
    const port = address === null || typeof address === 'string' ? 0 : address.port
    const agent = await checkouts()
    for (const repository of [`http://127.0.0.1:${port}/app.git`, `git://127.0.0.1:${port}/app.git`]) {
      const before = connections
      const stop = new AbortController()
      const stopped = agent.prepare({ repository, signal: stop.signal })
      await expect.poll(() => connections).toBeGreaterThan(before)
      stop.abort()
      await expect(stopped).rejects.toMatchObject({ code: 'canceled' })
    }
  })

  it('before it began does nothing', async () => {
    const { commit, url } = await served()
    const agent = await checkouts()
    await expect(agent.prepare({ repository: url, commit, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'canceled' })
    expect(await agent.commands()).toEqual([])
  })

  it('while another slot fetches the same repository ends without waiting for it', async () => {
    const { commit, server, url } = await served()
    const agent = await checkouts()
    server.fallSilent()
    const firstStop = new AbortController()
    const first = agent.prepare({ repository: url, commit, slot: 0, signal: firstStop.signal })
    await expect.poll(() => server.requests.length).toBeGreaterThan(0)
    const secondStop = new AbortController()
    const second = agent.prepare({ repository: url, commit, slot: 1, signal: secondStop.signal })
    secondStop.abort()
    await expect(second).rejects.toMatchObject({ code: 'canceled' })
    firstStop.abort()
    await expect(first).rejects.toMatchObject({ code: 'canceled' })
  })

  it('at any moment leaves what the next one can use', async () => {
    const { root, work, url } = await served()
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`folder-${at % 17}/file-${at}`, `${at}\n`.repeat(50)]))
    const full = await work.commit(files)
    const bare = await work.commit(Object.fromEntries(Object.keys(files).map((name) => [name, null])))
    await work.git('push', '--quiet', join(root, 'app.git'), 'main')
    const agent = await checkouts()
    for (let round = 0; round < 12; round += 1) {
      const commit = round % 2 === 0 ? full : bare
      const stop = new AbortController()
      const stopped = agent.prepare({ repository: url, commit, signal: stop.signal }).catch((error: unknown) => error)
      setTimeout(() => stop.abort(), round * 8)
      await stopped
    }
    const { folder } = await agent.prepare({ repository: url, commit: full })
    expect(await listing(folder)).toEqual(await freshClone(work.path, full, join(root, 'clone')))
    expect(await git(folder, 'fsck', '--no-dangling')).toBe('')
    expect(agent.log.filter((line) => line.includes('damaged'))).toEqual([])
  })
})

describe('a server that falls silent', () => {
  it('is given up after a while, with a sentence, and without being asked again', async () => {
    const { commit, server, url } = await served()
    const agent = await checkouts({ stallMs: 300 })
    server.fallSilent()
    await expect(agent.prepare({ repository: url, commit })).rejects.toMatchObject({ code: 'repository_stalled', message: expect.stringContaining('stopped answering') })
    expect(server.requests.length).toBe(1)
    server.answerAgain()
    const patient = await checkouts()
    const { folder } = await patient.prepare({ repository: url, commit })
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('one\n')
  })
})
