/** One step of a build is cancelled: by a job of it, or because the build is failing. What waits for it goes on by the usual rules. */
import { isFinal } from '../../schema/job.ts'
import type { Change, Effect, JobRow, StepRow } from './decision.ts'
import { graver } from './step.ts'

export interface StepCancel {
  readonly changes: readonly Change[]
  readonly effects: readonly Effect[]
  /** The step as it is then; done, unless an agent has a job of it in its hands. */
  readonly step: StepRow
}

/** `jobs`: all of the step's. `why` is a sentence for whoever sees them. Null: there is nothing left to cancel. */
export function cancelStep(step: StepRow, jobs: readonly JobRow[], { why, now }: { readonly why: string; readonly now: number }): StepCancel | null {
  const unfinished = jobs.filter((job) => !isFinal(job.state))
  if (step.state === 'done' || (unfinished.length > 0 && unfinished.every(({ cancel }) => cancel))) return null
  const result = JSON.stringify({ reason: { code: 'canceled', message: why } })
  const changes: Change[] = []
  const effects: Effect[] = []
  for (const job of unfinished) {
    if (job.cancel) continue
    changes.push({ kind: 'job.set', was: job, set: job.state === 'live' ? { cancel: true } : { state: 'canceled', cancel: true, finishedAt: now, result } })
    if (job.state === 'live' && job.agent !== null) effects.push({ kind: 'ring', agent: job.agent }) // each reply repeats the directive until its result comes [C13.1]
  }
  const openJobs = unfinished.filter(({ state }) => state === 'live').length
  const set: Partial<StepRow> = { openJobs, outcome: graver(step.outcome, 'canceled'), spec: { ...step.spec, canceled: why }, ...(openJobs === 0 ? { state: 'done' } : {}) }
  changes.push({ kind: 'step.set', key: step, set })
  return { changes, effects, step: { ...step, ...set } }
}
