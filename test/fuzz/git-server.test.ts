/**
 * Anything that may answer where a git server should: an error of the server or of the address, never of the machine, as
 * three of those hold the agent back [C15.3].
 */
import { createServer } from 'node:http'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { CheckoutError } from '../../agent/checkout/failure.ts'
import { checkouts } from '../support/checkouts.ts'
import { runs } from './seed.ts'

const COMMIT = 'a'.repeat(40)
const ADVERTISEMENT = 'application/x-git-upload-pack-advertisement'

/** As the protocol frames it. */
function packet(text: string): string {
  return (text.length + 4).toString(16).padStart(4, '0') + text
}

const v0 = `${packet('# service=git-upload-pack\n')}0000${packet(`${COMMIT} HEAD\0symref=HEAD:refs/heads/main object-format=sha1\n`)}${packet(`${COMMIT} refs/heads/main\n`)}0000`
const v2 = `${packet('version 2\n')}${packet('ls-refs=unborn\n')}${packet('fetch=shallow\n')}${packet('object-format=sha1\n')}0000`
const body = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom('', '<html>Sign in</html>', '<html>\n</html>\n', '0000', '0005x', 'PACK', 'null', `${COMMIT}\trefs/heads/main\n`, `${packet(`${COMMIT} HEAD\n`)}0000`),
  fc.constantFrom('go away', 'No space left on device', 'Repository not found', 'git-lfs', 'internal error').map((text) => packet(`ERR ${text}\n`)),
)
const start = fc.oneof({ weight: 2, arbitrary: body }, { weight: 1, arbitrary: fc.constantFrom(v0, v2) })
const said = fc.record({ status: fc.constantFrom(200, 200, 200, 200, 204, 302, 400, 410, 418, 429, 500, 503), type: fc.constantFrom(ADVERTISEMENT, ADVERTISEMENT, 'text/html', 'text/plain', ''), start, rest: body })

it('whatever answers in a git server\'s place, no machine is blamed for it', async () => {
  await fc.assert(
    fc.asyncProperty(said, fc.boolean(), async ({ status, type, start: first, rest }, byCommit) => {
      const server = createServer((request, response) => {
        request.resume()
        const isStart = (request.url ?? '').includes('/info/refs')
        response.writeHead(status, { ...(type === '' ? {} : { 'content-type': isStart ? type : 'application/x-git-upload-pack-result' }), ...(status === 302 ? { location: '/elsewhere' } : {}) })
        response.end(status === 204 ? undefined : isStart ? first : rest)
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void server.close())
      const address = server.address()
      const port = typeof address === 'object' ? address?.port : undefined
      const agent = await checkouts({ stallMs: 5000 })
      const error: unknown = await agent.prepare({ repository: `http://127.0.0.1:${port}/app.git`, ...(byCommit ? { commit: COMMIT } : {}) }).catch((failure: unknown) => failure)
      expect(error).toBeInstanceOf(CheckoutError)
      expect((error as CheckoutError).code, (error as CheckoutError).message).toMatch(/^(repository|commit|branch|large_files)_/)
      server.closeAllConnections()
    }),
    runs(25),
  )
})
