/**
 * Which steps of an upload do not run, by what is known when it is uploaded: those that say so (`skip`), whose branches
 * are others, or whose condition does not hold. A wait or block that is left out does not stand between anything.
 */
import { evaluate, parseConditional, type Context } from './conditional/conditional.ts'
import { Budget } from './conditional/budget.ts'
import { pathOf } from './graph.ts'
import type { Mistake, Step } from './steps.ts'
import { matchesWildcard } from './wildcard.ts'

/** Why, as people read it; empty when nobody said. */
export type LeftOut = ReadonlyMap<Step, string>

export type LeftOutAnswer = { readonly ok: true; readonly leftOut: LeftOut } | { readonly ok: false; readonly mistakes: readonly Mistake[] }

/** What all conditions of an upload may cost, in what one may: about five seconds at the very worst, and a hundredth of one as they are. */
const ALL = 10

/** What the steps of a group are left out for is also what the group is. A condition that cannot be decided is a mistake: its step must neither run nor be passed over by accident. */
export function leftOutOf(steps: readonly Step[], context: Context): LeftOutAnswer {
  const leftOut = new Map<Step, string>()
  const mistakes: Mistake[] = []
  const budget = new Budget({ times: ALL }) // of all conditions together, so that many are as bounded as one
  for (const step of steps) {
    const why = whyNot(step, context, budget, mistakes)
    if (why !== null) leftOut.set(step, why)
    if (step.kind !== 'group') continue
    for (const inner of step.steps) {
      const own = why ?? whyNot(inner, context, budget, mistakes)
      if (own !== null) leftOut.set(inner, own)
    }
  }
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, leftOut }
}

function whyNot(step: Step, context: Context, budget: Budget, mistakes: Mistake[]): string | null {
  if ('skip' in step && step.skip !== null) return step.skip
  const branch = context.build.branch ?? null
  if (step.kind !== 'group' && step.branches !== null && !isOn(branch, step.branches)) return branch === null ? `only on the branches ${step.branches.join(' ')}, and the build's is not known` : `only on the branches ${step.branches.join(' ')}, not on ${branch}`
  if (step.if === null) return null
  const parsed = parseConditional(step.if, { budget })
  const verdict = parsed.ok ? evaluate(parsed.conditional, context, { budget }) : parsed
  if (verdict.ok) return verdict.holds ? null : `its condition does not hold: ${step.if}`
  mistakes.push({ path: [...pathOf(step), 'if'], message: verdict.error.message })
  return null
}

/** Some pattern without `!` (if there are such) and none with it. */
export function isOn(branch: string | null, patterns: readonly string[]): boolean {
  const [wanted, unwanted] = [patterns.filter((one) => !one.startsWith('!')), patterns.filter((one) => one.startsWith('!'))]
  if (branch === null) return wanted.length === 0
  return (wanted.length === 0 || wanted.some((one) => matchesWildcard(branch, one))) && !unwanted.some((one) => matchesWildcard(branch, one.slice(1)))
}
