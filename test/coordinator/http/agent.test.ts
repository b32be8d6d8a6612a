/** What an agent sends, at the border: what is wrong is refused with a code that agents know and a sentence, and changes nothing. */
import { describe, expect, it } from 'vitest'
import { PROTOCOL_HEADER } from '../../../schema/refusal.ts'
import { SYNC_BODY_BYTES, type SyncReply } from '../../../schema/sync.ts'
import type { AgentId } from '../../../schema/job.ts'
import { sha256Hex, signSession } from '../../../coordinator/trust/tokens.ts'
import { ADMIN_TOKEN, ask, json } from '../../support/ask.ts'

const KEY = 'for-tests-only-0123456789abcdef0123456789abcdef'
const REGISTRATION = 'kdg_reg_for-tests-only-0123456789abcdef'
let names = 0

/** Registered, unless `token` is refused. */
async function agent({ token = REGISTRATION }: { readonly token?: string | null } = {}) {
  const name = `bad${++names}x`
  const id = `a_${name.padEnd(20, 'x')}` as AgentId // of the form, by construction
  const secret = `kdg_sec_${name}`
  const offer = { name, queue: name, tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  const registration = { proto: 1, agent_id: id, secret_sha256: sha256Hex(secret), offer }
  const joined = await ask('/v1/agents/register', { token, json: registration })
  let seq = 0
  const request = (change: Readonly<Record<string, unknown>> = {}) => ({ proto: 1, agent: id, boot_seq: 1, boot_id: 'boot-one', seq: ++seq, state: 'ready', slots: 1, offer_rev: 1, offer, doorbell: false, running: [], finished: [], ...change })
  const sync = (change: Readonly<Record<string, unknown>> = {}) => ask('/v1/agent/sync', { token: secret, json: request(change) })
  return { id, name, secret, registration, joined, request, sync }
}

/** The refusal, which an agent obeys only in this form [C2.1]. */
async function refusal(response: Response, status: number): Promise<{ readonly code: string; readonly message: string; readonly retry: boolean; readonly proto?: unknown }> {
  expect(response.status).toBe(status)
  expect(response.headers.has(PROTOCOL_HEADER)).toBe(true)
  const { error } = await json<{ error: { code: string; message: string; retry: boolean } }>(response)
  expect(error.message).toMatch(/^[^\n]+$/)
  expect(error.message).not.toMatch(/Error:|\.ts:/)
  return error
}

describe('a body of an agent', () => {
  it.each([
    ['is broken', '{"proto": 1,'],
    ['is cut in a letter', new Uint8Array([0x7b, 0x22, 0xc3])],
    ['is empty', ''],
    ['is a page', '<html></html>'],
  ])('that %s is refused', async (_what, body) => {
    const { secret, sync } = await agent()
    expect(await refusal(await ask('/v1/agent/sync', { method: 'POST', token: secret, body }), 400)).toMatchObject({ code: 'bad_request', message: expect.stringMatching(/^the body is not JSON: /) })
    expect((await sync()).status).toBe(200)
  })

  it.each(['[]', 'null', '7', '"text"'])('that is %s is refused', async (body) => {
    const { secret } = await agent()
    expect(await refusal(await ask('/v1/agent/sync', { method: 'POST', token: secret, body }), 400)).toMatchObject({ code: 'bad_request', message: expect.stringContaining('the body: ') })
  })

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['a number as text', { seq: '1' }, 'seq: '],
    ['an agent id that is none', { agent: 'a_short' }, 'agent: must be an agent id'],
    ['an attempt id that is none', { running: [{ attempt: 'J1-1-1', phase: 'running' }] }, 'running.0.attempt: must be an attempt id such as J1-82-1.3'],
    ['a state that nobody knows', { state: 'sleepy' }, 'state: '],
    ['no protocol', { proto: undefined }, 'proto: '],
    ['a protocol in words', { proto: 'one' }, 'proto: '],
  ])('with %s is refused by the name of the field', async (_what, change, message) => {
    const { sync } = await agent()
    expect(await refusal(await sync(change), 400)).toMatchObject({ code: 'bad_request', retry: false, message: expect.stringContaining(message) })
  })

  it('that is too large is refused with the most that is taken, whether or not its length is announced', async () => {
    const { secret, sync } = await agent()
    const body = JSON.stringify({ proto: 1, padding: 'x'.repeat(SYNC_BODY_BYTES) })
    const unannounced = () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(body))
          controller.close()
        },
      })
    for (const sent of [body, unannounced()]) {
      expect(await refusal(await ask('/v1/agent/sync', { method: 'POST', token: secret, body: sent }), 413)).toMatchObject({ code: 'payload_too_large', message: `the body has ${body.length} bytes; at most ${SYNC_BODY_BYTES} are taken, so send fewer results at once` })
    }
    expect((await sync()).status).toBe(200)
  })

  it('may hold fields that nobody knows yet, anywhere [I25]', async () => {
    const { id, sync, registration } = await agent()
    const offer = { ...registration.offer, colour: 'red', host: { ...registration.offer.host, cores: 8 } }
    expect((await ask('/v1/agents/register', { token: REGISTRATION, json: { ...registration, offer, invented: true } })).status).toBe(200)
    const reply = await sync({ invented: { deeply: [1] }, offer, running: [{ attempt: 'J999-1-1.1', phase: 'running', mood: 'good' }] })
    expect(reply.status).toBe(200)
    expect((await json<SyncReply>(reply)).directives).toEqual([expect.objectContaining({ attempt: 'J999-1-1.1', directive: 'abandon' })])
    expect(await json<readonly { id: string }[]>(await ask('/api/v1/agents'))).toContainEqual(expect.objectContaining({ id, name: registration.offer.name }))
  })

  it.each(['{"outcome": "splendid"}', '{"outcome": "pas', '', 'null'])('with a result that cannot be read (%s) is taken once, and the build says so', async (result) => {
    const { name, sync, request } = await agent()
    await ask('/api/v1/projects', { json: { slug: name, checkout: false, command: 'make' } })
    await ask(`/api/v1/projects/${name}/builds`, { json: { agents: { queue: name } } })
    const { session } = await json<SyncReply>(await sync())
    const [assignment] = (await json<SyncReply>(await ask('/v1/agent/sync', { token: session, json: request() }))).assignments // it hears
    if (!assignment) throw new Error('no assignment')
    for (const _time of ['first', 'again']) {
      const reply = await json<SyncReply>(await sync({ finished: [{ attempt: assignment.attempt, digest: `sha256:${sha256Hex(result)}`, result }] }))
      expect(reply.verdicts).toMatchObject([{ attempt: assignment.attempt, verdict: 'accepted' }])
    }
    expect(await json(await ask(`/api/v1/projects/${name}/builds/1`))).toMatchObject({ state: 'failed', jobs: [{ state: 'errored', reason: { code: 'result_unreadable', message: 'the agent delivered a result that cannot be read' } }] })
  })
})

