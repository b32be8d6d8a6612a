/**
 * Every route of the Worker's own table, in a world in which all that routes are about is there: a build at work, with
 * steps, a block, annotations, artifacts and a log. What is nearly right is answered, never with a failure of ours; what
 * is refused changes no row; and whatever is taken, no page says what it holds but as text.
 */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { agentRoutes } from '../../../coordinator/http/agent.ts'
import { apiRoutes } from '../../../coordinator/http/api.ts'
import { artifactRoutes } from '../../../coordinator/http/artifacts.ts'
import { attemptRoutes } from '../../../coordinator/http/attempt.ts'
import { jobAnnotationRoutes } from '../../../coordinator/http/job-annotations.ts'
import { jobArtifactRoutes } from '../../../coordinator/http/job-artifacts.ts'
import { jobStepRoutes } from '../../../coordinator/http/job-steps.ts'
import { jobRoutes } from '../../../coordinator/http/job.ts'
import { logRoutes } from '../../../coordinator/http/log.ts'
import { sessionRoutes } from '../../../coordinator/http/session.ts'
import { pageRoutes } from '../../../coordinator/pages/pages.tsx'
import { sha256Hex } from '../../../coordinator/trust/tokens.ts'
import type { AgentId } from '../../../schema/job.ts'
import { PROTOCOL_HEADER } from '../../../schema/refusal.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import { hostileBytes, mutated, type Json } from '../../fuzz/hostile.ts'
import { runs } from '../../fuzz/seed.ts'
import { ADMIN_TOKEN, ask, json, ORIGIN } from '../../support/ask.ts'
import { jobTokenOf } from '../../support/job-token.ts'

const REGISTRATION = 'kdg_reg_for-tests-only-0123456789abcdef'
const [WORKER, IDLE] = [`a_${'worker'.padEnd(20, '0')}`, `a_${'idle'.padEnd(20, '0')}`] as [AgentId, AgentId] // of the form
const BYTES = 'words of a file'
const SHA256 = sha256Hex(BYTES)
const QUEUE = { queue: 'hostile', tags: [] }

/** What would run or load something, were it not told as text. */
const ATTACK = `"'><xpwn onpwn=1><script>pwn()</script></textarea></style>--><a href="javascript:pwn()">\u2028</a>{{pwn}}\u202e[x](javascript:pwn())![x](https://pwn.example/x.png)`

