/** Commands about builds: start one, list them, read a log, cancel, retry. Each returns its exit code. */
import { execFile } from 'node:child_process'
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { createBuildRequest, LIMITS, type BuildSummary, type BuildView, type JobView, type ProjectView } from '../../schema/api.ts'
import { isFinal } from '../../schema/job.ts'
import { untold } from '../../schema/untold.ts'
import { postOnce, type Client } from './client.ts'
import { EXIT, Failure, oneLine, type ExitCode } from './output.ts'
import { followBuild, type FollowOutput } from './follow.ts'
import { jobPlace, jobTitle, placeOf } from './job-name.ts'
import { ANY, BUILD, BUILDS, PROJECT, PROJECTS } from './replies.ts'

export interface CommandOutput extends FollowOutput {
  /** To standard output. */
  line(text: string): void
  /** One line of JSON, to standard output. */
  json(value: unknown): void
}

export interface BuildOptions {
  readonly repo?: string
  readonly commit?: string
  readonly branch?: string
  readonly command?: string
  readonly project?: string
  readonly env?: readonly string[]
  readonly message?: string
  readonly priority?: number
  readonly queue?: string
  readonly tag?: readonly string[]
  readonly timeout?: number
  readonly follow?: boolean
  readonly json?: boolean
}

const EXIT_OF_STATE: Readonly<Record<string, ExitCode>> = { passed: EXIT.ok, skipped: EXIT.ok, failed: EXIT.failed, canceled: EXIT.canceled }

export async function startBuild(client: Client, options: BuildOptions, output: CommandOutput): Promise<ExitCode> {
  const source = options.repo === undefined ? null : await sourceOf(options)
  const slug = options.project ?? (source ? slugFrom(source.repository) : null)
  if (slug === null) throw new Failure(EXIT.usage, 'say what to build: --repo PATH or URL, or --project SLUG of a project that exists')
  if (source?.isDirty) output.note(`changes that are not committed in ${source.repository} are not built`)
  const commit = source?.commit ?? options.commit
  const branch = options.branch ?? source?.branch
  const body = {
    ...(commit ? { commit } : {}),
    ...(branch ? { branch } : {}),
    ...(options.command === undefined ? {} : { command: options.command }),
    ...(options.env === undefined ? {} : { env: readEnv(options.env) }),
    ...(options.message === undefined ? (source?.message ? { message: source.message } : {}) : { message: options.message }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.timeout === undefined ? {} : { timeout_s: options.timeout }),
    ...(options.queue === undefined && options.tag === undefined ? {} : { agents: { ...(options.queue ? { queue: options.queue } : {}), ...(options.tag ? { tags: options.tag } : {}) } }),
  }
  if (source) await ensureProject(client, slug, { repository: source.repository, body })
  const build = await postOnce(client, `/api/v1/projects/${slug}/builds`, BUILD, { body, pause })
  if (!options.follow) {
    if (options.json) output.json(build)
    else output.line(`${build.project} #${build.number} ${build.state}  ${build.url}`)
    return EXIT.ok
  }
  output.note(`${build.project} #${build.number}  ${build.url}`)
  const ended = await followBuild(client, build.project, build.number, options.json ? { log: (bytes) => process.stderr.write(bytes), note: output.note } : output)
  if (options.json) output.json(ended)
  for (const text of untold(ended.notifications ?? [])) output.note(oneLine(text)) // a coordinator of before notifications has none
  output.note(verdict(ended))
  return EXIT_OF_STATE[ended.state] ?? EXIT.failed
}

function verdict(build: BuildView): string {
  const current = build.jobs.filter(({ retried_by }) => retried_by === null)
  const failed = current.find(isCulprit)
  const other = failed === undefined ? whyTriggerFailed(build) : null
  if (other !== null) return `${build.project} #${build.number} ${build.state}: ${other}`
  const job = failed ?? current.at(-1)
  const why = job?.reason?.message ?? (job?.signal ? `ended by ${job.signal}` : job?.exit_status ? `exit status ${job.exit_status}` : null)
  const adds = why !== null && why !== 'cancelled' // its state says that
  const whose = job && current.length > 1 ? `${jobTitle(job) ?? jobPlace(build, job)}: ` : ''
  return `${build.project} #${build.number} ${build.state}${adds ? `: ${whose}${why}` : ''}`
}

