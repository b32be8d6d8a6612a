/**
 * A clock that a test turns. Nothing passes by itself; `turn` fires what falls due in order and lets promises settle
 * between, so that a loop of timers behaves as it would over real time.
 */
import type { Clock } from '../../agent/platform.ts'

export interface TurnedClock extends Clock {
  turn(ms: number): Promise<void>
  /** The wall clock alone: a machine that slept, or somebody who set the clock. */
  setForward(ms: number): void
  /** Time that passes for both clocks while no timer is looked at: a process that was stopped. */
  pause(ms: number): void
  /** Timers that wait. */
  waiting(): number
}

export function turnedClock(): TurnedClock {
  let now = 1000
  let wall = 1_700_000_000_000
  let order = 0
  const timers = new Map<number, { at: number; call: () => void }>()
  const settle = async () => {
    for (let i = 0; i < 20; i += 1) await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    wall: () => wall,
    monotonic: () => now,
    after: (ms, call) => {
      const id = (order += 1)
      timers.set(id, { at: now + Math.max(0, ms), call })
      return () => void timers.delete(id)
    },
    waiting: () => timers.size,
    setForward: (ms) => {
      wall += ms
    },
    pause: (ms) => {
      now += ms
      wall += ms
    },
    turn: async (ms) => {
      const end = now + ms
      await settle()
      for (;;) {
        const [next] = [...timers].filter(([, { at }]) => at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)
        if (next === undefined) break
        timers.delete(next[0])
        const later = Math.max(0, next[1].at - now) // one may be overdue after a pause
        wall += later
        now += later
        next[1].call()
        await settle()
      }
      wall += end - now
      now = end
      await settle()
    },
  }
}

/** Chance that always says the same number. */
export function loadedDice(value: number) {
  return { random: () => value, bytes: (length: number) => new Uint8Array(length).fill(7) }
}
