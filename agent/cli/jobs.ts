/** `kedge jobs`: the jobs of a build, by the names that `logs`, `retry` and `artifacts` take. */
import type { BuildView, JobView } from '../../schema/api.ts'
import { isFinal } from '../../schema/job.ts'
import { findBuild, table, type CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { jobPlace, jobTitle } from './job-name.ts'
import { EXIT, oneLine, type ExitCode } from './output.ts'

/** Of a command without a name, in characters. */
const MOST_OF_COMMAND = 50

export async function listJobs(client: Client, named: string, options: { readonly project?: string; readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const { build } = await findBuild(client, named, options.project)
  if (options.json) output.json(build.jobs)
  else for (const row of table(build.jobs.map((job) => columns(build, job)))) output.line(row)
  return EXIT.ok
}

function columns(build: BuildView, job: JobView): readonly string[] {
  return [jobPlace(build, job), `${job.state}${job.soft_failed ? ' (allowed)' : ''}`, tookOf(job), job.attempts.at(-1)?.agent ?? '-', jobTitle(job) ?? stepTitle(build, job) ?? firstLine(job.command), whyOf(job)].map(oneLine)
}

/** Of the job that uploaded the steps, which has no name of its own. */
function stepTitle({ steps }: BuildView, job: JobView): string | null {
  return steps.find(({ step }) => step === job.step)?.label ?? null
}

function firstLine(command: string): string {
  const [line = ''] = command.trim().split('\n')
  return line === '' ? '-' : line.length > MOST_OF_COMMAND ? `${line.slice(0, MOST_OF_COMMAND)}…` : line
}

function tookOf({ started_at, finished_at }: JobView): string {
  if (started_at === null) return '-'
  return `${(((finished_at === null ? Date.now() : Date.parse(finished_at)) - Date.parse(started_at)) / 1000).toFixed(1)} s`
}

/** Why it does not run, or ended as it did; empty where its state says all. */
function whyOf({ state, retried_by, waiting, reason, signal, exit_status }: JobView): string {
  const why = waiting?.reason ?? reason?.message ?? (signal !== null ? `ended by ${signal}` : isFinal(state) && exit_status !== null && exit_status !== 0 ? `exit status ${exit_status}` : '')
  return retried_by === null ? why : why === '' ? 'was retried' : `${why}; was retried`
}
