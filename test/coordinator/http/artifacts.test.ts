/** Artifacts through the real Worker and R2: what jobs send and fetch, what people are given, and what is refused. */
import { createHash } from 'node:crypto'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { sweepArtifacts } from '../../../coordinator/artifact-store.ts'
import type { Environment } from '../../../coordinator/environment.ts'
import { signAttempt, sha256Hex } from '../../../coordinator/trust/tokens.ts'
import type { Problem } from '../../../schema/api.ts'
import { PIECE_BYTES, type ArtifactPage, type StoredPiecesReply } from '../../../schema/artifacts.ts'
import type { AgentId, AttemptId } from '../../../schema/job.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import { ask, json } from '../../support/ask.ts'
import { jobTokenOf } from '../../support/job-token.ts'

const SIGNING = 'for-tests-only-0123456789abcdef0123456789abcdef'
let names = 0

/** A job that runs, and what it can do. */
async function running() {
  const name = `art${++names}`
  const id = `a_${name.padEnd(20, 'x')}` as AgentId // of the form, by construction
  const secret = `kdg_sec_${name}`
  const offer = { name, queue: name, tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  await ask('/v1/agents/register', { token: 'kdg_reg_for-tests-only-0123456789abcdef', json: { proto: 1, agent_id: id, secret_sha256: sha256Hex(secret), offer } })
  await ask('/api/v1/projects', { json: { slug: name, checkout: false } })
  await ask(`/api/v1/projects/${name}/builds`, { json: { command: 'make', agents: { queue: name } } })
  let session = secret
  let seq = 0
  const sync = async (finished: readonly unknown[] = []) => {
    const reply = await json<SyncReply>(await ask('/v1/agent/sync', { token: session, json: { proto: 1, agent: id, boot_seq: 1, boot_id: 'boot-one', seq: ++seq, state: 'ready', slots: 1, offer_rev: 1, offer, doorbell: false, running: [], finished } }))
    session = reply.session
    return reply
  }
  await sync()
  const [assignment] = (await sync()).assignments
  if (assignment === undefined) throw new Error('the job was not given out')
  const { attempt } = assignment
  const token = jobTokenOf(assignment.token)
  const base = `/v1/attempts/${attempt}/artifacts`
  const put = async (bytes: Uint8Array<ArrayBuffer>, { whole = sha(bytes), piece = '0', digest = sha(bytes), headers = {} as Record<string, string> } = {}) =>
    ask(`${base}/${whole}/pieces/${piece}?sha256=${digest}`, { method: 'PUT', token, body: bytes, headers: { 'content-length': String(bytes.byteLength), ...headers } })
  const register = (files: unknown) => ask(base, { token, json: { files } })
  return {
    name,
    attempt,
    token,
    base,
    put,
    register,
    /** Whole, as an agent does it. */
    upload: async (path: string, text: string, contentType = 'text/plain') => {
      await put(bytesOf(text))
      return register([fileOf(path, bytesOf(text), contentType)])
    },
    pieces: async (after = '') => json<StoredPiecesReply>(await ask(`${base}/pieces${after}`, { token })),
    search: async (query: string, more: Record<string, unknown> = {}) => ask(`${base}/search`, { token, json: { query, ...more } }),
    fetch: (text: string, { of = attempt as string, headers = {}, as = token }: { readonly of?: string; readonly headers?: Record<string, string>; readonly as?: string } = {}) => ask(`${base}/of/${of}/${sha(bytesOf(text))}?bytes=${bytesOf(text).byteLength}`, { token: as, headers }),
    list: async (more = '') => json<ArtifactPage>(await ask(`/api/v1/projects/${name}/builds/1/artifacts${more}`)),
    finish: () => {
      const result = JSON.stringify({ outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: null, finished_at: 0, log_bytes: 0, log_sha256: '' })
      return sync([{ attempt, digest: `sha256:${sha256Hex(result)}`, result }])
    },
  }
}

const bytesOf = (text: string) => new Uint8Array(new TextEncoder().encode(text))
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const textOf = async (response: Response) => new TextDecoder().decode(await response.arrayBuffer())
const fileOf = (path: string, bytes: Uint8Array, content_type = 'text/plain') => ({ path, bytes: bytes.byteLength, sha256: sha(bytes), sha1: 'a'.repeat(40), content_type })

async function refusal(response: Response, status: number): Promise<Problem> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  return json<Problem>(response)
}

