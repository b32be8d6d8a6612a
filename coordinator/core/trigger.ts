/**
 * Steps that start builds of other projects: whether they can, what those builds are asked for with, and what the end of
 * one means to its step. A step names the builds that it waits for, so that one which a retry replaced does not speak
 * any more. `objects/triggered.ts` opens builds, `objects/parents.ts` carries their ends back.
 */
import { commitSha, createBuildRequest, type CreateBuildRequest } from '../../schema/api.ts'
import type { FinalBuildState } from '../../schema/job.ts'
import { mistakeInKey, mistakeInValue } from '../../schema/meta-data.ts'
import { nearest } from '../../schema/nearest.ts'
import { pathOf } from '../../schema/pipeline/graph.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { Mistake, TriggerStep } from '../../schema/pipeline/steps.ts'
import type { ProjectRow, StepOutcome, StepRow, StoredTrigger, TriggeredBuild } from './decision.ts'
import { putMetaData } from './meta-data.ts'
import { isCheckedOut, whyNoBuild } from './plan.ts'
import { graver, outcomeOf } from './step.ts'

/** The exit status that a failed build counts as, for `soft_fail`. */
const FAILED_STATUS = 1

interface Target {
  /** Whose build is to be started; undefined: there is none of that name. */
  readonly project: ProjectRow | undefined
  readonly projects: readonly ProjectRow[]
  /** Of the build that the step is in. */
  readonly depth: number
}

/** Whatever would keep its builds from being started, told when the step is uploaded. */
export function mistakesInTrigger(step: TriggerStep, { project, projects, depth }: Target): readonly Mistake[] {
  const path = pathOf(step)
  const at = (name: string, message: string): Mistake => ({ path: [...path, ...name.split('.')], message })
  if (project === undefined) return [at('trigger', unknown(step.trigger, projects))]
  const mistakes: Mistake[] = []
  const why = whyNoBuild(project)
  if (why !== null) mistakes.push(at('trigger', `${why} Give the project one of them, or trigger another.`))
  if (depth >= PIPELINE_LIMITS.triggerDepth) mistakes.push(at('trigger', `this build was itself started by a trigger, ${depth} deep, and no chain of triggers may be longer: do these projects start each other for ever?`))
  const { commit, branch, env, metaData } = step.build
  if (commit !== 'HEAD' && !commitSha.safeParse(commit).success) mistakes.push(at('build.commit', `${JSON.stringify(commit.slice(0, 80))} is not a commit: give HEAD, or all 40 (or 64) digits of its id, as BUILDKITE_COMMIT has them.`))
  if (!project.checkout && (commit !== 'HEAD' || branch !== null)) mistakes.push(at(commit === 'HEAD' ? 'build.branch' : 'build.commit', `project ${project.slug} runs without a checkout, so it cannot build a commit or branch: leave both away.`))
  const wrongEnv = createBuildRequest.shape.env.safeParse(env).error?.issues[0]
  if (wrongEnv !== undefined) mistakes.push(at('build.env', `${wrongEnv.path.length === 0 ? 'it' : JSON.stringify(wrongEnv.path.join('.'))} ${wrongEnv.message}.`))
  for (const [key, value] of Object.entries(metaData)) {
    const wrong = mistakeInKey(key) ?? mistakeInValue(value)
    if (wrong !== null) mistakes.push(at('build.meta_data', `${JSON.stringify(key.slice(0, 80))} ${wrong}.`))
  }
  const held = putMetaData({ project: project.id, number: 0 }, new Map(Object.entries(metaData)), { keys: 0, bytes: 0, before: new Map() })
  if ('detail' in held) mistakes.push(at('build.meta_data', held.detail))
  return mistakes
}

function unknown(slug: string, projects: readonly ProjectRow[]): string {
  const slugs = projects.map((project) => project.slug)
  const close = nearest(slug, slugs)
  const advice = close !== null ? `did you mean "${close}"?` : slugs.length === 0 ? 'there is none at all.' : `there are: ${slugs.slice(0, 10).join(', ')}${slugs.length > 10 ? ', …' : ''}.`
  return `there is no project "${slug}"; ${advice}`
}

export function storedTrigger(step: TriggerStep, project: ProjectRow): StoredTrigger {
  const builds = Array.from({ length: step.parallelism ?? 1 }, (): TriggeredBuild => ({ number: null, outcome: null }))
  return { project: project.id, async: step.async, build: { ...step.build, message: step.build.message ?? step.label }, builds, isParallel: step.parallelism !== null, refused: null }
}

