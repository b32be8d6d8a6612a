/**
 * Bytes on a connection that no client of ours sends, to a coordinator as its owner runs it: lengths that lie, chunks that
 * break, floods of headers, frames of a doorbell gone wrong. It answers for no failure of its own, keeps running, and the
 * next honest request is served.
 */
import { connect } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { PROTOCOL_HEADER } from '../../schema/refusal.ts'
import type { SyncReply } from '../../schema/sync.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { frameBytes, hostileStream } from '../fuzz/frames.ts'
import { runs } from '../fuzz/seed.ts'
import { sharedCoordinator } from '../support/installation.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

/** How long a server may take to say something before it has said enough. */
const PATIENCE_MS = 150

/** Sends, ends its side unless told to stay, and gives all that comes back. */
async function say(bytes: Buffer, { stays }: { readonly stays: boolean }): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: coordinator().port })
    let heard = ''
    const over = () => {
      socket.destroy()
      resolve(heard)
    }
    socket.on('connect', () => {
      socket.write(bytes)
      if (!stays) socket.end()
    })
    socket.setEncoding('latin1').on('data', (text: string) => (heard += text))
    socket.on('error', over).on('close', over)
    socket.setTimeout(PATIENCE_MS, over)
  })
}

async function isWell(): Promise<void> {
  const response = await fetch(`${coordinator().url}/healthz`)
  expect([response.status, await response.text()]).toEqual([200, expect.any(String)])
}

