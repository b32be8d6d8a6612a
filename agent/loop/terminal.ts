/**
 * What the agent tells the person at its terminal. Lines are whole sentences without the program's name, which the
 * command line puts in front; the one that only says that it waits is kept rare here, not by whoever prints it.
 */
import type { Clock } from '../platform.ts'

export interface Terminal {
  line(text: string): void
  /** The agent waits for something outside of it; the text says for what, and when it tries next. */
  waiting(text: string): void
}

export interface Waiter {
  /** Shows the sentence when its reason is new or was last shown long ago. */
  say(reason: string, next: string): void
  /** What was waited for has come. True when a person had been told of the wait. */
  over(): boolean
}

export function createWaiter(terminal: Terminal, clock: Clock, againMs: number): Waiter {
  let last: { reason: string; at: number } | null = null
  return {
    say: (reason, next) => {
      const at = clock.monotonic()
      if (last?.reason === reason && at - last.at < againMs) return
      last = { reason, at }
      terminal.waiting(`${reason}; ${next}`)
    },
    over: () => {
      const told = last !== null
      last = null
      return told
    },
  }
}

/** `4 s`, `2 min`: as a person reads it; never `0 s`. */
export function inWords(ms: number): string {
  return ms < 90_000 ? `${Math.max(1, Math.round(ms / 1000))} s` : `${Math.round(ms / 60_000)} min`
}
