/** Steps that a running job brings, through the real Worker: what is wrong is refused by its place, and brings nothing. */
import { describe, expect, it } from 'vitest'
import type { BuildView, Problem } from '../../../schema/api.ts'
import type { AgentId, AttemptId } from '../../../schema/job.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import { sha256Hex } from '../../../coordinator/trust/tokens.ts'
import { jobTokenOf } from '../../support/job-token.ts'
import { ask, json, ORIGIN } from '../../support/ask.ts'

const REGISTRATION = 'kdg_reg_for-tests-only-0123456789abcdef'
let names = 0

/** A build whose only job runs, and what that job can ask. */
async function running() {
  const name = `steps${++names}`
  const id = `a_${name.padEnd(20, 'x')}` as AgentId // of the form, by construction
  const secret = `kdg_sec_${name}`
  const offer = { name, queue: name, tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  await ask('/v1/agents/register', { token: REGISTRATION, json: { proto: 1, agent_id: id, secret_sha256: sha256Hex(secret), offer } })
  await ask('/api/v1/projects', { json: { slug: name, checkout: false } })
  await ask(`/api/v1/projects/${name}/builds`, { json: { command: 'make', agents: { queue: name } } })
  const sync = async (token: string, seq: number) => json<SyncReply>(await ask('/v1/agent/sync', { token, json: { proto: 1, agent: id, boot_seq: 1, boot_id: 'boot-one', seq, state: 'ready', slots: 1, offer_rev: 1, offer, doorbell: false, running: [], finished: [] } }))
  const { session } = await sync(secret, 1)
  const { assignments } = await sync(session, 2) // who has shown that it hears is given work
  const [assignment] = assignments
  if (assignment === undefined) throw new Error('the job was not given out')
  const { attempt, token } = assignment
  const upload = (pipeline: unknown, { key = crypto.randomUUID() as string | null, as = jobTokenOf(token) as string | null, of = attempt as string, replace = undefined as unknown } = {}) =>
    ask(`/v1/attempts/${of}/pipeline`, { token: as, json: { pipeline, ...(replace === undefined ? {} : { replace }) }, headers: key === null ? {} : { 'idempotency-key': key } })
  const build = async () => json<BuildView>(await ask(`/api/v1/projects/${name}/builds/1`))
  const metaData = (what: 'get' | 'set' | null, body?: unknown, { of = attempt as string } = {}) => ask(`/v1/attempts/${of}/meta-data${what === null ? '' : `/${what}`}`, { token: jobTokenOf(token), ...(body === undefined ? {} : { json: body }) })
  const unblock = (step: string, body?: unknown) => ask(`/api/v1/projects/${name}/builds/1/steps/${step}/unblock`, { method: 'POST', ...(body === undefined ? {} : { json: body }) })
  const annotation = (method: 'POST' | 'DELETE', given: unknown, { of = attempt as string, key = null as string | null } = {}) => {
    const query = method === 'DELETE' ? `?${new URLSearchParams(given as Record<string, string>)}` : ''
    return ask(`/v1/attempts/${of}/annotations${query}`, { method, token: jobTokenOf(token), headers: key === null ? {} : { 'idempotency-key': key }, ...(method === 'POST' ? { json: given } : {}) })
  }
  const post = (what: string, body: unknown, { of = attempt as string, as = jobTokenOf(token) as string | null, key = null as string | null } = {}) => ask(`/v1/attempts/${of}/${what}`, { token: as, json: body, headers: key === null ? {} : { 'idempotency-key': key } })
  return { name, attempt, token, upload, build, metaData, annotation, unblock, post }
}

async function refusal(response: Response, status: number): Promise<Problem> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  return json<Problem>(response)
}

const STEPS = { steps: [{ command: 'make test', key: 'test', parallelism: 2 }, { wait: null }, { command: 'make deploy' }] }