/** What the `nth` build, from 0, is asked for with. `like`: how the build of the step began. */
export function requestOf(trigger: StoredTrigger, nth: number, project: ProjectRow, like: Pick<CreateBuildRequest, 'priority' | 'agents' | 'on_partition'>): CreateBuildRequest {
  const { commit, branch, env, message } = trigger.build
  const builtBranch = branch ?? project.defaultBranch
  const which = trigger.isParallel ? { BUILDKITE_PARALLEL_JOB: String(nth), BUILDKITE_PARALLEL_JOB_COUNT: String(trigger.builds.length) } : {}
  return {
    ...like,
    env: { ...env, ...which },
    fresh_checkout: false,
    ...(message === null ? {} : { message }),
    ...(commit === 'HEAD' || !isCheckedOut(project) ? {} : { commit: commit.toLowerCase() }),
    ...(builtBranch === null || !isCheckedOut(project) ? {} : { branch: builtBranch }),
  }
}

/** Its builds have these numbers; whoever does not wait for them goes on. */
export function started(step: StepRow, trigger: StoredTrigger, numbers: readonly number[]): Partial<StepRow> {
  const fresh = [...numbers]
  const builds = trigger.builds.map((one): TriggeredBuild => (one.number === null && one.outcome === null ? { number: fresh.shift() ?? null, outcome: trigger.async ? 'passed' : null } : one))
  return settled(step, { ...trigger, builds, refused: null })
}

/** Why the trigger may start no more; null: it may. `before`: how many were started for the same person's build. */
export function whyNotStarted(before: number, more: number): string | null {
  if (before + more <= PIPELINE_LIMITS.triggeredBuilds) return null
  return `not started: triggers have started ${before} builds for the one that a person started, and may start ${PIPELINE_LIMITS.triggeredBuilds}. Do these projects start each other for ever?`
}

export function notStarted(step: StepRow, trigger: StoredTrigger, refused: string): Partial<StepRow> {
  const outcome = outcomeOf('failed', FAILED_STATUS, step.spec.softFail)
  return settled(step, { ...trigger, refused, builds: trigger.builds.map((one) => (one.number === null ? { ...one, outcome } : one)) })
}

/**
 * A build that the step started has ended, or (`state` null) is tried again. Null: that is nothing to the step any more,
 * because it does not wait for it, it was cancelled, or it went on after that build passed.
 */
export function followBuild(step: StepRow, { project, number, state }: { readonly project: number; readonly number: number; readonly state: FinalBuildState | null }): Partial<StepRow> | null {
  const { trigger } = step.spec
  if (trigger === undefined || trigger.async || trigger.project !== project || step.outcome === 'canceled') return null
  const before = trigger.builds.find((one) => one.number === number)
  const isNews = before !== undefined && (state === null ? before.outcome !== null && before.outcome !== 'passed' : before.outcome === null)
  if (!isNews) return null
  const outcome = state === null ? null : verdictOn(state, step)
  return settled(step, { ...trigger, builds: trigger.builds.map((one) => (one.number === number ? { ...one, outcome } : one)) })
}

/** A cancelled build did not do what its step was for; one that had nothing to do did. */
function verdictOn(state: FinalBuildState, { spec }: StepRow): StepOutcome {
  return state === 'passed' || state === 'skipped' ? 'passed' : outcomeOf('failed', FAILED_STATUS, spec.softFail)
}

/** A person has the failed step tried again: in the place of each build that did not pass comes a new one. */
export function triggerAgain(step: StepRow, trigger: StoredTrigger): Partial<StepRow> {
  return settled(step, { ...trigger, refused: null, builds: trigger.builds.map((one) => (one.outcome === 'passed' ? one : { number: null, outcome: null })) })
}

/** Builds that are to be started. */
export function unstarted(step: StepRow): number {
  return step.state === 'running' ? (step.spec.trigger?.builds.filter(({ number, outcome }) => number === null && outcome === null).length ?? 0) : 0
}

/** What the step is by its builds. */
function settled(step: StepRow, trigger: StoredTrigger): Partial<StepRow> {
  const openJobs = trigger.builds.filter(({ outcome }) => outcome === null).length
  const outcome = trigger.builds.reduce<StepOutcome | null>((all, one) => (one.outcome === null ? all : graver(all, one.outcome)), null)
  return { openJobs, spec: { ...step.spec, trigger }, ...(openJobs === 0 ? { state: 'done', outcome } : { state: 'running', outcome: null }) }
}
