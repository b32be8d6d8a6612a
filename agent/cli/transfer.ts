/**
 * Bytes of artifacts, up and down, in bounded memory: one piece of a file is sent, or a file is fetched from where it
 * broke off. Whenever nothing moves for `stallMs`, the call has failed, and whoever calls tries again. Upwards by
 * `node:http`, as logs are: Node's fetch would cost twice the processor time.
 */
import { createReadStream } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Client } from './client.ts'
import { refused, sentElsewhere, unreachable } from './no-reply.ts'

/** Nothing moved for so long: the connection is dead, whatever it says. */
export const STALL_MS = 30_000
/** A minute of trouble is lived through, at each piece and wherever a download breaks off. */
export const TRANSFER_TRIES = 8

const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) }

export interface PieceSending {
  /** Of the coordinator. */
  readonly url: string
  readonly token: string
  /** Where the piece goes. */
  readonly path: string
  readonly file: string
  /** Of the first byte. */
  readonly from: number
  readonly bytes: number
  readonly stallMs: number
}

/** Sends a piece of a file, once. Throws a `Failure`. */
export async function sendPiece(sending: PieceSending): Promise<void> {
  const { url, token } = sending
  const response = await put(sending).catch((error: unknown) => {
    throw unreachable(url, error)
  })
  if (response.status >= 300 && response.status < 400) throw sentElsewhere(url, response)
  if (!response.ok) throw refused(url, { response, text: await response.text(), token })
}

function put({ url, token, path, file, from, bytes, stallMs }: PieceSending): Promise<Response> {
  const isSecure = url.startsWith('https:')
  return new Promise((resolve, reject) => {
    const request = (isSecure ? https : http).request(url + path, {
      method: 'PUT',
      agent: isSecure ? agents.https : agents.http,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': 'application/octet-stream', 'content-length': bytes },
    })
    request.setTimeout(stallMs, () => request.destroy(new Error(`nothing moved for ${stallMs / 1000} s`)))
    request.on('error', reject) // after the answer it is too late to matter
    request.on('response', (message) => {
      const { statusCode: status = 0, headers } = message
      const known = ['content-type', 'location'].flatMap((name): [string, string][] => (typeof headers[name] === 'string' ? [[name, headers[name]]] : []))
      text(message).then((body) => resolve(new Response(status === 204 ? null : body, { status, headers: known })), reject)
    })
    if (bytes === 0) request.end()
    else pipeline(createReadStream(file, { start: from, end: from + bytes - 1, highWaterMark: 256 * 1024 }), exactly(bytes, file), request, () => {}) // an error is the request's
  })
}

/** What announced so many bytes must not end early: the other side would wait for the rest. */
function exactly(bytes: number, file: string) {
  return async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let left = bytes
    for await (const chunk of chunks) {
      left -= chunk.byteLength
      yield chunk
    }
    if (left !== 0) throw new Error(`${file} has become shorter`)
  }
}

export interface Fetching {
  readonly client: Client
  readonly path: string
  /** Written to from `from` on. */
  readonly into: FileHandle
  readonly from: number
  readonly stallMs: number
  /** Hears of each chunk that was written. */
  readonly heard: (chunk: Uint8Array) => void
}

/** Fetches once, from `from` to the end. Throws a `Failure`; what was heard until then is written. */
export async function fetchFrom({ client, path, into, from, stallMs, heard }: Fetching): Promise<void> {
  const stall = new AbortController()
  const watch = () => setTimeout(() => stall.abort(new Error(`nothing moved for ${stallMs / 1000} s`)), stallMs)
  const response = await client.open(path, { accept: '*/*', ...(from === 0 ? {} : { range: `bytes=${from}-` }) }, stall.signal)
  let timer = watch()
  let at = from
  try {
    if (from > 0 && response.status !== 206) throw new Error('what answers does not go on where it broke off')
    // The cast holds: a body is bytes, and Node's streams are iterated so.
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      clearTimeout(timer)
      for (let done = 0; done < chunk.byteLength; ) done += (await into.write(chunk, done, chunk.byteLength - done, at + done)).bytesWritten
      at += chunk.byteLength
      heard(chunk)
      timer = watch()
    }
  } catch (error) {
    throw isOfDisk(error) ? error : unreachable(client.url, error)
  } finally {
    clearTimeout(timer)
  }
}

function isOfDisk(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'write' && 'code' in error && error.code !== 'EPIPE'
}