describe('an upload', () => {
  it('becomes steps and jobs of the build, once, however often it is sent', async () => {
    const { upload, build } = await running()
    const key = crypto.randomUUID()
    for (let time = 0; time < 2; time++) expect(await json(await upload(STEPS, { key }))).toEqual({ steps: 3, jobs: 3 })
    expect((await build()).jobs).toHaveLength(4)
  })

  it('with mistakes is refused with all of them, and brings nothing', async () => {
    const { upload, build } = await running()
    const problem = await refusal(await upload({ steps: [{ command: 'make', paralelism: 2 }, { command: 'make', priority: 'high' }] }), 422)
    expect(problem).toMatchObject({ code: 'pipeline-invalid', errors: [{ path: 'steps[0].paralelism' }, { path: 'steps[1].priority' }] })
    expect(problem.detail).toMatch(/^steps\[0\]\.paralelism: .* And 1 more\.$/)
    expect((await build()).jobs).toHaveLength(1)
  })

  it('that asks for what is not run yet says so, with a way out', async () => {
    const { upload } = await running()
    expect(await refusal(await upload({ steps: [{ command: 'make', secrets: ['TOKEN'] }] }), 422)).toMatchObject({ errors: [{ path: 'steps[0].secrets', message: expect.stringContaining('until then') }] })
  })

  it.each<[string, unknown]>([['nothing', null], ['a number', 7], ['text', 'make'], ['steps that are none', { steps: { a: 1 } }], ['a circle', { steps: [{ command: 'a', key: 'a', depends_on: 'b' }, { command: 'b', key: 'b', depends_on: 'a' }] }], ['a depth of a thousand', JSON.parse(`${'{"steps":['.repeat(500)}${']}'.repeat(500)}`)]])('of %s is refused', async (_what, pipeline) => {
    const { upload } = await running()
    expect(await refusal(await upload(pipeline), 422)).toMatchObject({ code: 'pipeline-invalid' })
  })

  it('needs a key, and a key means one upload', async () => {
    const { upload } = await running()
    expect(await refusal(await upload(STEPS, { key: null }), 400)).toMatchObject({ code: 'idempotency-key-missing' })
    await upload(STEPS, { key: 'one' })
    expect(await refusal(await upload({ steps: [{ command: 'other' }] }, { key: 'one' }), 422)).toMatchObject({ code: 'idempotency-key-reused' })
  })

  it('that replaces takes the place of what waits, and is another than the same that does not', async () => {
    const { upload, build } = await running()
    const [key, again] = [crypto.randomUUID(), { steps: [{ command: 'make again', key: 'test' }] }]
    await upload({ steps: [{ block: 'Sure?' }, { command: 'make test', key: 'test' }] })
    expect(await refusal(await upload(again, { replace: 'yes' }), 422)).toMatchObject({ code: 'body-invalid', errors: [{ path: 'replace' }] })
    expect(await refusal(await upload(again), 422)).toMatchObject({ code: 'pipeline-invalid' })
    for (let time = 0; time < 2; time++) expect(await json(await upload(again, { key, replace: true }))).toEqual({ steps: 1, jobs: 1 })
    expect((await build()).steps.map(({ state, outcome }) => outcome ?? state)).toEqual(['running', 'running', 'skipped', 'skipped'])
    expect(await refusal(await upload(again, { key }), 422)).toMatchObject({ code: 'idempotency-key-reused' })
  })

  it('is a body of at most a mebibyte', async () => {
    const { upload } = await running()
    expect(await refusal(await upload({ steps: [{ command: 'x'.repeat(1024 * 1024) }] }), 413)).toMatchObject({ code: 'body-too-large' })
  })
})

describe('meta-data', () => {
  it('is set, read and listed by keys of every kind', async () => {
    const { metaData } = await running()
    for (const key of ['version', '__proto__', 'a/b?c#d%00', '日本', 'a\nb']) {
      expect(await json(await metaData('get', { key }))).toEqual({ value: null })
      expect(await json(await metaData('set', { key, value: `of ${key}` }))).toEqual({ value: `of ${key}` })
      expect(await json(await metaData('get', { key }))).toEqual({ value: `of ${key}` })
    }
    expect(await json(await metaData(null))).toEqual({ keys: ['__proto__', 'a\nb', 'a/b?c#d%00', 'version', '日本'] })
  })

  it('may be as large as it may be, also where JSON makes it six times that', async () => {
    const { metaData } = await running()
    for (const value of ['x'.repeat(100 * 1024), '\u0001'.repeat(100 * 1024)]) {
      expect((await metaData('set', { key: 'large', value })).status).toBe(200)
      expect(await json(await metaData('get', { key: 'large' }))).toEqual({ value })
    }
    expect(await refusal(await metaData('set', { key: 'large', value: 'x'.repeat(100 * 1024 + 1) }), 422)).toMatchObject({ errors: [{ path: 'value', message: expect.stringContaining('100 KiB') }] })
    expect(await refusal(await metaData('set', { key: 'large', value: 'x'.repeat(1024 * 1024) }), 413)).toMatchObject({ code: 'body-too-large' })
  })

  it.each<[string, unknown, readonly string[]]>([
    ['nothing', {}, ['key', 'value']],
    ['other types', { key: 1, value: null }, ['key', 'value']],
    ['empty ones', { key: ' ', value: '' }, ['key', 'value']],
    ['a NUL', { key: 'a\0', value: 'b\0' }, ['key', 'value']],
    ['a name that is not known', { key: 'a', value: 'b', job: 'J1-1-1' }, ['job']],
  ])('of %s is refused', async (_what, body, paths) => {
    const { metaData } = await running()
    expect((await refusal(await metaData('set', body), 422)).errors?.map(({ path }) => path)).toEqual(paths)
  })

  it('is opened by the token of its own attempt', async () => {
    const { attempt, metaData } = await running()
    const other = await running()
    for (const [what, body] of [['set', { key: 'a', value: 'b' }], ['get', { key: 'a' }], [null, undefined]] as const) expect(await refusal(await metaData(what, body, { of: other.attempt }), 403)).toMatchObject({ detail: expect.stringContaining(`belongs to attempt ${attempt}`) })
  })
})

