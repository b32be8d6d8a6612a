/** The Worker's border to agents, read without a Worker: whatever is sent is understood or refused, never an exception. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readRegister, readRotate, readSync } from '../../coordinator/http/agent-calls.ts'
import { attemptOf, callerOf, registrationOf } from '../../coordinator/http/agent-credentials.ts'
import { readPut, readSeal, readSealBody } from '../../coordinator/http/attempt-calls.ts'
import type { AgentAnswer } from '../../coordinator/objects/scheduler-api.ts'
import { refusal } from '../../coordinator/refusal.ts'
import { readAttempt, readSession, signAttempt, signSession } from '../../coordinator/trust/tokens.ts'
import { attemptId, type AgentId } from '../../schema/job.ts'
import { PROTOCOL_HEADER, REFUSALS, refusalBody } from '../../schema/refusal.ts'
import { syncRequest } from '../../schema/sync.ts'
import { damaged, hostileBytes, mutated, type Json } from './hostile.ts'
import { runs } from './seed.ts'

const KEY = 'a key of the tests, long enough to be one'
const NOW = 1_800_000_000_000
const verification = { key: KEY, now: NOW }
const AGENT = 'a_00000000000000000001' as AgentId // built to the form
const ATTEMPT = attemptId({ project: 1, build: 82, n: 1, fence: 3 })
const SHA256 = '0'.repeat(64)
const SESSION = signSession({ agent: AGENT, bootSeq: 1, credentialVersion: 1, issuedAt: NOW - 1000, paceMs: 500, expiresAt: NOW + 60_000 }, KEY)
const TOKEN = signAttempt({ attempt: ATTEMPT, agent: AGENT, expiresAt: NOW + 60_000 }, KEY)

const offer: Json = { name: 'one', queue: 'default', tags: ['os=linux'], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
const result = JSON.stringify({ outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: null, finished_at: 5, log_bytes: 3, log_sha256: SHA256 })
const registration: Json = { proto: 1, agent_id: AGENT, secret_sha256: SHA256, offer }
const sync: Json = {
  proto: 1, features: ['cancel'], agent: AGENT, boot_seq: 1, boot_id: 'boot-one', seq: 1, state: 'ready', reason: null, slots: 1, offer_rev: 1, offer, doorbell: false,
  running: [{ attempt: ATTEMPT, phase: 'running', commit: null, log_bytes: 0 }], finished: [{ attempt: ATTEMPT, digest: 'sha256:x', result, commit: null }], spooled: [ATTEMPT], lost: [{ attempt: ATTEMPT, why: 'handed_back' }],
}
const seal: Json = { bytes: 3, sha256: SHA256 }

const encode = (text: string) => new TextEncoder().encode(text)
const authorization = fc.oneof(
  fc.constantFrom(undefined, '', 'Bearer', 'Bearer ', `Bearer ${SESSION}`, `Bearer ${TOKEN}`, 'Bearer kdg_reg_x', 'Bearer kdg_sec_x', 'Basic YTpi', 'Bearer kdg_ses_.', 'Bearer kdg_att_.', 'Bearer kdg___proto__'),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.tuple(fc.constantFrom('kdg_ses_', 'kdg_att_', 'kdg_reg_', 'kdg_sec_', 'kdg_api_', 'kdg_'), fc.base64String({ maxLength: 80 })).map(([tag, text]) => `Bearer ${tag}${text}`),
  damaged(`Bearer ${SESSION}`),
  damaged(`Bearer ${TOKEN}`),
)
const word = fc.option(fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.constantFrom('0', '-1', '1e9', '999999999999999', '9999999999999999', '0x10', '١', ' 1', 'gzip', 'identity', 'br', '1', '2', ATTEMPT, '__proto__')), { nil: undefined })

/** Read, or refused by a code and in a form that agents know. */
async function isAnswered(answer: AgentAnswer<unknown>): Promise<void> {
  if (answer.ok) return
  expect(Object.hasOwn(REFUSALS, answer.code)).toBe(true)
  const response = refusal(answer)
  expect([response.status >= 400 && response.status < 500, response.headers.has(PROTOCOL_HEADER)]).toEqual([true, true])
  expect(refusalBody.safeParse(await response.json()).data?.error).toMatchObject({ code: answer.code, message: answer.message })
}

