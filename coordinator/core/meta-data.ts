/**
 * Meta-data of a build: whether more of it fits, and the rows that it becomes. What a key and a value may be was judged
 * before, where they came in (`schema/meta-data.ts`).
 */
import type { Problem } from '../../schema/api.ts'
import { bytesOfEntry, META_DATA_LIMITS } from '../../schema/meta-data.ts'
import type { BuildRow, Change, MetaDataRow } from './decision.ts'

/** What the build has already. */
export interface Held {
  readonly keys: number
  readonly bytes: number
  /** Of the keys that are put now, as they were. */
  readonly before: ReadonlyMap<string, MetaDataRow>
}

/** All of it or nothing; no change where the build has the very same already. */
export function putMetaData({ project, number: build }: Pick<BuildRow, 'project' | 'number'>, values: ReadonlyMap<string, string>, { keys, bytes, before }: Held): readonly Change[] | Problem {
  const rows = [...values].flatMap(([key, value]): readonly MetaDataRow[] => (before.get(key)?.value === value ? [] : [{ project, build, key, bytes: bytesOfEntry(key, value), value }]))
  const keysAfter = keys + rows.filter(({ key }) => !before.has(key)).length
  if (keysAfter > META_DATA_LIMITS.keys && keysAfter > keys) return full(`${keysAfter} keys, and a build may have ${META_DATA_LIMITS.keys}`)
  const bytesAfter = rows.reduce((sum, row) => sum + row.bytes - (before.get(row.key)?.bytes ?? 0), bytes)
  if (bytesAfter > META_DATA_LIMITS.bytes && bytesAfter > bytes) return full(`${bytesAfter} bytes of keys and values, and a build may have ${META_DATA_LIMITS.bytes}`)
  return rows.map((row) => ({ kind: 'metadata.put', row }))
}

function full(what: string): Problem {
  return { title: 'Too much meta-data', status: 422, code: 'meta-data-full', detail: `With this the build would have ${what}. Set what there is again under the same keys, or keep it elsewhere and its address here.` }
}