describe('an annotation', () => {
  it('is written, read with its build and removed', async () => {
    const { name, annotation, build } = await running()
    expect(await json(await annotation('POST', { body: '**hello**', style: 'success' }))).toEqual({ bytes: 9 })
    expect((await build()).annotations).toMatchObject([{ job: null, context: 'default', style: 'success', priority: 3, bytes: 9 }])
    expect(await json(await ask(`/api/v1/projects/${name}/builds/1/annotations`))).toMatchObject([{ context: 'default', body: '**hello**' }])
    expect(await json(await annotation('DELETE', {}))).toEqual({ removed: true })
    expect(await json(await annotation('DELETE', { context: 'default', scope: 'build' }))).toEqual({ removed: false })
    expect((await build()).annotations).toEqual([])
  })

  it('is on the page of its build as harmless HTML, and a page that has it is not sent it again', async () => {
    const { name, annotation, build } = await running()
    await annotation('POST', { body: '<script>alert(1)</script> [x](javascript:alert(1)) **bold**', context: '"><b>', style: 'error' })
    await annotation('POST', { body: 'of the *job*', scope: 'job' })
    const page = async (has?: string) => (await ask(`/projects/${name}/builds/1`, { headers: { accept: 'text/html', ...(has === undefined ? {} : { 'x-kedge-refresh': has }) } })).text()
    const html = await page()
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt; [x](javascript:alert(1)) <strong>bold</strong>')
    expect(html).toContain('aria-label="Error: &quot;&gt;&lt;b&gt;"')
    expect(html).toContain('of the <em>job</em>')
    const keys = [...html.matchAll(/data-keep="(annotations-[^"]*)"/g)].map(([, key]) => key)
    expect(keys).toHaveLength(2)
    const again = await page(keys.join(' '))
    for (const key of keys) expect(again).toContain(`data-keep="${key}"`)
    expect(again).not.toContain('bold')
    expect(await page('1')).toContain('<strong>bold</strong>')
    await annotation('POST', { body: 'changed', scope: 'job' })
    expect(await page(keys.join(' '))).toContain('changed')
    expect((await build()).annotations).toHaveLength(2)
  })

  it('is appended once for each key, which it needs', async () => {
    const { name, annotation } = await running()
    expect(await refusal(await annotation('POST', { body: 'a', append: true }), 400)).toMatchObject({ code: 'idempotency-key-missing' })
    for (let time = 0; time < 2; time++) expect(await json(await annotation('POST', { body: 'a', append: true }, { key: 'one' }))).toEqual({ bytes: 1 })
    expect(await refusal(await annotation('POST', { body: 'b', append: true }, { key: 'one' }), 422)).toMatchObject({ code: 'idempotency-key-reused' })
    expect(await json(await ask(`/api/v1/projects/${name}/builds/1/annotations`))).toMatchObject([{ body: 'a' }])
  })

  it('may be a mebibyte, also where JSON makes it six times that', async () => {
    const { annotation } = await running()
    for (const body of ['x'.repeat(1024 * 1024), '\u0001'.repeat(1024 * 1024)]) expect(await json(await annotation('POST', { body }))).toEqual({ bytes: 1024 * 1024 })
    expect(await refusal(await annotation('POST', { body: 'x'.repeat(1024 * 1024 + 1) }), 422)).toMatchObject({ errors: [{ path: 'body', message: expect.stringContaining('1024 KiB') }] })
  })

  it.each<[string, unknown, readonly string[]]>([
    ['other types', { body: 1, context: 2, style: 'bold', priority: '3', append: 'yes', scope: 'all' }, ['context', 'scope', 'body', 'style', 'priority', 'append']],
    ['empty ones', { body: '', context: ' ', priority: 0 }, ['context', 'body', 'priority']],
    ['a NUL', { body: 'a\0', context: 'b\0', priority: 11 }, ['context', 'body', 'priority']],
    ['a name that is not known', { body: 'a', job: 'J1-1-1' }, ['job']],
    ['a context that is too long', { body: 'a', context: 'c'.repeat(101) }, ['context']],
  ])('of %s is refused, and changes nothing', async (_what, given, paths) => {
    const { annotation, build } = await running()
    expect((await refusal(await annotation('POST', given), 422)).errors?.map(({ path }) => path)).toEqual(paths)
    expect((await build()).annotations).toEqual([])
  })

  it('is opened by the token of its own attempt', async () => {
    const { annotation } = await running()
    const other = await running()
    for (const method of ['POST', 'DELETE'] as const) expect((await annotation(method, {}, { of: other.attempt })).status).toBe(403)
    expect(await refusal(await annotation('DELETE', { scope: 'all', who: 'me' }), 400)).toMatchObject({ code: 'query-invalid', errors: [{ path: 'scope' }, { path: 'who' }] })
  })
})

