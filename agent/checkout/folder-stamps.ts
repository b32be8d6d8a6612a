/**
 * Tells what was added to folders by looking only into those that changed: whatever is made, removed or renamed in a
 * folder moves its change time, which no build can set back. So a tree that was clean once is clean where its folders
 * have their old stamps. What one would get wrong is how coarse that clock is: a folder that changed while it was looked
 * at may change again without a newer time, so its names are kept, and it is looked into.
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
  /** What a young folder is to hold; null for others. */
  names: z.array(z.string()).nullable(),
})
export type FolderStamp = z.infer<typeof folderStamp>

/** The names that each folder is to hold, by its path. */
export type Holdings = ReadonlyMap<string, readonly string[]>

/** Looked at in one go, while nothing else of the agent runs: some microseconds each. */
const MOST_FOLDERS = 4000
/** With more young folders than that, all are looked through. */
const MOST_YOUNG = 200
/** With more that was added, git is quicker. */
const MOST_ADDED = 200

/**
 * Of a tree that holds `folders`, by path, and nothing else, and that was looked through after the file system's clock
 * had come to `since`. Null when there are too many, or when this file system does not note changes of folders.
 */
export function stampFolders(tree: string, folders: Holdings, since: bigint): readonly FolderStamp[] | null {
  if (folders.size > MOST_FOLDERS) return null
  const stamps: FolderStamp[] = []
  let young = 0
  for (const [path, names] of folders) {
    const { ino, mode, ctimeNs } = lstatSync(at(tree, path), { bigint: true })
    const isYoung = ctimeNs >= since
    if (isYoung && (young += 1) > MOST_YOUNG) return null
    if (path === '' && !isYoung) return null // `.git` was laid in it anew since
    stamps.push({ path, identity: `${ino} ${mode}`, changedAt: isYoung ? null : String(ctimeNs), names: isYoung ? [...names] : null })
  }
  return stamps
}

/**
 * Paths of what the folders hold beyond what they should, the `.git` at the top left out; `holdings` is asked when a
 * folder changed that was not young. Null when that cannot be told, as a folder itself is another one, or gone. Files
 * that should be there may still have changed, become something else, or be gone.
 */
export async function addedTo(tree: string, stamps: readonly FolderStamp[], holdings: () => Promise<Holdings | null>): Promise<readonly Buffer[] | null> {
  try {
    const changed: FolderStamp[] = []
    for (const stamp of stamps) {
      const { ino, mode, ctimeNs } = lstatSync(at(tree, stamp.path), { bigint: true })
      if (stamp.identity !== `${ino} ${mode}`) return null
      if (stamp.changedAt !== String(ctimeNs)) changed.push(stamp)
    }
    const held = changed.every(({ names }) => names !== null) ? null : await holdings()
    const added: Buffer[] = []
    for (const { path, names } of changed) {
      const known = names ?? held?.get(path)
      if (known === undefined) return null
      const expected = new Set(path === '' ? [...known, '.git'] : known)
      for (const name of readdirSync(at(tree, path), 'latin1')) if (!expected.has(name)) added.push(at(tree, path === '' ? name : `${path}/${name}`))
      if (added.length > MOST_ADDED) return null
    }
    return added
  } catch {
    return null // gone, or not ours to read
  }
}

function at(tree: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(path, 'latin1')])
}
