/**
 * Every route of the real Worker under requests that nobody honest sends: an answer each time, of ours to blame never
 * (no 5xx), to people as problem+json, and from a log only what it holds.
 */
import fc from 'fast-check'
import { expect, it, onTestFinished, vi } from 'vitest'
import { PROTOCOL_HEADER } from '../../../schema/refusal.ts'
import { attemptId, type AgentId } from '../../../schema/job.ts'
import { signAttempt, sha256Hex } from '../../../coordinator/trust/tokens.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import { ADMIN_TOKEN, ask, ORIGIN } from '../../support/ask.ts'
import { jobTokenOf } from '../../support/job-token.ts'
import { damaged, hostileBytes, mutated, type Json } from '../../fuzz/hostile.ts'
import { runs } from '../../fuzz/seed.ts'

const KEY = 'for-tests-only-0123456789abcdef0123456789abcdef'
const AGENT = 'a_00000000000000000000' as AgentId // built to the form
const ATTEMPT = attemptId({ project: 9, build: 1, n: 1, fence: 1 })
const TOKEN = signAttempt({ attempt: ATTEMPT, agent: AGENT, expiresAt: 4_000_000_000_000 }, KEY)
const JOB_TOKEN = jobTokenOf(TOKEN)
const SECRET = 'kdg_sec_x'
const REGISTRATION = 'kdg_reg_for-tests-only-0123456789abcdef'
const SHA256 = '0'.repeat(64)

