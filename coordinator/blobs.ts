/** What lies in R2: finished logs, one object each. Streams in bounded memory, both ways. */
import type { Environment } from './environment.ts'

export function logKey(attempt: string): string {
  return `logs/${attempt}`
}

/** Copies a log into R2 piece by piece. `piece(offset)` gives the bytes from there on, or null at the end. */
export async function archiveLog(env: Environment, attempt: string, size: number, piece: (offset: number) => Uint8Array | null): Promise<void> {
  const { readable, writable } = new FixedLengthStream(size)
  const writing = (async () => {
    const writer = writable.getWriter()
    try {
      for (let offset = 0, bytes = piece(0); bytes !== null; bytes = piece((offset += bytes.byteLength))) await writer.write(bytes)
      await writer.close()
    } catch (error) {
      await writer.abort(error)
      throw error
    }
  })()
  await Promise.all([writing, env.BLOBS.put(logKey(attempt), readable, { httpMetadata: { contentType: 'text/plain; charset=utf-8' } })])
}

export interface StoredLog {
  readonly size: number
  readonly from: number
  readonly body: ReadableStream<Uint8Array>
}

/** `from` inclusive, `to` exclusive; negative `from` counts from the end. Null when the log is not in R2. */
export async function readArchivedLog(env: Environment, attempt: string, from: number, to: number): Promise<StoredLog | null> {
  const head = await env.BLOBS.head(logKey(attempt))
  if (head === null) return null
  const start = from < 0 ? Math.max(0, head.size + from) : Math.min(from, head.size)
  const length = Math.max(0, Math.min(to, head.size) - start)
  if (length === 0) return { size: head.size, from: start, body: new Response('').body as ReadableStream<Uint8Array> } // a text has a body
  const object = await env.BLOBS.get(logKey(attempt), { range: { offset: start, length } })
  return object && { size: head.size, from: start, body: object.body as ReadableStream<Uint8Array> } // R2 streams bytes
}