describe('an upload', () => {
  it('is there for jobs and people when it is registered, and not before', async () => {
    const job = await running()
    expect((await job.put(bytesOf('hello'))).status).toBe(204)
    expect((await job.list()).artifacts).toEqual([])
    expect(await json(await job.register([fileOf('dist/a.txt', bytesOf('hello'))]))).toEqual({ files: 1 })
    expect((await job.list()).artifacts).toMatchObject([{ id: `${job.attempt}/dist/a.txt`, path: 'dist/a.txt', bytes: 5, job: job.attempt.replace(/\.\d+$/, '') }])
    expect(await textOf(await job.fetch('hello'))).toBe('hello')
  })

  it('of the same again changes nothing, and another file takes the place of its path', async () => {
    const job = await running()
    for (let time = 0; time < 2; time++) expect((await job.upload('a', 'one')).status).toBe(200)
    expect((await job.list()).artifacts).toHaveLength(1)
    await job.upload('a', 'another')
    expect((await job.list()).artifacts).toMatchObject([{ path: 'a', bytes: 7 }])
  })

  it('says which pieces are there, so that they need not be sent again', async () => {
    const job = await running()
    await job.put(bytesOf('one'))
    await job.put(bytesOf('two'), { whole: 'f'.repeat(64), piece: '7' })
    expect((await job.pieces()).pieces).toEqual(expect.arrayContaining([{ sha256: sha(bytesOf('one')), piece: 0, bytes: 3 }, { sha256: 'f'.repeat(64), piece: 7, bytes: 3 }]))
    expect(await job.pieces(`?after=${'f'.repeat(64)}/00007`)).toEqual({ pieces: [], next: null })
  })

  it('of several pieces may come in any order, and is read as one', async () => {
    const job = await running()
    const first = new Uint8Array(PIECE_BYTES).fill(1)
    const last = bytesOf('the end')
    const whole = 'c'.repeat(64)
    const file = { ...fileOf('large', last), sha256: whole, bytes: PIECE_BYTES + last.byteLength }
    expect((await job.put(last, { whole, piece: '1' })).status).toBe(204)
    expect(await refusal(await job.register([file]), 409)).toMatchObject({ code: 'bytes-missing' })
    expect((await job.put(first, { whole })).status).toBe(204)
    expect((await job.register([file])).status).toBe(200)
    const read = (range: string) => ask(`${job.base}/of/${job.attempt}/${whole}?bytes=${file.bytes}`, { token: job.token, headers: { range } })
    expect(new Uint8Array(await (await read(`bytes=${PIECE_BYTES - 2}-${PIECE_BYTES + 2}`)).arrayBuffer())).toEqual(new Uint8Array([1, 1, ...bytesOf('the')]))
    expect(await textOf(await read('bytes=-3'))).toBe('end')
    expect((await (await read('bytes=0-')).arrayBuffer()).byteLength).toBe(file.bytes)
  })

  it('of nothing is an artifact too', async () => {
    const job = await running()
    await job.upload('empty', '')
    expect((await job.list()).artifacts).toMatchObject([{ path: 'empty', bytes: 0 }])
    const response = await job.fetch('')
    expect([response.status, await textOf(response)]).toEqual([200, ''])
  })
})

