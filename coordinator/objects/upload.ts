/**
 * Steps that a running job brings into its build, accepted or refused whole. The same upload again answers as the first
 * time: by its key within an attempt, and by what it brings when the job's next attempt has to do all of it again.
 */
import type { Problem } from '../../schema/api.ts'
import { jobId, type AttemptId } from '../../schema/job.ts'
import { graphOf, pathOf } from '../../schema/pipeline/graph.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import { leftOutOf } from '../../schema/pipeline/left-out.ts'
import type { Mistake } from '../../schema/pipeline/steps.ts'
import { contextOf } from '../core/condition-context.ts'
import type { BuildRow, JobRow, StepRow } from '../core/decision.ts'
import { expand } from '../core/expand.ts'
import { noticesOf } from '../core/notices.ts'
import { replaceSteps, type Replaced } from '../core/replace.ts'
import { mustStop, pendingBits } from '../core/step.ts'
import { unstarted } from '../core/trigger.ts'
import { circlesAcross } from '../core/upload-circle.ts'
import { planUpload } from '../core/upload.ts'
import { pipelineInvalid } from '../pipeline-invalid.ts'
import * as load from '../store/load.ts'
import { classFor } from './classes.ts'
import { currentJob } from './current-attempt.ts'
import type { Event } from './event.ts'
import { gatesFor } from './gates.ts'
import { keepNotices } from './notifying.ts'
import { finishSteps } from './progress.ts'
import { problem, type Answer, type PipelineUpload, type Uploaded } from './scheduler-api.ts'
import { startBuilds } from './triggered.ts'
import { triggeredFrom } from './triggered-from.ts'

const REFUSED = 'The steps were not taken'

/** What is kept of an upload that was accepted, by its key and by what it brought. */
interface Kept extends Uploaded {
  /** The last attempt that brought it. */
  readonly attempt: AttemptId
  readonly digest: string
}

export function uploadPipeline(event: Event, attempt: AttemptId, { pipeline, replace, key, digest }: PipelineUpload): Answer<Uploaded> {
  const { on, now } = event
  const current = currentJob(event, attempt, { title: REFUSED, noMore: 'brings no more steps' })
  if (!current.ok) return current
  const { job } = current
  if (job.cancel) return refuse(409, 'build_canceled', 'The build was cancelled: it gets no more steps.')
  const byKey = `upload ${attempt} ${key}`
  const repeated = kept(on, byKey)
  if (repeated !== null && repeated.digest !== digest) return refuse(422, 'idempotency-key-reused', 'This Idempotency-Key brought other steps before. Use a new key for a new upload.')
  if (repeated !== null) return { ok: true, value: { steps: repeated.steps, jobs: repeated.jobs } }
  const { name, before } = placeOf(event, `upload ${jobId(rootOf(event, job))} ${digest}`, attempt)
  const keep = (value: Uploaded): void => {
    const answer = JSON.stringify({ ...value, attempt, digest } satisfies Kept)
    for (const one of [byKey, name]) load.dedups.insert(on, { key: one, answer, at: now }, { orReplace: true })
  }
  if (before !== null) {
    const value = { steps: before.steps, jobs: before.jobs }
    keep(value)
    return { ok: true, value }
  }

  const stored = load.build(on, job.project, job.build)
  const project = event.memory.projects.get(job.project)
  const first = load.job(on, { ...job, n: 1 })
  if (!stored || !project || !first) return refuse(409, 'attempt_superseded', `Attempt ${attempt} has no build any more.`)
  const { build, steps, changes: replaced } = replace ? replacing(event, stored, job) : { build: stored, steps: stepsOf(on, stored), changes: [] }
  const keys = new Set(steps.flatMap((step) => (step.key === null ? [] : [step.key])))
  const env = { ...pipeline.env, ...build.env }
  const leftOut = leftOutOf(pipeline.steps, contextOf({ build, project, triggeredFrom: triggeredFrom(first), env }))
  if (!leftOut.ok) return mistaken(leftOut.mistakes)
  const own = steps.find(({ s }) => s === job.step) ?? null
  const uploads = uploadsBefore(own, steps)
  if (uploads >= PIPELINE_LIMITS.uploadsPerJob) return refuse(422, 'too-many-uploads', `This job has uploaded ${uploads} times already, the most that one may: let it upload more steps at once, or let those steps upload the rest.`)
  const graph = graphOf(pipeline.steps, { known: keys, leftOut: leftOut.leftOut })
  if (!graph.ok) return mistaken(graph.mistakes)
  const twice = graph.graph.nodes.flatMap(({ step }): readonly Mistake[] => (step.key !== null && keys.has(step.key) ? [{ path: [...pathOf(step), 'key'], message: `the build has a step with the key "${step.key}" already: each key is there once.` }] : []))
  if (twice.length > 0) return mistaken(twice)
  const lastJob = load.lastJobNumber(on, job.project, job.build)
  const queue = event.memory.classes.get(first.class)?.queue ?? 'default'
  if (steps.length + graph.graph.nodes.length > PIPELINE_LIMITS.stepsPerBuild) return refuse(422, 'too-many-steps', `The build has ${steps.length} steps, and these are ${graph.graph.nodes.length} more: one may have ${PIPELINE_LIMITS.stepsPerBuild}. Start further builds by trigger steps.`)
  const expanded = expand({ graph: graph.graph, leftOut: leftOut.leftOut, env, queue, mostJobs: PIPELINE_LIMITS.jobsPerBuild - lastJob, mostCharacters: PIPELINE_LIMITS.charactersPerBuild - load.charactersOfBuild(on, job), projects: event.memory.allProjects(), depth: build.parent?.depth ?? 0 })
  if (!expanded.ok) return mistaken(expanded.mistakes)

  const namesKnown = graph.graph.nodes.some(({ waitsForKnown }) => waitsForKnown.length > 0)
  if (own !== null && namesKnown) {
    const isLeftOut = (index: number) => (expanded.planned[index]?.skipped ?? null) !== null
    const circles = circlesAcross(graph.graph, { uploader: own, steps, edges: load.edgesOfBuild(on, job.project, job.build), isLeftOut })
    if (circles.length > 0) return mistaken(circles)
  }
  const dependants = own === null ? [] : load.edgesFrom(on, own)
  const plan = planUpload({ build, uploader: job, step: own, steps, dependants, graph: graph.graph, planned: expanded.planned, timeoutS: project.timeoutS, lastJob, before: uploads, now })
  const rows = plan.changes.flatMap((change) => (change.kind === 'step.insert' ? [change.row] : []))
  const told = noticesOf({ build, slug: project.slug, pipeline, nodes: graph.graph.nodes, rows: rows.slice(rows.length - graph.graph.nodes.length) })
  if (!told.ok) return mistaken(told.mistakes)
  for (const change of replaced) event.apply(change)
  keepNotices(event, build, told.notices)
  for (const change of plan.changes) event.apply(change)
  const queued = new Map<number, number>()
  const gates = gatesFor(event, plan.jobs.flatMap(({ concurrency }) => concurrency ?? []))
  for (const { row, requirement, concurrency } of plan.jobs) {
    const jobClass = classFor(event, requirement)
    event.apply({ kind: 'job.insert', row: { ...row, class: jobClass, gate: concurrency === null ? null : (gates.get(concurrency.group) ?? null) } })
    if (row.state === 'queued') queued.set(jobClass, (queued.get(jobClass) ?? 0) + 1)
  }
  goOn(event, build, rows)
  for (const [jobClass, count] of queued) event.effects.push({ kind: 'ring-class', class: jobClass, count })
  const value: Uploaded = { steps: plan.steps, jobs: plan.jobs.length }
  keep(value)
  return { ok: true, value }
}

