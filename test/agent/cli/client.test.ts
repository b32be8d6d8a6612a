import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient, postOnce } from '../../../agent/cli/client.ts'
import { Failure } from '../../../agent/cli/output.ts'
import { answeringServer, problem, type Answer } from '../../support/answering-server.ts'

async function failure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(() => 'no failure', (reason: unknown) => reason)
  if (!(error instanceof Failure)) throw error
  return `${error.exitCode}: ${error.message}`
}

async function toldOf(answer: Answer, token: string | null = 'kdg_api_x'): Promise<string> {
  const { url } = await answeringServer(() => answer)
  return (await failure(createClient({ url, token }).get('/api/v1/agents'))).replaceAll(url, 'URL')
}

describe('what answers is told apart', () => {
  test('nothing listens: 4, and how to start it', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number } // it listens on TCP
    await new Promise((resolve) => server.close(resolve))
    expect(await failure(createClient({ url: `http://127.0.0.1:${port}`, token: null }).get('/'))).toBe(`4: cannot reach the coordinator at http://127.0.0.1:${port}: nothing listens there. Start it with: npx kedge dev`)
  })

  test('a page of HTML is not a coordinator', async () => {
    expect(await toldOf({ body: '<html>Welcome</html>' })).toBe('4: what answers at URL is not a coordinator of Kedge: it sent text/html (status 200) where JSON was expected. Check --url.')
    expect(await toldOf({ status: 404, body: '<html>Not here</html>' })).toMatch(/^4: what answers at URL is not a coordinator of Kedge, or it is in trouble: it sent text\/html \(status 404\)/)
    expect(await toldOf({ status: 502, body: '' })).toMatch(/it sent an empty answer \(status 502\)/)
  })

  test('a redirect is not followed, and its target is named', async () => {
    expect(await toldOf({ status: 302, headers: { location: 'https://login.example/' } })).toMatch(/^4: URL sends elsewhere \(https:\/\/login\.example\/\)/)
  })

  test('TLS is not spoken where none is, nor HTTP where TLS is', async () => {
    const { url } = await answeringServer(() => ({}))
    expect(await failure(createClient({ url: url.replace('http:', 'https:'), token: null }).get('/'))).toBe(`4: cannot reach the coordinator at ${url.replace('http:', 'https:')}: it does not speak TLS. Try ${url}.`)
    const alert = createServer((socket) => void socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 0x46]))) // what a TLS server says to HTTP
    await new Promise<void>((resolve) => alert.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void alert.close())
    const { port } = alert.address() as { port: number } // it listens on TCP
    expect(await failure(createClient({ url: `http://127.0.0.1:${port}`, token: null }).get('/'))).toContain(`it does not speak HTTP. Try https://127.0.0.1:${port}.`)
  })

  test('a refusal is told in its own words: 5 about tokens, 2 about the request', async () => {
    expect(await toldOf(problem(403, 'Your token may only read.'))).toBe('5: Your token may only read.')
    expect(await toldOf(problem(401, 'A token is needed.'), null)).toBe('5: A token is needed. Give one with KEDGE_TOKEN or --token-file.')
    expect(await toldOf(problem(422, 'Some fields are wrong.', [{ path: 'commit', message: 'must be a full commit id' }]))).toBe('2: Some fields are wrong.\n  commit: must be a full commit id')
  })
})

test('what must happen once is asked with the same key until it is answered, and a refusal ends it', async () => {
  let cuts = 2
  const { url, asked } = await answeringServer((_asked, response) => {
    if (cuts-- > 0) return void response.destroy()
    return { body: { number: 7 } }
  })
  expect(await postOnce(createClient({ url, token: null }), '/builds', {}, async () => {})).toEqual({ number: 7 })
  expect(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  expect(asked.length).toBe(3)

  const refusing = await answeringServer(() => problem(422, 'No.'))
  expect(await failure(postOnce(createClient({ url: refusing.url, token: null }), '/builds', {}, async () => {}))).toBe('2: No.')
  expect(refusing.asked.length).toBe(1)
})
