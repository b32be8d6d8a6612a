/**
 * What each step of an upload is executed as, by what is known when it is uploaded: how many jobs, in which environment,
 * on which agents; or that it is skipped, and why. Everything that this version cannot run is refused here, all at once.
 */
import { pathOf, type Graph } from '../../schema/pipeline/graph.ts'
import type { LeftOut } from '../../schema/pipeline/left-out.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import { combinationsOf, withValues, type Combination } from '../../schema/pipeline/matrix.ts'
import { notYet } from '../../schema/pipeline/not-yet.ts'
import type { CommandStep, Mistake, Step } from '../../schema/pipeline/steps.ts'
import type { ProjectRow } from './decision.ts'
import { normalised, type Offered } from './matching.ts'
import { mistakesInTrigger, storedTrigger } from './trigger.ts'
import type { PlannedJob, PlannedStep } from './upload.ts'

export interface Expansion {
  readonly graph: Graph
  /** Steps that do not run, and why. */
  readonly leftOut: LeftOut
  /** Of the pipeline and over it of the build: weaker than a step's. */
  readonly env: Readonly<Record<string, string>>
  /** The queue of the build's first job: where steps run that name none. */
  readonly queue: string
  /** The most jobs that the build may still get, and the most characters of what they are to do. */
  readonly mostJobs: number
  readonly mostCharacters: number
  /** Those whose builds a trigger may start. */
  readonly projects: readonly ProjectRow[]
  /** How many triggers stand between this build and the one that a person started. */
  readonly depth: number
}

export type ExpansionAnswer = { readonly ok: true; readonly planned: readonly PlannedStep[] } | { readonly ok: false; readonly mistakes: readonly Mistake[] }

export function expand({ graph, leftOut, env, queue, mostJobs, mostCharacters, projects, depth }: Expansion): ExpansionAnswer {
  const mistakes: Mistake[] = graph.nodes.flatMap(({ step }) => [...undecided(step), ...notYet(step)])
  let [count, characters] = [0, 0]
  const planned = graph.nodes.map(({ step }): PlannedStep => {
    const variants = step.kind === 'command' ? combinationsOfStep(step) : []
    count += variants.length * (step.kind === 'command' ? (step.parallelism ?? 1) : 1)
    const project = step.kind === 'trigger' ? projects.find(({ slug }) => slug === step.trigger) : undefined
    if (step.kind === 'trigger' && !leftOut.has(step)) mistakes.push(...mistakesInTrigger(step, { project, projects, depth }))
    const jobs = variants.flatMap((combination) => {
      if (step.kind !== 'command' || count > PIPELINE_LIMITS.jobsPerUpload || characters > mostCharacters) return [] // beyond it they are only counted
      const made = jobsOf(variantOf(step, combination), env, queue)
      characters += made.length * charactersOf(made[0])
      return made
    })
    return { skipped: leftOut.get(step) ?? (step.kind === 'command' && variants.length === 0 ? 'every combination of its matrix is skipped' : null), jobs, ...(step.kind === 'trigger' && project !== undefined ? { trigger: storedTrigger(step, project) } : {}) }
  })
  if (count > PIPELINE_LIMITS.jobsPerUpload) mistakes.push({ path: ['steps'], message: `these steps are ${count} jobs; one upload may bring ${PIPELINE_LIMITS.jobsPerUpload}. Let a step upload the rest.` })
  else if (count > mostJobs) mistakes.push({ path: ['steps'], message: `these steps are ${count} jobs, and the build may have ${mostJobs} more: put less into one build, or start further builds.` })
  else if (characters > mostCharacters) mistakes.push({ path: ['steps'], message: `with these steps, what the jobs of the build are to do comes to more than ${PIPELINE_LIMITS.charactersPerBuild / 1_000_000} million characters: command, variables and plugins, of each job for itself. Put long scripts into files of the repository.` })
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, planned }
}

/** Those of its matrix; null: it has none. */
function combinationsOfStep({ matrix }: CommandStep): readonly (Combination | null)[] {
  return matrix === null ? [null] : combinationsOf(matrix)
}

/** The step as a combination of its matrix has it. */
function variantOf(step: CommandStep, one: Combination | null): CommandStep {
  return one === null ? step : { ...step, ...withValues(step, one), softFail: one.softFail ?? step.softFail }
}

function charactersOf(job: PlannedJob | undefined): number {
  return job === undefined ? 0 : JSON.stringify(job).length
}

function jobsOf(step: CommandStep, env: Readonly<Record<string, string>>, queue: string): readonly PlannedJob[] {
  const requirement: Offered = normalised({ queue: step.queue ?? queue, tags: step.tags })
  const count = step.parallelism ?? 1
  return Array.from({ length: count }, (_, index): PlannedJob => ({
    command: step.command ?? '',
    label: step.label,
    env: { ...env, ...step.env },
    requirement,
    softFail: step.softFail,
    parallel: step.parallelism === null ? null : { index, count },
    plugins: step.plugins,
    artifactPaths: step.artifactPaths,
  }))
}

/** What has changed is known where the commit is, and decided there. */
function undecided(step: Step): readonly Mistake[] {
  if (!('ifChanged' in step) || step.ifChanged === null) return []
  return [{ path: [...pathOf(step), 'if_changed'], message: 'what has changed is not known here; upload with "kedge pipeline upload", which decides it where the commit is.' }]
}
