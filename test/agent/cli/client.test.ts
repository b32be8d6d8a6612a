import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient, postOnce } from '../../../agent/cli/client.ts'
import { Failure } from '../../../agent/cli/output.ts'
import { AGENTS, ANY, BUILD, BUILDS, NEW_TOKEN, PROJECT, PROJECTS, SIGN_IN_LINK, TOKEN, TOKENS, type Reply } from '../../../agent/cli/replies.ts'
import { answeringServer, problem, type Answer } from '../../support/answering-server.ts'
import { ownFolder } from '../../support/folder.ts'
import { nobody } from '../../support/listening.ts'

async function failure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(() => 'no failure', (reason: unknown) => reason)
  if (!(error instanceof Failure)) throw error
  return `${error.exitCode}: ${error.message}`
}

async function toldOf(answer: Answer, token: string | null = 'kdg_api_x'): Promise<string> {
  const { url } = await answeringServer(() => answer)
  return (await failure(createClient({ url, token }).get('/api/v1/agents', AGENTS))).replaceAll(url, 'URL')
}

/** Its address; its certificate is signed by itself. */
async function tlsServer(): Promise<string> {
  const folder = await ownFolder()
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', join(folder, 'key'), '-out', join(folder, 'cert'), '-days', '1', '-subj', '/CN=test'], { stdio: 'ignore' })
  const server = createTlsServer({ key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'cert')) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number } // it listens on TCP
  return `https://127.0.0.1:${port}`
}

describe('what answers is told apart', () => {
  test('nothing listens: 4, and how to start it', async () => {
    const url = await nobody()
    expect(await failure(createClient({ url, token: null }).get('/', ANY))).toBe(`4: cannot reach the coordinator at ${url}: connection refused. Start it with: npx kedge dev`)
  })

  test('a page of HTML is not a coordinator', async () => {
    expect(await toldOf({ body: '<html>Welcome</html>' })).toBe('4: what answers at URL is not a coordinator of Kedge: it sent text/html (status 200) where a coordinator\'s JSON was expected. Check --url.')
    expect(await toldOf({ status: 404, body: '<html>Not here</html>' })).toMatch(/^4: what answers at URL is not a coordinator of Kedge, or it is in trouble: it sent text\/html \(status 404\)/)
    expect(await toldOf({ status: 502, body: '' })).toMatch(/it sent an empty answer \(status 502\)/)
  })

  test('a redirect is not followed, and its target is named', async () => {
    expect(await toldOf({ status: 302, headers: { location: 'https://login.example/' } })).toMatch(/^4: URL sends elsewhere \(https:\/\/login\.example\/\)/)
    const { url } = await answeringServer(({ path, headers }) => ({ status: 308, headers: { location: `https://${headers.host}${path}` } }))
    const tls = url.replace('http:', 'https:')
    expect(await failure(createClient({ url, token: null }).get('/', ANY))).toBe(`4: ${url} sends to ${tls}. Use --url ${tls}`)
  })

  test.each<[string, Reply<unknown>]>(Object.entries({ AGENTS, BUILD, BUILDS, NEW_TOKEN, PROJECT, PROJECTS, SIGN_IN_LINK, TOKEN, TOKENS }))("another program's JSON is never taken for the coordinator's: %s", async (_name, reply) => {
    for (const body of [{ hello: 'world' }, [{ hello: 'world' }], null, 7]) {
      const { url } = await answeringServer(() => ({ body }))
      expect(await failure(createClient({ url, token: null }).get('/', reply))).toBe(`4: what answers at ${url} is not a coordinator of Kedge: it sent another program's JSON (status 200) where a coordinator's JSON was expected. Check --url.`)
    }
  })

  test('half of a body is told as that', async () => {
    expect(await toldOf({ headers: { 'content-type': 'application/json' }, body: '[{"name":' })).toContain('it sent broken JSON (status 200)')
  })

  test('a server that takes the connection and says nothing, or never ends, is given up', async () => {
    const silent = await answeringServer(() => undefined)
    expect(await failure(createClient({ url: silent.url, token: null, answerMs: 50 }).get('/', ANY))).toBe(`4: cannot reach the coordinator at ${silent.url}: no answer came within 0.05 s.`)
    const endless = await answeringServer((_asked, response) => void response.write('['))
    expect(await failure(createClient({ url: endless.url, token: null, answerMs: 2000 }).get('/', ANY))).toBe(`4: cannot reach the coordinator at ${endless.url}: its answer did not end within 2 s.`)
  })

  test('a server that hangs up may speak TLS', async () => {
    const { url } = await answeringServer((_asked, response) => void response.destroy())
    expect(await failure(createClient({ url, token: null }).get('/', ANY))).toBe(`4: cannot reach the coordinator at ${url}: connection closed before the answer was whole. If it speaks TLS, ask ${url.replace('http:', 'https:')}`)
  })

  test('a port that no HTTP client asks on is told as that', async () => {
    expect(await failure(createClient({ url: 'http://127.0.0.1:1', token: null }).get('/', ANY))).toMatch(/: its port belongs to another protocol/)
  })

  test('a certificate that is not trusted is told with the way out', async () => {
    const untrusted = await tlsServer()
    expect(await failure(createClient({ url: untrusted, token: null }).get('/', ANY))).toMatch(/: TLS: its certificate is not trusted here \(\w+\); a private authority's certificate goes into NODE_EXTRA_CA_CERTS\.$/)
  })

  test('TLS is not spoken where none is, nor HTTP where TLS is', async () => {
    const { url } = await answeringServer(() => ({}))
    expect(await failure(createClient({ url: url.replace('http:', 'https:'), token: null }).get('/', ANY))).toMatch(/^4: cannot reach the coordinator at https:\S+: TLS: it does not speak TLS there \(\w+\); is it http:\/\/ instead of https:\/\/\?$/)
    const alert = createServer((socket) => void socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 0x46]))) // what a TLS server says to HTTP
    await new Promise<void>((resolve) => alert.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void alert.close())
    const { port } = alert.address() as { port: number } // it listens on TCP
    expect(await failure(createClient({ url: `http://127.0.0.1:${port}`, token: null }).get('/', ANY))).toBe(`4: cannot reach the coordinator at http://127.0.0.1:${port}: it does not speak HTTP there; is it https:// instead of http://?`)
  })

  test('a refusal is told in its own words: 5 about tokens, 2 about the request', async () => {
    expect(await toldOf(problem(403, 'Your token may only read.'))).toBe('5: Your token may only read.')
    expect(await toldOf(problem(401, 'A token is needed.'), null)).toBe('5: A token is needed. Give one with KEDGE_TOKEN or --token-file.')
  })
})