/** What its step allows is no reason, and what came to nothing because of another is told by that other. */
function isCulprit({ state, soft_failed }: JobView): boolean {
  return isFinal(state) && !soft_failed && !['passed', 'skipped', 'broken', 'canceled'].includes(state)
}

/** Of a build that failed because of one that it started. */
function whyTriggerFailed({ steps }: BuildView): string | null {
  const trigger = steps?.find((step) => step.outcome === 'failed' && step.trigger)?.trigger // a coordinator of before steps names none
  const build = trigger?.builds.find(({ state }) => state === 'failed' || state === 'canceled')
  return build === undefined ? (trigger?.refused ?? null) : `${build.project} #${build.number}, which it started, ${build.state === 'failed' ? 'failed' : 'was canceled'}: ${build.url}`
}

interface Source {
  readonly repository: string
  readonly commit: string | null
  readonly branch: string | null
  readonly message: string | null
  /** Files differ from the commit that is built. */
  readonly isDirty?: boolean
}

/** A folder is named by its real path, so that agents on this machine find it; its HEAD is what is built by default. */
async function sourceOf(options: BuildOptions): Promise<Source> {
  const repo = options.repo ?? ''
  const isFolder = existsSync(repo) && statSync(repo).isDirectory()
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\/|^[^/\s]+@[^/\s]+:/i.test(repo)
  if (!isFolder && !isUrl) throw new Failure(EXIT.usage, `${repo} is neither a folder here nor a URL of a git repository; give --repo a path such as . or a URL such as https://host/team/app.git`)
  if (!isFolder) return { repository: repo, commit: null, branch: null, message: null }
  const folder = realpathSync(repo)
  const repository = await git(folder, 'rev-parse', '--show-toplevel').catch(async () => {
    const bare = await git(folder, 'rev-parse', '--is-bare-repository').catch(() => 'false')
    if (bare === 'true') return folder
    throw new Failure(EXIT.usage, `${folder} is not in a git repository; run git init there, or give --repo another path`)
  })
  if (options.commit !== undefined) {
    const full = await git(repository, 'rev-parse', '--verify', '--quiet', `${options.commit}^{commit}`).catch(() => null)
    if (full === null) throw new Failure(EXIT.usage, `there is no commit ${options.commit} in ${repository}; git log there shows which there are, and git fetch gets those of others`)
    return { repository, commit: full, branch: null, message: await subject(repository, full) }
  }
  if (options.branch !== undefined) return { repository, commit: null, branch: null, message: null }
  const head = await git(repository, 'rev-parse', '--verify', '--quiet', 'HEAD').catch(() => null)
  if (head === null) throw new Failure(EXIT.usage, `${repository} has no commit yet; commit something first`)
  const branch = await git(repository, 'symbolic-ref', '--quiet', '--short', 'HEAD').catch(() => null)
  const isDirty = (await git(repository, 'status', '--porcelain', '--untracked-files=no').catch(() => '')) !== '' // bare: no files
  return { repository, commit: head, branch, message: await subject(repository, head), isDirty }
}

function subject(repository: string, commit: string): Promise<string | null> {
  return git(repository, 'log', '-1', '--format=%s', commit).catch(() => null)
}

const run = promisify(execFile)

async function git(folder: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('git', ['-C', folder, ...args])
  return stdout.trim()
}

export function slugFrom(repository: string): string {
  const name = basename(repository.replace(/\/+$/, '').replace(/\.git$/, '').replace(/^.*:(?!\/)/, ''))
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 64).replace(/-+$/, '')
  if (slug === '') throw new Failure(EXIT.usage, `no project can be named after ${repository}; give one with --project`)
  return slug
}

