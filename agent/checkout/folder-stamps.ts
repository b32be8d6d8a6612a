/**
 * Tells without looking into them that folders still hold what they held: whatever is made, removed or renamed in a
 * folder changes its change time, which no build can set back. So a tree that was clean once and whose folders have
 * their old stamps has nothing to be cleaned away. What one would get wrong is how coarse that clock is: a folder that
 * changed while it was looked at may change again without a newer time, so its names are kept and compared instead.
 */
import { lstatSync, readdirSync } from 'node:fs'
import { z } from 'zod'

/** Names are `latin1`, one character a byte, as they need not be UTF-8. */
export const folderStamp = z.object({
  /** Below the tree; empty for its top. */
  path: z.string(),
  /** Inode and mode. */
  identity: z.string(),
  /** In nanoseconds; null when it is too young to be believed. */
  changedAt: z.string().nullable(),
  /** What a young folder holds, in order. */
  names: z.array(z.string()),
})
export type FolderStamp = z.infer<typeof folderStamp>

/** Looked at in one go, while nothing else of the agent runs: some microseconds each. */
const MOST_FOLDERS = 4000
/** With more young folders than that, all are looked through. */
const MOST_YOUNG = 200

/**
 * Of a tree that holds `folders`, by path, and nothing else, and that was looked through after the file system's clock
 * had come to `since`. Null when there are too many, or when this file system does not note changes of folders.
 */
export function stampFolders(tree: string, folders: ReadonlyMap<string, readonly string[]>, since: bigint): readonly FolderStamp[] | null {
  if (folders.size > MOST_FOLDERS) return null
  const stamps: FolderStamp[] = []
  let young = 0
  for (const [path, names] of folders) {
    const { ino, mode, ctimeNs } = lstatSync(at(tree, path), { bigint: true })
    const isYoung = ctimeNs >= since
    if (isYoung && (young += 1) > MOST_YOUNG) return null
    if (path === '' && !isYoung) return null // `.git` was laid in it anew since
    stamps.push({ path, identity: `${ino} ${mode}`, changedAt: isYoung ? null : String(ctimeNs), names: isYoung ? [...names].sort() : [] })
  }
  return stamps
}

/** Whether none of them can hold more than when they were stamped, the `.git` at the top left out. Files may still have changed, or be gone. */
export function areUntouched(tree: string, stamps: readonly FolderStamp[]): boolean {
  try {
    return stamps.every(({ path, identity, changedAt, names }) => {
      const { ino, mode, ctimeNs } = lstatSync(at(tree, path), { bigint: true })
      if (identity !== `${ino} ${mode}`) return false
      if (changedAt !== null) return changedAt === String(ctimeNs)
      const found = readdirSync(at(tree, path), 'latin1').filter((name) => path !== '' || name !== '.git')
      return found.length === names.length && found.sort().every((name, index) => name === names[index])
    })
  } catch {
    return false // gone, or no folder any more, or not ours to read
  }
}

function at(tree: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(path, 'latin1')])
}
