/**
 * Which processes there are, found in another way than the agent finds them: by a token in their arguments. A test that
 * asked the agent's own process table would only prove that it agrees with itself.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Pids of all living processes that have `token` among their arguments. Zombies have no arguments any more. */
export function pidsWith(token: string): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && argumentsOf(name).includes(token)).map(Number)
}

/** Resolves when the condition holds; the test's own time limit is the only one. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

let tokens = 0

/** A number of seconds, some minutes, that no other process on this machine sleeps for. */
export function uniqueSeconds(): string {
  tokens += 1
  return `300.${process.pid}${String(tokens).padStart(4, '0')}`
}

function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return [] // gone
  }
}