describe('what is refused', () => {
  it('a piece that is not what its digest says, and nothing of it is stored', async () => {
    const job = await running()
    expect(await refusal(await job.put(bytesOf('hello'), { digest: sha(bytesOf('hellu')) }), 422)).toMatchObject({ code: 'piece-damaged' })
    expect((await job.pieces()).pieces).toEqual([])
  })

  it.each([
    ['a piece of no number', { piece: 'x' }, 400, 'piece-invalid'],
    ['a piece behind the largest file', { piece: '320' }, 400, 'piece-invalid'],
    ['a digest that is none', { digest: 'x' }, 400, 'digest-invalid'],
    ['a whole that is named by no digest', { whole: '..%2F..%2Flogs' }, 400, 'digest-invalid'],
    ['a piece that is too large', { headers: { 'content-length': String(PIECE_BYTES + 1) } }, 413, 'piece-too-large'],
  ] as const)('%s', async (_what, changes, status, code) => {
    const job = await running()
    expect(await refusal(await job.put(bytesOf('hello'), changes), status)).toMatchObject({ code })
    expect((await job.pieces()).pieces).toEqual([])
  })

  it.each<[string, Record<string, unknown>]>([
    ['a path out of its folder', { path: '../etc/passwd' }],
    ['an absolute path', { path: '/etc/passwd' }],
    ['a path with a control character', { path: 'a\u001b[2Jb' }],
    ['a path that turns text round', { path: 'a\u202Egpj.exe' }],
    ['an empty path', { path: '' }],
    ['a path of too many bytes', { path: 'x'.repeat(2000) }],
    ['a size below nothing', { bytes: -1 }],
    ['more than ten gibibytes', { bytes: 10 * 1024 ** 3 + 1 }],
    ['a content type that holds a header', { content_type: 'text/plain\r\nset-cookie: a=b' }],
    ['an unknown field', { owner: 'me' }],
  ])('%s, with all that is beside it', async (_what, changes) => {
    const job = await running()
    await job.put(bytesOf('hello'))
    expect(await refusal(await job.register([fileOf('fine', bytesOf('hello')), { ...fileOf('a', bytesOf('hello')), ...changes }]), 422)).toMatchObject({ code: 'body-invalid' })
    expect((await job.list()).artifacts).toEqual([])
  })

  it('a file whose bytes are not there, or of another size', async () => {
    const job = await running()
    await job.put(bytesOf('hello'))
    expect(await refusal(await job.register([fileOf('a', bytesOf('never sent'))]), 409)).toMatchObject({ code: 'bytes-missing', detail: expect.stringContaining('"a"') })
    expect(await refusal(await job.register([{ ...fileOf('a', bytesOf('hello')), bytes: 6 }]), 409)).toMatchObject({ code: 'bytes-missing' })
    expect((await job.list()).artifacts).toEqual([])
  })

  it('whatever a job that has ended would register', async () => {
    const job = await running()
    await job.put(bytesOf('hello'))
    await job.finish()
    expect(await refusal(await job.register([fileOf('a', bytesOf('hello'))]), 409)).toMatchObject({ code: 'attempt_final' })
    expect((await job.list()).artifacts).toEqual([])
  })

  it("another attempt's token, and every other kind", async () => {
    const [job, other] = [await running(), await running()]
    for (const token of [other.token, 'kdg_adm_for-tests-only-0123456789abcdef', null]) {
      const path = `${job.base}/${sha(bytesOf('x'))}/pieces/0?sha256=${sha(bytesOf('x'))}`
      expect([401, 403]).toContain((await ask(path, { method: 'PUT', token, body: bytesOf('x'), headers: { 'content-length': '1' } })).status)
      expect([401, 403]).toContain((await ask(job.base, { token, json: { files: [] } })).status)
      expect([401, 403]).toContain((await ask(`${job.base}/pieces`, { token })).status)
    }
    expect((await job.pieces()).pieces).toEqual([])
  })

  it('artifacts of another project, whoever asks for them by name', async () => {
    const [job, other] = [await running(), await running()]
    await other.upload('a', 'theirs')
    expect(await refusal(await job.fetch('theirs', { of: other.attempt }), 403)).toMatchObject({ code: 'other-project' })
    expect(await refusal(await job.fetch('theirs', { of: 'J1' }), 403)).toMatchObject({ code: 'other-project' })
    expect(await json(await job.search('*'))).toMatchObject({ artifacts: [] })
  })

  it.each(['?after=x', `?after=${'f'.repeat(64)}/../1`, '?after='])('a place to go on from that is none: %s', async (after) => {
    const job = await running()
    expect(await refusal(await ask(`${job.base}/pieces${after}`, { token: job.token }), 400)).toMatchObject({ code: 'query-invalid' })
  })
})

describe('a job', () => {
  it('of another build of the project reads what it names, also when its own attempt was superseded', async () => {
    const job = await running()
    await job.upload('a', 'hello')
    const [project] = /^J\d+/.exec(job.attempt) ?? []
    const attempt = `${project}-77-1.1` as AttemptId // of the form, by construction
    const token = jobTokenOf(signAttempt({ attempt, agent: `a_${'x'.repeat(20)}` as AgentId, expiresAt: Date.now() + 60_000 }, SIGNING))
    const response = await ask(`/v1/attempts/${attempt}/artifacts/of/${job.attempt}/${sha(bytesOf('hello'))}?bytes=5`, { token })
    expect(await textOf(response)).toBe('hello')
  })

  it('finds by a pattern over folders, by build and by job, and is told what there is not', async () => {
    const job = await running()
    await job.upload('dist/deep/a.txt', 'one')
    await job.upload('b.txt', 'two')
    const paths = async (query: string, more = {}) => (await json<ArtifactPage>(await job.search(query, more))).artifacts.map(({ path }) => path)
    expect(await paths('dist/*')).toEqual(['dist/deep/a.txt'])
    expect(await paths('*.txt')).toEqual(['b.txt', 'dist/deep/a.txt'])
    expect(await paths('*', { build: 1, step: job.attempt.replace(/\.\d+$/, '') })).toHaveLength(2)
    expect(await refusal(await job.search('*', { build: 9 }), 404)).toMatchObject({ code: 'build-unknown' })
    expect(await refusal(await job.search('*', { step: 'nobody' }), 404)).toMatchObject({ code: 'step-unknown' })
    expect(await refusal(await job.search('*', { after: 'J9-9-9.9/x' }), 400)).toMatchObject({ code: 'cursor-invalid' })
  })

  it('goes on in the middle of a file', async () => {
    const job = await running()
    await job.upload('a', 'hello')
    const response = await job.fetch('hello', { headers: { range: 'bytes=2-' } })
    expect([response.status, response.headers.get('content-range'), await textOf(response)]).toEqual([206, 'bytes 2-4/5', 'llo'])
    expect(await refusal(await job.fetch('hello', { headers: { range: 'bytes=5-' } }), 416)).toMatchObject({ code: 'range-invalid' })
    expect((await job.fetch('hello', { headers: { range: 'lines=1' } })).status).toBe(200)
  })
})

