/**
 * The calls that the counted site makes, against those of the real Worker: the same steps in both, and after each the
 * requests to objects and operations of the bucket that it took.
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { AgentId, AttemptId, JobId } from '../../schema/job.ts'
import type { SyncReply } from '../../schema/sync.ts'
import { CAUSES } from './meter.ts'
import { ADMIN, realWorker, REGISTRATION, type RealWorker } from './real-worker.ts'
import { Site } from './site.ts'
import { Timeline } from './timeline.ts'

const EPOCH = Date.UTC(2027, 0, 12)
const AGENT = 'a_agent000000000000000' as AgentId
const ATTEMPT = 'J1-1-1.1' as AttemptId
const JOB = 'J1-1-1' as JobId
const SECRET = 'kdg_sec_'.padEnd(51, 'x')
const OFFER = { name: 'agent', queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'agent', version: '0' } }
const BYTES = new TextEncoder().encode('a line\n')
const SHA256 = createHash('sha256').update(BYTES).digest('hex')

let real: RealWorker
let site: Site
let timeline: Timeline
let cookie = ''
let api = ''
let bearer = ''
let token = ''
let seq = 0
let stream: ReadableStreamDefaultReader<Uint8Array> | undefined

beforeAll(async () => {
  vi.useFakeTimers({ now: EPOCH, toFake: ['Date', 'setTimeout', 'clearTimeout'] })
  real = await realWorker()
  timeline = new Timeline(EPOCH)
  site = new Site(timeline)
  await site.setUp()
  await site.signIn('somebody')
  const json = { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' }
  expect((await real.fetch('/api/v1/projects', { method: 'POST', headers: json, body: JSON.stringify({ slug: 'app', repository: 'https://example.com/app.git', command: 'make' }) })).status).toBe(201)
  const made = await real.fetch('/api/v1/tokens', { method: 'POST', headers: json, body: JSON.stringify({ kind: 'api', name: 'hook', scope: 'build' }) })
  api = ((await made.json()) as { token: string }).token
  const signedIn = await real.fetch('/sign-in', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://ci.example' }, body: `token=${ADMIN}` })
  cookie = signedIn.headers.getSetCookie().find((one) => one.startsWith('kedge_session'))?.split(';')[0] ?? ''
  expect(cookie).not.toBe('')
  site.meter.isOn = true
})

afterAll(() => void vi.useRealTimers())

async function sync(change: object): Promise<void> {
  seq += 1
  const body = { proto: 1, features: [], agent: AGENT, boot_seq: 1, boot_id: 'the-only-boot-of-it', seq, state: 'ready', reason: null, slots: 1, offer_rev: 1, offer: OFFER, doorbell: false, running: [], finished: [], spooled: [], lost: [], ...change }
  const response = await real.fetch('/v1/agent/sync', { method: 'POST', headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const reply = (await response.json()) as SyncReply
  expect(response.status, JSON.stringify(reply)).toBe(200)
  bearer = reply.session
  token = reply.assignments[0]?.token ?? token
}

let caller: Parameters<Site['sync']>[1] = { via: 'secret', sha256: createHash('sha256').update(AGENT).digest('hex') }
async function siteSync(change: object): Promise<void> {
  ;({ caller } = await site.sync({ proto: 1, features: [], agent: AGENT, boot_seq: 1, boot_id: 'the-only-boot-of-it', seq, state: 'ready', reason: null, slots: 1, offer_rev: 1, offer: OFFER, doorbell: false, running: [], spooled: [], lost: [], finished: [], ...change }, caller))
}

const RUNNING = { running: [{ attempt: ATTEMPT, phase: 'running' as const, commit: null, log_bytes: 0 }] }
const page = (path: string, headers: Record<string, string> = {}) => real.fetch(path, { headers: { cookie, accept: 'text/html', ...headers } })
const refreshOf = async (response: Response) => Number(/data-refresh="(\d+)"/.exec(await response.text())?.[1] ?? 0) || null
const result = (logBytes: number) => JSON.stringify({ outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: 'c'.repeat(40), started_at: EPOCH, finished_at: EPOCH, log_bytes: logBytes, log_sha256: SHA256 })
const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

/** In the order of one build's life: what is asked of the real Worker, and of the site. */
const STEPS: readonly (readonly [name: string, real: () => Promise<unknown>, site: () => Promise<unknown>])[] = [
  ['an agent joins', async () => {
    const response = await real.fetch('/v1/agents/register', { method: 'POST', headers: { authorization: `Bearer ${REGISTRATION}` }, body: JSON.stringify({ proto: 1, agent_id: AGENT, secret_sha256: createHash('sha256').update(SECRET).digest('hex'), offer: OFFER }) })
    expect(response.status, await response.text()).toBe(200)
    bearer = SECRET
  }, () => site.register(AGENT, OFFER)],
  ['it syncs', () => sync({}), () => siteSync({})],
  // Up to the socket itself, which Node has not: the answer is an error, and its cause is printed.
  ['it opens its doorbell', async () => {
    const said = vi.spyOn(console, 'error').mockReturnValue() // Node has no such sockets: it fails once the object was asked
    await real.fetch('/v1/agent/doorbell', { headers: { upgrade: 'websocket', authorization: `Bearer ${bearer}` } })
    said.mockRestore()
  }, () => site.openDoorbell(AGENT, OFFER, () => undefined)],
  ['a script starts a build', async () => {
    const response = await real.fetch('/api/v1/projects/app/builds', { method: 'POST', headers: { authorization: `Bearer ${api}`, 'content-type': 'application/json', 'idempotency-key': 'a-key' }, body: JSON.stringify({ commit: 'c'.repeat(40) }) })
    expect(response.status).toBe(201)
  }, () => site.startBuild()],
  ['the agent takes it', () => sync({}), () => siteSync({})],
  ['the agent names it', () => sync(RUNNING), () => siteSync(RUNNING)],
  ['it sends some of its log', async () => expect((await real.fetch(`/v1/attempts/${ATTEMPT}/log?offset=0`, { method: 'PUT', headers: { authorization: `Bearer ${token}` }, body: BYTES })).status).toBe(200), () => site.logs.put(ATTEMPT, 0, BYTES)],
  ['somebody looks at the list', async () => expect(await refreshOf(await page('/'))).toBe(5000), async () => expect(await site.buildsPage('somebody')).toBe(5000)],
  ['somebody opens the page of the build', async () => expect(await refreshOf(await page('/projects/app/builds/1'))).toBe(2000), async () => {
    expect((await site.buildPage('somebody', 1)).againMs).toBe(2000)
    await site.logs.read(ATTEMPT)
  }],
  ['the page refreshes itself', () => page('/projects/app/builds/1', { 'x-kedge-refresh': '1' }), () => site.buildPage('somebody', 1)],
  ['the page follows the log for a minute in which nothing comes', async () => {
    const response = await page(`/api/v1/jobs/${JOB}/log?attempt=1&offset=7`, { accept: 'text/event-stream' })
    stream = response.body?.getReader()
    void (async () => {
      while (!(await stream?.read())?.done) continue
    })().catch(() => undefined)
    await vi.advanceTimersByTimeAsync(60_000)
  }, async () => {
    await site.letFollow('somebody', JOB)
    await site.logs.follow(ATTEMPT)
    await timeline.turnTo(timeline.now + 60_000)
  }],
  ['the result is delivered', () => sync({ finished: [{ attempt: ATTEMPT, digest: digestOf(result(7)), result: result(7) }] }), () => siteSync({ finished: [{ attempt: ATTEMPT, digest: digestOf(result(7)), text: result(7), result: JSON.parse(result(7)) }] })],
  ['the log is sealed', async () => expect((await real.fetch(`/v1/attempts/${ATTEMPT}/log/seal`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ bytes: 7, sha256: SHA256 }) })).status).toBe(200), () => site.logs.seal(ATTEMPT, { bytes: 7, sha256: SHA256 })],
  ['the log moves to the bucket', () => real.fireLogAlarms(), () => timeline.turnTo(timeline.now + 2001)],
  ['somebody opens the page of the ended build', async () => expect(await refreshOf(await page('/projects/app/builds/1'))).toBeNull(), async () => {
    expect((await site.buildPage('somebody', 1)).againMs).toBeNull()
    await site.logs.read(ATTEMPT)
  }],
  ['somebody follows a log that has moved', async () => (await page(`/api/v1/jobs/${JOB}/log?attempt=1&offset=0`, { accept: 'text/event-stream' })).text(), async () => {
    await site.letFollow('somebody', JOB)
    await site.logs.follow(ATTEMPT)
  }],
  ['somebody looks at the list when all is done', async () => expect(await refreshOf(await page('/'))).toBe(10_000), async () => expect(await site.buildsPage('somebody')).toBe(10_000)],
]

it('each route takes the calls that are counted for it', async () => {
  for (const [name, inReality, inSite] of STEPS) {
    const counted = () => ({ object_requests: CAUSES.reduce((sum, cause) => sum + site.meter.counts.object_requests[cause], 0), class_a: site.meter.r2.class_a, class_b: site.meter.r2.class_b })
    const before = { real: { ...real.calls }, site: counted() }
    await inSite()
    const after = { real: { ...real.calls }, site: counted() }
    await inReality()
    expect({ name, ...difference(before.real, real.calls) }).toEqual({ name, ...difference(before.site, after.site) })
  }
})

function difference<Calls extends Readonly<Record<string, number>>>(before: Calls, after: Calls): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]))
}