const routes = [...new Set([agentRoutes, attemptRoutes, jobRoutes, jobAnnotationRoutes, jobStepRoutes, jobArtifactRoutes, sessionRoutes, apiRoutes, artifactRoutes, logRoutes, pageRoutes].flatMap((app) => app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`)))]

interface World {
  readonly attempt: string
  readonly token: string
  readonly jobToken: string
  readonly session: string
  /** Of a token that may be revoked. */
  readonly tokenId: string
}
let world: World

beforeAll(async () => {
  const offer = (name: string) => ({ name, queue: 'hostile', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: ATTACK.slice(0, 60), version: '0' } })
  const sync = async (id: AgentId, token: string, seq: number) => json<SyncReply>(await ask('/v1/agent/sync', { token, json: { proto: 1, agent: id, boot_seq: 1, boot_id: 'boot-one', seq, state: 'ready', slots: 1, offer_rev: 1, offer: offer(id), doorbell: false, running: [], finished: [] } }))
  for (const id of [WORKER, IDLE]) await ask('/v1/agents/register', { token: REGISTRATION, json: { proto: 1, agent_id: id, secret_sha256: sha256Hex(`kdg_sec_${id}`), offer: offer(id) } })
  await ask('/api/v1/projects', { json: { slug: 'app', checkout: false, command: 'make' } })
  await ask('/api/v1/projects/app/builds', { json: { command: `make # ${ATTACK}`, message: ATTACK, agents: QUEUE } })
  await ask('/api/v1/projects/app/builds', { json: { command: 'make', agents: { queue: 'of-nobody' } } })
  const { session } = await sync(WORKER, `kdg_sec_${WORKER}`, 1)
  const [assignment] = (await sync(WORKER, session, 2)).assignments
  if (assignment === undefined) throw new Error('no assignment')
  const { attempt, token } = assignment
  const { id: tokenId } = await json<{ id: string }>(await ask('/api/v1/tokens', { json: { kind: 'api', name: 'x', scope: 'read' } }))
  world = { attempt, token, jobToken: jobTokenOf(token), session, tokenId }
  const call = (what: string, body: unknown, method = 'POST') => ask(`/v1/attempts/${attempt}/${what}`, { method, token: world.jobToken, headers: { 'idempotency-key': what }, json: body })
  const pipeline = { steps: [{ block: ATTACK, key: 'ask', prompt: ATTACK, submit: ATTACK, fields: [{ text: ATTACK, key: 'name', hint: ATTACK, default: ATTACK }, { select: ATTACK, key: 'pick', multiple: true, required: false, options: [{ label: ATTACK, value: ATTACK }] }] }, { group: ATTACK, steps: [{ command: `make ${ATTACK}`, label: ATTACK, agents: { queue: 'of-nobody' } }] }] }
  expect((await call('pipeline', { pipeline })).status).toBe(200)
  expect((await ask(`/v1/attempts/${attempt}/artifacts/${SHA256}/pieces/0?sha256=${SHA256}`, { method: 'PUT', token: world.jobToken, headers: { 'content-length': String(BYTES.length) }, body: BYTES })).status).toBe(204)
  expect((await call('artifacts', { files: [{ path: 'plain', bytes: BYTES.length, sha256: SHA256, sha1: '0'.repeat(40), content_type: 'text/plain' }, { path: `a/${ATTACK.replaceAll('/', '').slice(0, 50)}.html`, bytes: BYTES.length, sha256: SHA256, sha1: '0'.repeat(40), content_type: 'text/html' }] })).status).toBe(200)
  for (const scope of ['build', 'job']) expect((await call('annotations', { body: `${ATTACK}\n\n${ATTACK}`, context: 'fixed', scope })).status).toBe(200)
  expect((await ask(`/v1/attempts/${attempt}/log?offset=0`, { method: 'PUT', token, body: `${ATTACK}\n\u001b]8;;javascript:pwn()\u001b\\x\n` })).status).toBe(200)
})

/** What each parameter rightly is; those that differ by route are by its path. */
const parameters = ({ attempt }: World): Readonly<Record<string, string>> => ({ slug: 'app', number: '1', attempt, job: attempt.split('.')[0] ?? '', uploader: attempt, sha256: SHA256, piece: '0' })
const ids = ({ attempt, tokenId }: World, path: string): string => (path.includes('/agents/') ? IDLE : path.includes('/steps/') ? 'ask' : path.includes('/tokens/') ? tokenId : path.includes('/artifacts/') ? `${attempt}/plain` : (attempt.split('.')[0] ?? ''))

const offer: Json = { name: 'idle', queue: 'hostile', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
const registration: Json = { proto: 1, agent_id: IDLE, secret_sha256: sha256Hex(`kdg_sec_${IDLE}`), offer }
/** Of those that take a body, one that is right as it stands, but for what it may name. */
const BODIES: Readonly<Record<string, Json | string>> = {
  'POST /v1/agents/register': registration,
  'POST /v1/agents/rotate': registration,
  'POST /v1/agent/sync': { proto: 1, agent: IDLE, boot_seq: 1, boot_id: 'boot-one', seq: 1, state: 'draining', slots: 1, offer_rev: 1, offer, doorbell: false, running: [], finished: [] },
  'PUT /v1/attempts/:attempt/log': 'more words',
  'POST /v1/attempts/:attempt/log/seal': { bytes: 1, sha256: SHA256 },
  'POST /v1/attempts/:attempt/pipeline': { pipeline: { env: { A: ATTACK }, steps: [{ command: 'make', key: 'again', label: ATTACK, depends_on: ['ask'], plugins: [{ 'docker#v5': { image: ATTACK } }], matrix: ['a', 'b'], if: 'build.branch != "x"', agents: { queue: 'of-nobody' } }, { wait: null }] }, replace: false },
  'POST /v1/attempts/:attempt/meta-data/set': { key: ATTACK.slice(0, 40), value: ATTACK },
  'POST /v1/attempts/:attempt/meta-data/get': { key: 'name' },
  'POST /v1/attempts/:attempt/annotations': { body: ATTACK, context: ATTACK.slice(0, 60), style: 'error', priority: 5, append: true, scope: 'job' },
  'POST /v1/attempts/:attempt/steps/get': { step: 'ask' },
  'POST /v1/attempts/:attempt/steps/update': { step: 'ask', attribute: 'label', value: ATTACK, append: false },
  'POST /v1/attempts/:attempt/steps/cancel': { step: 'again' },
  'POST /v1/attempts/:attempt/artifacts': { files: [{ path: 'b', bytes: BYTES.length, sha256: SHA256, sha1: '0'.repeat(40), content_type: 'text/plain' }] },
  'POST /v1/attempts/:attempt/artifacts/search': { query: '*', build: 1, with_retried: true },
  'PUT /v1/attempts/:attempt/artifacts/:sha256/pieces/:piece': BYTES,
  'POST /api/v1/projects': { slug: 'app', checkout: false, command: ATTACK, default_branch: 'main', timeout_s: 60 },
  'POST /api/v1/projects/:slug/builds': { command: ATTACK, message: ATTACK, env: { A: ATTACK }, agents: { queue: 'of-nobody', tags: ['a=b'] }, priority: 1 },
  'POST /api/v1/projects/:slug/builds/:number/retry': { only: 'failed' },
  'POST /api/v1/projects/:slug/builds/:number/steps/:id/unblock': { fields: { name: '', pick: ['x'] } },
  'POST /api/v1/tokens': { kind: 'api', name: ATTACK.slice(0, 100).replaceAll('\u2028', ''), scope: 'read', life_s: 60 },
  'POST /sign-in': `token=${ADMIN_TOKEN}`,
  'POST /projects/:slug/builds': `command=${encodeURIComponent(ATTACK)}&message=${encodeURIComponent(ATTACK)}&key=x`,
  'POST /projects/:slug/builds/:number/retry': 'only=failed',
  'POST /projects/:slug/builds/:number/steps/:id/unblock': 'asked=name&answer.name=&asked=pick&answer.pick=x',
}
/** These end what the others need: they are asked of the second build. */
const ENDS = /\/(?:cancel|retry)$/
const QUERIES: Readonly<Record<string, string>> = { 'PUT /v1/attempts/:attempt/log': '?offset=0&epoch=1', 'PUT /v1/attempts/:attempt/artifacts/:sha256/pieces/:piece': `?sha256=${SHA256}`, 'GET /v1/attempts/:attempt/artifacts/of/:uploader/:sha256': `?bytes=${BYTES.length}`, 'DELETE /v1/attempts/:attempt/annotations': '?context=gone&scope=job' }

const odd = fc.constantFrom('__proto__', 'constructor', '..', '%00', '%', '%ff', '%2e%2e%2f', '0', '-1', '999999999', '999999999999', 'J1-1-1', 'J1-1-1.1', '%C3%BC', '%E2%80%AE', "'", '*', ':slug', '%0d%0aX:y', 'x'.repeat(3000), '%ED%A0%80')
const query = fc.array(fc.tuple(fc.constantFrom('offset', 'epoch', 'attempt', 'state', 'branch', 'limit', 'cursor', 'project', 'job', 'token', 'context', 'scope', 'after', 'sha256', 'bytes', '__proto__'), fc.oneof(odd, fc.constantFrom('1', '2', 'passed', '1e9', encodeURIComponent(ATTACK)))), { minLength: 1, maxLength: 2 }).map((all) => `?${all.map(([name, value]) => `${name}=${value}`).join('&')}`)
const headers = fc.dictionary(fc.constantFrom('range', 'content-encoding', 'content-type', 'accept', 'cookie', 'origin', 'idempotency-key', 'last-event-id', 'x-kedge-refresh', 'x-kedge-caller'), fc.constantFrom('bytes=0-', 'bytes=-5', 'bytes=-0', 'bytes=9-1', 'bytes=999999999999999-', '-1', '5', '999999999999999', 'gzip', 'application/json', 'application/x-www-form-urlencoded', 'text/html', 'text/event-stream', 'null', 'https://evil.example', '{"via":"secret"}', '__proto__'), { maxKeys: 2 })

const asked = fc.record({
  change: fc.option(fc.tuple(fc.nat(5), odd), { freq: 3 }),
  query: fc.option(query, { nil: null, freq: 4 }),
  headers: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: headers }),
  bytes: fc.option(hostileBytes, { freq: 6 }),
  token: fc.option(fc.constantFrom('kdg_api_x', `kdg_api_${'x'.repeat(43)}`, REGISTRATION, 'kdg_sec_x', 'job', 'attempt', ADMIN_TOKEN, null), { nil: undefined, freq: 8 }),
  key: fc.uuid(),
})

