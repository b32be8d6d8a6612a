/** `kedge meta-data BUILD`: what the jobs of a build told each other and people answered, for people. */
import { didYouMean } from '../../schema/nearest.ts'
import { findBuild, table, type CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { EXIT, Failure, oneLine, type ExitCode } from './output.ts'
import { META_DATA } from './replies.ts'

export interface MetaDataOptions {
  readonly project?: string
  readonly json?: boolean
}

export async function buildMetaData(client: Client, { build: named, key }: { readonly build: string; readonly key: string | undefined }, options: MetaDataOptions, output: CommandOutput): Promise<ExitCode> {
  // A word without a digit names no build: it is one of the commands for jobs, misspelt.
  if (!/\d/.test(named)) throw new Failure(EXIT.usage, `"${named}" names no build, such as app#12, and "kedge meta-data" has no command of that name${didYouMean(named, COMMANDS_OF_JOBS) || `: those are ${COMMANDS_OF_JOBS.join(', ')}, in jobs.`}`)
  const { build, job } = await findBuild(client, named, options.project)
  if (job !== null) throw new Failure(EXIT.usage, `"${named}" names a job, and meta-data is of the whole build: write "kedge meta-data ${build.project}#${build.number}".`)
  const { meta_data: all } = await client.get(`/api/v1/projects/${build.project}/builds/${build.number}/meta-data`, META_DATA)
  const keys = Object.keys(all)
  if (key === undefined) {
    if (options.json) output.json({ meta_data: all })
    else if (keys.length === 0) output.line(`${build.project}#${build.number} has no meta-data.`)
    else for (const row of table(Object.entries(all).map(([name, value]) => [oneLine(name), oneLine(value)]))) output.line(row)
    return EXIT.ok
  }
  const value = Object.hasOwn(all, key) ? all[key] : undefined
  if (value === undefined) throw new Failure(EXIT.failed, `${build.project}#${build.number} has no meta-data "${key}"${didYouMean(key, keys) || (keys.length === 0 ? '; it has none at all.' : '.')}`)
  if (options.json) output.json({ meta_data: { [key]: value } })
  else output.line(value)
  return EXIT.ok
}

const COMMANDS_OF_JOBS = ['set', 'get', 'exists', 'keys'] as const
