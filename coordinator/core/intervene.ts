/** What a person may do to a build: cancel it, retry its jobs, let a block pass. */
import type { FieldAnswer, Problem, RetryRequest } from '../../schema/api.ts'
import { isFinal, jobId } from '../../schema/job.ts'
import { judgeAnswers } from './answers.ts'
import type { BuildRow, Change, Decision, Effect, JobRow, StepRow } from './decision.ts'
import { reopened, settleBuild, succeed } from './plan.ts'
import { whyNoRetry } from './retry-by-hand.ts'
import { retrySteps, type Graph } from './retry-steps.ts'
import { graver, stepDone } from './step.ts'
import { triggerAgain } from './trigger.ts'

/**
 * Jobs in the queue end at once; one in an agent's hands is marked, and each reply repeats the directive until its
 * result comes, so that neither a lost reply nor a restart can lose the cancel [C13.1]. Repeating it changes nothing.
 */
export function cancel(build: BuildRow, jobs: readonly JobRow[], steps: readonly StepRow[], now: number): Decision {
  const changes: Change[] = []
  const effects: Effect[] = []
  const after = jobs.map((job) => {
    if (isFinal(job.state) || job.cancel) return job
    const set: Partial<JobRow> = job.state === 'live' ? { cancel: true } : { state: 'canceled', cancel: true, finishedAt: now }
    changes.push({ kind: 'job.set', was: job, set })
    if (job.state === 'live' && job.agent !== null) effects.push({ kind: 'ring', agent: job.agent })
    return { ...job, ...set }
  })
  const stepless = build.openSteps === null
  const counted = stepless ? build : { ...build, ...endSteps(build, steps, after, changes) }
  if (changes.length > 0) changes.push(...settleBuild(counted, after, now))
  return { changes, effects }
}

/** Steps end with their build, but for those that still have a job in an agent's hands. */
function endSteps(build: BuildRow, steps: readonly StepRow[], jobs: readonly JobRow[], changes: Change[]): Pick<BuildRow, 'openSteps' | 'verdict'> {
  const open = new Map<number, number>()
  for (const job of jobs) if (job.step !== null && !isFinal(job.state)) open.set(job.step, (open.get(job.step) ?? 0) + 1)
  let counts: Pick<BuildRow, 'openSteps' | 'verdict'> = build
  for (const step of steps) {
    if (step.state === 'done') continue
    const openJobs = open.get(step.s) ?? 0
    const outcome = graver(step.outcome, 'canceled') // one of its jobs may have failed before
    const set: Partial<StepRow> = openJobs === 0 ? { state: 'done', outcome, openJobs } : { openJobs, outcome }
    if (openJobs === step.openJobs && outcome === step.outcome) continue
    changes.push({ kind: 'step.set', key: step, set })
    if (openJobs === 0) counts = stepDone(counts, { ...step, ...set })
  }
  const { openSteps, verdict } = counts
  if (openSteps !== build.openSteps) changes.push({ kind: 'build.set', was: build, set: { openSteps, verdict } })
  return { openSteps, verdict }
}

const FAILED = new Set<string>(['failed', 'timed_out', 'errored', 'canceled', 'broken'])
/** Outcomes of a trigger that a person may have tried again; one that is broken waits again for what broke it. */
const NOT_PASSED = new Set<string>(['failed', 'soft_failed', 'canceled'])

