/** What one day came to, as numbers that are compared and shown. All are whole, so that they are the same on every machine. */
import { CAUSES, COUNTED, type Cause, type Counted, type Meter } from './meter.ts'

export interface Figures extends Record<Counted, Readonly<Record<Cause, number>>> {
  readonly builds: number
  /** GB-s of all objects, as documented; and if the ten seconds in memory after each event were billed too. */
  readonly duration: { readonly gb_s: number; readonly gb_s_if_idle_counted: number }
  readonly r2: { readonly class_a: number; readonly class_b: number; readonly kb_stored: number }
  /** That the day adds to what the objects store. */
  readonly sqlite: { readonly kb_stored: number }
}

/** 128 MB are billed, whatever is used. */
const GB = 0.128

export function figuresOf({ counts, r2, duration }: Meter, { sqliteBytes, builds }: { readonly sqliteBytes: number; readonly builds: number }): Figures {
  return {
    builds,
    ...counts,
    duration: { gb_s: Math.round(duration.seconds * GB), gb_s_if_idle_counted: Math.round(duration.seconds_if_idle_counted * GB) },
    r2: { class_a: r2.class_a, class_b: r2.class_b, kb_stored: Math.round(r2.bytes / 1000) },
    sqlite: { kb_stored: Math.round(sqliteBytes / 1000) },
  }
}

export function total(figures: Figures, counted: Counted): number {
  return CAUSES.reduce((sum, cause) => sum + figures[counted][cause], 0)
}

/** Every figure by its path, such as `worker_requests.sync`. */
export function flat(figures: Figures): ReadonlyMap<string, number> {
  const groups = [...COUNTED, 'duration', 'r2', 'sqlite'] as const
  return new Map(groups.flatMap((group) => Object.entries(figures[group]).map(([name, value]) => [`${group}.${name}`, value] as const)))
}
