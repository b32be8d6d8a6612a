/**
 * The ids of attempts that are settled: their folders may be gone, and still they are never started again [C4.12]. One
 * line an id, appended and fsynced before a folder goes; only the newest are kept, since the coordinator redelivers
 * nothing that is older than one boot.
 */
import type { AttemptId } from '../../schema/job.ts'
import { parseAttemptId } from '../../schema/job.ts'
import type { Disk } from '../platform.ts'

export const KNOWN_IDS = 10_000

export interface Known {
  has(attempt: AttemptId): boolean
  /** Durable when it resolves; ids that are already there cost nothing. */
  add(attempts: readonly AttemptId[]): Promise<void>
}

/** Reads the file; a line that is no id (a torn write) is passed over. `keep` is for tests. */
export async function openKnown(path: string, disk: Disk, { keep = KNOWN_IDS }: { readonly keep?: number } = {}): Promise<Known> {
  const text = new TextDecoder().decode((await disk.read(path)) ?? new Uint8Array())
  const ids = new Set<string>(text.split('\n').filter((line) => parseAttemptId(line) !== null))
  let lines = text === '' ? 0 : text.split('\n').length
  let endsWhole = text === '' || text.endsWith('\n')
  let exists = text !== ''

  const rewrite = async (): Promise<void> => {
    for (const id of ids) {
      if (ids.size <= keep) break
      ids.delete(id) // a Set goes through its oldest first
    }
    await disk.writeDurably(path, encode([...ids]))
    lines = ids.size
    endsWhole = exists = true
  }

  return {
    has: (attempt) => ids.has(attempt),
    add: async (attempts) => {
      const fresh = attempts.filter((attempt) => !ids.has(attempt))
      if (fresh.length === 0) return
      if (!exists || lines + fresh.length > 2 * keep) {
        for (const attempt of fresh) ids.add(attempt)
        return await rewrite()
      }
      const file = await disk.append(path)
      try {
        if (!endsWhole) await file.write(encode(['']))
        endsWhole = false // until this append is known to be whole
        await file.write(encode(fresh))
        await file.sync()
        endsWhole = true
      } finally {
        await file.close()
      }
      lines += fresh.length
      for (const attempt of fresh) ids.add(attempt)
    },
  }
}

function encode(ids: readonly string[]): Uint8Array {
  return new TextEncoder().encode(ids.map((id) => `${id}\n`).join(''))
}
