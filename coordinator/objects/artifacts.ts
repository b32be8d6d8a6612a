/** Artifacts of builds, as jobs register and look for them, and as people see them. Bytes never come here. */
import { matchesQuery } from '../../schema/artifact-query.ts'
import { ARTIFACT_LIMITS, type ArtifactPage, type ArtifactView, type SearchArtifacts, type UploadedFile } from '../../schema/artifacts.ts'
import { attemptId, jobId, parseAttemptId, parseJobId, type AttemptId, type AttemptKey } from '../../schema/job.ts'
import { isOfNewest, putArtifacts, scopeOf } from '../core/artifacts.ts'
import type { ArtifactRow, BuildRow, ProjectRow } from '../core/decision.ts'
import * as load from '../store/load.ts'
import { buildUrl } from '../store/read.ts'
import type { Memory } from '../store/memory.ts'
import type { Sql } from '../store/sql.ts'
import { anyJob, currentJob } from './current-attempt.ts'
import type { Event } from './event.ts'
import { buildNamed, buildOf, type NamedBuild } from './named.ts'
import { problem, type Answer } from './scheduler-api.ts'

/** Files whose bytes the Worker has seen in R2. Answers with how many there are of them. */
export function addArtifacts(event: Event, attempt: AttemptId, files: readonly UploadedFile[]): Answer<number> {
  const current = currentJob(event, attempt, { title: 'The artifacts were not taken', noMore: 'uploads nothing any more' })
  if (!current.ok) return current
  const key: AttemptKey = { project: current.job.project, build: current.job.build, n: current.job.n, fence: current.fence }
  const before = new Map<string, ArtifactRow>()
  for (const { path } of files) {
    const row = load.artifact(event.on, key, path)
    if (row !== null) before.set(path, row)
  }
  const decided = putArtifacts(key, files, { count: load.artifactsHeld(event.on, key, ARTIFACT_LIMITS.files + 1), before }, event.now)
  if ('detail' in decided) return { ok: false, problem: decided }
  for (const change of decided) event.apply(change)
  return { ok: true, value: files.length }
}

interface Reading {
  readonly on: Sql
  readonly memory: Memory
  /** For absolute URLs. */
  readonly origin: string
}

/** What a job asks for. Whoever had an attempt of a build may read all artifacts of its project. */
export function searchArtifacts(reading: Reading, attempt: AttemptId, { query, build: number, step, with_retried: withRetried, after }: SearchArtifacts): Answer<ArtifactPage> {
  const { on, memory } = reading
  const asking = anyJob(on, attempt)
  if (!asking.ok) return asking
  const project = memory.projects.get(asking.value.project)
  if (project === undefined) throw new Error(`job ${jobId(asking.value)} is of a project that is not there`)
  const found = buildOf(reading, project, number ?? asking.value.build)
  if (!found.ok) return found
  const { build } = found.value
  const jobs = load.jobsOfBuild(on, build.project, build.number)
  const scope = step === undefined ? null : scopeOf(step, jobs, load.stepsOfBuild(on, build.project, build.number))
  if (step !== undefined && scope === null) return problem(404, 'step-unknown', 'No such step', `No step of build ${build.number} has the key or label "${step}", and no job the id.`)
  const byNumber = new Map(jobs.map((job) => [job.n, job]))
  const isNamed = step !== undefined && parseJobId(step) !== null // a job that is asked for by its id is meant, tried again or not
  return page(reading, { project, build }, { after, of: (row) => (scope === null || scope.has(row.n)) && (withRetried || isNamed || isOfNewest(row, byNumber)) && matchesQuery(row.path, query) })
}

/** Of a build, or of one of its jobs; also those of attempts that were lost. */
export function artifactsOf(reading: Reading, slug: string, number: number, { job, after }: { readonly job?: string | undefined; readonly after?: string | undefined }): Answer<ArtifactPage> {
  const found = buildNamed(reading, slug, number)
  if (!found.ok) return found
  const key = job === undefined ? null : parseJobId(job)
  if (job !== undefined && (key === null || key.project !== found.value.project.id || key.build !== number)) return problem(404, 'job-unknown', 'No such job', `Build ${number} of ${slug} has no job ${JSON.stringify(job.slice(0, 80))}.`)
  return page(reading, found.value, { after, job: key?.n, of: () => true })
}

/** Before a path, in place of an attempt: whichever job of the build uploaded it last. No attempt is called so. */
const NEWEST = 'newest/'

/** One, by its id, or by its path behind `NEWEST`. */
export function artifactOf(reading: Reading, slug: string, number: number, id: string): Answer<ArtifactView> {
  const found = buildNamed(reading, slug, number)
  if (!found.ok) return found
  const place = placeOf(id, found.value.build)
  const row = id.startsWith(NEWEST) ? load.newestArtifact(reading.on, found.value.build, id.slice(NEWEST.length)) : place && load.artifact(reading.on, place, place.path)
  return row ? { ok: true, value: view(row, found.value.project, reading.origin) } : problem(404, 'artifact-unknown', 'No such artifact', `Build ${number} of ${slug} has no artifact ${JSON.stringify(id.slice(0, 200))}. GET /api/v1/projects/${slug}/builds/${number}/artifacts lists them.`)
}

function page({ on, origin }: Reading, { project, build }: NamedBuild, { after, job, of }: { readonly after: string | undefined; readonly job?: number | undefined; of(row: ArtifactRow): boolean }): Answer<ArtifactPage> {
  const place = after === undefined ? { n: 0, fence: 0, path: '' } : placeOf(after, build)
  if (place === null) return problem(400, 'cursor-invalid', 'The cursor is not valid', 'Use the next_cursor of an earlier answer, unchanged.')
  const rows = load.artifactsAfter(on, build, place, { job, limit: ARTIFACT_LIMITS.page })
  const last = rows.length < ARTIFACT_LIMITS.page ? undefined : rows.at(-1)
  return { ok: true, value: { artifacts: rows.filter(of).map((row) => view(row, project, origin)), next_cursor: last === undefined ? null : idOf(last) } }
}

function idOf(row: ArtifactRow): string {
  return `${attemptId(row)}/${row.path}`
}

function placeOf(id: string, build: BuildRow): (AttemptKey & { readonly path: string }) | null {
  const slash = id.indexOf('/')
  const key = parseAttemptId(id.slice(0, Math.max(0, slash)))
  return key === null || key.project !== build.project || key.build !== build.number ? null : { ...key, path: id.slice(slash + 1) }
}

function view(row: ArtifactRow, { slug }: ProjectRow, origin: string): ArtifactView {
  const id = idOf(row)
  return {
    id,
    job: jobId(row),
    attempt: attemptId(row),
    path: row.path,
    bytes: row.bytes,
    sha256: row.sha256,
    sha1: row.sha1,
    content_type: row.contentType,
    created_at: new Date(row.createdAt).toISOString(),
    url: `${buildUrl(`${origin}/api/v1`, slug, row.build)}/artifacts/${id.split('/').map(encodeURIComponent).join('/')}`,
  }
}