/**
 * A project of that name is made at its first build; one with another repository is not silently built instead. It is not
 * made for a build that would then be refused: the coordinator looks at the body first and names what is wrong with it.
 */
async function ensureProject(client: Client, slug: string, { repository, body }: { readonly repository: string; readonly body: object }): Promise<void> {
  const existing = await client.get(`/api/v1/projects/${slug}`, PROJECT).catch((error: unknown) => {
    if (error instanceof Failure && error.exitCode === EXIT.usage) return null
    throw error
  })
  if (existing === null) {
    if (!createBuildRequest.safeParse(body).success || Buffer.byteLength(JSON.stringify(body)) > LIMITS.bodyBytes) return
    try {
      await client.post('/api/v1/projects', ANY, { slug, repository })
    } catch (error) {
      if (error instanceof Failure && error.exitCode === EXIT.notAllowed) throw new Failure(EXIT.notAllowed, `there is no project ${slug} yet, and your token may not make one: ${error.message} Or build one that is there, with --project.`)
      // Somebody else made it in the same moment: look again.
      if (!(error instanceof Failure) || error.exitCode !== EXIT.usage) throw error
      const theirs = await client.get(`/api/v1/projects/${slug}`, PROJECT).catch(() => null)
      if (theirs === null) throw error
      assertBuilds(theirs, repository)
    }
    return
  }
  assertBuilds(existing, repository)
}

function assertBuilds(project: ProjectView, repository: string): void {
  if (project.repository !== repository) throw new Failure(EXIT.usage, `the project ${project.slug} builds ${project.repository ?? 'no repository'}, not ${repository}; give this one another name with --project`)
}

