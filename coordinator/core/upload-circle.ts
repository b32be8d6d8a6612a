/**
 * Whatever waits for the uploading step waits for what that uploads too. So an uploaded step must not wait, in turn, for
 * one of those: they would wait for each other for ever. Circles within an upload are found where its graph is made.
 */
import { pathOf, type Graph } from '../../schema/pipeline/graph.ts'
import type { Mistake } from '../../schema/pipeline/steps.ts'
import type { EdgeRow, StepRow } from './decision.ts'
import { mayWait } from './step.ts'

export interface Surrounding {
  readonly uploader: StepRow
  /** Of the build, with what they wait for. */
  readonly steps: readonly StepRow[]
  readonly edges: readonly EdgeRow[]
  /** By the index of the node: a step that does not run waits for nobody. */
  readonly isLeftOut: (index: number) => boolean
}

export function circlesAcross({ nodes, tail }: Graph, { uploader, steps, edges, isLeftOut }: Surrounding): readonly Mistake[] {
  const of = new Map(steps.map((step) => [step.s, step]))
  const edgesFrom = Map.groupBy(edges, ({ from }) => from)
  // Sets are walked in the order in which they grow.
  const behind = new Set([uploader.s])
  for (const s of behind) {
    for (const { to } of edgesFrom.get(s) ?? []) {
      const step = of.get(to)
      // Behind one that waits, a step that ran before may have to wait again when a person has it tried again.
      if (step !== undefined && (s === uploader.s ? mayWait(step) : step.outcome !== 'skipped')) behind.add(to)
    }
  }
  behind.delete(uploader.s)
  const waitedFor = new Set(tail)
  for (const index of waitedFor) for (const { node } of nodes[index]?.waitsFor ?? []) waitedFor.add(node)
  const keys = new Set([...behind].flatMap((s) => of.get(s)?.key ?? []))
  return nodes.flatMap(({ step, waitsForKnown }, index): readonly Mistake[] => {
    if (!waitedFor.has(index) || isLeftOut(index)) return []
    return waitsForKnown.filter((known) => keys.has(known.step)).map((known) => ({
      path: [...pathOf(step), 'depends_on'],
      message: `"${known.step}" waits for the step that uploads this, and so for all that it uploads: they would wait for each other for ever. Take the dependency away, or let "${known.step}" not wait for the upload.`,
    }))
  })
}
