import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newToken, readAttempt, readJob, readSession, sameText, sha256Hex, signAttempt, signSession, tokenTag, type AttemptClaims, type SessionClaims } from '../../../coordinator/trust/tokens.ts'
import { attemptId, type AgentId } from '../../../schema/job.ts'
import { jobTokenOf } from '../../support/job-token.ts'

const KEY = 'a-signing-key-of-32-characters-or-more'
const agent = 'a_0123456789abcdefghij' as AgentId // has the form that AGENT_ID asks for
const session: SessionClaims = { agent, bootSeq: 17, credentialVersion: 2, issuedAt: 1_790_000_000_000, paceMs: 5000, expiresAt: 1_790_000_900_000 }
const attempt: AttemptClaims = { attempt: attemptId({ project: 1, build: 82, n: 1, fence: 3 }), agent, expiresAt: 1_790_000_900_000 }

describe('random tokens', () => {
  it('carry their kind and 256 random bits', () => {
    expect(newToken('api')).toMatch(/^kdg_api_[\w-]{43}$/)
    expect(newToken('api')).not.toBe(newToken('api'))
  })

  it('name their kind by prefix, and strangers have none', () => {
    expect(tokenTag(newToken('reg'))).toBe('reg')
    expect(tokenTag('kdg_toString_x')).toBeNull()
    expect(tokenTag('kdg_xyz_abc')).toBeNull()
    expect(tokenTag('ghp_abc')).toBeNull()
  })

  it('are stored as the SHA-256 that everybody computes', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})

it('texts are the same only when every character is', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => sameText(a, b) === (a === b)))
  expect(sameText('', '')).toBe(true)
})

describe('signed tokens', () => {
  it('give back the claims that were signed', () => {
    expect(readSession(signSession(session, KEY), KEY)).toEqual(session)
    expect(readAttempt(signAttempt(attempt, KEY), KEY)).toEqual(attempt)
  })

  it('are nothing under another key', () => {
    expect(readSession(signSession(session, KEY), `${KEY}!`)).toBeNull()
    expect(readAttempt(signAttempt(attempt, KEY), `${KEY}!`)).toBeNull()
  })

  it('of one kind never read as another', () => {
    expect(readAttempt(signSession(session, KEY), KEY)).toBeNull()
    expect(readSession(signAttempt(attempt, KEY), KEY)).toBeNull()
    expect(readAttempt(signSession(session, KEY).replace('kdg_ses_', 'kdg_att_'), KEY)).toBeNull()
  })

  it('break with any single character changed, added or taken away', () => {
    const token = signAttempt(attempt, KEY)
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom('', 'A', 'AA', '.', '-', '='), (at, instead) => {
        const changed = token.slice(0, at) + instead + token.slice(at + 1)
        return changed === token || readAttempt(changed, KEY) === null
      }),
    )
    expect(readAttempt(`${token}=`, KEY)).toBeNull()
  })

  it('are null for any garbage, never an error', () => {
    fc.assert(fc.property(fc.string(), (text) => readSession(`kdg_ses_${text}`, KEY) === null && readAttempt(text, KEY) === null))
    expect(readSession(`kdg_ses_.${'x'.repeat(100_000)}`, KEY)).toBeNull()
  })
})

describe("a job's token", () => {
  const token = jobTokenOf(signAttempt(attempt, KEY))

  it('is made by an agent of its attempt\'s, and has the same claims', () => {
    expect(token).toMatch(/^kdg_job_/)
    expect(readJob(token, KEY)).toEqual(attempt)
  })

  it('is none under another key, changed, cut, or made of another kind', () => {
    expect(readJob(token, `${KEY}x`)).toBeNull()
    for (const at of [9, token.indexOf('.') - 1, token.length - 1]) expect(readJob(`${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`, KEY)).toBeNull()
    for (const cut of [token.slice(0, -1), token.slice(0, token.indexOf('.') + 1), token.slice(0, token.indexOf('.')), '']) expect(readJob(cut, KEY)).toBeNull()
    expect(readJob(jobTokenOf(signSession(session, KEY)), KEY)).toBeNull()
    expect(readJob(signAttempt(attempt, KEY), KEY)).toBeNull()
    expect(readJob(signAttempt(attempt, KEY).replace('kdg_att_', 'kdg_job_'), KEY)).toBeNull()
  })

  it('is no token of the attempt', () => {
    expect(readAttempt(token, KEY)).toBeNull()
    expect(readAttempt(token.replace('kdg_job_', 'kdg_att_'), KEY)).toBeNull()
  })
})
