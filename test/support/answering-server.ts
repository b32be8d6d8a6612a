/** An HTTP server that answers as a test says, and keeps what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listening } from './listening.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON unless it is a text. */
  readonly body?: unknown
}

/** Return nothing after you have written to `response` yourself. */
export type Answering = (asked: Asked, response: ServerResponse) => Answer | undefined

export async function answeringServer(answer: Answering): Promise<{ readonly url: string; readonly asked: readonly Asked[] }> {
  const all: Asked[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding was set
    const text = Buffer.concat(chunks).toString('utf8')
    const asked = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: text === '' ? null : (JSON.parse(text) as unknown) }
    all.push(asked)
    const said = answer(asked, response)
    if (said === undefined) return
    const isText = typeof said.body === 'string'
    response.writeHead(said.status ?? 200, { 'content-type': isText ? 'text/html' : 'application/json', ...said.headers })
    response.end(isText ? said.body : JSON.stringify(said.body ?? null))
  })
  return { url: await listening(server), asked: all }
}

export function problem(status: number, detail: string, errors?: readonly { readonly path: string; readonly message: string }[]): Answer {
  return { status, headers: { 'content-type': 'application/problem+json' }, body: { title: 'Refused', status, detail, code: 'refused', ...(errors ? { errors } : {}) } }
}