function readEnv(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new Failure(EXIT.usage, `--env takes NAME=VALUE, not "${pair}"`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

export async function listBuilds(client: Client, options: { readonly project?: string; readonly state?: string; readonly branch?: string; readonly limit?: number; readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const query = new URLSearchParams()
  for (const name of ['project', 'state', 'branch', 'limit'] as const) if (options[name] !== undefined) query.set(name, String(options[name]))
  const page = await client.get(`/api/v1/builds?${query}`, BUILDS)
  if (options.json) output.json(page)
  else if (page.builds.length === 0) output.line('No builds. Start one with: npx kedge build --repo . --command "npm test"')
  else for (const row of table(page.builds.map(columns))) output.line(row)
  return EXIT.ok
}

function columns(build: BuildSummary): readonly string[] {
  const seconds = build.started_at ? ((build.finished_at ? Date.parse(build.finished_at) : Date.now()) - Date.parse(build.started_at)) / 1000 : null
  return [`${build.project}#${build.number}`, build.state, build.commit?.slice(0, 7) ?? '-', build.branch ?? '-', seconds === null ? '-' : `${seconds.toFixed(1)} s`, build.agents.join(', ') || '-', (build.message ?? '').split('\n')[0]?.slice(0, 60) ?? '']
}

export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}

/** `app#12`, `app/12`, or `12` with --project; a job's place in its build may follow after a slash. */
export async function findBuild(client: Client, named: string, project: string | undefined): Promise<{ readonly build: BuildView; readonly job: number | null }> {
  // `12/1` is a job of build 12: a project before a slash is only what is left when that does not fit.
  const match = /^(?:([a-z0-9-]+)#)?(\d{1,9})(?:\/(?:J\d+-\d+-)?(\d{1,6}))?$/.exec(named) ?? /^([a-z0-9-]+)\/(\d{1,9})(?:\/(?:J\d+-\d+-)?(\d{1,6}))?$/.exec(named)
  if (!match) throw new Failure(EXIT.usage, `"${named}" does not name a build; write PROJECT#NUMBER, such as app#12, or NUMBER with --project; and for a job of it PROJECT#NUMBER/JOB, such as app#12/3`)
  const slug = match[1] ?? project ?? (await onlyProject(client))
  return { build: await client.get(`/api/v1/projects/${slug}/builds/${match[2]}`, BUILD), job: match[3] === undefined ? null : Number(match[3]) }
}

/** The job of this place in the build. */
export function jobNamed(build: BuildView, place: number): JobView {
  const job = build.jobs.find((one) => placeOf(one) === place)
  if (job === undefined) throw new Failure(EXIT.usage, `build ${build.project}#${build.number} has no job ${place}; "kedge jobs ${build.project}#${build.number}" lists the ${build.jobs.length} that it has`)
  return job
}

async function onlyProject(client: Client): Promise<string> {
  const projects = await client.get('/api/v1/projects', PROJECTS)
  const [first] = projects
  if (first && projects.length === 1) return first.slug
  throw new Failure(EXIT.usage, `say of which project: ${projects.map(({ slug }) => `${slug}#NUMBER`).join(', ') || 'there is none yet'}`)
}

/** Of several jobs: the one by which the build failed, else one that runs, else the last. */
function theOneToRead({ jobs }: BuildView): JobView | undefined {
  const current = jobs.filter(({ retried_by }) => retried_by === null)
  return current.find(isCulprit) ?? current.find(({ state }) => state === 'running') ?? current.findLast(({ attempts }) => attempts.length > 0) ?? jobs.at(-1)
}

export async function showLogs(client: Client, named: string, options: { readonly project?: string; readonly attempt?: string; readonly follow?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const { build, job } = await findBuild(client, named, options.project)
  if (options.follow) {
    const ended = await followBuild(client, build.project, build.number, output)
    for (const text of untold(ended.notifications ?? [])) output.note(oneLine(text)) // a coordinator of before notifications has none
    output.note(verdict(ended))
    return EXIT_OF_STATE[ended.state] ?? EXIT.failed
  }
  const chosen = job === null ? theOneToRead(build) : jobNamed(build, job)
  if (!chosen) throw new Failure(EXIT.usage, `build ${build.project}#${build.number} has no job`)
  if (job === null && build.jobs.length > 1) output.note(`the log of ${jobTitle(chosen) ?? 'a job'} (${jobPlace(build, chosen)}, ${chosen.state}); "kedge jobs ${build.project}#${build.number}" lists all`)
  const response = await client.open(`/api/v1/jobs/${chosen.id}/log${options.attempt === undefined ? '' : `?attempt=${encodeURIComponent(options.attempt)}`}`, { accept: 'text/plain' })
  let isEmpty = true
  try {
    for await (const bytes of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      output.log(bytes)
      isEmpty = false
    }
  } catch {
    throw new Failure(EXIT.unreachable, `the connection to ${client.url} was cut before the log ended; ask again, or add --follow, which goes on by itself`)
  }
  if (isEmpty) output.note(`${jobPlace(build, chosen)} ${isFinal(chosen.state) ? 'printed nothing' : 'has printed nothing yet'}`)
  return EXIT.ok
}

export async function cancelBuild(client: Client, named: string, options: { readonly project?: string; readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const { build } = await findBuild(client, named, options.project)
  const after = await client.post(`/api/v1/projects/${build.project}/builds/${build.number}/cancel`, BUILD)
  if (options.json) output.json(after)
  else output.line(`${after.project} #${after.number} ${after.state}`)
  return EXIT.ok
}

export async function retryBuild(client: Client, named: string, options: { readonly project?: string; readonly failed?: boolean; readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const { build, job: n } = await findBuild(client, named, options.project)
  const job = n === null ? null : jobNamed(build, n)
  if (job !== null && options.failed) throw new Failure(EXIT.usage, '--failed is about all jobs of a build: leave it away, or name the build without a job')
  const after = job === null ? await client.post(`/api/v1/projects/${build.project}/builds/${build.number}/retry`, BUILD, options.failed ? { only: 'failed' } : {}) : await client.post(`/api/v1/jobs/${job.id}/retry`, BUILD)
  if (options.json) output.json(after)
  else output.line(`${after.project} #${after.number} ${after.state}`)
  return EXIT.ok
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
