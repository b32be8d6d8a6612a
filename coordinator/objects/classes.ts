/** The class of a requirement, made when it is the first to ask for that. */
import { normalised, type Offered } from '../core/matching.ts'
import * as load from '../store/load.ts'
import type { Event } from './event.ts'

export function classFor(event: Event, asked: Offered): number {
  const { queue, tags } = normalised(asked)
  const wanted = JSON.stringify(tags)
  for (const row of event.memory.classes.values()) if (row.queue === queue && JSON.stringify(row.tags) === wanted) return row.id
  const row = { id: Math.max(0, ...event.memory.classes.keys()) + 1, queue, tags }
  load.classes.insert(event.on, row)
  event.memory.addClass(row)
  return row.id
}
