/** `kedge artifact search` and `shasum`, and how every command finds the artifacts that a query means. */
import { setTimeout as pause } from 'node:timers/promises'
import { artifactPage, type ArtifactPage, type ArtifactView, type SearchArtifacts } from '../../schema/artifacts.ts'
import { jobIdOfUuid } from '../../schema/job-uuid.ts'
import { createClient, untilAnswered, type Client } from './client.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { replyOf } from './replies.ts'
import { runningJob } from './running-job.ts'
import { TRANSFER_TRIES } from './transfer.ts'

export interface SearchFlags {
  readonly step?: string
  readonly build?: string
  readonly includeRetriedJobs?: boolean
}

export async function searchArtifacts(query: string, flags: SearchFlags & { readonly format: string; readonly allowEmptyResults?: boolean }, surroundings: Surroundings): Promise<ExitCode> {
  const format = unescaped(flags.format)
  const { found } = await findArtifacts(query, flags, surroundings)
  if (found.length === 0) {
    if (flags.allowEmptyResults !== true) throw nothingFound(query, flags)
    surroundings.note(`no artifact is called "${query}"`)
  }
  for (const artifact of found) surroundings.write(filledIn(format, artifact))
  return EXIT.ok
}

export async function shasumOfArtifact(query: string, flags: SearchFlags & { readonly sha256?: boolean }, surroundings: Surroundings): Promise<ExitCode> {
  const found = newestOfEach((await findArtifacts(query, flags, surroundings)).found)
  const [artifact, another] = found
  if (artifact === undefined) throw nothingFound(query, flags)
  if (another !== undefined) throw new Failure(EXIT.failed, `"${query}" means ${found.length} artifacts, such as ${artifact.path} and ${another.path}, and a digest is of one. Name one of them, or its step with --step.`)
  surroundings.print(flags.sha256 === true ? artifact.sha256 : artifact.sha1)
  return EXIT.ok
}

const PAGE = replyOf(artifactPage)

/** In the order of their jobs and paths; where and how to ask for their bytes is with them. */
export async function findArtifacts(query: string, { step, build, includeRetriedJobs }: SearchFlags, { environment }: Surroundings): Promise<{ readonly found: readonly ArtifactView[]; readonly client: Client; readonly attempt: string }> {
  const { attempt, ...access } = runningJob(environment, 'A person finds artifacts with "kedge artifacts PROJECT#NUMBER", and on the page of the build.')
  const client = createClient(access)
  const number = build === undefined ? null : buildNumber(build, environment)
  const withRetried = includeRetriedJobs === true || /^(?:1|true)$/i.test(environment['BUILDKITE_AGENT_INCLUDE_RETRIED_JOBS'] ?? '')
  const found: ArtifactView[] = []
  for (let after: string | null = null; ; ) {
    const search: SearchArtifacts = { query: query.replace(/^(?:\.?\/)+/, ''), with_retried: withRetried, ...(number === null ? {} : { build: number }), ...(step === undefined ? {} : { step: jobIdOfUuid(step) }), ...(after === null ? {} : { after }) }
    const page: ArtifactPage = await untilAnswered(() => client.post(`/v1/attempts/${attempt}/artifacts/search`, PAGE, search), pause, TRANSFER_TRIES)
    found.push(...page.artifacts)
    if (page.next_cursor === null) return { found, client, attempt }
    after = page.next_cursor
  }
}

/** Null: the job's own. A number, the address of a build's page, or the id that the job knows its own build by. */
function buildNumber(build: string, environment: Surroundings['environment']): number | null {
  if (build === environment['BUILDKITE_BUILD_ID']) return null
  const number = /^#?([1-9]\d{0,8})$/.exec(build)?.[1]
  if (number !== undefined) return Number(number)
  const [, project, ofUrl] = /\/projects\/([^/]+)\/builds\/([1-9]\d{0,8})\/?$/.exec(URL.parse(build)?.pathname ?? '') ?? []
  if (ofUrl !== undefined && project === environment['KEDGE_PROJECT']) return Number(ofUrl)
  if (ofUrl !== undefined) throw new Failure(EXIT.usage, `--build cannot be of the project "${project}": a job reads the artifacts of its own project, ${environment['KEDGE_PROJECT']}.`)
  throw new Failure(EXIT.usage, `--build must be the number or the address of a build of this project, such as 82, or $BUILDKITE_BUILD_ID, not "${build}".`)
}

/** Of several of one path, the one that was uploaded last. */
export function newestOfEach(found: readonly ArtifactView[]): readonly ArtifactView[] {
  const newest = new Map<string, ArtifactView>()
  for (const artifact of found) {
    const other = newest.get(artifact.path)
    if (other === undefined || artifact.created_at >= other.created_at) newest.set(artifact.path, artifact) // of the same instant, the later job's
  }
  return [...newest.values()]
}

export function nothingFound(query: string, { step, build }: SearchFlags): Failure {
  const where = [step === undefined ? '' : ` of the step "${step}"`, build === undefined ? '' : ` of build ${build}`].join('')
  return new Failure(EXIT.failed, `no artifact${where} is called "${query}". "kedge artifact search '*'" lists what there is; "*" stands for any text, also over "/".`)
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0', '"': '"', "'": "'", '\\': '\\' }

function unescaped(format: string): string {
  return format.replace(/\\(.)/gs, (whole, character: string) => {
    const meant = Object.hasOwn(ESCAPES, character) ? ESCAPES[character] : undefined
    if (meant === undefined) throw new Failure(EXIT.usage, `--format cannot hold "${whole}": after a "\\" stands one of n, t, r, 0, ", ' and \\.`)
    return meant
  })
}

function filledIn(format: string, { id, job, path, bytes, sha256, sha1, created_at, url }: ArtifactView): string {
  const values: Readonly<Record<string, string>> = { p: path, c: created_at.replace(/\.\d+/, ''), j: job, s: String(bytes), S: sha1, T: sha256, u: url, i: id }
  return format.replace(/%([pcjsSTui])/g, (whole, letter: string) => values[letter] ?? whole)
}
