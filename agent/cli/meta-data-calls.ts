/** `kedge meta-data` at work. Everything here may happen twice, so each call is repeated while the network fails. */
import { setTimeout as pause } from 'node:timers/promises'
import { metaDataKeysReply, metaDataReply, type MetaDataGet, type MetaDataSet } from '../../schema/job-calls.ts'
import { createClient, untilAnswered, type Client } from './client.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { piped } from './piped.ts'
import { redacted } from './redacted.ts'
import { replyOf } from './replies.ts'
import { isThisJob, runningJob } from './running-job.ts'
import { firstOf } from './settings.ts'

interface Flags {
  readonly job?: string
  readonly build?: string
}

export async function setMetaData({ key, value }: { readonly key: string; readonly value: string | undefined }, flags: Flags & { readonly redactedVars?: string }, surroundings: Surroundings): Promise<ExitCode> {
  const job = ownBuild(flags, surroundings)
  const given = value === undefined || value === '-' ? piped(surroundings, { what: 'value', otherwise: 'there is no value: give one behind the key, or write it to standard input.' }) : value
  await job.post('set', { key, value: redacted(given, { what: `the value of "${key}"`, patterns: flags.redactedVars, surroundings }) } satisfies MetaDataSet)
  return EXIT.ok
}

export async function getMetaData(key: string, flags: Flags & { readonly default?: string }, surroundings: Surroundings): Promise<ExitCode> {
  const value = await ownBuild(flags, surroundings).get(key)
  if (value === null && flags.default === undefined) throw new Failure(EXIT.failed, `the build has no meta-data "${key}". "kedge meta-data keys" lists what it has; --default is printed where there is none.`)
  surroundings.write(value ?? flags.default ?? '')
  return EXIT.ok
}

export async function existsMetaData(key: string, flags: Flags, surroundings: Surroundings): Promise<ExitCode> {
  return (await ownBuild(flags, surroundings).get(key)) === null ? EXIT.absent : EXIT.ok
}

export async function metaDataKeys(flags: Flags, surroundings: Surroundings): Promise<ExitCode> {
  for (const key of await ownBuild(flags, surroundings).keys()) surroundings.print(key)
  return EXIT.ok
}

const VALUE = replyOf(metaDataReply)
const KEYS = replyOf(metaDataKeysReply)

/** The meta-data of the build that the command runs in. */
function ownBuild({ job, build }: Flags, { environment }: Surroundings) {
  const asked = firstOf({ flag: ['--build', build], variable: ['BUILDKITE_METADATA_BUILD_ID', environment['BUILDKITE_METADATA_BUILD_ID']], otherwise: '' })
  const other = job !== undefined && !isThisJob(job, environment) ? '--job' : asked.text !== '' && asked.text !== environment['BUILDKITE_BUILD_ID'] ? asked.from : null
  if (other !== null) throw new Failure(EXIT.usage, `${other} cannot name another: a job sees the meta-data of its own build only, and without ${other} it is that. Hand on to another build what it needs as an environment variable.`)
  const { attempt, ...access } = runningJob(environment, 'A person reads it with "kedge meta-data PROJECT#NUMBER", and sets it by the answers to a block.')
  const client: Client = createClient(access)
  const path = `/v1/attempts/${attempt}/meta-data`
  const post = (what: 'get' | 'set', body: MetaDataGet | MetaDataSet) => untilAnswered(() => client.post(`${path}/${what}`, VALUE, body), pause)
  return {
    post,
    get: async (key: string) => (await post('get', { key })).value,
    keys: async () => (await untilAnswered(() => client.get(path, KEYS), pause)).keys,
  }
}