async function areAllAnswered(header: string | undefined, body: Uint8Array): Promise<void> {
  for (const answer of [readRegister(header, body), readRotate(header, body, verification), readSync(body, NOW), readSealBody(body), registrationOf(header), callerOf(header, verification)]) await isAnswered(answer)
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
}

describe('whatever an agent sends', () => {
  it('as bytes under any credential is read, or refused by a code that agents know', async () => {
    await fc.assert(fc.asyncProperty(authorization, hostileBytes, areAllAnswered), runs(400))
  })

  it.each<readonly [string, Json]>([['registration', registration], ['sync', sync], ['seal', seal]])('as a %s that is a little wrong is read, or refused by a code that agents know', async (_, valid) => {
    await fc.assert(fc.asyncProperty(mutated(valid), async (text) => await areAllAnswered('Bearer kdg_reg_x', encode(text))), runs(500))
  })

  it('as a sync that is read means the same when it is written and read again', () => {
    let read = 0
    fc.assert(
      fc.property(mutated(sync), (text) => {
        const first = readSync(encode(text), NOW)
        if (!first.ok) return
        read += 1
        expect(syncRequest.parse({ ...first.value, finished: first.value.finished.map(({ attempt, digest, text: spooled }) => ({ attempt, digest, result: spooled })) })).toMatchObject({ agent: first.value.agent, seq: first.value.seq })
        const written = JSON.stringify(first.value) // as it goes on to the Scheduler
        expect(JSON.stringify(JSON.parse(written))).toBe(written)
      }),
      runs(500),
    )
    expect(read).toBeGreaterThan(0) // else nothing was looked at
  })

  it('as a result that is a little wrong ends its job all the same', () => {
    fc.assert(
      fc.property(fc.oneof(mutated(JSON.parse(result) as Json), fc.string({ unit: 'binary', maxLength: 200 })), (text) => {
        const answer = readSync(encode(JSON.stringify({ ...(sync as object), finished: [{ attempt: ATTEMPT, digest: 'x', result: text.slice(0, 16_000) }] })), NOW)
        expect(answer.ok && answer.value.finished[0]?.result.outcome).toMatch(/^(passed|failed|timed_out|canceled|errored)$/)
      }),
      runs(400),
    )
  })

  it('for a log, with any path, query and header, is read, or refused by a code that agents know', async () => {
    await fc.assert(
      fc.asyncProperty(authorization, fc.oneof(fc.constant<string>(ATTEMPT), fc.string({ unit: 'binary', maxLength: 40 })), word, word, word, async (header, attempt, epoch, offset, contentEncoding) => {
        const sent = { authorization: header, attempt, epoch, offset, contentEncoding }
        await isAnswered(readSeal(sent, verification))
        const put = readPut(sent, verification)
        await isAnswered(put)
        if (put.ok) expect([Number.isSafeInteger(put.value.offset) && put.value.offset >= 0, put.value.attempt]).toEqual([true, ATTEMPT])
      }),
      runs(500),
    )
  })
})

describe('a signed token', () => {
  it('that was changed anywhere is no token', () => {
    const other = (token: string) => damaged(token).filter((text) => text.trim() !== token) // blanks before it are the header's
    fc.assert(fc.property(other(SESSION), (token) => readSession(token, KEY) === null && readAttempt(token, KEY) === null && !isLetIn(callerOf(`Bearer ${token}`, verification))), runs(1000))
    fc.assert(fc.property(other(TOKEN), (token) => readAttempt(token, KEY) === null && readSession(token, KEY) === null && !isLetIn(attemptOf(`Bearer ${token}`, ATTEMPT, verification))), runs(1000))
  })

  it('with any claims opens nothing unless our key signed it', () => {
    const claims = fc.record({ agent: fc.constant(AGENT), bootSeq: fc.maxSafeNat(), credentialVersion: fc.nat(), issuedAt: fc.maxSafeNat(), paceMs: fc.nat(), expiresAt: fc.maxSafeNat() })
    fc.assert(fc.property(claims, fc.string().filter((key) => key !== KEY), (claimed, key) => readSession(signSession(claimed, key), KEY) === null), runs(200))
  })
})

function isLetIn(answer: AgentAnswer<unknown>): boolean {
  return answer.ok && 'via' in Object(answer.value) ? (answer.value as { readonly via: string }).via === 'session' : answer.ok
}
