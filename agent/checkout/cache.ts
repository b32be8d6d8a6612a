/**
 * Keeps the cache within its size: the repositories that were used longest ago go, each with the work trees that borrow
 * from it, as those would be worth nothing without it. One that any slot had last is never taken: its build may still run.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { removeWhole } from './drift.ts'
import { isMirrorName, STAMP } from './mirror.ts'
import { inTurn, type Machine } from './turn.ts'

export interface CacheBound {
  readonly cache: string
  readonly worktrees: string
  readonly limitBytes: number
  /** Names of mirrors that must stay. */
  readonly isInUse: (name: string) => boolean
  readonly machine: Machine
  readonly signal: AbortSignal
}

/** Returns the names of what was removed. */
export async function boundCache({ cache, worktrees, limitBytes, isInUse, machine, signal }: CacheBound): Promise<readonly string[]> {
  const slots = await list(worktrees)
  const kept: { readonly name: string; readonly usedAt: number; readonly bytes: number }[] = []
  for (const name of (await list(cache)).filter(isMirrorName)) {
    const places = placesOf(name, { cache, worktrees, slots })
    let bytes = 0
    for (const place of places) bytes += await bytesIn(place)
    kept.push({ name, bytes, usedAt: await stat(join(cache, name, STAMP)).then((found) => found.mtimeMs, () => 0) })
  }
  let total = kept.reduce((sum, { bytes }) => sum + bytes, 0)
  const removed: string[] = []
  for (const { name, bytes } of kept.sort((a, b) => a.usedAt - b.usedAt)) {
    if (total <= limitBytes || signal.aborted) break
    const isRemoved = await inTurn(join(cache, name), machine, { signal }, async () => {
      if (isInUse(name)) return false // asked when it is our turn: somebody may have come first
      // The mirror last: while it is there, a crash in between leaves nothing that cannot be used.
      for (const place of placesOf(name, { cache, worktrees, slots }).reverse()) await removeWhole(place)
      return true
    })
    if (!isRemoved) continue
    removed.push(name)
    total -= bytes
  }
  return removed
}

function placesOf(name: string, { cache, worktrees, slots }: { readonly cache: string; readonly worktrees: string; readonly slots: readonly string[] }): string[] {
  return [join(cache, name), ...slots.flatMap((slot) => [join(worktrees, slot, name), join(worktrees, slot, `${name}.git`)])]
}

async function list(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => [])
}

/** What it takes on the disk; what changes meanwhile is counted or not. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await bytesIn(path)
    else if (entry.isFile()) bytes += await stat(path).then((found) => found.blocks * 512, () => 0)
  }
  return bytes
}