const ROUTES = [
  '/', '/agents', '/sign-in', '/sign-out', '/healthz', '/projects/app', '/projects/app/builds', '/projects/app/builds/1', '/projects/app/builds/1/cancel', '/projects/app/builds/1/retry',
  '/api/v1/projects/app/builds/1/annotations', '/api/v1/projects/app/builds/1/meta-data', `/v1/attempts/${ATTEMPT}/annotations`, `/v1/attempts/${ATTEMPT}/pipeline`, `/v1/attempts/${ATTEMPT}/meta-data`,
  '/v1/proto', '/v1/agents/register', '/v1/agents/rotate', '/v1/agent/sync', '/v1/agent/doorbell', `/v1/attempts/${ATTEMPT}/spec`, `/v1/attempts/${ATTEMPT}/log`, `/v1/attempts/${ATTEMPT}/log/seal`,
  `/v1/attempts/${ATTEMPT}/artifacts`, `/v1/attempts/${ATTEMPT}/artifacts/pieces`, `/v1/attempts/${ATTEMPT}/artifacts/search`, `/v1/attempts/${ATTEMPT}/artifacts/${SHA256}/pieces/0`, `/v1/attempts/${ATTEMPT}/artifacts/of/${ATTEMPT}/${SHA256}`,
  '/api/v1/projects/app/builds/1/artifacts', `/api/v1/projects/app/builds/1/artifacts/${ATTEMPT}/a`,
  '/api/v1/projects', '/api/v1/projects/app', '/api/v1/projects/app/builds', '/api/v1/builds', '/api/v1/projects/app/builds/1', '/api/v1/projects/app/builds/1/cancel', '/api/v1/projects/app/builds/1/retry',
  '/api/v1/agents', `/api/v1/agents/${AGENT}/drain`, `/api/v1/agents/${AGENT}/revoke`, '/api/v1/tokens', '/api/v1/tokens/x', '/api/v1/login-links', '/api/v1/jobs/J1-1-1/log', '/api/v1/nothing', '/v1/nothing', '/nothing',
]
const odd = fc.constantFrom('__proto__', '..', '%00', '%', '%ff', '%2e%2e%2f', '0', '-1', '999999999999', 'J1-1-1', 'ü', "'", '*', ':slug', '', 'x'.repeat(3000))
const path = fc.tuple(fc.constantFrom(...ROUTES), fc.option(fc.tuple(fc.nat(6), odd))).map(([route, change]) => {
  if (change === null) return route
  const steps = route.split('/')
  steps[1 + (change[0] % steps.length)] = change[1]
  return steps.join('/')
})
const query = fc.oneof(
  fc.constant(''),
  fc.array(fc.tuple(fc.constantFrom('offset', 'epoch', 'attempt', 'state', 'branch', 'limit', 'cursor', 'project', 'job', 'token', 'context', 'scope', 'after', 'sha256', 'bytes', '__proto__'), fc.oneof(odd, fc.constantFrom('1', '2', 'passed', '1e9', '9'.repeat(15)))), { maxLength: 3 }).map((all) => `?${all.map(([name, value]) => `${name}=${value}`).join('&')}`),
)
const plain = (text: fc.Arbitrary<string>) => text.map((one) => one.replace(/[^\x20-\x7e]/g, '').trim())
const headers = fc.dictionary(
  fc.constantFrom('range', 'content-length', 'content-encoding', 'content-type', 'accept', 'cookie', 'origin', 'sec-fetch-site', 'idempotency-key', 'last-event-id', 'upgrade', 'x-kedge-protocol', 'x-kedge-caller', 'x-kedge-refresh', 'x-forwarded-proto', 'transfer-encoding', 'authorization'),
  fc.oneof(plain(fc.string({ maxLength: 30 })), fc.constantFrom('bytes=0-', 'bytes=-5', 'bytes=9-1', 'bytes=0-1,3-4', '-1', '5', '99999999999', 'gzip', 'br', 'identity', 'application/json', 'application/json; charset=utf-16', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/html', 'text/event-stream', '*/*', `kedge_session=kdg_web_${'x'.repeat(43)}`, 'kedge_session=', ORIGIN, 'null', 'https://evil.example', 'cross-site', 'websocket', 'https', 'chunked', `Bearer ${TOKEN}`, 'Bearer kdg_ses_x.y', 'Basic x', '{"via":"secret"}')),
  { maxKeys: 4 },
)
const messages: readonly Json[] = [
  { slug: 'other', repository: 'https://example.com/app.git', command: 'make', checkout: true, default_branch: 'main', timeout_s: 60 },
  { command: 'make', branch: 'main', env: { A: 'b' }, message: 'x', priority: 1, agents: { queue: 'default', tags: ['os=linux'] }, timeout_s: 5, on_partition: 'stop' },
  { kind: 'api', name: 'x', scope: 'read', life_s: 60 },
  { only: 'failed' },
  { bytes: 0, sha256: SHA256 },
  { proto: 1, agent_id: AGENT, secret_sha256: sha256Hex(SECRET), offer: { name: 'one', queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } } },
  { proto: 1, agent: AGENT, boot_seq: 1, boot_id: 'boot-one', seq: 1, state: 'ready', slots: 1, offer_rev: 1, doorbell: false, running: [], finished: [] },
  { files: [{ path: 'a', bytes: 0, sha256: SHA256, sha1: '0'.repeat(40), content_type: 'text/plain' }] },
  { query: '*', build: 1, step: 'x', with_retried: true, after: `${ATTEMPT}/a` },
]
const body = fc.oneof(hostileBytes, fc.constantFrom(...messages).chain((message) => fc.oneof(mutated(message), fc.constant(JSON.stringify(message)))), fc.constantFrom('token=x', 'command=make&command=x&branch=%00', 'only=failed', '%'))
const headersOf = { json: { 'content-type': 'application/json' }, form: { 'content-type': 'application/x-www-form-urlencoded' } } as const
/** Where each message belongs, with what lets it in. */
const near = fc.constantFrom<readonly [method: string, path: string, token: string, body: Json | string]>(
  ['POST', '/api/v1/projects', ADMIN_TOKEN, messages[0] ?? null],
  ['POST', '/api/v1/projects/app/builds', ADMIN_TOKEN, messages[1] ?? null],
  ['POST', '/api/v1/projects/app/builds/1/cancel', ADMIN_TOKEN, {}],
  ['POST', '/api/v1/projects/app/builds/1/retry', ADMIN_TOKEN, messages[3] ?? null],
  ['POST', '/api/v1/tokens', ADMIN_TOKEN, messages[2] ?? null],
  ['POST', '/v1/agents/register', REGISTRATION, messages[5] ?? null],
  ['POST', '/v1/agents/rotate', SECRET, messages[5] ?? null],
  ['POST', '/v1/agent/sync', SECRET, messages[6] ?? null],
  ['POST', `/v1/attempts/${ATTEMPT}/artifacts`, JOB_TOKEN, messages[7] ?? null],
  ['POST', `/v1/attempts/${ATTEMPT}/artifacts/search`, JOB_TOKEN, messages[8] ?? null],
  ['PUT', `/v1/attempts/${ATTEMPT}/artifacts/${SHA256}/pieces/0?sha256=${SHA256}`, JOB_TOKEN, 'bytes'],
  ['GET', `/v1/attempts/${ATTEMPT}/artifacts/pieces`, JOB_TOKEN, ''],
  ['GET', `/v1/attempts/${ATTEMPT}/artifacts/of/${ATTEMPT}/${SHA256}?bytes=5`, JOB_TOKEN, ''],
  ['GET', '/api/v1/projects/app/builds/1/artifacts', ADMIN_TOKEN, ''],
  ['GET', `/api/v1/projects/app/builds/1/artifacts/${ATTEMPT}/a`, ADMIN_TOKEN, ''],
  ['GET', '/v1/agent/doorbell', SECRET, ''],
  ['GET', '/api/v1/builds', ADMIN_TOKEN, ''],
  ['GET', '/api/v1/projects/app/builds', ADMIN_TOKEN, ''],
  ['GET', '/api/v1/jobs/J1-1-1/log', ADMIN_TOKEN, ''],
  ['GET', '/', ADMIN_TOKEN, ''],
  ['GET', '/projects/app/builds/1', ADMIN_TOKEN, ''],
  ['POST', '/projects/app/builds', ADMIN_TOKEN, 'command=make&key=x&branch='],
  ['POST', '/projects/app/builds/1/retry', ADMIN_TOKEN, 'only=failed'],
  ['POST', '/sign-in', ADMIN_TOKEN, `token=${ADMIN_TOKEN}`],
  ['PUT', `/v1/attempts/${ATTEMPT}/log?offset=0&epoch=1`, TOKEN, 'words of a log'],
  ['POST', `/v1/attempts/${ATTEMPT}/log/seal`, TOKEN, messages[4] ?? null],
  ['GET', `/v1/attempts/${ATTEMPT}/spec`, TOKEN, ''],
  ['POST', `/v1/attempts/${ATTEMPT}/annotations`, JOB_TOKEN, { body: '**x**', context: 'c', style: 'info', priority: 3, append: false, scope: 'job' }],
  ['DELETE', `/v1/attempts/${ATTEMPT}/annotations?context=c&scope=job`, JOB_TOKEN, ''],
  ['GET', '/api/v1/projects/app/builds/1/annotations', ADMIN_TOKEN, ''],
  ['GET', '/api/v1/projects/app/builds/1/meta-data', ADMIN_TOKEN, ''],
).chain(([method, route, token, valid]) =>
  fc.record({
    method: fc.constant(method),
    path: fc.constant(route),
    token: fc.constant<string | null>(token),
    query: route.includes('?') ? fc.constant('') : fc.oneof(fc.constant(''), query),
    headers: fc.tuple(fc.oneof(fc.constant({}), headers), fc.constantFrom({}, method === 'PUT' ? { 'content-encoding': 'gzip' } : {})).map(([more, packed]) => ({ ...headersOf[typeof valid === 'string' ? 'form' : 'json'], ...packed, ...more })),
    body: fc.option(typeof valid === 'string' ? fc.oneof(fc.constant(valid), damagedOrBytes(valid)) : fc.oneof(fc.constant(JSON.stringify(valid)), mutated(valid), hostileBytes)),
  }),
)
const far = fc.record({
  path, query, headers,
  method: fc.constantFrom('GET', 'GET', 'POST', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PROPFIND', 'get'),
  token: fc.constantFrom(ADMIN_TOKEN, ADMIN_TOKEN, TOKEN, REGISTRATION, SECRET, 'kdg_ses_x.y', `kdg_api_${'x'.repeat(43)}`, null),
  body: fc.option(body),
})
const request = fc.oneof({ weight: 3, arbitrary: near }, { weight: 1, arbitrary: far })

function damagedOrBytes(text: string): fc.Arbitrary<string | Uint8Array<ArrayBuffer>> {
  return text === '' ? hostileBytes : fc.oneof(damaged(text), hostileBytes)
}

/** A body that would go on for ever is read no further than its beginning. */
async function firstText(response: Response): Promise<string> {
  if (!(response.headers.get('content-type') ?? '').includes('event-stream')) return await response.text()
  await response.body?.cancel()
  return ''
}

function within<T>(ms: number, what: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>
  return Promise.race([what, new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)))]).finally(() => clearTimeout(timer))
}

it('whatever is asked is answered, never with a failure of ours, and to people with a problem that says what is wrong', async () => {
  const failures = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  onTestFinished(() => failures.mockRestore())
  await ask('/api/v1/projects', { json: { slug: 'app', checkout: false, command: 'make' } })
  await ask('/api/v1/projects/app/builds', { json: { agents: { queue: 'of-nobody' } } })
  await ask('/v1/agents/register', { token: REGISTRATION, json: messages[5] })
  const seen = new Set<number>()
  await fc.assert(
    fc.asyncProperty(request, async ({ path: asked, query: search, headers: named, method, token, body: sent }) => {
      const takesBody = method !== 'GET' && method !== 'HEAD' && method !== 'get'
      let response: Response
      try {
        new Request(ORIGIN + asked + search, { method, headers: { authorization: `Bearer ${token}`, ...named } })
      } catch {
        return // what the platform itself takes for no request does not arrive
      }
      response = await within(10_000, ask(asked + search, { method, token, headers: named, ...(takesBody && sent !== null ? { body: sent } : {}) }))
      seen.add(response.status)
      expect(response.status).toBeLessThan(500)
      const text = await within(10_000, firstText(response))
      const isOurs = response.headers.has(PROTOCOL_HEADER)
      if (response.status < 400 || method === 'HEAD') return
      if (isOurs) expect(JSON.parse(text)).toMatchObject({ error: { code: expect.any(String), message: expect.any(String) } })
      else if (!(response.headers.get('content-type') ?? '').includes('text/html')) {
        expect(response.headers.get('content-type')).toContain('application/problem+json')
        expect(JSON.parse(text)).toMatchObject({ status: response.status, code: expect.any(String), detail: expect.any(String) })
      }
    }),
    runs(700),
  )
  for (const status of [200, 201, 400, 401, 404, 422]) expect(seen).toContain(status) // else it did not come far
})

it('whatever Range a log is asked for, what comes is all of it, or the part that the answer names', async () => {
  const [name, secret] = ['fuzz-range', 'kdg_sec_fuzz-range']
  const id = `a_${'fuzzrange'.padEnd(20, '0')}`
  const offer = { name, queue: name, tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  await ask('/api/v1/projects', { json: { slug: name, checkout: false, command: 'make' } })
  await ask(`/api/v1/projects/${name}/builds`, { json: { agents: { queue: name } } })
  await ask('/v1/agents/register', { token: REGISTRATION, json: { proto: 1, agent_id: id, secret_sha256: sha256Hex(secret), offer } })
  const sync = async (token: string, seq: number) => (await (await ask('/v1/agent/sync', { token, json: { proto: 1, agent: id, boot_seq: 1, boot_id: 'boot-one', seq, state: 'ready', slots: 1, offer_rev: 1, offer, doorbell: false, running: [], finished: [] } })).json()) as SyncReply
  const [assignment] = (await sync((await sync(secret, 1)).session, 2)).assignments
  if (assignment === undefined) throw new Error('no assignment')
  const log = 'one\ntwo\nthree\n'
  await ask(`/v1/attempts/${assignment.attempt}/log?offset=0`, { method: 'PUT', token: assignment.token, body: log })
  const number = fc.oneof(fc.nat(20).map(String), fc.constantFrom('', '-1', '999999999999999', '9999999999999999', 'x', ' ', '1.5', '+1', '0x1'))
  const range = fc.oneof(fc.tuple(fc.nat(16), fc.oneof(fc.constant(''), fc.nat(20))).map(([first, last]) => `bytes=${first}-${last}`), plain(fc.string({ maxLength: 20 })), fc.tuple(fc.constantFrom('bytes=', 'bytes', 'Bytes=', 'bytes =', 'lines='), number, fc.constantFrom('-', '--', ''), number, fc.constantFrom('', ',', ',0-1')).map((parts) => parts.join('')))
  await fc.assert(
    fc.asyncProperty(range, async (asked) => {
      const response = await ask(`/api/v1/jobs/${assignment.attempt.split('.')[0]}/log`, { headers: { range: asked } })
      const text = await response.text()
      const [, from, to] = /^bytes (\d+)-(\d+)\/14$/.exec(response.headers.get('content-range') ?? '') ?? []
      const [, first, last] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(asked) ?? []
      if (first !== undefined && Number(first) < log.length && (last === '' || Number(last) >= Number(first))) expect([response.status, from, to]).toEqual([206, String(Number(first)), String(Math.min(last === '' ? Infinity : Number(last), log.length - 1))])
      if (response.status === 206) expect([text, text.length > 0]).toEqual([log.slice(Number(from), Number(to) + 1), true])
      else if (response.status === 416) expect(response.headers.get('content-range')).toBe(`bytes */${log.length}`)
      else expect([response.status, text]).toEqual([200, log])
    }),
    runs(200),
  )
})