describe('a block with fields', () => {
  const ASKING = { steps: [{ block: 'Release?', key: 'ask', fields: [{ text: 'Version', key: 'version', format: '\\d+' }, { select: 'Where', key: 'where', multiple: true, default: 'eu', options: [{ label: 'Europe', value: 'eu' }, { label: 'Mars', value: 'mars' }] }] }, { command: 'make release' }] }

  it('is answered over the API, every mistake at once, and its answers are meta-data', async () => {
    const { name, upload, unblock, build, metaData } = await running()
    expect((await upload(ASKING)).status).toBe(200)
    expect(await refusal(await unblock('ask', { fields: { version: 'one', where: 'venus', who: 'me' } }), 422)).toMatchObject({ code: 'answers-invalid', errors: [{ path: 'fields.version' }, { path: 'fields.where' }, { path: 'fields.who' }] })
    expect(await refusal(await unblock('ask'), 422)).toMatchObject({ errors: [{ path: 'fields.version', message: 'needs an answer' }] })
    expect(await refusal(await unblock('ask', { fields: { version: 1 } }), 422)).toMatchObject({ code: 'body-invalid', errors: [{ path: 'fields.version', message: 'must be a text, or a list of texts' }] })
    expect(await refusal(await unblock('ask', { answers: {} }), 422)).toMatchObject({ errors: [{ path: 'answers' }] })
    expect((await unblock('ask', { fields: { version: '7', where: ['mars', 'eu'] } })).status).toBe(200)
    expect((await build()).steps.find(({ key }) => key === 'ask')).toMatchObject({ state: 'done', unblocked: { by: 'admin token', answers: { version: '7', where: 'eu\nmars' } } })
    expect(await json(await metaData('get', { key: 'where' }))).toEqual({ value: 'eu\nmars' })
    expect(await json(await ask(`/api/v1/projects/${name}/builds/1/meta-data`))).toEqual({ meta_data: { version: '7', where: 'eu\nmars' } })
    expect(await refusal(await ask(`/api/v1/projects/${name}/builds/9/meta-data`), 404)).toMatchObject({ code: 'build-unknown' })
  })

  it('is answered by the form of its page, which keeps what was typed when it is refused; not by that of another site', async () => {
    const { name, upload, build } = await running()
    await upload(ASKING)
    const path = `/projects/${name}/builds/1`
    const link = await json<{ url: string }>(await ask('/api/v1/login-links', { method: 'POST' }))
    const signIn = await ask('/sign-in', { method: 'POST', token: null, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: ORIGIN }, body: `token=${new URL(link.url).searchParams.get('token') ?? ''}` })
    const cookie = signIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    const html = await (await ask(path, { token: null, headers: { cookie, accept: 'text/html' } })).text()
    const action = /action="([^"]*\/unblock)"/.exec(html)?.[1] ?? ''
    const send = (fields: string, origin = ORIGIN) => ask(action, { method: 'POST', token: null, headers: { cookie, accept: 'text/html', origin, 'content-type': 'application/x-www-form-urlencoded' }, body: fields })
    expect((await send('asked=version&answer.version=7&asked=where&answer.where=eu', 'https://evil.example')).status).toBe(403)
    const refused = await send('asked=version&answer.version=seven&asked=where')
    expect(refused.status).toBe(422)
    expect(await refused.text()).toMatch(/value="seven".*It must match the format.*It needs an answer/s)
    const taken = await send('asked=version&answer.version=7&asked=where&answer.where=eu&answer.where=mars')
    expect([taken.status, taken.headers.get('location')]).toEqual([303, path])
    expect((await build()).steps.find(({ key }) => key === 'ask')?.unblocked?.answers).toEqual({ version: '7', where: 'eu\nmars' })
  })

  it('whose format cannot be read is refused at its upload', async () => {
    const { upload } = await running()
    expect(await refusal(await upload({ steps: [{ input: 'Version', key: 'ask', fields: [{ text: 'Version', key: 'version', format: '(' }] }] }), 422)).toMatchObject({ code: 'pipeline-invalid', errors: [{ path: 'steps[0].fields[0].format' }] })
  })
})