const crlf = fc.oneof({ weight: 6, arbitrary: fc.constant('\r\n') }, { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\n ', '\0\r\n') })
const path = fc.constantFrom('/', '/healthz', '/v1/agent/sync', '/v1/agents/register', '/v1/attempts/J1-1-1.1/log?offset=0', '/api/v1/projects', '/api/v1/projects/x/builds', '/sign-in', '*', 'http://other.example/', '/%00', `/${'x'.repeat(20_000)}`, '/ü', '', '//')
// Without CONNECT: the runtime itself answers it, with 500, and no Worker ever hears of it.
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'TRACE', 'get', 'X'.repeat(300), '')
const version = fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', '')
const first = fc.oneof({ weight: 1, arbitrary: fc.constantFrom('GET /healthz HTTP/1.1', 'POST /v1/agent/sync HTTP/1.1', 'PUT /v1/attempts/J1-1-1.1/log?offset=0 HTTP/1.1') }, { weight: 3, arbitrary: fc.tuple(method, path, version).map((words) => words.join(' ')) })
const header = fc.oneof(
  fc.constantFrom('Content-Length: 5', 'Content-Length: 0', 'Content-Length: -1', 'Content-Length: 99999999999999999999', 'Content-Length: 5, 6', 'Content-Length: 0x5', 'Content-Length:', 'Content-Length: 1073741824'),
  fc.constantFrom('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked, chunked', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: x', 'transfer-encoding : chunked'),
  fc.constantFrom('Content-Type: application/json', 'Content-Encoding: gzip', 'Content-Encoding: x', 'Expect: 100-continue', 'Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c', 'Sec-WebSocket-Key: x', 'Host: other.example', 'Host:', 'Authorization: Bearer kdg_reg_x', 'Authorization: Bearer \xff', 'Range: bytes=0-', `Cookie: ${'a=b; '.repeat(3000)}`, `X: ${'y'.repeat(100_000)}`),
  fc.constantFrom(...[300, 3000].map((count) => Array.from({ length: count }, (_, n) => `X-${n}: ${n}`).join('\r\n'))),
  fc.string({ unit: 'binary', maxLength: 30 }),
)
const body = fc.oneof(
  fc.constantFrom('', 'hello', '{}', '5\r\nhello\r\n0\r\n\r\n', '5\r\nhello\r\n', '5\r\nhel', '-5\r\nhello\r\n0\r\n\r\n', 'zz\r\nhello\r\n', 'ffffffffffffffff\r\nhello', '5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n', '0\r\n\r\n0\r\n\r\n', '5\nhello\n0\n\n', 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 'x'.repeat(200_000)),
  fc.string({ unit: 'binary', maxLength: 60 }),
)
const request = fc.tuple(first, fc.array(header, { maxLength: 4 }), crlf, body, fc.boolean()).map(([line, headers, end, content, hasHost]) => [line, ...(hasHost ? ['Host: 127.0.0.1'] : []), ...headers].join(end) + end + end + content)
const connection = fc.record({ bytes: fc.array(request, { minLength: 1, maxLength: 3 }).map((all) => Buffer.from(all.join(''), 'latin1')), stays: fc.boolean() })

test('whatever comes on a connection is answered with no failure of ours, and the next request is served', async () => {
  const seen = new Set<number>()
  await fc.assert(
    fc.asyncProperty(fc.array(connection, { minLength: 4, maxLength: 8 }), async (all) => {
      for (const heard of await Promise.all(all.map(({ bytes, stays }) => say(bytes, { stays })))) {
        for (const [, status] of heard.matchAll(/^HTTP\/1\.1 (\d{3})/gm)) {
          seen.add(Number(status))
          expect(Number(status) < 500 || Number(status) === 501, heard.slice(0, 400)).toBe(true) // 501 is the runtime's, for what HTTP has and it has not
        }
      }
      await isWell()
    }),
    runs(120),
  )
  for (const status of [200, 400, 404]) expect(seen).toContain(status) // else it did not come far
  expect(coordinator().output()).not.toMatch(/\n\s+at /)
})

test('whatever an agent sends over its doorbell changes nothing, and the next one rings', async () => {
  const { url, registrationToken, adminToken } = coordinator()
  const agent = `a_${'doorbells'.padEnd(20, '0')}`
  const secret = 'kdg_sec_doorbells'
  const offer = { name: 'doorbells', queue: 'doorbells', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  const post = async (path: string, token: string, json: unknown) => await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify(json) })
  expect((await post('/v1/agents/register', registrationToken, { proto: 1, agent_id: agent, secret_sha256: sha256Hex(secret), offer })).status).toBe(200)
  let seq = 0
  let token = secret
  const sync = async () => {
    const response = await post('/v1/agent/sync', token, { proto: 1, agent, boot_seq: 1, boot_id: 'boot-one', seq: (seq += 1), state: 'ready', slots: 1, offer_rev: 1, offer, doorbell: true, running: [], finished: [] })
    expect([response.status, response.headers.has(PROTOCOL_HEADER)]).toEqual([200, true])
    token = ((await response.json()) as SyncReply).session // that shape is tested elsewhere
  }
  await sync()

  await fc.assert(
    fc.asyncProperty(fc.array(hostileStream(true), { minLength: 1, maxLength: 3 }), async (streams) => {
      for (const stream of streams) {
        const head = `GET /v1/agent/doorbell HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
        expect(await say(Buffer.concat([Buffer.from(head), frameBytes({ opcode: 9, payload: Buffer.from('x'), isMasked: true }), stream]), { stays: true })).toMatch(/^HTTP\/1\.1 101 /)
      }
      await sync()
    }),
    runs(15),
  )

  const heard: string[] = []
  const bell = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/agent/doorbell`, { headers: { authorization: `Bearer ${token}` } })
  bell.on('message', (bytes) => void heard.push(String(bytes)))
  await new Promise((resolve, reject) => void bell.once('open', resolve).once('error', reject))
  expect((await post('/api/v1/projects', adminToken, { slug: 'doorbells', checkout: false, command: 'true' })).status).toBe(201)
  expect((await post('/api/v1/projects/doorbells/builds', adminToken, { agents: { queue: 'doorbells' } })).status).toBe(201)
  await eventually('the bell rings', () => heard.includes('{"t":"ring"}'))
  bell.terminate()
  expect(coordinator().output()).not.toMatch(/\n\s+at /)
})
