/**
 * Waiting in end-to-end tests: always for a condition, always with a deadline, and a deadline that passes says what was
 * seen last and what every process printed. A sleep would say nothing and be wrong on another machine.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { STRETCH } from './scale.ts'

const LOOK_EVERY_MS = 20 * STRETCH
/** Generous: a deadline is there to end a test that has failed, never to measure. */
const DEADLINE_MS = 30_000 * STRETCH
const LINES_OF_OUTPUT = 40

const witnesses = new Map<string, () => string>()

/** What `name` has to say is shown with every deadline that passes, until the returned function is called. */
export function bearWitness(name: string, say: () => string): () => void {
  witnesses.set(name, say)
  return () => void witnesses.delete(name)
}

export interface Wait {
  readonly withinMs?: number
}

/**
 * Looks again and again until `look` gives something other than `undefined`, `null` or `false`, and returns that.
 * `look` may tell what it saw by `saw`; what it throws counts as not yet.
 */
export async function eventually<T>(what: string, look: (saw: (state: unknown) => void) => T | Promise<T>, { withinMs = DEADLINE_MS }: Wait = {}): Promise<Exclude<T, undefined | null | false>> {
  const until = performance.now() + withinMs
  let seen: unknown = 'nothing'
  for (;;) {
    try {
      const found = await look((state) => (seen = state))
      if (found !== undefined && found !== null && found !== false) return found as Exclude<T, undefined | null | false> // the line's own test
    } catch (error) {
      seen = error instanceof Error ? `${error.name}: ${error.message}` : error
    }
    if (performance.now() > until) throw new Error(`${what}: not within ${withinMs / 1000} s. Last seen: ${shown(seen)}${testimony()}`)
    await pause(LOOK_EVERY_MS)
  }
}

/** A fault may *be* a time: a silence of so long. Nothing is awaited by this but the fault itself. */
export async function lasting(ms: number): Promise<void> {
  await pause(ms)
}

function shown(seen: unknown): string {
  return typeof seen === 'string' ? seen : JSON.stringify(seen, null, 2)
}

function testimony(): string {
  return [...witnesses].map(([name, say]) => `\n\n--- ${name}\n${say().trimEnd().split('\n').slice(-LINES_OF_OUTPUT).join('\n')}`).join('')
}
