/** `kedge meta-data` at work. Everything here may happen twice, so each call is repeated while the network fails. */
import { setTimeout as pause } from 'node:timers/promises'
import { metaDataKeysReply, metaDataReply, type MetaDataGet, type MetaDataKeysReply, type MetaDataReply, type MetaDataSet } from '../../schema/job-calls.ts'
import { matchesWildcard } from '../../schema/pipeline/wildcard.ts'
import { createClient, untilAnswered, type Client } from './client.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import type { Reply } from './replies.ts'
import { runningJob } from './running-job.ts'

interface Flags {
  readonly job?: string
  readonly build?: string
}

export async function setMetaData({ key, value }: { readonly key: string; readonly value: string | undefined }, flags: Flags & { readonly redactedVars?: string }, surroundings: Surroundings): Promise<ExitCode> {
  const job = ownBuild(flags, surroundings)
  const given = value === undefined || value === '-' ? piped(surroundings) : value
  const { shown, hidden } = redacted(given, flags.redactedVars ?? surroundings.environment['BUILDKITE_REDACTED_VARS'] ?? REDACTED, surroundings.environment)
  if (hidden.length > 0) surroundings.note(`the value of "${key}" holds that of ${hidden.join(', ')}, which everybody who sees the build would read: it was replaced by ${HIDDEN}. If it is meant, give --redacted-vars ''.`)
  await job.post('set', { key, value: shown } satisfies MetaDataSet)
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

const VALUE: Reply<MetaDataReply> = { is: (json): json is MetaDataReply => metaDataReply.safeParse(json).success }
const KEYS: Reply<MetaDataKeysReply> = { is: (json): json is MetaDataKeysReply => metaDataKeysReply.safeParse(json).success }

/** The meta-data of the build that the command runs in. */
function ownBuild({ job, build }: Flags, { environment }: Surroundings) {
  const other = job !== undefined ? '--job' : build !== undefined ? '--build' : null
  if (other !== null) throw new Failure(EXIT.usage, `${other} cannot be given here: a job sees the meta-data of its own build only, and without ${other} it is that. Hand on to another build what it needs as an environment variable.`)
  const { attempt, ...access } = runningJob(environment, 'A person answers the fields of a block on the page of the build.')
  const client: Client = createClient(access)
  const path = `/v1/attempts/${attempt}/meta-data`
  const post = (what: 'get' | 'set', body: MetaDataGet | MetaDataSet) => untilAnswered(() => client.post(`${path}/${what}`, VALUE, body), pause)
  return {
    post,
    get: async (key: string) => (await post('get', { key })).value,
    keys: async () => (await untilAnswered(() => client.get(path, KEYS), pause)).keys,
  }
}

function piped({ input }: Surroundings): string {
  if (!input.isPiped()) throw new Failure(EXIT.usage, 'there is no value: give one behind the key, or write it to standard input.')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input.read())
  } catch {
    throw new Failure(EXIT.usage, 'the value on standard input is not UTF-8. Encode it, for example with base64.')
  }
}

/** As Buildkite's agent hides them unless it is told otherwise. */
const REDACTED = '*_PASSWORD,*_SECRET,*_TOKEN,*_PRIVATE_KEY,*_ACCESS_KEY,*_SECRET_KEY,*_CONNECTION_STRING'
const HIDDEN = '[REDACTED]'
/** Shorter values are found everywhere. */
const SHORTEST_SECRET = 6

/** What may be shown of a value, and the variables whose own was hidden. */
function redacted(value: string, patterns: string, environment: Surroundings['environment']): { readonly shown: string; readonly hidden: readonly string[] } {
  const wanted = patterns.split(',').map((one) => one.trim()).filter((one) => one !== '')
  const secrets = Object.entries(environment).filter((entry): entry is [string, string] => (entry[1] ?? '').length >= SHORTEST_SECRET && wanted.some((one) => matchesWildcard(entry[0], one)))
  const found = secrets.filter(([, secret]) => value.includes(secret)).sort(([, a], [, b]) => b.length - a.length) // a longer one may hold a shorter
  return { shown: found.reduce((text, [, secret]) => text.replaceAll(secret, () => HIDDEN), value), hidden: found.map(([name]) => name) }
}
