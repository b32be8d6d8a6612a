/**
 * When the next bytes of a log are due [C12.3]: at once with a full PUT; soon when somebody watches; otherwise now and
 * then, and more seldom once the build is no longer young, since each PUT costs the coordinator a request and a row.
 * Whoever comes to watch gets the rest at once.
 */
import type { Clock } from '../platform.ts'

export interface Pace {
  /** The file's length. True when whoever sleeps until `due` must look again. */
  grow(bytes: number): boolean
  watched(isWatched: boolean): void
  /** A PUT leaves now. */
  sending(): void
  /** The coordinator has this many bytes. */
  sent(bytes: number): void
  /** Milliseconds until the next PUT; 0 is now, null not before the file grows. */
  due(): number | null
}

/** So many of the coordinator's paces a build is young, and so many of them are one later: by its 5 s, half a minute and 20 s. */
const YOUNG_PACES = 6
const LATER_PACES = 4
/** A watched line leaves this long after it was printed: long enough to take its neighbours along, short of the 100 ms that are promised. */
const WATCHED_MS = 50
/** Output without an end is sent in larger pieces. */
const CONTINUOUS_WATCHED_MS = 1000
const CONTINUOUS_AFTER_MS = 10_000
/** A pause of this length ends an output that was continuous. */
const PAUSE_MS = 2000

export function createPace({ clock, pace, fullBytes }: { readonly clock: Clock; readonly pace: () => number; readonly fullBytes: number }): Pace {
  let size = 0
  let stored = 0
  let isWatched = false
  /** When the first byte that no PUT has taken along was written. */
  let unsentSince: number | null = null
  let grewAt = -Infinity
  let continuousSince = 0
  const beganAt = clock.monotonic()

  const interval = (now: number): number => {
    if (!isWatched) return now - beganAt < YOUNG_PACES * pace() ? pace() : LATER_PACES * pace()
    return now - continuousSince >= CONTINUOUS_AFTER_MS ? CONTINUOUS_WATCHED_MS : WATCHED_MS
  }
  return {
    grow: (bytes) => {
      const now = clock.monotonic()
      const before = size - stored
      if (bytes > size) {
        if (now - grewAt > PAUSE_MS) continuousSince = now
        grewAt = now
      }
      size = bytes
      if (size <= stored) return false
      const isFirst = unsentSince === null
      unsentSince ??= now
      return isFirst || (before < fullBytes && size - stored >= fullBytes)
    },
    watched: (value) => {
      isWatched = value
    },
    sending: () => {
      unsentSince = null
    },
    sent: (bytes) => {
      stored = bytes
      if (size > stored) unsentSince ??= clock.monotonic()
      else unsentSince = null
    },
    due: () => {
      if (size <= stored) return null
      if (size - stored >= fullBytes) return 0
      const now = clock.monotonic()
      return Math.max(0, (unsentSince ?? now) + interval(now) - now)
    },
  }
}
