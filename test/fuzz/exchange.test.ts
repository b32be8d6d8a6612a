/** What may answer in the coordinator's place [C2.1]: only what is surely its word counts, and nothing is an exception. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { z } from 'zod'
import { ask, readRetryAfter, type Answer } from '../../agent/exchange.ts'
import type { Answered, Clock } from '../../agent/platform.ts'
import { logReply, sealReply } from '../../schema/attempt.ts'
import { PROTOCOL_HEADER } from '../../schema/refusal.ts'
import { registerReply, syncReply } from '../../schema/sync.ts'
import { hostileBytes, mutated, type Json } from './hostile.ts'
import { runs } from './seed.ts'

const clock: Clock = { wall: () => 0, monotonic: () => 0, after: () => () => undefined }
const SCHEMAS: readonly z.ZodType<unknown>[] = [syncReply, registerReply, logReply, sealReply]

const reply: Json = {
  proto: 1, session: 'kdg_ses_x', server_time: 5, verdicts: [{ attempt: 'J1-1-1.1', verdict: 'accepted' }], directives: [{ attempt: 'J1-1-1.1', directive: 'cancel', grace_ms: 1, why: 'x' }],
  assignments: [{ attempt: 'J1-1-1.2', token: 'kdg_att_x', spec: { project: 'app', build: 1, job: 'J1-1-1', fence: 2, command: 'make', env: { A: 'b' }, checkout: { repository: 'https://x/', commit: null, branch: null, fresh: false }, timeout_s: 1, cancel_grace_s: 0, on_partition: 'stop', url: 'x' } }],
  next_sync_ms: 1, hb_ms: 1, log_ms: 1, watched: [], self_fence_ms: 1, drain: false, held_back: null, need: ['offer'],
}
const refusal: Json = { error: { code: 'log_gap', message: 'x', retry: true, size: 5, current: 1, take_over: true, proto: { min: 1, max: 1 } } }

const encode = (text: string) => new TextEncoder().encode(text)
const body = fc.oneof(hostileBytes, mutated(reply).map(encode), mutated(refusal).map(encode), fc.constantFrom(reply, refusal).map((value) => encode(JSON.stringify(value))))
const value = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('0', '5', '-1', '1e9', '999999999999', '9999999999999', 'Wed, 21 Oct 2026 07:28:00 GMT', 'Wed, 99 Oct', 'NaN'))
const answered = fc.record({
  status: fc.oneof(fc.constantFrom(200, 200, 200, 201, 204, 301, 400, 401, 409, 410, 416, 426, 500, 503), fc.integer({ min: 100, max: 999 })),
  type: fc.oneof(fc.constantFrom('application/json', 'application/json', 'application/json; charset=utf-8', 'text/html', 'application/jsonp', ''), fc.string({ maxLength: 20 })),
  isOurs: fc.boolean(),
  retryAfter: fc.option(value),
  date: fc.option(value),
  chunks: fc.option(body.chain((bytes) => fc.nat(bytes.byteLength).map((cut) => [bytes.subarray(0, cut), bytes.subarray(cut)]))),
  /** How the body ends. */
  breaks: fc.constantFrom('no', 'no', 'no', 'throws', 'cannot be cancelled'),
})
type Said = typeof answered extends fc.Arbitrary<infer T> ? T : never

function response({ status, type, isOurs, retryAfter, date, chunks, breaks }: Said): Answered {
  const named = new Map<string, string | null>([['content-type', type === '' ? null : type], [PROTOCOL_HEADER, isOurs ? '1' : null], ['retry-after', retryAfter], ['date', date]])
  const pieces = async function* () {
    yield* chunks ?? []
    if (breaks === 'throws') throw new TypeError('terminated')
  }
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name: string) => named.get(name.toLowerCase()) ?? null, has: (name: string) => (named.get(name.toLowerCase()) ?? null) !== null },
    body: chunks === null ? null : Object.assign(pieces(), { cancel: () => (breaks === 'cannot be cancelled' ? Promise.reject(new Error('locked')) : Promise.resolve()) }),
  }
}

async function answerTo(said: Said, schema: z.ZodType<unknown>): Promise<Answer<unknown>> {
  return await ask({ network: { fetch: async () => response(said), openSocket: () => ({ close: () => undefined, ping: () => undefined }) }, clock, url: 'https://ci.example/v1/agent/sync', method: 'POST', credential: 'kdg_sec_x', body: '{}', reply: schema, timeoutMs: 10_000 })
}

it('whatever answers, it is a reply, a refusal, or no answer', async () => {
  await fc.assert(
    fc.asyncProperty(answered, fc.constantFrom(...SCHEMAS), async (said, schema) => {
      const answer = await answerTo(said, schema)
      expect(answer.kind).toMatch(/^(reply|refused|none)$/)
      if (answer.kind === 'reply') expect([schema.safeParse(answer.value).success, said.isOurs, said.status >= 200 && said.status < 300]).toEqual([true, true, true])
      if (answer.kind === 'refused') expect([typeof answer.error.code, said.isOurs, said.status < 500]).toEqual(['string', true, true])
      if (answer.kind === 'none') expect(answer.why).not.toBe('')
      if (answer.kind !== 'reply' && answer.retryAfterMs !== null) expect(Number.isSafeInteger(answer.retryAfterMs) && answer.retryAfterMs >= 0).toBe(true)
    }),
    runs(1000),
  )
})

it('without the coordinator\'s header, or broken off, nothing is its word', async () => {
  await fc.assert(
    fc.asyncProperty(answered, fc.constantFrom(...SCHEMAS), fc.boolean(), async (said, schema, isOurs) => {
      expect((await answerTo({ ...said, isOurs, chunks: said.chunks ?? [], breaks: isOurs ? 'throws' : said.breaks }, schema)).kind).toBe('none')
    }),
    runs(300),
  )
})

it('whatever it asks to wait, that is a time or nothing', () => {
  fc.assert(
    fc.property(fc.option(value), fc.option(value), (after, date) => {
      const ms = readRetryAfter({ get: (name) => (name === 'date' ? date : after) })
      expect(ms === null || (Number.isFinite(ms) && ms >= 0)).toBe(true)
    }),
    runs(500),
  )
})
