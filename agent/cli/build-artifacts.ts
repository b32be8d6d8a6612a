/** `kedge artifacts`: what the jobs of a build uploaded, for people: a list, or the files themselves. */
import { resolve } from 'node:path'
import { matchesQuery } from '../../schema/artifact-query.ts'
import { artifactPage, type ArtifactView } from '../../schema/artifacts.ts'
import type { BuildView } from '../../schema/api.ts'
import { bytesInWords } from '../../schema/bytes.ts'
import { parseJobId } from '../../schema/job.ts'
import { saveAll } from './artifact-download.ts'
import { newestOfEach } from './artifact-search.ts'
import { findBuild, jobNamed, table, type CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { EXIT, Failure, oneLine, type ExitCode } from './output.ts'
import { replyOf } from './replies.ts'

export interface ArtifactsOptions {
  readonly project?: string
  /** In which `*` is any text, also over `/`; absent: they are listed. */
  readonly download?: string
  /** Folder; the one where the command runs. */
  readonly to?: string
  readonly json?: boolean
}

export async function buildArtifacts(client: Client, named: string, options: ArtifactsOptions, output: CommandOutput): Promise<ExitCode> {
  if (options.to !== undefined && options.download === undefined) throw new Failure(EXIT.usage, `--to says where files go: name those with --download, such as --download '*'.`)
  const { build, job } = await findBuild(client, named, options.project)
  const of = job === null ? null : jobNamed(build, job)
  const at = `/api/v1/projects/${build.project}/builds/${build.number}/artifacts`
  const all = (await everyPage(client, `${at}?${of === null ? '' : `job=${of.id}&`}`)).filter((artifact) => speaks(artifact, build, of?.id ?? null))
  if (options.download === undefined) {
    list(all, build, options, output)
    return EXIT.ok
  }
  const query = options.download
  const wanted = newestOfEach(all.filter(({ path }) => matchesQuery(path, query)))
  if (wanted.length === 0) throw new Failure(EXIT.failed, `no artifact of ${build.project}#${build.number}${job === null ? '' : `/${job}`} is called "${query}"; "kedge artifacts ${build.project}#${build.number}" lists what there is. "*" stands for any text, also over "/".`)
  await saveAll(client, wanted, { destination: `${resolve(options.to ?? '.')}/`, called: options.to ?? '.', place: ({ id }) => `${at}/${id.split('/').map(encodeURIComponent).join('/')}` })
  if (options.json) output.json({ artifacts: wanted })
  else for (const { path } of wanted) output.line(oneLine(path))
  output.note(`downloaded ${wanted.length === 1 ? '1 file' : `${wanted.length} files`} (${bytesInWords(sumOf(wanted))})`)
  return EXIT.ok
}

function list(artifacts: readonly ArtifactView[], build: BuildView, { json }: ArtifactsOptions, output: CommandOutput): void {
  if (json) return output.json({ artifacts })
  if (artifacts.length === 0) return output.line(`${build.project}#${build.number} has no artifacts.`)
  for (const row of table(artifacts.map(({ job, path, bytes }) => [`${build.project}#${build.number}/${parseJobId(job)?.n ?? job}`, bytesInWords(bytes), oneLine(path)]))) output.line(row)
}

const PAGE = replyOf(artifactPage)

async function everyPage(client: Client, path: string): Promise<readonly ArtifactView[]> {
  const found: ArtifactView[] = []
  for (let cursor: string | null = null; ; ) {
    const page: { readonly artifacts: readonly ArtifactView[]; readonly next_cursor: string | null } = await client.get(`${path}${cursor === null ? '' : `cursor=${encodeURIComponent(cursor)}`}`, PAGE)
    found.push(...page.artifacts)
    if (page.next_cursor === null) return found
    cursor = page.next_cursor
  }
}

/** Of the newest attempt of a job that no other has taken the place of, unless that very job is asked for. */
function speaks({ job: id, attempt }: ArtifactView, { jobs }: BuildView, named: string | null): boolean {
  const job = jobs.find((one) => one.id === id)
  return job !== undefined && job.attempts.at(-1)?.id === attempt && (job.retried_by === null || named !== null)
}

function sumOf(artifacts: readonly ArtifactView[]): number {
  return artifacts.reduce((sum, { bytes }) => sum + bytes, 0)
}
