/** What is known of a file before it is sent: its digests, whole and by piece, and by what one sees that it has changed since. */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { bytesOfPiece, piecesOf, PIECE_BYTES } from '../../schema/artifacts.ts'

export interface MeasuredFile {
  readonly bytes: number
  readonly sha256: string
  readonly sha1: string
  /** The SHA-256 of each piece. */
  readonly pieces: readonly string[]
  /** Differs as soon as somebody wrote to the file. */
  readonly stamp: string
}

/** A file that was written to while it was read; a sentence for a person. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged'

  constructor(file: string) {
    super(`${file} was changed while it was being uploaded. Upload it when nothing writes to it any more.`)
  }
}

const BUFFER_BYTES = 1024 ** 2

/** Reads it once, in bounded memory. */
export async function measureFile(file: string): Promise<MeasuredFile> {
  const handle = await open(file)
  try {
    const stamp = await stampOf(handle)
    const { size } = await handle.stat()
    const [sha256, sha1, pieces] = [createHash('sha256'), createHash('sha1'), [] as string[]]
    const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, Math.max(1, size)))
    for (let piece = 0; piece < piecesOf(size); piece++) {
      const own = createHash('sha256')
      for (let left = bytesOfPiece(size, piece), at = piece * PIECE_BYTES; left > 0; ) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, left), at)
        if (bytesRead === 0) throw new FileChanged(file)
        const read = buffer.subarray(0, bytesRead)
        for (const hash of [sha256, sha1, own]) hash.update(read)
        left -= bytesRead
        at += bytesRead
      }
      pieces.push(own.digest('hex'))
    }
    if ((await stampOf(handle)) !== stamp) throw new FileChanged(file)
    return { bytes: size, sha256: sha256.digest('hex'), sha1: sha1.digest('hex'), pieces, stamp }
  } finally {
    await handle.close()
  }
}

/** Throws `FileChanged` when it is not what was measured any more. */
export async function assertUnchanged(file: string, { stamp }: MeasuredFile): Promise<void> {
  const handle = await open(file).catch(() => null)
  try {
    if (handle === null || (await stampOf(handle)) !== stamp) throw new FileChanged(file)
  } finally {
    await handle?.close()
  }
}

async function stampOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true })
  return [dev, ino, size, mtimeNs, ctimeNs].join()
}
