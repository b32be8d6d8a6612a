/**
 * What each step of an upload is executed as, by what is known when it is uploaded: how many jobs, in which environment,
 * on which agents; or that it is skipped, and why. Everything that this version cannot run is refused here, all at once.
 */
import { pathOf, type Graph } from '../../schema/pipeline/graph.ts'
import type { LeftOut } from '../../schema/pipeline/left-out.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import { combinationsOf, withValues } from '../../schema/pipeline/matrix.ts'
import type { CommandStep, Mistake, Pipeline, Step } from '../../schema/pipeline/steps.ts'
import { normalised, type Offered } from './matching.ts'
import type { PlannedJob, PlannedStep } from './upload.ts'

export interface Expansion {
  readonly pipeline: Pipeline
  readonly graph: Graph
  /** Steps that do not run, and why. */
  readonly leftOut: LeftOut
  /** What the build was asked for with: stronger than the pipeline's, weaker than a step's. */
  readonly buildEnv: Readonly<Record<string, string>>
  /** The queue of the build's first job: where steps run that name none. */
  readonly queue: string
  /** The most jobs that the build may still get. */
  readonly mostJobs: number
}

export type ExpansionAnswer = { readonly ok: true; readonly planned: readonly PlannedStep[] } | { readonly ok: false; readonly mistakes: readonly Mistake[] }

export function expand({ pipeline, graph, leftOut, buildEnv, queue, mostJobs }: Expansion): ExpansionAnswer {
  const mistakes: Mistake[] = graph.nodes.flatMap(({ step }) => notYet(step))
  const planned = graph.nodes.map(({ step }): PlannedStep => {
    const jobs = step.kind === 'command' ? jobsOf(step, { ...pipeline.env, ...buildEnv }, queue) : []
    return { skipped: leftOut.get(step) ?? (step.kind === 'command' && jobs.length === 0 ? 'every combination of its matrix is skipped' : null), jobs }
  })
  const count = planned.reduce((sum, { jobs }) => sum + jobs.length, 0)
  if (count > PIPELINE_LIMITS.jobsPerUpload) mistakes.push({ path: ['steps'], message: `these steps are ${count} jobs; one upload may bring ${PIPELINE_LIMITS.jobsPerUpload}. Let a step upload the rest.` })
  else if (count > mostJobs) mistakes.push({ path: ['steps'], message: `these steps are ${count} jobs, and the build may have ${mostJobs} more: put less into one build, or start further builds.` })
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, planned }
}

function jobsOf(step: CommandStep, env: Readonly<Record<string, string>>, queue: string): readonly PlannedJob[] {
  const variants = step.matrix === null ? [step] : combinationsOf(step.matrix).map((one) => ({ ...step, ...withValues(step, one), softFail: one.softFail ?? step.softFail }))
  const count = step.parallelism ?? 1
  return variants.flatMap((variant) => {
    const requirement: Offered = normalised({ queue: variant.queue ?? queue, tags: variant.tags })
    return Array.from({ length: count }, (_, index): PlannedJob => ({
      command: variant.command ?? '',
      label: variant.label,
      env: { ...env, ...variant.env },
      requirement,
      softFail: variant.softFail,
      parallel: step.parallelism === null ? null : { index, count },
      plugins: variant.plugins,
    }))
  })
}

/** What can be read but not be run: whoever wrote it must not believe that it was heeded. */
function notYet(step: Step): readonly Mistake[] {
  const says: (readonly [name: string, isSaid: boolean, message: string])[] = []
  if ('ifChanged' in step) says.push(['if_changed', step.ifChanged !== null, 'what has changed is not known here; upload with "kedge pipeline upload", which decides it where the commit is.'])
  if (step.kind === 'command') {
    says.push(
      ['concurrency', step.concurrency !== null, later('concurrency', 'let one agent with one slot serve a queue of its own')],
      ['artifact_paths', step.artifactPaths.length > 0, later('artifact_paths', 'upload from the command')],
      ['notify', step.notify.length > 0, later('notify', 'tell others from the command')],
      ['secrets', Object.keys(step.secrets).length > 0, later('secrets', "keep them in the environment of the agent's user")],
      ['cancel_on_build_failing', step.cancelOnBuildFailing, later('cancel_on_build_failing', 'take it away')],
      ['command', (step.command === null || step.command === '') && step.plugins.length === 0, 'the step has no command and no plugins; give one: a step without both has nothing to do.'],
    )
  }
  if (step.kind === 'trigger') says.push(['trigger', true, 'this version starts no builds of other projects yet; until then start them from a command with "kedge build".'])
  return says.flatMap(([name, isSaid, message]): readonly Mistake[] => (isSaid ? [{ path: [...pathOf(step), name], message }] : []))
}

function later(name: string, advice: string): string {
  return `this version does not run ${name} yet; until then ${advice}.`
}
