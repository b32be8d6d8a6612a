/**
 * Eight mebibytes that exist only to be deleted: when the disk is full at the moment a result must be spooled, they make
 * room for it [C15.1]. A small write may spend them; whoever spends them does not put them back while the disk is full.
 */
import { join } from 'node:path'
import type { Disk } from '../platform.ts'

export const RESERVE_BYTES = 8 * 1024 * 1024

/** Does the write; on a full disk deletes the reserve and does it once more. */
export async function withReserve<T>(disk: Disk, stateFolder: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    await disk.remove(reservePath(stateFolder))
    return await write()
  }
}

/** Makes the reserve unless it is whole. A disk too full for it is no reason to stop: false, and somebody tries later. */
export async function fillReserve(disk: Disk, stateFolder: string): Promise<boolean> {
  const path = reservePath(stateFolder)
  if ((await disk.size(path)) === RESERVE_BYTES) return true
  try {
    await disk.allocate(path, RESERVE_BYTES)
    return true
  } catch (error) {
    if (!isDiskFull(error)) throw error
    await disk.remove(path)
    return false
  }
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

function reservePath(stateFolder: string): string {
  return join(stateFolder, 'reserve')
}