describe("a job's token", () => {
  it('is asked for by name, and no other will do', async () => {
    const { attempt, token, upload } = await running()
    expect(await refusal(await upload(STEPS, { as: null }), 401)).toMatchObject({ code: 'token-invalid', detail: expect.stringContaining('KEDGE_JOB_TOKEN') })
    expect(await refusal(await upload(STEPS, { as: token }), 401)).toMatchObject({ detail: expect.stringContaining("this is the attempt's token") })
    expect(await refusal(await upload(STEPS, { as: `${jobTokenOf(token)}x` }), 401)).toMatchObject({ detail: "The job's token is not valid, or not any more." })
    const other = await running()
    expect(await refusal(await upload(STEPS, { of: other.attempt }), 403)).toMatchObject({ detail: expect.stringContaining(`belongs to attempt ${attempt}`) })
    expect(await refusal(await upload(STEPS, { of: 'J1' as AttemptId }), 400)).toMatchObject({ code: 'bad-request' })
  })

  it("does not open the attempt's log", async () => {
    const { attempt, token } = await running()
    const response = await ask(`/v1/attempts/${attempt}/log?offset=0`, { method: 'PUT', token: jobTokenOf(token), body: 'x' })
    expect(response.status).toBe(401)
  })
})

describe('steps of the build', () => {
  it('are told, changed and cancelled', async () => {
    const { upload, post, build } = await running()
    await upload(STEPS)
    expect(await json(await post('steps/get', { step: 'test' }))).toMatchObject({ step: { key: 'test', state: 'ready', outcome: 'neutral' } })
    expect(await json(await post('steps/get', { step: null }))).toMatchObject({ step: { label: 'Pipeline upload' } })
    expect(await json(await post('steps/update', { step: 'test', attribute: 'label', value: 'Test' }, { key: 'one' }))).toEqual({ updated: true })
    expect(await json(await post('steps/cancel', { step: 'test' }))).toMatchObject({ id: expect.stringMatching(/^S\d+-1-2$/) })
    expect((await build()).steps.find(({ key }) => key === 'test')).toMatchObject({ label: 'Test', outcome: 'canceled' })
    expect(await json(await post('build/cancel', {}))).toEqual({ build: 1 })
    expect((await build()).state).toBe('canceling')
  })

  it('are not for the token of another job', async () => {
    const [{ attempt }, other] = [await running(), await running()]
    for (const [what, body] of [['steps/get', { step: null }], ['steps/update', { step: null, attribute: 'label', value: 'a' }], ['steps/cancel', { step: null }], ['build/cancel', {}]] as const) {
      await refusal(await other.post(what, body, { of: attempt, key: 'k' }), 403)
      await refusal(await other.post(what, body, { of: attempt, key: 'k', as: null }), 401)
    }
  })

  it.each<[string, unknown, string]>([
    ['steps/get', {}, 'step'],
    ['steps/get', { step: 7 }, 'step'],
    ['steps/get', { step: 'x'.repeat(201) }, 'step'],
    ['steps/update', { step: null, attribute: 'label' }, 'value'],
    ['steps/cancel', { step: null, force: true }, 'force'],
    ['build/cancel', { build: 2 }, 'build'],
  ])('%s takes no %j', async (what, body, path) => {
    const { post } = await running()
    expect((await refusal(await post(what, body, { key: 'k' }), 422)).errors?.map((error) => error.path)).toEqual([path])
  })

  it('are changed under a key alone', async () => {
    const { post, upload } = await running()
    await upload(STEPS)
    const change = (value: string, key: string | null) => post('steps/update', { step: 'test', attribute: 'label', value, append: true }, { key })
    expect(await refusal(await change('a', null), 400)).toMatchObject({ code: 'idempotency-key-missing' })
    expect((await change('a', 'one')).status).toBe(200)
    expect(await refusal(await change('b', 'one'), 422)).toMatchObject({ code: 'idempotency-key-reused' })
  })
})