function stepsOf(on: Event['on'], { project, number, openSteps }: BuildRow): readonly StepRow[] {
  return openSteps === null ? [] : load.stepsOfBuild(on, project, number)
}

/** The build as it is once those of its steps that have not begun are gone; nothing is stored yet. */
function replacing({ on, now }: Event, build: BuildRow, { step: own }: JobRow): Replaced {
  const steps = stepsOf(on, build)
  const uploader = steps.find(({ s }) => s === own)
  if (uploader === undefined) return { build, steps, changes: [] } // it is the first to bring any
  return replaceSteps({ build, uploader, steps, edges: load.edgesOfBuild(on, build.project, build.number), jobs: load.jobsOfBuild(on, build.project, build.number), now })
}

/** Triggers that wait for nobody start their builds at once, and are done at once where they do not wait for those; what ends with a failing build ends in one that is failing. */
function goOn(event: Event, { project, number }: BuildRow, steps: readonly StepRow[]): void {
  const ready = steps.filter((step) => unstarted(step) > 0)
  const isStopping = steps.some((step) => step.state !== 'done' && pendingBits(step) !== 0)
  const build = ready.length === 0 && !isStopping ? null : load.build(event.on, project, number)
  if (build === null) return
  const done = ready.map((step) => startBuilds(event, build, step)).filter(({ state }) => state === 'done')
  if (done.length > 0 || mustStop(build)) finishSteps(event, build, done)
}

function kept(on: Event['on'], key: string): Kept | null {
  const text = load.dedup(on, key)
  return text === null ? null : (JSON.parse(text) as Kept) // written above
}

/**
 * Where an upload of an attempt is written down by what it brings. A later attempt has to do all of it again: its first
 * upload of the same steps is the first of the attempts before, its second the second; `before` is that one.
 */
function placeOf({ on }: Event, what: string, attempt: AttemptId): { readonly name: string; readonly before: Kept | null } {
  for (let nth = 1; ; nth += 1) {
    // Leaves at the first that this attempt has not brought yet; it may bring `uploadsPerJob` at most.
    const name = `${what} ${nth}`
    const before = kept(on, name)
    if (before === null || before.attempt !== attempt) return { name, before }
  }
}

/** The job that this one was retried from, at the first. */
function rootOf(event: Event, job: JobRow): JobRow {
  let root = job
  for (let old = root.retryOf; old !== null; old = root.retryOf) {
    const row = load.job(event.on, { ...job, n: old })
    if (row === null) break
    root = row
  }
  return root
}

/** Each upload of a step has a number in the places of what it brought (`core/upload.ts`). */
function uploadsBefore(own: StepRow | null, steps: readonly StepRow[]): number {
  if (own === null) return 0
  const places = steps.flatMap(({ place }) => (place.startsWith(`${own.place}/`) ? [place.slice(own.place.length + 1).split('.', 1)[0] ?? ''] : []))
  return new Set(places).size
}

function refuse(status: number, code: string, detail: string): { readonly ok: false; readonly problem: Problem } {
  return problem(status, code, REFUSED, detail)
}

function mistaken(mistakes: readonly Mistake[]): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: pipelineInvalid(mistakes) }
}
