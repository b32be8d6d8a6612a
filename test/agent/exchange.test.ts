import { execFileSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, readRetryAfter } from '../../agent/exchange.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Network } from '../../agent/platform.ts'
import { registerReply } from '../../schema/sync.ts'
import { EMPTY_200, HTML_200, HTML_401, REDIRECT, startFakeCoordinator, unavailable, type FakeCoordinator, type Fault } from '../support/fake-coordinator.ts'
import { ownFolder } from '../support/folder.ts'
import { nobody } from '../support/listening.ts'
import { turnedClock } from '../support/turned-clock.ts'

const { network, clock } = nodePlatform()
const offer = { name: 'n', queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
const body = JSON.stringify({ proto: 1, agent_id: `a_${'x'.repeat(20)}`, secret_sha256: '0'.repeat(64), offer })
const question = (url: string) => ({ network, clock, url: `${url}/v1/agents/register`, method: 'POST', credential: 'kdg_reg_test', body, reply: registerReply, timeoutMs: 5000 }) as const
const register = (url: string, changes: { readonly credential?: string; readonly timeoutMs?: number } = {}) => ask({ ...question(url), ...changes })

let fake: FakeCoordinator
beforeEach(async () => {
  fake = await startFakeCoordinator()
})
afterEach(() => fake.close())

describe('asking the coordinator [C2.1]', () => {
  it('takes a reply of the agreed shape', async () => {
    expect(await register(fake.url)).toMatchObject({ kind: 'reply', value: { next_sync_ms: 0 } })
  })

  it('takes a refusal in JSON under the protocol header as the coordinator\'s word', async () => {
    expect(await register(fake.url, { credential: 'kdg_reg_wrong' })).toMatchObject({ kind: 'refused', error: { code: 'token_invalid', retry: false } })
  })

  const refusal = JSON.stringify({ error: { code: 'agent_revoked', message: 'no', retry: true } })
  const json = { 'content-type': 'application/json' }
  it.each<[string, Fault]>([
    ['a web page with 200', HTML_200],
    ['a proxy\'s 401 page', HTML_401],
    ['an empty 200', EMPTY_200],
    ['a redirect', REDIRECT],
    ['503', unavailable()],
    ['502 with a refusal in JSON', { kind: 'raw', status: 502, headers: { ...json, 'x-kedge-protocol': '1' }, body: refusal }],
    ['half of the JSON', { kind: 'truncated' }],
    ['half of the JSON and a cut connection', { kind: 'cut' }],
    ['a refusal without the protocol header', { kind: 'raw', status: 403, headers: json, body: refusal }],
    ['a refusal that is not called JSON', { kind: 'raw', status: 403, headers: { 'content-type': 'text/plain', 'x-kedge-protocol': '1' }, body: refusal }],
    ['a reply without the protocol header', { kind: 'raw', status: 200, headers: json, body: JSON.stringify({ agent_id: `a_${'x'.repeat(20)}`, session: 'kdg_ses_forged', next_sync_ms: 0 }) }],
    ['200 with other JSON', { kind: 'raw', status: 200, headers: { ...json, 'x-kedge-protocol': '1' }, body: '{"ok":true}' }],
    ['a cut connection', { kind: 'drop-request' }],
    ['a body that claims to be compressed and is not', { kind: 'raw', status: 200, headers: { ...json, 'x-kedge-protocol': '1', 'content-encoding': 'gzip' }, body: '{"agent_id"' }],
  ])('takes %s for no answer', async (_, fault) => {
    fake.fault('register', fault)
    expect(await register(fake.url)).toMatchObject({ kind: 'none' })
  })

  it.each<[string, Fault]>([
    ['nothing comes back', { kind: 'half-open' }],
    ['one byte comes now and then', { kind: 'drip' }],
  ])('gives up on the whole call when %s until the time is over', async (_, fault) => {
    fake.fault('register', fault)
    expect(await register(fake.url, { timeoutMs: 200 })).toMatchObject({ kind: 'none', why: expect.stringContaining('no whole answer') })
  })

  it('makes no call when it was given up before', async () => {
    expect(await ask({ ...question(fake.url), signal: AbortSignal.abort() })).toMatchObject({ kind: 'none' })
    expect(fake.registrations).toBe(0)
  })

  it.each(['a\nb', 'ü', '', 'x'.repeat(5000)])('makes no call with a token that no header can carry, and calls it no token', async (credential) => {
    expect(await register(fake.url, { credential })).toMatchObject({ kind: 'refused', error: { code: 'token_invalid', retry: false } })
    expect(fake.registrations).toBe(0)
  })

  it('ends at once when it is given up on the way', async () => {
    fake.fault('register', { kind: 'half-open' })
    const giving = new AbortController()
    const answer = ask({ ...question(fake.url), clock: turnedClock(), signal: giving.signal })
    giving.abort()
    expect(await answer).toMatchObject({ kind: 'none' })
  })

  it('ends in time before a network that lets nothing be given up', async () => {
    const turned = turnedClock()
    const answer = ask({ ...question(fake.url), clock: turned, network: { ...network, fetch: () => new Promise(() => {}) } })
    await turned.turn(5000)
    expect(await answer).toMatchObject({ kind: 'none', why: 'no whole answer within 5 s' })
  })

  it('leaves no timer and no listener behind, after a reply, a refusal and no answer', async () => {
    const turned = turnedClock()
    const { signal } = new AbortController()
    fake.fault('register', HTML_200)
    for (const [credential, kind] of [['kdg_reg_test', 'none'], ['kdg_reg_test', 'reply'], ['kdg_reg_wrong', 'refused']] as const) {
      expect(await ask({ ...question(fake.url), credential, clock: turned, signal })).toMatchObject({ kind })
      expect([turned.waiting(), getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    }
  })

  it.each([
    ['a web page without an end', { 'content-type': 'text/html' }, /a web page/],
    ['a reply without an end', { ...json, 'x-kedge-protocol': '1' }, /too large/],
  ])('hangs up on %s', async (_, headers, why) => {
    const hungUp = Promise.withResolvers<void>()
    const server = createServer((_, response) => {
      response.writeHead(200, headers)
      response.on('close', hungUp.resolve)
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
      }
      response.on('drain', write)
      write()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // of a server that listens on TCP
    expect(await ask({ ...question(`http://127.0.0.1:${port}`), clock: turnedClock() })).toMatchObject({ kind: 'none', why: expect.stringMatching(why) })
    await hungUp.promise
    server.close()
  })

  it('says what it sends: JSON, bytes, or nothing', async () => {
    const sent: (string | null)[] = []
    const noting: Network = {
      ...network,
      fetch: async (_, { headers }) => {
        sent.push(new Headers(headers).get('content-type'))
        return new Response('', { status: 503 })
      },
    }
    const { body: text, ...bare } = question(fake.url)
    for (const sends of [{ body: text }, { body: new Uint8Array(3) }, {}]) await ask({ ...bare, ...sends, network: noting })
    expect(sent).toEqual(['application/json', 'application/octet-stream', null])
  })

  it('hands on a Retry-After, also of a proxy', async () => {
    fake.fault('register', unavailable('7'))
    expect(await register(fake.url)).toMatchObject({ kind: 'none', retryAfterMs: 7000 })
  })

  it('says that something else answers there, with the address', async () => {
    fake.fault('register', HTML_200, REDIRECT)
    expect(await register(fake.url)).toMatchObject({ elsewhere: true, why: expect.stringMatching(/a web page.*URL right.*sign-in page/) })
    expect(await register(fake.url)).toMatchObject({ elsewhere: true, why: expect.stringContaining('redirects to http://login.hotel.example/') })
  })

  it('says that the connection was refused', async () => {
    expect(await register(await nobody())).toMatchObject({ kind: 'none', why: 'connection refused' })
  })

  it('says what is wrong with TLS', async () => {
    const folder = await ownFolder()
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', join(folder, 'key'), '-out', join(folder, 'cert'), '-days', '1', '-subj', '/CN=localhost'], { stdio: 'ignore' })
    const server = createTlsServer({ key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'cert')) })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    expect(await register(`https://127.0.0.1:${port}`)).toMatchObject({ kind: 'none', why: expect.stringMatching(/TLS: its certificate is not trusted/) })
    server.close()
    expect(await register(fake.url.replace('http', 'https'))).toMatchObject({ kind: 'none', why: expect.stringContaining('does not speak TLS') })
  })
})

describe('reading Retry-After', () => {
  it.each([
    ['seconds', { 'retry-after': '7' }, 7000],
    ['a date, against the Date of the same answer', { 'retry-after': 'Wed, 21 Oct 2026 07:28:30 GMT', date: 'Wed, 21 Oct 2026 07:28:00 GMT' }, 30_000],
    ['a date that has passed', { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT', date: 'Wed, 21 Oct 2026 07:28:30 GMT' }, 0],
    ['a date without anything to hold it against', { 'retry-after': 'Wed, 21 Oct 2026 07:28:30 GMT' }, null],
    ['nonsense', { 'retry-after': 'soon' }, null],
    ['nothing', {}, null],
  ])('understands %s', (_, headers, expected) => {
    expect(readRetryAfter(new Headers(headers))).toBe(expected)
  })
})
