/**
 * The folder of a job without a checkout: one a slot, empty before and after. What a job left there is moved aside in one
 * rename and deleted in the background, so that the next job never waits for somebody's `node_modules` to go.
 */
import { join } from 'node:path'
import type { Disk } from './platform.ts'

export interface SlotFolders {
  /** The slot's folder, there and empty. */
  empty(slot: number): Promise<string>
  /** What was moved aside is gone. */
  tidied(): Promise<void>
}

/** `folder` holds one folder a slot; leftovers of an earlier process in it are deleted too. */
export function slotFolders(folder: string, disk: Disk): SlotFolders {
  const removals = new Set<Promise<void>>()
  let count = 0
  const remove = (path: string) => {
    // What cannot be deleted (a file of another user) stays aside and takes room; the claim gate watches over that.
    const removal: Promise<void> = disk.remove(path).catch(() => undefined).then(() => void removals.delete(removal))
    removals.add(removal)
  }
  const cleared = disk.list(folder).then((names) => {
    for (const name of names) if (name.includes('.old-')) remove(join(folder, name))
  }, () => undefined)

  const empty = async (slot: number): Promise<string> => {
    await cleared // before anything new is moved aside under the same name
    const path = join(folder, String(slot))
    if (!(await isEmpty(disk, path))) {
      // Within the same parent: a folder without write permission can still be renamed there.
      const aside = join(folder, `${slot}.old-${(count += 1)}`)
      await disk.rename(path, aside)
      remove(aside)
    }
    await disk.makeFolder(path)
    return path
  }
  /** One after the other in a slot: "after" of a job and "before" of the next come close together. */
  const last = new Map<number, Promise<unknown>>()

  return {
    empty: (slot) => {
      const next = (last.get(slot) ?? Promise.resolve()).then(() => empty(slot), () => empty(slot))
      last.set(slot, next)
      return next
    },
    tidied: async () => {
      await cleared
      await Promise.allSettled(last.values())
      await Promise.all(removals)
    },
  }
}

async function isEmpty(disk: Disk, path: string): Promise<boolean> {
  try {
    return (await disk.list(path)).length === 0
  } catch {
    return false // not readable, or a file: out of the way with it
  }
}
