/**
 * An upload takes the place of the steps of its build that have not begun (`kedge pipeline upload --replace`). They are
 * done as skipped steps are, so that nothing fails or is tried again because of them, and their keys are free for what
 * comes instead. What has begun stays: whatever waits on a machine, or came back from one, is somebody's work.
 *
 * Nothing but a group can be left waiting for a step that was replaced: all else that waits is replaced itself.
 */
import { isFinal } from '../../schema/job.ts'
import type { BuildRow, Change, EdgeRow, JobRow, StepRow } from './decision.ts'
import { letGo, ready, stepDone } from './step.ts'

export interface Replacing {
  readonly build: BuildRow
  /** The step of the job that uploads. */
  readonly uploader: StepRow
  /** All of the build's, and all of its jobs. */
  readonly steps: readonly StepRow[]
  readonly edges: readonly EdgeRow[]
  readonly jobs: readonly JobRow[]
  readonly now: number
}

export interface Replaced {
  readonly changes: readonly Change[]
  /** As they are then; of the build only the counts differ, and whoever plans on stores them. */
  readonly steps: readonly StepRow[]
  readonly build: BuildRow
}

export function replaceSteps({ build, uploader, steps, edges, jobs, now }: Replacing): Replaced {
  const gone = notBegun(steps, jobs)
  const why = `replaced by what "${uploader.label ?? uploader.key ?? `step ${uploader.s}`}" uploaded`
  const changes: Change[] = []
  const result = JSON.stringify({ reason: { code: 'replaced', message: why } })
  for (const was of jobs) if (was.step !== null && gone.has(was.step) && !isFinal(was.state)) changes.push({ kind: 'job.set', was, set: { state: 'skipped', finishedAt: now, result } })

  const after = new Map(steps.map((step) => [step.s, step]))
  const edgesFrom = Map.groupBy(edges, ({ from }) => from)
  const line: StepRow[] = []
  let counts: Pick<BuildRow, 'openSteps' | 'verdict'> = build
  const set = (step: StepRow, change: Partial<StepRow>) => {
    const row = { ...step, ...change }
    after.set(step.s, row)
    changes.push({ kind: 'step.set', key: step, set: change })
    if (row.state !== 'done') return
    counts = stepDone(counts, row)
    line.push(row)
  }
  for (const step of steps) if (gone.has(step.s)) set(step, { state: 'done', outcome: 'skipped', openJobs: 0, key: null, label: step.label ?? step.key, spec: { ...step.spec, skipped: why } })
  for (let from = line.shift(); from !== undefined; from = line.shift()) {
    for (const edge of edgesFrom.get(from.s) ?? []) {
      const to = after.get(edge.to)
      if (to?.state !== 'waiting') continue
      const fewer = letGo(to, from, edge)
      set(to, fewer.needs === 0 ? { ...fewer, ...ready({ ...to, ...fewer }) } : fewer)
    }
  }
  return { changes, steps: [...after.values()], build: { ...build, ...counts } }
}

/** What waits, for others or for a person, and what is in the queue without an agent ever having had a job of it. A group goes with all of its steps. */
function notBegun(steps: readonly StepRow[], jobs: readonly JobRow[]): ReadonlySet<number> {
  const begun = new Set(jobs.flatMap(({ step, fence }) => (step !== null && fence > 0 ? [step] : [])))
  const members = Map.groupBy(steps, ({ groupStep }) => groupStep)
  const found = new Set<number>()
  // A group was made before its steps, so those are judged first.
  for (const { s, kind, state } of [...steps].sort((a, b) => b.s - a.s)) {
    if (state === 'done') continue
    const goes = kind === 'group' ? (members.get(s) ?? []).every((member) => found.has(member.s)) : state !== 'running' || (kind === 'command' && !begun.has(s))
    if (goes) found.add(s)
  }
  return found
}
