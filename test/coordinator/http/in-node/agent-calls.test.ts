/** What agents send, read without a Worker: who it is from and what it holds, or why it is refused, and in which order. */
import { describe, expect, it } from 'vitest'
import { readRegister, readRotate, readSync, refuseLength } from '../../../../coordinator/http/agent-calls.ts'
import { callerOf } from '../../../../coordinator/http/agent-credentials.ts'
import { signing } from '../../../../coordinator/trust/signing.ts'
import { sha256Hex } from '../../../../coordinator/trust/tokens.ts'
import { attemptId, type AgentId } from '../../../../schema/job.ts'
import { SYNC_BODY_BYTES } from '../../../../schema/sync.ts'

const AGENT = 'a_00000000000000000001' as AgentId
const ATTEMPT = attemptId({ project: 1, build: 1, n: 1, fence: 1 })
const SHA256 = '0'.repeat(64)
const NOW = 1_800_000_000_000
const verification = { key: 'a key of the tests', now: NOW }
const offer = { name: 'one', queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
const registration = { proto: 1, agent_id: AGENT, secret_sha256: SHA256, offer }
const request = { proto: 1, agent: AGENT, boot_seq: 1, boot_id: 'boot-one', seq: 1, state: 'ready', slots: 1, offer_rev: 1, doorbell: false, running: [], finished: [] }
const proof = { agent: AGENT, bootSeq: 1, credentialVersion: 2, issuedAt: NOW - 1000, paceMs: 500 }
const session = (change: Partial<typeof proof> = {}, key = verification.key) => `Bearer ${signing(key, () => NOW).session({ ...proof, ...change })}`

function bodyOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

describe('who an agent is', () => {
  it('is told by a session that holds, with all that it proves', () => {
    expect(callerOf(session(), verification)).toEqual({ ok: true, value: { via: 'session', ...proof } })
  })

  it('is told by its secret, of which only the hash goes on', () => {
    expect(callerOf('Bearer kdg_sec_abc', verification)).toEqual({ ok: true, value: { via: 'secret', sha256: sha256Hex('kdg_sec_abc') } })
  })

  it.each([
    ['a session to its very end', session({ issuedAt: NOW - 15 * 60_000 }), 'session_expired', 'present the agent secret'],
    ['a session that another signed', session({}, 'another key'), 'session_expired', 'present the agent secret'],
    ['nothing', undefined, 'token_invalid', 'a session token or agent secret (kdg_ses_…, kdg_sec_…) is needed here, but none was sent'],
    ['what is no token', 'Bearer hunter2', 'token_invalid', 'what was sent is not a token of Kedge'],
    ['another token', 'Bearer kdg_reg_abc', 'token_invalid', 'this is the registration token'],
  ])('is not told by %s', (_, authorization, code, message) => {
    expect(callerOf(authorization, verification)).toMatchObject({ ok: false, code, message: expect.stringContaining(message) })
  })
})

describe('a sync', () => {
  it('is read with each result beside the text that it was spooled as', () => {
    const result = { outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: null, finished_at: 5, log_bytes: 3, log_sha256: SHA256 }
    const text = JSON.stringify(result)
    expect(readSync(bodyOf({ ...request, finished: [{ attempt: ATTEMPT, digest: 'sha256:x', result: text }] }), NOW)).toMatchObject({ ok: true, value: { agent: AGENT, finished: [{ attempt: ATTEMPT, digest: 'sha256:x', text, result }] } })
  })

  it.each(['', 'null', '{"outcome":"splendid"}'])('with a result that cannot be read (%j) is taken, as an error of that time', (text) => {
    const read = readSync(bodyOf({ ...request, finished: [{ attempt: ATTEMPT, digest: 'sha256:x', result: text }] }), NOW)
    const [finished] = read.ok ? read.value.finished : []
    expect(finished?.result).toMatchObject({ outcome: 'errored', reason: { code: 'result_unreadable' }, finished_at: NOW, log_bytes: null })
    expect(JSON.parse(finished?.text ?? '')).toEqual(finished?.result)
  })

  it.each([
    [0, 'update the agent'],
    [2, 'update the coordinator'],
  ])('of protocol %i is told so, whatever else it holds [C2.2]', (proto, advice) => {
    expect(readSync(bodyOf({ proto }), NOW)).toMatchObject({ ok: false, code: 'proto_unsupported', message: expect.stringContaining(advice), extra: { proto: { min: 1, max: 1 } } })
  })

  it.each([
    ['no JSON', new TextEncoder().encode('{'), 'the body is not JSON'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'the body is not JSON'],
    ['no sync', bodyOf([]), 'the body: '],
    ['a field of another kind', bodyOf({ ...request, seq: '1' }), 'seq: '],
  ])('that is %s is refused by where it is wrong', (_, body, message) => {
    expect(readSync(body, NOW)).toMatchObject({ ok: false, code: 'bad_request', message: expect.stringContaining(message) })
  })

  it('is taken up to its limit and not a byte more, which is known by the length alone', () => {
    expect(refuseLength(SYNC_BODY_BYTES)).toBeNull()
    expect(refuseLength(Number.NaN)).toBeNull() // an announcement that says nothing: the bytes are counted
    expect(readSync(new Uint8Array(SYNC_BODY_BYTES + 1), NOW)).toEqual(refuseLength(SYNC_BODY_BYTES + 1))
    expect(refuseLength(SYNC_BODY_BYTES + 1)).toMatchObject({ ok: false, code: 'payload_too_large' })
  })
})

describe('a registration', () => {
  it('is read with the hash of its token', () => {
    expect(readRegister('Bearer kdg_reg_abc', bodyOf(registration))).toEqual({ ok: true, value: { request: registration, tokenSha256: sha256Hex('kdg_reg_abc') } })
  })

  it('is told what is wrong with it before it is asked for its token', () => {
    expect(readRegister(undefined, bodyOf({ ...registration, agent_id: 'a_short' }))).toMatchObject({ code: 'bad_request', message: expect.stringContaining('agent_id: ') })
    expect(readRegister('Bearer kdg_sec_abc', bodyOf(registration))).toMatchObject({ code: 'token_invalid', message: expect.stringContaining("this is the agent's secret") })
    expect(readRegister(undefined, bodyOf(registration))).toMatchObject({ code: 'token_invalid', message: 'a registration token (kdg_reg_…) is needed here, but none was sent' })
  })
})

it('a new secret is read with whoever asks for it, and refused from nobody', () => {
  const { offer: _, ...rotation } = registration
  expect(readRotate(session(), bodyOf(rotation), verification)).toEqual({ ok: true, value: { agent: AGENT, caller: { via: 'session', ...proof }, newSecretSha256: SHA256 } })
  expect(readRotate(undefined, bodyOf(rotation), verification)).toMatchObject({ ok: false, code: 'token_invalid' })
  expect(readRotate(undefined, bodyOf({}), verification)).toMatchObject({ ok: false, code: 'bad_request' })
})