describe('an agent of another protocol [C2.2]', () => {
  it.each([
    [0, 'update the agent'],
    [2, 'update the coordinator'],
    [9999, 'update the coordinator'],
  ])('%i is told to "%s" before its shapes are looked at', async (proto, advice) => {
    const { secret } = await agent()
    for (const [path, token] of [['/v1/agent/sync', secret], ['/v1/agents/register', REGISTRATION], ['/v1/agents/rotate', secret]] as const) {
      expect(await refusal(await ask(path, { token, json: { proto, of: 'another shape' } }), 426)).toEqual({ code: 'proto_unsupported', retry: true, message: `the agent speaks protocol ${proto}, this coordinator 1 to 1: ${advice}`, proto: { min: 1, max: 1 } })
    }
  })
})

describe('a token of an agent', () => {
  it.each([
    [null, 'a registration token (kdg_reg_…) is needed here, but none was sent'],
    ['ghp_0123456789', 'a registration token (kdg_reg_…) is needed here, but what was sent is not a token of Kedge'],
    [ADMIN_TOKEN, 'a registration token (kdg_reg_…) is needed here, but this is the admin token'],
    [`kdg_api_${'A'.repeat(43)}`, 'a registration token (kdg_reg_…) is needed here, but this is the API token'],
    ['kdg_sec_x', "a registration token (kdg_reg_…) is needed here, but this is the agent's secret"],
    ['kdg_reg_of-nobody', 'this registration token is not known here'],
  ])('that is %s does not let it join', async (token, message) => {
    const { id, joined } = await agent({ token })
    expect(await refusal(joined, 401)).toEqual({ code: 'token_invalid', retry: false, message })
    expect(JSON.stringify(await json(await ask('/api/v1/agents')))).not.toContain(id)
  })

  it('that was revoked does not let it join, nor does one that was used up; and nothing is said to be used', async () => {
    const make = async (body: Readonly<Record<string, unknown>>) => json<{ id: string; token: string }>(await ask('/api/v1/tokens', { json: { kind: 'registration', name: 'x', ...body } }))
    const revoked = await make({})
    await ask(`/api/v1/tokens/${revoked.id}`, { method: 'DELETE' })
    expect((await refusal((await agent({ token: revoked.token })).joined, 401)).message).toBe('this registration token was revoked')
    const single = await make({ max_uses: 1 })
    expect((await agent({ token: single.token })).joined.status).toBe(200)
    expect((await refusal((await agent({ token: single.token })).joined, 401)).message).toBe('this registration token was used 1 times, as often as it may be')
  })

  it.each([
    [null, 'a session token or agent secret (kdg_ses_…, kdg_sec_…) is needed here, but none was sent'],
    [REGISTRATION, 'a session token or agent secret (kdg_ses_…, kdg_sec_…) is needed here, but this is the registration token'],
    [ADMIN_TOKEN, 'a session token or agent secret (kdg_ses_…, kdg_sec_…) is needed here, but this is the admin token'],
    ['hunter2', 'a session token or agent secret (kdg_ses_…, kdg_sec_…) is needed here, but what was sent is not a token of Kedge'],
  ])('that is %s is no proof in a sync or at the doorbell', async (token, message) => {
    const { request } = await agent()
    expect(await refusal(await ask('/v1/agent/sync', { token, json: request() }), 401)).toMatchObject({ code: 'token_invalid', message })
    expect(await refusal(await ask('/v1/agent/doorbell', { token, headers: { upgrade: 'websocket' } }), 401)).toMatchObject({ code: 'token_invalid', message })
  })

  it('whose session has ended, or was signed by another, is asked for the secret', async () => {
    const { id, request } = await agent()
    const claims = { agent: id, bootSeq: 1, credentialVersion: 1, issuedAt: Date.now() - 2, paceMs: 1000 }
    for (const token of [signSession({ ...claims, expiresAt: Date.now() - 1 }, KEY), signSession({ ...claims, expiresAt: Date.now() + 60_000 }, `${KEY}x`)]) {
      expect(await refusal(await ask('/v1/agent/sync', { token, json: request() }), 401)).toEqual({ code: 'session_expired', retry: true, message: 'the session has ended; present the agent secret' })
    }
  })

  it("that is another agent's secret, or a wrong one, does not speak for it", async () => {
    const one = await agent()
    const other = await agent()
    for (const token of [other.secret, 'kdg_sec_guessed']) expect((await refusal(await ask('/v1/agent/sync', { token, json: one.request() }), 401)).message).not.toContain(other.secret)
    expect((await one.sync()).status).toBe(200)
  })
})

it('the doorbell without an upgrade is refused with what it is', async () => {
  const { secret } = await agent()
  expect(await refusal(await ask('/v1/agent/doorbell', { token: secret }), 400)).toMatchObject({ code: 'bad_request', message: 'the doorbell is a WebSocket: ask for an upgrade' })
})
