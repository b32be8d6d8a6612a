/** Bytes of artifacts over a network that breaks, between the command as scripts run it and the real Worker. */
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { download, downloadArtifacts } from '../../agent/cli/artifact-download.ts'
import { findArtifacts } from '../../agent/cli/artifact-search.ts'
import { createUploads, uploadArtifacts } from '../../agent/cli/artifact-upload.ts'
import { createClient } from '../../agent/cli/client.ts'
import { EXIT } from '../../agent/cli/output.ts'
import { startCoordinator } from '../../agent/embedded.ts'
import { signAttempt } from '../../coordinator/trust/tokens.ts'
import { PIECE_BYTES } from '../../schema/artifacts.ts'
import { attemptId, type AgentId } from '../../schema/job.ts'
import { ownFolder } from '../support/folder.ts'
import { jobTokenOf } from '../support/job-token.ts'
import { ownQueue, sharedCoordinator } from '../support/installation.ts'
import { PASS, RESET, startProxy, VANISH, type Passage, type Proxy } from '../support/proxy.ts'
import { runningJob } from '../support/running-job.ts'

const coordinator = sharedCoordinator()

async function setUp() {
  const [job, proxy, folder] = [await runningJob(coordinator(), ownQueue()), await startProxy(coordinator()), await ownFolder()]
  const around = job.around({ url: proxy.url, folder })
  const direct = job.around({ folder })
  return {
    job,
    proxy,
    folder,
    around,
    upload: (paths: string, from = around) => uploadArtifacts({ paths, destination: undefined }, { delimiter: ';' }, from),
    take: (query: string, from = around) => {
      mkdirSync(join(folder, 'taken'), { recursive: true })
      return downloadArtifacts({ query, destination: 'taken/' }, {}, from)
    },
    direct,
  }
}

const isPiece = ({ method }: Passage) => method === 'PUT'
const isRead = ({ method, path }: Passage) => method === 'GET' && path.includes('/artifacts/of/')
/** How often each piece came to the coordinator, by its number. */
const arrived = ({ passages }: Proxy) => Object.groupBy(passages.filter((one) => isPiece(one) && one.status === 204), ({ path }) => path.replace(/^.*\//, ''))

/** A piece and a bit. */
function largeFile(folder: string): Buffer {
  const bytes = Buffer.alloc(PIECE_BYTES + 1000)
  for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, Math.min(at, bytes.length - 4))
  writeFileSync(join(folder, 'large'), bytes)
  return bytes
}

describe('an upload', () => {
  it('that broke off goes on where it was, and sends no piece twice that has arrived [D51]', async () => {
    const { proxy, folder, upload, take } = await setUp()
    const bytes = largeFile(folder)
    proxy.set((one) => (isPiece(one) && one.path.endsWith('/1') ? { kind: 'answer', status: 403, headers: { 'content-type': 'application/problem+json' }, body: '{"detail":"no"}' } : PASS))
    await expect(upload('large')).rejects.toMatchObject({ exitCode: EXIT.notAllowed })
    proxy.set(() => PASS)
    expect(await upload('large')).toBe(EXIT.ok)
    expect(Object.entries(arrived(proxy)).map(([piece, times]) => [piece, times?.length])).toEqual([['0', 1], ['1', 1]])
    expect(await take('large')).toBe(EXIT.ok)
    expect(readFileSync(join(folder, 'taken/large')).equals(bytes)).toBe(true)
  })

  it('lives through connections that are reset and answers that are lost [D51]', async () => {
    const { proxy, folder, upload } = await setUp()
    for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), name)
    proxy.set(({ before, method }) => (before === 0 ? RESET : before === 1 && method !== 'GET' ? { kind: 'lose-reply', by: 'reset' } : PASS))
    expect(await upload('*')).toBe(EXIT.ok)
  })

  it('that stalls is given up and sent again [D51]', async () => {
    const { job, proxy, folder } = await setUp()
    writeFileSync(join(folder, 'a'), 'hello')
    proxy.set((one) => (isPiece(one) && one.before === 0 ? VANISH : PASS))
    const uploads = createUploads({ url: proxy.url, ...job }, { stallMs: 200 })
    await uploads.register([await uploads.send({ file: join(folder, 'a'), path: 'a' }, undefined)])
    expect(proxy.passages.filter(isPiece)).toHaveLength(2)
  })

  it('of a file that changes meanwhile says so, and registers the others', async () => {
    const { job, proxy, folder, direct } = await setUp()
    for (const name of ['a', 'b']) writeFileSync(join(folder, name), name)
    const noted: string[] = []
    const ofA = createHash('sha256').update('a').digest('hex')
    proxy.set((one) => {
      if (!isPiece(one) || !one.path.includes(ofA)) return PASS
      appendFileSync(join(folder, 'a'), '!') // it was measured and perhaps read by now, so it is asked for again
      return RESET
    })
    const around = job.around({ url: proxy.url, folder, note: (line) => noted.push(line) })
    await expect(uploadArtifacts({ paths: '*', destination: undefined }, { delimiter: ';' }, around)).rejects.toMatchObject({ exitCode: EXIT.failed, message: '1 of 2 files was not uploaded, as said above; the others were.' })
    expect(noted).toEqual([expect.stringMatching(/a was changed while it was being uploaded/)])
    expect((await findArtifacts('*', {}, direct)).found.map(({ path }) => path)).toEqual(['b'])
  })
})

