/**
 * The one way a file becomes durable [C15.1]: temporary file, fsync, rename, fsync of the folder. What one would get wrong
 * is the last step: without it the rename itself may be gone after a power failure, and with it the file.
 */
import { dirname } from 'node:path'
import type { Disk, Files } from './platform.ts'

/** The files of an operating system with `writeDurably` on top. */
export function durable(files: Files): Disk {
  return {
    ...files,
    writeDurably: async (path, bytes) => {
      const temporary = `${path}.tmp`
      try {
        await files.writeSynced(temporary, bytes)
        await files.rename(temporary, path)
      } catch (error) {
        await files.remove(temporary).catch(() => undefined) // the first error is the one that matters
        throw error
      }
      await files.syncFolder(dirname(path))
    },
  }
}
