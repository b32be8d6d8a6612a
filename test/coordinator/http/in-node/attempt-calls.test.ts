/** What an agent sends for one attempt, read without a Worker: for which attempt, of which epoch, or why it is refused. */
import { describe, expect, it } from 'vitest'
import { attemptOf } from '../../../../coordinator/http/agent-credentials.ts'
import { readPut, readSeal, readSealBody, type SentPut } from '../../../../coordinator/http/attempt-calls.ts'
import { signing } from '../../../../coordinator/trust/signing.ts'
import { attemptId, type AgentId } from '../../../../schema/job.ts'

const AGENT = 'a_00000000000000000001' as AgentId
const ATTEMPT = attemptId({ project: 1, build: 82, n: 1, fence: 3 })
const OTHER = attemptId({ project: 1, build: 82, n: 1, fence: 4 })
const NOW = 1_800_000_000_000
const WEEK_MS = 7 * 24 * 3_600_000
const verification = { key: 'a key of the tests', now: NOW }
const tokenOf = (attempt = ATTEMPT, signedAt = NOW, key = verification.key) => `Bearer ${signing(key, () => signedAt).attempt(attempt, AGENT, 60)}`
const sent = { authorization: tokenOf(), attempt: ATTEMPT as string, epoch: undefined }
const put: SentPut = { ...sent, offset: '0', contentEncoding: undefined }

describe("an attempt's token", () => {
  it('opens this very attempt, for a week longer than the attempt may take', () => {
    expect(attemptOf(tokenOf(ATTEMPT, NOW - WEEK_MS - 59_999), ATTEMPT, verification)).toEqual({ ok: true, value: ATTEMPT })
    expect(attemptOf(tokenOf(ATTEMPT, NOW - WEEK_MS - 60_000), ATTEMPT, verification)).toMatchObject({ ok: false, code: 'token_invalid', message: expect.stringContaining('not any more') })
  })

  it('does not open another attempt, and says whose it is', () => {
    expect(attemptOf(tokenOf(OTHER), ATTEMPT, verification)).toEqual({ ok: false, code: 'token_invalid', message: `this token belongs to attempt ${OTHER}, not to ${ATTEMPT}`, status: 403 })
  })

  it.each([
    ['none', undefined, 'none was sent'],
    ['one that another signed', tokenOf(ATTEMPT, NOW, 'another key'), 'is not valid'],
    ['a token of another kind', 'Bearer kdg_sec_abc', "this is the agent's secret"],
    ['what is no token', 'Bearer hunter2', 'what was sent is not a token of Kedge'],
  ])('is needed: %s is refused', (_, authorization, message) => {
    expect(attemptOf(authorization, ATTEMPT, verification)).toMatchObject({ ok: false, code: 'token_invalid', message: expect.stringContaining(message) })
  })

  it('is not looked at for what is no attempt', () => {
    expect(attemptOf(undefined, 'J1-82-1', verification)).toMatchObject({ ok: false, code: 'bad_request', message: expect.stringContaining('J1-82-1.3') })
  })
})

describe('a PUT', () => {
  it('says where its bytes belong; it is of the first epoch and plain if it says nothing else', () => {
    expect(readPut(put, verification)).toEqual({ ok: true, value: { attempt: ATTEMPT, epoch: 1, offset: 0, encoding: 'identity' } })
    expect(readPut({ ...put, offset: '999999999999999', epoch: '2', contentEncoding: 'gzip' }, verification)).toEqual({ ok: true, value: { attempt: ATTEMPT, epoch: 2, offset: 999_999_999_999_999, encoding: 'gzip' } })
  })

  it.each<[string, Partial<SentPut>, string]>([
    ['without an offset', { offset: undefined }, 'not ""'],
    ['with an offset that is no count', { offset: '-1' }, 'not "-1"'],
    ['with an offset that no number holds', { offset: '9'.repeat(16) }, 'offset must be'],
    ['of a third epoch', { epoch: '3' }, 'epoch is 1, or 2'],
    ['of an empty epoch', { epoch: '' }, 'epoch is 1, or 2'],
    ['packed in another way', { contentEncoding: 'br' }, 'not "br"'],
  ])('%s is refused', (_, change, message) => {
    expect(readPut({ ...put, ...change }, verification)).toMatchObject({ ok: false, code: 'bad_request', message: expect.stringContaining(message) })
  })

  it('is asked for its token before anything else', () => {
    expect(readPut({ ...put, authorization: undefined, offset: 'x', epoch: 'x' }, verification)).toMatchObject({ code: 'token_invalid' })
  })
})

describe('a seal', () => {
  it('is of an attempt and an epoch', () => {
    expect(readSeal({ ...sent, epoch: '2' }, verification)).toEqual({ ok: true, value: { attempt: ATTEMPT, epoch: 2 } })
    expect(readSeal({ ...sent, epoch: '0' }, verification)).toMatchObject({ ok: false, code: 'bad_request' })
    expect(readSeal({ ...sent, authorization: undefined }, verification)).toMatchObject({ ok: false, code: 'token_invalid' })
  })

  it('has a length and a hash', () => {
    const seal = { bytes: 5, sha256: 'a'.repeat(64) }
    expect(readSealBody(Buffer.from(JSON.stringify(seal)))).toEqual({ ok: true, value: seal })
  })

  it.each([null, '', '{', '[]', '{"bytes":1}', `{"bytes":1,"sha256":"${'A'.repeat(64)}"}`])('of %j is refused', (body) => {
    expect(readSealBody(body === null ? null : Buffer.from(body))).toMatchObject({ ok: false, code: 'bad_request', message: expect.stringContaining('a seal is') })
  })
})
