/**
 * Bytes of artifacts in R2: pieces of at most `PIECE_BYTES`, each an object of its own under its attempt and the SHA-256
 * of the whole file. R2 checks the SHA-256 of each piece as it comes and says which are there, so an upload that broke
 * off goes on where it was, in whatever order. R2's own multipart uploads can do neither: they check no digest, and a
 * Worker cannot ask which parts there are.
 *
 * What one would get wrong: an attempt writes below its own id alone. One that lies about what it sends can spoil only its
 * own artifacts, and whoever reads them checks the SHA-256 of the whole.
 */
import { piecesOf } from '../schema/artifacts.ts'
import { parseAttemptId, type AttemptId } from '../schema/job.ts'
import type { Environment } from './environment.ts'

/** As for logs: a second cluster could share the bucket. A lifecycle rule for `artifacts/` may remove them too. */
const ROOT = 'artifacts/default/'

export interface PieceOf {
  readonly attempt: AttemptId
  /** Of the whole file. */
  readonly sha256: string
  /** Counted from 0. */
  readonly piece: number
}

export interface StoredPiece {
  readonly sha256: string
  readonly piece: number
  readonly bytes: number
}

const folderOf = (attempt: AttemptId) => `${ROOT}${attempt}/`
/** Five digits, so that a listing has the pieces of a file in their order. */
const keyOf = ({ attempt, sha256, piece }: PieceOf) => `${folderOf(attempt)}${sha256}/${String(piece).padStart(5, '0')}`

/** `digest` is the SHA-256 of the piece. `damaged`: what came is something else. `broken-off`: not all of it came, or R2 went away. Of neither anything is stored. */
export async function putPiece({ BLOBS }: Environment, piece: PieceOf, body: ReadableStream | Uint8Array, digest: string): Promise<'stored' | 'damaged' | 'broken-off'> {
  try {
    await BLOBS.put(keyOf(piece), body, { sha256: digest })
    return 'stored'
  } catch (error) {
    if (error instanceof Error && /\(10037\)|checksum/i.test(error.message)) return 'damaged' // R2's code for a digest that does not match
    if (error instanceof Error && /connection lost|disconnected/i.test(error.message)) return 'broken-off' // a job that was stopped while it uploads is nothing to complain about
    throw error
  }
}

/** What an attempt has, as R2 lists it: a page, and where the next begins. */
export async function storedPieces({ BLOBS }: Environment, attempt: AttemptId, after: string | null): Promise<{ readonly pieces: readonly StoredPiece[]; readonly next: string | null }> {
  const folder = folderOf(attempt)
  const { objects, truncated } = await BLOBS.list({ prefix: folder, ...(after === null ? {} : { startAfter: `${folder}${after}` }) })
  const pieces = objects.flatMap(({ key, size }): readonly StoredPiece[] => {
    const [sha256 = '', piece = ''] = key.slice(folder.length).split('/')
    return [{ sha256, piece: Number(piece), bytes: size }]
  })
  const last = objects.at(-1)
  return { pieces, next: truncated && last ? last.key.slice(folder.length) : null }
}

/** The sizes of each file's pieces, in their order, of everything that an attempt has; a file of which one is missing before the last is not in it. */
export async function storedFiles(env: Environment, attempt: AttemptId): Promise<ReadonlyMap<string, number>> {
  const files = new Map<string, { bytes: number; pieces: number; isBroken: boolean }>()
  for (let after: string | null = null; ; ) {
    const { pieces, next } = await storedPieces(env, attempt, after)
    for (const { sha256, piece, bytes } of pieces) {
      const file = files.get(sha256) ?? { bytes: 0, pieces: 0, isBroken: false }
      files.set(sha256, { bytes: file.bytes + bytes, pieces: file.pieces + 1, isBroken: file.isBroken || piece !== file.pieces })
    }
    if (next === null) break
    after = next
  }
  return new Map([...files].flatMap(([sha256, { bytes, isBroken }]) => (isBroken ? [] : [[sha256, bytes]])))
}

export interface StoredArtifact {
  readonly attempt: AttemptId
  readonly sha256: string
  readonly bytes: number
}

/** `from` inclusive, `to` exclusive, both within it. Null: not all of it is there, be it that it was swept away. */
export async function readArtifact({ BLOBS }: Environment, { attempt, sha256, bytes }: StoredArtifact, { from, to }: { readonly from: number; readonly to: number }): Promise<ReadableStream<Uint8Array> | null> {
  const folder = `${folderOf(attempt)}${sha256}/`
  const sizes = piecesOf(bytes) === 1 ? [bytes] : (await BLOBS.list({ prefix: folder })).objects.map(({ size }) => size) // 320 at most: one page
  if (sizes.reduce((sum, size) => sum + size, 0) !== bytes) return null
  const wanted: { readonly piece: number; readonly offset: number; readonly length: number }[] = []
  let start = 0
  for (const [piece, size] of sizes.entries()) {
    const [first, end] = [Math.max(from, start), Math.min(to, start + size)]
    if (first < end) wanted.push({ piece, offset: first - start, length: end - first })
    start += size
  }
  const get = ({ piece, offset, length }: (typeof wanted)[number]) => BLOBS.get(keyOf({ attempt, sha256, piece }), { range: { offset, length } })
  const [first, ...rest] = wanted
  if (first === undefined) return (await BLOBS.head(keyOf({ attempt, sha256, piece: 0 }))) === null ? null : new Response('').body as ReadableStream<Uint8Array> // a text has a body
  const begin = await get(first)
  if (begin === null || begin.size !== sizes[first.piece]) return null
  if (rest.length === 0) return begin.body as ReadableStream<Uint8Array> // R2 streams bytes
  const { readable, writable } = new FixedLengthStream(to - from)
  const pour = async () => {
    await begin.body.pipeTo(writable, { preventClose: true })
    for (const one of rest) {
      const object = await get(one)
      if (object === null) throw new Error(`piece ${one.piece} of ${folder} went away while it was read`)
      await object.body.pipeTo(writable, { preventClose: true })
    }
    await writable.close()
  }
  pour().catch((error: unknown) => writable.abort(error).catch(() => undefined)) // whoever reads has gone, or sees it break off
  return readable as ReadableStream<Uint8Array> // of bytes
}

/** Keys that one call of R2 deletes. */
const DELETED_AT_ONCE = 1000
/** One look at all of them must fit into what a Worker may ask in one invocation. */
const PAGES = 400

/** Removes what was stored before an instant. Returns how many pieces that were. */
export async function sweepArtifacts({ BLOBS }: Environment, before: number): Promise<number> {
  let swept = 0
  let cursor: string | undefined
  for (let pages = 0; pages < PAGES; pages++) {
    const page = await BLOBS.list({ prefix: ROOT, limit: DELETED_AT_ONCE, ...(cursor === undefined ? {} : { cursor }) })
    const old = page.objects.filter(({ uploaded }) => uploaded.getTime() < before).map(({ key }) => key)
    if (old.length > 0) await BLOBS.delete(old)
    swept += old.length
    if (!page.truncated) break
    cursor = page.cursor
  }
  return swept
}

/** Whether it may be asked for as the place after which a listing goes on. */
export function isPlace(text: string): boolean {
  return /^[0-9a-f]{64}\/\d{5}$/.test(text)
}

/** Whether both are attempts of one project, whose jobs may read each other's artifacts. */
export function areOfOneProject(one: AttemptId, other: string): other is AttemptId {
  const [a, b] = [parseAttemptId(one), parseAttemptId(other)]
  return a !== null && b !== null && a.project === b.project
}
