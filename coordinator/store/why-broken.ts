/** Whose end kept a step from being run. Reads only; each arrow between steps is looked at once for all of a build. */
import { breaks } from '../core/step.ts'
import type { EdgeRow, StepRow } from '../core/decision.ts'

/** How many steps a sentence names. */
const NAMED = 3

export interface Arrows {
  readonly rows: ReadonlyMap<number, StepRow>
  readonly edgesTo: ReadonlyMap<number, readonly EdgeRow[]>
}

/** By the number of each step that is broken: the ones that failed or were cancelled themselves, through waits, groups and whatever they broke before; at most one more than is named. */
export function culpritsOf({ rows, edgesTo }: Arrows): ReadonlyMap<number, readonly StepRow[]> {
  const found = new Map<number, readonly StepRow[]>()
  const of = (to: StepRow): readonly StepRow[] => {
    const known = found.get(to.s)
    if (known !== undefined) return known
    found.set(to.s, []) // until it is known: nothing here goes in circles
    const culprits = new Set<StepRow>()
    for (const edge of edgesTo.get(to.s) ?? []) {
      if (culprits.size > NAMED) break
      const from = rows.get(edge.from)
      if (from === undefined || from.state !== 'done' || !breaks(to, from, edge)) continue
      for (const one of isOwnEnd(from) ? [from] : of(from)) culprits.add(one)
    }
    const few = [...culprits].slice(0, NAMED + 1)
    found.set(to.s, few)
    return few
  }
  // In the order of the pipeline, so that what stands before a step is known when it is asked for.
  const broken = [...rows.values()].filter(({ kind, outcome }) => outcome === 'broken' && kind !== 'wait').sort((a, b) => (a.place < b.place ? -1 : 1))
  return new Map(broken.map((row) => [row.s, of(row)]))
}

function isOwnEnd({ kind, outcome }: StepRow): boolean {
  return kind !== 'group' && kind !== 'wait' && (outcome === 'failed' || outcome === 'canceled')
}

/** `"Lint" failed, "Test" was cancelled`, the end of a sentence; null without any. */
export function becauseOf(culprits: readonly StepRow[] | undefined, nameOf: (step: StepRow) => string): string | null {
  if (culprits === undefined || culprits.length === 0) return null
  const named = culprits.slice(0, NAMED).map((step) => `"${nameOf(step)}" ${step.outcome === 'canceled' ? 'was cancelled' : 'failed'}`)
  return `${named.join(', ')}${culprits.length > NAMED ? ', and others' : ''}`
}
