/** The log of an attempt as its agent writes it, in the real runtime [C12]. Each test has an attempt of its own. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PROTOCOL_HEADER } from '../../../schema/refusal.ts'
import { attemptId, type AgentId } from '../../../schema/job.ts'
import { signAttempt } from '../../../coordinator/trust/tokens.ts'
import { ask } from '../../support/ask.ts'

const KEY = 'for-tests-only-0123456789abcdef0123456789abcdef'
let attempts = 0

function newAttempt() {
  const id = attemptId({ project: 7, build: ++attempts, n: 1, fence: 1 })
  const token = signAttempt({ attempt: id, agent: 'a_00000000000000000000' as AgentId, expiresAt: Date.now() + 60_000 }, KEY)
  const put = async (offset: number, bytes: string | Uint8Array<ArrayBuffer>, query = '') => {
    const response = await ask(`/v1/attempts/${id}/log?offset=${offset}${query}`, { method: 'PUT', token, body: bytes })
    return { status: response.status, ours: response.headers.has(PROTOCOL_HEADER), body: (await response.json()) as Record<string, unknown> }
  }
  const seal = async (text: string, { bytes = text.length, query = '' } = {}) => {
    const sha256 = createHash('sha256').update(text).digest('hex')
    const response = await ask(`/v1/attempts/${id}/log/seal${query}`, { token, json: { bytes, sha256 } })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { id, token, put, seal }
}

describe('a log', () => {
  it('takes bytes in order and says how many it has', async () => {
    const { put } = newAttempt()
    expect(await put(0, 'hello ')).toMatchObject({ status: 200, ours: true, body: { size: 6, watched: false } })
    expect(await put(6, 'world')).toMatchObject({ status: 200, body: { size: 11 } })
  })

  it('skips what it has, refuses a gap with its size, and so stays a prefix of the spooled file [I16]', async () => {
    const { put, seal } = newAttempt()
    await put(0, 'hello')
    expect(await put(0, 'hello')).toMatchObject({ status: 200, body: { size: 5 } })
    expect(await put(3, 'lo world')).toMatchObject({ status: 200, body: { size: 11 } })
    expect(await put(12, 'x')).toMatchObject({ status: 416, ours: true, body: { error: { code: 'log_gap', size: 11 } } })
    expect(await seal('hello world')).toMatchObject({ status: 200, body: { size: 11, sealed: true } })
  })

  it('is sealed only by its own length and hash, and sent again once as epoch 2', async () => {
    const { put, seal } = newAttempt()
    await put(0, 'wrong')
    expect(await seal('right')).toMatchObject({ status: 422, body: { error: { code: 'log_mismatch' } } })
    expect(await seal('right and longer')).toMatchObject({ status: 416 })
    expect(await put(0, 'right', '&epoch=2')).toMatchObject({ status: 200, body: { size: 5 } })
    expect(await put(0, 'late', '')).toMatchObject({ status: 422 })
    expect(await seal('right', { query: '?epoch=2' })).toMatchObject({ status: 200 })
  })

  it('takes nothing new after its seal, and the same again', async () => {
    const { put, seal } = newAttempt()
    await put(0, 'done')
    await seal('done')
    expect(await put(0, 'done')).toMatchObject({ status: 200 })
    expect(await put(4, '!')).toMatchObject({ status: 409, body: { error: { code: 'log_sealed', size: 4 } } })
    expect(await seal('done')).toMatchObject({ status: 200 })
  })

  it('keeps pieces of many sizes whole', async () => {
    const { put, seal } = newAttempt()
    let text = ''
    for (const length of [1, 70_000, 3, 600_000, 64 * 1024, 1024 * 1024]) {
      const piece = String.fromCharCode(97 + (length % 26)).repeat(length)
      expect(await put(text.length, piece)).toMatchObject({ status: 200 })
      text += piece
    }
    expect(await seal(text)).toMatchObject({ status: 200, body: { size: text.length } })
  })

  it('takes gzip, counts plain bytes, and refuses what unpacks to more than one PUT holds', async () => {
    const { id, token } = newAttempt()
    const send = async (bytes: Uint8Array<ArrayBuffer>) => ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: await zipped(bytes), headers: { 'content-encoding': 'gzip' } })
    expect(await (await send(new Uint8Array(5000))).json()).toMatchObject({ size: 5000 })
    expect(await (await send(new Uint8Array(1024 * 1024))).json()).toMatchObject({ size: 1024 * 1024 })
    expect((await send(new Uint8Array(5 * 1024 * 1024))).status).toBe(413)
  })

  it.each([
    ['gzip that is cut off', 'gzip', async () => (await zipped(crypto.getRandomValues(new Uint8Array(5000)))).subarray(0, 2000)],
    ['what is not gzip', 'gzip', async () => new TextEncoder().encode('plain text')],
    ['an encoding that it does not know', 'br', async () => new Uint8Array(10)],
  ])('refuses %s, and stores nothing of it', async (_, encoding, body) => {
    const { id, token, put } = newAttempt()
    const response = await ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: await body(), headers: { 'content-encoding': encoding } })
    expect([response.status, response.headers.has(PROTOCOL_HEADER)]).toEqual([400, true])
    expect(await put(0, '')).toMatchObject({ body: { size: 0 } })
  })

  it('takes one MiB and not a byte more, with the length announced or not', async () => {
    const { id, token, put } = newAttempt()
    const send = (length: number, headers: Record<string, string>) => ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: new Uint8Array(length), headers })
    const most = 1024 * 1024
    for (const length of [most + 1, 40 * most]) {
      expect((await send(length, {})).status).toBe(413)
      expect((await send(length, { 'content-length': String(length) })).status).toBe(413)
    }
    expect(await put(0, '')).toMatchObject({ body: { size: 0 } })
    expect((await send(most, { 'content-length': String(most) })).status).toBe(200)
    expect((await send(most, {})).status).toBe(200)
    expect(await put(0, '')).toMatchObject({ body: { size: most } })
  })

  it('leaves a body that never ends as soon as it is too much', async () => {
    const { id, token } = newAttempt()
    let given = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 65_536
        controller.enqueue(new Uint8Array(65_536))
      },
    })
    expect((await ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: endless })).status).toBe(413)
    expect(given).toBeLessThan(2 * 1024 * 1024)
  })

  it.each(['{', '[]', '{"bytes":-1,"sha256":""}', '{"bytes":1}', `{"bytes":0,"sha256":"${'A'.repeat(64)}"}`, `{"bytes":0,"sha256":"${'0'.repeat(64)}","more":"${'x'.repeat(9000)}"}`])('refuses the seal %s', async (body) => {
    const { id, token } = newAttempt()
    const response = await ask(`/v1/attempts/${id}/log/seal`, { method: 'POST', token, body })
    expect(await response.json()).toMatchObject({ error: { code: 'bad_request', retry: false } })
  })

  it.each([
    ['no token', null],
    ['a token of another kind', 'kdg_adm_for-tests-only-0123456789abcdef'],
    ['a forged token', 'kdg_att_W10.AAAA'],
  ])('refuses %s, and stores nothing [D32]', async (_, token) => {
    const { id, put } = newAttempt()
    const response = await ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: 'x' })
    expect(response.status).toBe(401)
    expect(await put(0, '')).toMatchObject({ body: { size: 0 } })
  })

  it("refuses another attempt's token by name, for the log, its seal and the spec, and stores nothing [D32]", async () => {
    const one = newAttempt()
    const other = newAttempt()
    const sha256 = createHash('sha256').update('').digest('hex')
    const answers = [
      await ask(`/v1/attempts/${one.id}/log?offset=0`, { method: 'PUT', token: other.token, body: 'x' }),
      await ask(`/v1/attempts/${one.id}/log/seal`, { token: other.token, json: { bytes: 0, sha256 } }),
      await ask(`/v1/attempts/${one.id}/spec`, { token: other.token }),
    ]
    for (const answer of answers) {
      expect(answer.status).toBe(403)
      expect(await answer.json()).toMatchObject({ error: { code: 'token_invalid', retry: false, message: expect.stringContaining(other.id) } })
    }
    expect(await one.put(0, '')).toMatchObject({ body: { size: 0 } })
  })

  it('refuses a token whose time is over', async () => {
    const { id } = newAttempt()
    const token = signAttempt({ attempt: id, agent: 'a_00000000000000000000' as AgentId, expiresAt: Date.now() - 1 }, KEY)
    expect((await ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: 'x' })).status).toBe(401)
  })

  it.each(['J1-1-1', 'J0-1-1.1', 'j1-1-1.1', 'nonsense'])('refuses the attempt id %s', async (id) => {
    const { token } = newAttempt()
    expect((await ask(`/v1/attempts/${id}/log?offset=0`, { method: 'PUT', token, body: 'x' })).status).toBe(400)
  })

  it.each(['0', '3', 'x', ''])('refuses the epoch %j', async (epoch) => {
    const { id, token } = newAttempt()
    expect((await ask(`/v1/attempts/${id}/log?offset=0&epoch=${epoch}`, { method: 'PUT', token, body: 'x' })).status).toBe(400)
  })

  it.each(['-1', '1.5', 'x', '', '1e9'])('refuses the offset %j', async (offset) => {
    const { id, token } = newAttempt()
    expect((await ask(`/v1/attempts/${id}/log?offset=${offset}`, { method: 'PUT', token, body: 'x' })).status).toBe(400)
  })
})

async function zipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer())
}
