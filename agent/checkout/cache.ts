/**
 * Keeps the cache within its size: the repositories that were used longest ago go, each with the work trees that borrow
 * from it, as those would be worth nothing without it. One that any slot had last is never taken: its build may still run.
 */
import { execFile } from 'node:child_process'
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
  const mirrors = (await list(cache)).filter(isMirrorName).map((name) => ({ name, places: placesOf(name, { cache, worktrees, slots }) }))
  const bytesOf = await sizes(mirrors.flatMap(({ places }) => places), signal)
  const kept = await Promise.all(mirrors.map(async ({ name, places }) => {
    const usedAt = await stat(join(cache, name, STAMP)).then((found) => found.mtimeMs, () => 0)
    return { name, usedAt, bytes: places.reduce((sum, place) => sum + (bytesOf.get(place) ?? 0), 0) }
  }))
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

/** What each takes on the disk. By `du`, as it is beside builds, and to ask for each file from here would take ten times the time. */
export function sizes(places: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
  if (places.length === 0) return Promise.resolve(new Map())
  return new Promise((resolve, reject) => {
    execFile('du', ['-sk', '--', ...places], { signal, maxBuffer: Infinity }, (error, output) => {
      // A status only says that it did not find all: what changes meanwhile, or is not there, is counted or not.
      if (error !== null && typeof error.code !== 'number') return reject(error)
      resolve(new Map(output.split('\n').map((line) => [line.slice(line.indexOf('\t') + 1), Number.parseInt(line, 10) * 1024])))
    })
  })
}
