/**
 * How long to wait before trying again: the only place in the agent that decides it. Full jitter, because after an
 * outage a whole fleet tries at once; and there is no last try, because an agent that gives up needs a person [C7].
 */
import type { Chance, Clock } from '../platform.ts'

export interface Backoff {
  /** Milliseconds until the next try; each call doubles the bound. A `Retry-After` is a floor, never shortened [C2.1]. */
  next(retryAfterMs?: number | null): number
  /** After a success: the next failure starts small again. */
  reset(): void
  /** Waits `next(retryAfterMs)`. An aborted signal ends the wait early; it does not throw, so look at the signal after. */
  wait(signal?: AbortSignal, retryAfterMs?: number | null): Promise<void>
}

export interface BackoffOptions {
  readonly clock: Clock
  readonly chance: Chance
  readonly baseMs: number
  /** A function where the cap depends on what is held at that moment. */
  readonly capMs: number | (() => number)
  /** Bounds on a `Retry-After`: zero must not spin, a huge one must not park the agent for a day. */
  readonly retryAfterFloorMs?: number
  readonly retryAfterCapMs?: number
}

export function createBackoff({ clock, chance, baseMs, capMs, retryAfterFloorMs = 1000, retryAfterCapMs = 600_000 }: BackoffOptions): Backoff {
  let tries = 0
  const next = (retryAfterMs?: number | null): number => {
    const cap = typeof capMs === 'function' ? capMs() : capMs
    const bound = Math.min(cap, baseMs * 2 ** Math.min(tries, 30))
    tries += 1
    const wait = chance.random() * bound
    if (retryAfterMs === undefined || retryAfterMs === null) return wait
    const floor = Math.min(Math.max(retryAfterMs, retryAfterFloorMs), retryAfterCapMs)
    return Math.max(wait, floor * (1 + 0.2 * chance.random()))
  }
  return {
    next,
    reset: () => {
      tries = 0
    },
    wait: (signal, retryAfterMs) => pause(clock, next(retryAfterMs), signal),
  }
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = () => {
      takeBack()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const takeBack = clock.after(ms, end)
    signal?.addEventListener('abort', end, { once: true })
  })
}