/** Whatever is right in form is not what is stored: a log that is sealed takes no more. */
const REFUSED: Readonly<Record<string, number>> = { 'POST /v1/attempts/:attempt/log/seal': 422 }

const AS_IT_SHOULD_BE = { change: null, query: null, headers: {}, bytes: null, token: undefined, key: '00000000-0000-4000-8000-000000000000' }

function tokenFor(path: string): string | null {
  if (path === '/v1/agents/register') return REGISTRATION
  if (path === '/v1/agent/doorbell') return world.session
  if (path.startsWith('/v1/agent')) return `kdg_sec_${IDLE}`
  if (/\/(?:spec|log|log\/seal)$/.test(path) && path.startsWith('/v1/')) return world.token
  return path.startsWith('/v1/attempts') ? world.jobToken : ADMIN_TOKEN
}

function pathOf(pattern: string, change: readonly [number, string] | null): string {
  const values: Readonly<Record<string, string>> = { ...parameters(world), ...(ENDS.test(pattern) ? { number: '2' } : {}) }
  const filled = pattern.replace(/:(\w+)(?:\{[^}]*\})?/g, (_, name: string) => (name === 'id' ? (ENDS.test(pattern) ? 'J1-2-1' : ids(world, pattern)) : (values[name] ?? name)))
  if (change === null) return filled
  const steps = filled.split('/')
  const at = steps.length - 1 - (change[0] % (steps.length - 1))
  return steps.map((step, index) => (index === at ? change[1] : step)).join('/')
}

