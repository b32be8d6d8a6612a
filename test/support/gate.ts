/**
 * A build that goes on when the test says so. `command` writes down that it began, waits at the gate, and writes down
 * that it went through; what was written is the truth about how often a build really ran, whatever anybody reports.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { testFolder } from './installation.ts'
import { STRETCH } from './scale.ts'
import { eventually } from './wait.ts'

export interface Gate {
  /** Shell text: begin, wait for `open`, then `after` (default: exit 0). */
  command(after?: string): string
  open(): void
  /** Attempt ids, in the order in which their commands began. */
  began(): readonly string[]
  /** Attempt ids whose commands went through. */
  passed(): readonly string[]
  /** Waits until so many commands have begun. */
  hasBegun(times?: number): Promise<void>
}

/** Each look starts a process, fifty a second and build. */
const PAUSE_S = 0.02 * STRETCH

export async function createGate(): Promise<Gate> {
  const folder = await testFolder()
  const [open, began, passed] = ['open', 'began', 'passed'].map((name) => join(folder, name)) as [string, string, string] // one for each name
  appendFileSync(began, '')
  const lines = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter((line) => line !== '') : [])
  return {
    // Ends by itself should its test be killed, and with it whoever would have cleared it away.
    command: (after = 'exit 0') => `echo "$KEDGE_ATTEMPT" >> '${began}'; echo begun; until [ -e '${open}' ]; do [ -e '${began}' ] || exit 99; sleep ${PAUSE_S}; done; echo "$KEDGE_ATTEMPT" >> '${passed}'; echo through; ${after}`,
    open: () => writeFileSync(open, ''),
    began: () => lines(began),
    passed: () => lines(passed),
    hasBegun: async (times = 1) => {
      await eventually(`the command has begun ${times} times`, (saw) => {
        saw(lines(began))
        return lines(began).length >= times
      })
    },
  }
}
