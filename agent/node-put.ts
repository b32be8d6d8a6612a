/**
 * Sends bytes by `node:http` and answers as `fetch` would. Node's fetch copies a body and passes it through a stream,
 * which for a log's mebibytes costs more than twice the processor time; the agent then uploads slower than a build
 * prints. Redirects are not followed here either.
 */
import http from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'

/** An idle connection is dropped before a server is likely to do it, as a PUT into a closing one counts as no answer. */
const IDLE_MS = 4000
const agents = { http: new http.Agent({ keepAlive: true, timeout: IDLE_MS }), https: new https.Agent({ keepAlive: true, timeout: IDLE_MS }) }

/** Rejects on network failure or abort, until the head of the answer is there; then reading the body does. */
export function putBytes(url: string, init: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array; readonly signal: AbortSignal }): Promise<Response> {
  const isSecure = url.startsWith('https:')
  const { method, body, signal } = init
  return new Promise((resolve, reject) => {
    const request = (isSecure ? https : http).request(url, { method, signal, agent: isSecure ? agents.https : agents.http, headers: { ...init.headers, 'content-length': body.byteLength } })
    request.on('error', reject) // after the answer it is too late to matter
    request.on('response', (message) => {
      const status = message.statusCode ?? 0
      const headers = new Headers()
      for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) headers.append(message.rawHeaders[at] ?? '', message.rawHeaders[at + 1] ?? '')
      const isBare = status === 204 || status === 304
      if (isBare) message.resume()
      // The cast holds: both declare the same web stream, once for Node and once for the language's DOM.
      resolve(new Response(isBare ? null : (Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>), { status, headers }))
    })
    request.end(body)
  })
}