describe('a person', () => {
  it('gets a page of a job as a file to save, that nothing runs', async () => {
    const job = await running()
    const text = '<script>alert(1)</script>'
    await job.upload('report/in"d\u00e9x.html', text, 'text/html; charset=utf-8')
    const [artifact] = (await job.list()).artifacts
    const response = await ask(new URL(artifact?.url ?? '').pathname)
    expect(await textOf(response)).toBe(text)
    expect(Object.fromEntries(['content-type', 'content-disposition', 'x-content-type-options', 'content-security-policy'].map((name) => [name, response.headers.get(name)]))).toEqual({
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="in_d_x.html"; filename*=UTF-8''in%22d%C3%A9x.html`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    })
    expect(artifact?.content_type).toBe('text/html; charset=utf-8')
  })

  it('gets the newest of a path of the build, as annotations lead there', async () => {
    const job = await running()
    await job.upload('report/a b', 'first')
    await job.upload('report/a b', 'second')
    const path = `/api/v1/projects/${job.name}/builds/1/artifacts/newest`
    expect(await textOf(await ask(`${path}/report/a%20b`))).toBe('second')
    expect(await refusal(await ask(`${path}/report/other`), 404)).toMatchObject({ code: 'artifact-unknown' })
    expect((await ask(`${path}/report/a%20b`, { token: null })).status).toBe(401)
  })

  it('is asked to sign in, and told what there is not', async () => {
    const job = await running()
    await job.upload('a', 'hello')
    const path = `/api/v1/projects/${job.name}/builds/1/artifacts`
    for (const one of [path, `${path}/${job.attempt}/a`]) expect((await ask(one, { token: null })).status).toBe(401)
    for (const [one, code] of [[`${path}/${job.attempt}/b`, 'artifact-unknown'], [`${path}/nothing`, 'artifact-unknown'], [`${path}/%2e%2e%2f%2e%2e`, 'artifact-unknown'], [`${path}?job=J9-9-9`, 'job-unknown']] as const) expect(await refusal(await ask(one), 404)).toMatchObject({ code })
    expect((await ask(`${path}?cursor=x`)).status).toBe(400)
    expect((await ask(`${path}?jobs=x`)).status).toBe(400)
  })

  it('sees them on the page of the build, by their names as text', async () => {
    const job = await running()
    await job.upload('<img src=x>.txt', 'hello')
    await job.finish()
    const page = await (await ask(`/projects/${job.name}/builds/1`, { headers: { accept: 'text/html' } })).text()
    expect(page).toContain('1 artifact')
    expect(page).toContain('&lt;img src=x&gt;.txt</a>')
    expect(page).not.toContain('<img src=x>')
  })
})

describe('what was kept for long enough', () => {
  it('is removed, and whoever asks for it is told so', async () => {
    const job = await running()
    await job.upload('a', 'hello')
    const [artifact] = (await job.list()).artifacts
    const all = env as unknown as Environment // declared by nobody; wrangler.toml holds what Environment says
    expect(await sweepArtifacts(all, Date.now() - 60_000)).toBe(0)
    expect((await job.fetch('hello')).status).toBe(200)
    expect(await sweepArtifacts(all, Date.now() + 60_000)).toBeGreaterThanOrEqual(1)
    expect(await refusal(await job.fetch('hello'), 410)).toMatchObject({ code: 'artifact-gone', detail: expect.stringContaining('90 days') })
    expect(await refusal(await ask(new URL(artifact?.url ?? '').pathname), 410)).toMatchObject({ code: 'artifact-gone', detail: expect.stringContaining('"a"') })
    expect((await job.list()).artifacts).toHaveLength(1)
  })
})