describe('a download', () => {
  it('that breaks off goes on from there [D51]', async () => {
    const { proxy, folder, upload, take, direct } = await setUp()
    const bytes = largeFile(folder)
    await upload('large', direct)
    proxy.set((one) => (isRead(one) && one.before < 2 ? { kind: 'cut-reply' } : PASS))
    expect(await take('large')).toBe(EXIT.ok)
    expect(createHash('sha256').update(readFileSync(join(folder, 'taken/large'))).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(proxy.passages.filter(isRead).map(({ status }) => status)).toEqual([200, 206, 206])
  })

  it('that stalls is given up and asked for again [D51]', async () => {
    const { job, proxy, folder, upload, direct } = await setUp()
    writeFileSync(join(folder, 'a'), 'hello')
    await upload('a', direct)
    const [artifact] = (await findArtifacts('a', {}, direct)).found
    if (artifact === undefined) throw new Error('it was not uploaded')
    proxy.set((one) => (isRead(one) && one.before === 0 ? { kind: 'drip-reply', everyMs: 400 } : PASS))
    await download(createClient({ url: proxy.url, token: job.token }), { place: `/v1/attempts/${job.attempt}/artifacts/of/${artifact.attempt}/${artifact.sha256}?bytes=${artifact.bytes}`, artifact, file: join(folder, 'taken') }, { stallMs: 200 })
    expect(readFileSync(join(folder, 'taken'), 'utf8')).toBe('hello')
  })

  it('of other bytes than were uploaded leaves what was there, and nothing else [D51]', async () => {
    const { proxy, folder, upload, take, direct } = await setUp()
    writeFileSync(join(folder, 'a'), 'hello')
    await upload('a', direct)
    mkdirSync(join(folder, 'taken'))
    writeFileSync(join(folder, 'taken/a'), 'before')
    proxy.set((one) => (isRead(one) ? { kind: 'answer', status: 200, body: 'hellu' } : PASS))
    await expect(take('a')).rejects.toThrow(/"a" is not what was uploaded/)
    expect(readFileSync(join(folder, 'taken/a'), 'utf8')).toBe('before')
    expect(readdirSync(join(folder, 'taken'))).toEqual(['a'])
  })

  it('of a file that is gone says for how long they are kept', async () => {
    const { proxy, folder, upload, take, direct } = await setUp()
    writeFileSync(join(folder, 'a'), 'hello')
    await upload('a', direct)
    const gone = { title: 'Gone', status: 410, code: 'artifact-gone', detail: `The bytes of "${createHash('sha256').update('hello').digest('hex')}" are not there any more.` }
    proxy.set((one) => (isRead(one) ? { kind: 'answer', status: 410, headers: { 'content-type': 'application/problem+json' }, body: JSON.stringify(gone) } : PASS))
    await expect(take('a')).rejects.toMatchObject({ exitCode: EXIT.failed, message: 'The bytes of "a" are not there any more.' })
    expect(existsSync(join(folder, 'taken/a'))).toBe(false)
  })
})

it('a coordinator on one machine removes what it has kept for long enough', async () => {
  const state = join(await ownFolder(), 'state')
  const own = await startCoordinator({ host: '127.0.0.1', port: 0, state, timeScale: 1e12 }) // ninety days are less than a millisecond
  onTestFinished(() => own.stop())
  const { signing_key: key } = JSON.parse(readFileSync(join(state, 'coordinator.json'), 'utf8')) as { signing_key: string } // written by the coordinator
  const attempt = attemptId({ project: 1, build: 1, n: 1, fence: 1 })
  const headers = { authorization: `Bearer ${jobTokenOf(signAttempt({ attempt, agent: `a_${'x'.repeat(20)}` as AgentId, expiresAt: Date.now() + 600_000 }, key))}` }
  const sha256 = createHash('sha256').update('hello').digest('hex')
  const artifacts = `${own.url}/v1/attempts/${attempt}/artifacts`
  expect((await fetch(`${artifacts}/${sha256}/pieces/0?sha256=${sha256}`, { method: 'PUT', headers, body: 'hello' })).status).toBe(204)
  const read = async () => (await fetch(`${artifacts}/of/${attempt}/${sha256}?bytes=5`, { headers })).status
  expect(await read()).toBe(200)
  await own.sweep()
  expect(await read()).toBe(410)
})
