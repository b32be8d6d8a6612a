/** `kedge step` at work. What may happen twice is repeated while the network fails; a change carries a key, so that it counts once. */
import { setTimeout as pause } from 'node:timers/promises'
import { didYouMean } from '../../schema/nearest.ts'
import { buildCancelReply, stepAttributes, stepCancelReply, stepReply, stepUpdateReply, type StepCancel, type StepGet, type StepUpdate } from '../../schema/job-calls.ts'
import { createClient, postOnce, untilAnswered } from './client.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { piped } from './piped.ts'
import { redacted } from './redacted.ts'
import { replyOf, type Reply } from './replies.ts'
import { runningJob } from './running-job.ts'
import { present } from './settings.ts'

interface Flags {
  readonly step?: string
  readonly build?: string
}

/** What Buildkite's agent also knows, and this does not: not to be taken for a slip. */
const NOT_KNOWN = ['agents', 'command', 'concurrency_key', 'concurrency_limit', 'depends_on', 'env', 'if', 'notify', 'parallelism', 'timeout']
const KNOWN = Object.keys(stepAttributes.shape) as readonly (keyof typeof stepAttributes.shape)[] // a zod object's own keys

export async function getStep(attribute: string | undefined, flags: Flags & { readonly format?: string }, surroundings: Surroundings): Promise<ExitCode> {
  if (flags.format !== undefined && flags.format !== 'json') throw new Failure(EXIT.usage, `--format must be json, not "${flags.format}".`)
  const name = KNOWN.find((one) => one === attribute)
  if (attribute !== undefined && name === undefined) {
    const hint = NOT_KNOWN.includes(attribute) ? '.' : didYouMean(attribute, KNOWN) || '.'
    throw new Failure(EXIT.usage, `this version does not tell "${attribute}" of a step${hint} It tells ${KNOWN.join(', ')}.`)
  }
  if (name === undefined && flags.format === undefined) throw new Failure(EXIT.usage, 'a whole step is printed as JSON: add --format json, or name an attribute.')
  const { post, step } = ownJob(flags, surroundings)
  const found = (await post('steps/get', STEP, { step } satisfies StepGet)).step
  surroundings.print(flags.format === 'json' ? JSON.stringify(name === undefined ? found : found[name]) : String((name === undefined ? null : found[name]) ?? ''))
  return EXIT.ok
}

export async function updateStep({ attribute, value }: { readonly attribute: string; readonly value: string | undefined }, flags: Flags & { readonly append?: boolean; readonly redactedVars?: string }, surroundings: Surroundings): Promise<ExitCode> {
  const given = value ?? piped(surroundings, { what: 'value', otherwise: 'there is no value: give one behind the attribute, or write it to standard input.' })
  const shown = redacted(given, { what: `the value of "${attribute}"`, patterns: flags.redactedVars, surroundings })
  const { client, path, step } = ownJob(flags, surroundings)
  await postOnce(client, `${path}/steps/update`, UPDATED, { body: { step, attribute, value: shown, append: flags.append ?? false } satisfies StepUpdate, pause })
  return EXIT.ok
}

export async function cancelStep(flags: Flags & { readonly force?: boolean; readonly forceGracePeriodSeconds?: number }, surroundings: Surroundings): Promise<ExitCode> {
  const { post, step } = ownJob(flags, surroundings)
  const { id } = await post('steps/cancel', CANCELED, { step } satisfies StepCancel)
  surroundings.note(`cancelled the step ${step ?? id}`)
  return EXIT.ok
}

export async function cancelBuild(flags: Flags, surroundings: Surroundings): Promise<ExitCode> {
  const { build } = await ownJob(flags, surroundings).post('build/cancel', BUILD_CANCELED, {})
  surroundings.note(`cancelled build ${build}, and this job with it`)
  return EXIT.ok
}

const STEP = replyOf(stepReply)
const UPDATED = replyOf(stepUpdateReply)
const CANCELED = replyOf(stepCancelReply)
const BUILD_CANCELED = replyOf(buildCancelReply)

/** The job that this runs in, and the step that is meant; null: the job's own, as the coordinator knows it. */
function ownJob({ step, build }: Flags, { environment }: Surroundings) {
  const { attempt, ...access } = runningJob(environment, 'A person cancels a build with "kedge cancel PROJECT#NUMBER".')
  const own = present(environment['BUILDKITE_BUILD_ID'])
  if (build !== undefined && build !== own) throw new Failure(EXIT.usage, `--build ${build} is another build: a job acts on its own${own === undefined ? '' : `, ${own}`}. Leave --build away.`)
  if (step === '') throw new Failure(EXIT.usage, '--step is empty: the variable in it was probably not set. Leave --step away for the own step.')
  const client = createClient(access)
  const path = `/v1/attempts/${attempt}`
  return { client, path, step: step ?? present(environment['BUILDKITE_STEP_ID']) ?? null, post: <T>(what: string, reply: Reply<T>, body: object) => untilAnswered(() => client.post(`${path}/${what}`, reply, body), pause) }
}
