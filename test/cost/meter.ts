/**
 * What Cloudflare would have counted, each by what caused it. An object's duration is kept twice: `seconds` as the
 * documentation bills it (while something is under way, or keeps the object from hibernating), and `seconds_if_idle_counted`,
 * as if the ten seconds that it then stays in memory were billed as well.
 */

export const CAUSES = ['sync', 'log', 'people', 'alarm'] as const
/** `people` are also the scripts that start builds. */
export type Cause = (typeof CAUSES)[number]

export const COUNTED = ['worker_requests', 'object_requests', 'rows_written', 'rows_read'] as const
export type Counted = (typeof COUNTED)[number]

/** After the last event an object is kept in memory for so long, and then hibernates. */
export const HIBERNATES_AFTER_MS = 10_000
/**
 * How long one request, alarm or socket is taken to be under way in its object, until its rows are on disk. An assumption,
 * and a high one: workerd on one machine answers a sync within a millisecond.
 */
export const UNDER_WAY_MS = 50

export class Meter {
  readonly counts: Record<Counted, Record<Cause, number>> = { worker_requests: none(), object_requests: none(), rows_written: none(), rows_read: none() }
  readonly r2 = { class_a: 0, class_b: 0, bytes: 0 }
  readonly duration = { seconds: 0, seconds_if_idle_counted: 0 }
  /** What happens now happens because of this. */
  cause: Cause = 'sync'
  isOn = false

  add(counted: Counted, count = 1): void {
    if (this.isOn) this.counts[counted][this.cause] += count
  }

  addR2(operation: 'class_a' | 'class_b', bytes = 0): void {
    if (!this.isOn) return
    this.r2[operation] += 1
    this.r2.bytes += bytes
  }

  addDuration(kind: keyof Meter['duration'], ms: number): void {
    if (this.isOn) this.duration[kind] += ms / 1000
  }
}

/** The time of one object: the union of all that keeps it. Calls must come in order of time. */
export class Wakefulness {
  readonly #meter: Meter
  #activeUntil = -Infinity
  #idleUntil = -Infinity
  #holds = 0
  #touchedAt = -Infinity

  constructor(meter: Meter) {
    this.#meter = meter
  }

  /** One request, or a timer that is set for `ms`. */
  busy(now: number, ms = UNDER_WAY_MS): void {
    this.#touch(now)
    this.#cover(now, now + ms)
  }

  /** Something that ends later: a follower's stream. */
  hold(now: number): void {
    this.#touch(now)
    this.#holds += 1
  }

  release(now: number): void {
    this.#touch(now)
    this.#holds -= 1
  }

  isInMemory(now: number): boolean {
    return this.#holds > 0 || now <= this.#activeUntil + HIBERNATES_AFTER_MS
  }

  #touch(now: number): void {
    if (this.#holds > 0) this.#cover(this.#touchedAt, now)
    this.#touchedAt = now
  }

  #cover(from: number, to: number): void {
    this.#meter.addDuration('seconds', Math.max(0, to - Math.max(from, this.#activeUntil)))
    this.#meter.addDuration('seconds_if_idle_counted', Math.max(0, to + HIBERNATES_AFTER_MS - Math.max(from, this.#idleUntil)))
    this.#activeUntil = Math.max(this.#activeUntil, to)
    this.#idleUntil = Math.max(this.#idleUntil, to + HIBERNATES_AFTER_MS)
  }
}

function none(): Record<Cause, number> {
  return { sync: 0, log: 0, people: 0, alarm: 0 }
}
