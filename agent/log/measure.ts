/** Length and SHA-256 of a log as it lies on the disk: what a seal must name. Reads it once, in flat memory. */
import { createHash } from 'node:crypto'
import type { Disk } from '../platform.ts'

export interface LogEnd {
  readonly bytes: number
  /** 64 hex digits. */
  readonly sha256: string
}

const PIECE_BYTES = 1024 * 1024

/** A file that is not there is an empty log. */
export async function measureLog(path: string, disk: Disk): Promise<LogEnd> {
  const hash = createHash('sha256')
  for (let bytes = 0; ; ) {
    const piece = await disk.readRange(path, bytes, PIECE_BYTES)
    if (piece === null || piece.byteLength === 0) return { bytes, sha256: hash.digest('hex') }
    hash.update(piece)
    bytes += piece.byteLength
  }
}