/** New jobs that succeed the finished ones, all or only those that did not pass; a problem where there is none. */
export function retry(build: BuildRow, jobs: readonly JobRow[], { steps, edges }: Graph, request: RetryRequest, now: number): Decision | Problem {
  if (build.openSteps !== null && request.only !== 'failed') {
    return { title: 'Not all of it can be retried', status: 409, code: 'retry-only-failed', detail: `Build ${build.number} has steps, and a step that passed is not run again: retry only what failed, or start a new build of the commit.` }
  }
  const current = jobs.filter((job) => job.retriedBy === null && isFinal(job.state))
  const wanted = request.only === 'failed' ? current.filter((job) => FAILED.has(job.state)) : current
  const refusals = new Map(wanted.map((job) => [job, whyNoRetry(job, steps.find(({ s }) => s === job.step))]))
  const chosen = wanted.filter((job) => job.state === 'broken' || refusals.get(job) === null)
  const [refused] = wanted.filter((job) => job.state !== 'broken' && refusals.get(job) !== null)
  const triggers = new Map(steps.flatMap((step) => (step.state === 'done' && step.spec.trigger !== undefined && NOT_PASSED.has(step.outcome ?? '') ? [[step.s, triggerAgain(step, step.spec.trigger)] as const] : [])))
  // What is broken runs only when something else does.
  if (refused !== undefined && chosen.every(({ state }) => state === 'broken') && triggers.size === 0) {
    return { title: 'Nothing may be retried', status: 409, code: 'job-retry-refused', detail: `Job ${jobId(refused)} cannot be retried: ${refusals.get(refused)}.` }
  }
  if (chosen.length === 0 && triggers.size === 0) {
    const unfinished = jobs.some((job) => !isFinal(job.state))
    const detail = unfinished
      ? `Build ${build.number} is not finished: there is no job to retry yet. Wait for it, or cancel it first.`
      : `No job of build ${build.number} failed. Leave "only" away to retry all of them.`
    return { title: 'Nothing to retry', status: 409, code: 'nothing-to-retry', detail }
  }
  if (build.openSteps !== null) return retrySteps(build, jobs, { steps, edges }, { jobs: chosen, triggers, neverBegan: 'again' }, now)
  const changes: Change[] = []
  const effects: Effect[] = []
  let n = Math.max(...jobs.map((job) => job.n))
  for (const old of chosen) {
    const next = succeed(old, ++n, now)
    changes.push(...next.changes)
    effects.push({ kind: 'ring-class', class: old.class, count: 1 })
  }
  changes.push({ kind: 'build.set', was: build, set: reopened(build) })
  return { changes, effects }
}

/** How a person lets a block pass. */
export interface Unblocking {
  /** The name of the token. */
  readonly by: string
  readonly given: readonly FieldAnswer[]
  readonly now: number
}

/** `answers` become meta-data of the build. The same again changes nothing; other answers come too late. */
export function unblock(step: StepRow, { by, given, now }: Unblocking): { readonly set: Partial<StepRow> | null; readonly answers: ReadonlyMap<string, string> } | Problem {
  const { block, unblocked } = step.spec
  if (step.kind !== 'block' || block === null) return { title: 'Not a block', status: 409, code: 'step-not-block', detail: `Step ${step.s} is a ${step.kind} step: nobody is asked to let it pass.` }
  if (unblocked === null && step.state !== 'blocked') {
    const why = step.state === 'done' ? `it is ${step.outcome}` : 'other steps before it are not done yet'
    return { title: 'Not asked yet', status: 409, code: 'step-not-blocked', detail: `Step ${step.s} cannot be let pass: ${why}.` }
  }
  if (unblocked !== null && given.length === 0) return { set: null, answers: new Map() }
  const judged = judgeAnswers(block.fields, given)
  if (!judged.ok) return judged.problem
  const answers = Object.fromEntries(judged.answers)
  if (unblocked === null) return { set: { state: 'done', outcome: 'passed', spec: { ...step.spec, unblocked: { by, at: now, answers } } }, answers: judged.answers }
  const isSame = judged.answers.size === Object.keys(unblocked.answers).length && Object.entries(unblocked.answers).every(([key, answer]) => judged.answers.get(key) === answer)
  if (isSame) return { set: null, answers: new Map() }
  return { title: 'Answered already', status: 409, code: 'step-unblocked', detail: `Step ${step.s} was let pass by ${unblocked.by} before, with other answers: those stay.` }
}
