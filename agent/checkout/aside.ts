/**
 * What a build added to its tree goes aside in one rename each and is deleted in the background, so that the next build
 * never waits for somebody's `node_modules` to go. It lies in the agent's git folder beside the tree, on the same disk.
 */
import { mkdtemp, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { removeWhole } from './drift.ts'

const ASIDE = 'aside-'

/** False when not all could be moved, such as a folder that may not be written to; the rest is still there. */
export async function moveAside(gitFolder: string, paths: readonly Buffer[]): Promise<boolean> {
  if (paths.length === 0) return true
  try {
    const aside = await mkdtemp(join(gitFolder, ASIDE))
    for (const [index, path] of paths.entries()) await rename(path, join(aside, String(index)))
    return true
  } catch {
    return false
  } finally {
    void removeAside(gitFolder).catch(() => undefined) // stays and takes room, until the next time
  }
}

/** Also what an agent that was killed left. */
async function removeAside(gitFolder: string): Promise<void> {
  const names = (await readdir(gitFolder)).filter((name) => name.startsWith(ASIDE))
  await Promise.all(names.map((name) => removeWhole(join(gitFolder, name))))
}
