/**
 * What lies in R2: finished logs, one object each. Streams in bounded memory, both ways. R2 itself checks the SHA-256 of
 * the seal, so a log that was damaged on its way is refused there and its rows stay.
 */
import type { Environment } from './environment.ts'
import type { SealedLog } from './objects/log-store.ts'

/** The installation's one cluster, as the Scheduler is named; in the key, so that a second one could share the bucket. */
const CLUSTER = 'default'

export function logKey(attempt: string): string {
  return `logs/${CLUSTER}/${attempt}`
}

/** Copies a log into R2 piece by piece; throws when R2 did not take it whole. */
export async function archiveLog(env: Environment, attempt: string, { size, sha256, piece }: SealedLog): Promise<void> {
  const { readable, writable } = new FixedLengthStream(size)
  const writer = writable.getWriter()
  const write = async () => {
    for (let offset = 0, bytes = piece(0); bytes !== null; bytes = piece((offset += bytes.byteLength))) {
      await writer.write(bytes)
      await scheduler.wait(1) // where all objects share one process, as on one box, the others' requests would wait for the whole log
    }
    await writer.close()
  }
  // Whichever side fails ends the other: a writer would else wait for ever for a reader that has gone.
  const end = async (error: unknown) => {
    await writer.abort(error).catch(() => undefined) // it has failed already
    throw error
  }
  const put = async () => void (await env.BLOBS.put(logKey(attempt), readable, { sha256, httpMetadata: { contentType: 'text/plain; charset=utf-8' } }))
  await Promise.all([write().catch(end), put().catch(end)])
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

/** `length` bytes from `offset`, both within the log; null when the log is not in R2. */
export async function readArchivedPiece(env: Environment, attempt: string, offset: number, length: number): Promise<Uint8Array | null> {
  const object = await env.BLOBS.get(logKey(attempt), { range: { offset, length } })
  return object && new Uint8Array(await object.arrayBuffer())
}