/** All that the Scheduler keeps. */
async function rows(): Promise<string> {
  const { SCHEDULER } = env as unknown as { readonly SCHEDULER: DurableObjectNamespace } // as wrangler.toml names it
  return runInDurableObject(SCHEDULER.get(SCHEDULER.idFromName('default')), (_, state) => {
    const tables = state.storage.sql.exec<{ name: string }>("select name from sqlite_master where type = 'table' and name not like '\\_cf\\_%' escape '\\' order by name").toArray()
    return JSON.stringify(tables.map(({ name }) => [name, state.storage.sql.exec(`select * from "${name}"`).toArray()]))
  })
}

/** The answer's text; one that would go on for ever is read no further than its beginning. */
async function textOf(response: Response): Promise<string> {
  response.webSocket?.accept()
  response.webSocket?.close()
  if (!(response.headers.get('content-type') ?? '').includes('event-stream')) return response.webSocket ? '' : await response.text()
  await response.body?.cancel()
  return ''
}

/** No tag or attribute is of an attack's making. */
function isHarmless(html: string): void {
  expect(html).not.toMatch(/<xpwn|<script>pwn|(?:href|src|action)="?\s*javascript:|src="https:\/\/pwn/i)
  expect(html.replaceAll(/="[^"]*"/g, '')).not.toMatch(/<[^>]*\sonpwn/i) // within quotes it is a text
  const [scripts, own] = [html.match(/<script/g)?.length ?? 0, html.match(/<script[^>]* nonce="/g)?.length ?? 0]
  expect(scripts).toBe(own)
}

describe('a request that is nearly right', () => {
  let before = ''
  it.each(routes)('to %s is answered, and changes nothing if it is refused', async (route) => {
    const [method = '', pattern = ''] = route.split(' ')
    const valid = BODIES[route]
    const failures = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    onTestFinished(() => failures.mockRestore())
    const right = valid === undefined || typeof valid === 'string' ? fc.constant(valid ?? null) : fc.oneof({ weight: 1, arbitrary: fc.constant(JSON.stringify(valid)) }, { weight: 3, arbitrary: mutated(valid) })
    before = await rows()
    const seen = new Set<number>()
    await fc.assert(
      fc.asyncProperty(asked, right, async (how, body) => {
        const token = how.token === 'job' ? world.jobToken : how.token === 'attempt' ? world.token : how.token === undefined ? tokenFor(pattern) : how.token
        const sent = method === 'GET' ? {} : { body: how.bytes ?? body ?? '' }
        const length = method === 'PUT' ? { 'content-length': String(new TextEncoder().encode(String(sent.body ?? '')).byteLength) } : {}
        const type = { 'content-type': typeof valid === 'string' ? 'application/x-www-form-urlencoded' : 'application/json', 'idempotency-key': how.key, ...(pattern.startsWith('/sign-') ? { origin: ORIGIN } : {}), ...(pattern.startsWith('/v1/agent/doorbell') ? { upgrade: 'websocket' } : {}), ...length }
        const response = await ask(pathOf(pattern, how.change) + (how.query ?? QUERIES[route] ?? ''), { method, token, headers: { ...type, ...how.headers }, ...sent })
        const text = await textOf(response)
        seen.add(response.status)
        expect(response.status, text).toBeLessThan(500)
        const after = await rows()
        if (response.status >= 400) expect(after).toBe(before)
        before = after
        if ((response.headers.get('content-type') ?? '').includes('text/html')) isHarmless(text)
        else if (response.status >= 400 && !response.headers.has(PROTOCOL_HEADER)) expect(JSON.parse(text)).toMatchObject({ status: response.status, code: expect.any(String), detail: expect.stringMatching(/[.?]$/) })
      }),
      { ...runs(8), examples: [[AS_IT_SHOULD_BE, valid === undefined || typeof valid === 'string' ? (valid ?? null) : JSON.stringify(valid)]] },
    )
    expect([...seen].some((status) => status < 400 || status === 409 || REFUSED[route] === status), `only ${[...seen].join()}`).toBe(true) // else it did not come far
  })
})

it('whatever was taken, every page tells it as text', async () => {
  const { attempt } = world
  const job = attempt.split('.')[0]
  for (const path of ['/', '/agents', '/projects/app', '/projects/app/builds/1', `/projects/app/builds/1?job=${job}`, '/projects/app/builds/2', `/?branch=${encodeURIComponent('main"><xpwn')}`]) {
    const response = await ask(path, { headers: { accept: 'text/html' } })
    const text = await response.text()
    expect([path, response.status < 500]).toEqual([path, true])
    isHarmless(text)
    if (path.includes('builds/1')) expect(text).toContain('&lt;xpwn onpwn=1&gt;') // it is there, and told
    expect(response.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'nonce-/)
  }
})

it('an artifact is only ever saved, whatever its name and type', async () => {
  const { artifacts } = await json<{ artifacts: { id: string }[] }>(await ask('/api/v1/projects/app/builds/1/artifacts'))
  for (const { id } of artifacts) {
    const response = await ask(`/api/v1/projects/app/builds/1/artifacts/${id.split('/').map(encodeURIComponent).join('/')}`)
    expect([response.status, response.headers.get('content-type'), response.headers.get('content-disposition')?.startsWith('attachment'), await response.text()]).toEqual([200, 'application/octet-stream', true, BYTES])
    expect(response.headers.get('content-security-policy')).toContain('sandbox')
  }
  expect(artifacts.length).toBeGreaterThan(0)
})

it('a cookie opens nothing to another site', async () => {
  for (const origin of ['null', 'https://evil.example', `${ORIGIN}.evil.example`, 'https://kedge.test@evil.example']) {
    const before = await rows()
    const response = await ask('/projects/app/builds', { token: null, headers: { origin, cookie: `kedge_session=kdg_web_${'x'.repeat(43)}`, 'content-type': 'application/x-www-form-urlencoded' }, method: 'POST', body: 'command=x' })
    expect([response.status, await rows()]).toEqual([401, before])
  }
})