test.each([
  ['commit', 'must be a full commit id', '--commit must be a full commit id'],
  ['agents.tags[0]', 'must be KEY=VALUE', '--tag must be KEY=VALUE'],
  ['agents.queue', 'must be letters', '--queue must be letters'],
  ['env["A=B"]', 'is not an environment name', '--env "A=B" is not an environment name'],
  ['env.B', 'must not hold a NUL character', '--env B must not hold a NUL character'],
  ['timeout_s', 'must be more than 0', '--timeout must be more than 0'],
  ['surprise', 'is needed', 'surprise is needed'],
])('a refused field is named by its flag, once: %s', async (path, message, said) => {
  expect(await toldOf(problem(422, `"${path}" ${message}.`, [{ path, message }]))).toBe(`2: ${said}.`)
})

test('several refused fields are in one line', async () => {
  expect(await toldOf(problem(422, 'Two.', [{ path: 'branch', message: 'is wrong' }, { path: 'state', message: 'is wrong; did you mean "passed"?' }]))).toBe('2: --branch is wrong; --state is wrong; did you mean "passed"?')
})

test('what must happen once is asked with the same key until it is answered, and a refusal ends it', async () => {
  let cuts = 2
  const { url, asked } = await answeringServer((_asked, response) => {
    if (cuts-- > 0) return void response.destroy()
    return { body: { number: 7 } }
  })
  expect(await postOnce(createClient({ url, token: null }), '/builds', ANY, { body: {}, pause: async () => {} })).toEqual({ number: 7 })
  expect(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  expect(asked.length).toBe(3)

  const refusing = await answeringServer(() => problem(422, 'No.'))
  expect(await failure(postOnce(createClient({ url: refusing.url, token: null }), '/builds', ANY, { body: {}, pause: async () => {} }))).toBe('2: No.')
  expect(refusing.asked.length).toBe(1)
})
