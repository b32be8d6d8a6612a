/** A step that runs a command on an agent, as one job or several. */
import { LIMITS } from '../../api.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { CommandStep, Concurrency } from '../steps.ts'
import { requirementOf, wantedAgents, type Wanted } from './agents.ts'
import { checkoutOptions, mergedCheckout, type PartOfCheckout } from './checkout.ts'
import { branches, common, ifChanged, skip, softFail } from './common.ts'
import { matrix } from './matrix.ts'
import { judgeMatrixUse } from './matrix-use.ts'
import { stepNotifications } from './notify.ts'
import { plugins } from './plugins.ts'
import type { Attributes, Reader } from './reading.ts'
import { NO_RETRY, retry } from './retry.ts'
import { secrets } from './secrets.ts'
import { environment, flag, oneOf, oneOrMore, someText, text, wholeNumber } from './values.ts'

/** What the top of the file sets for each command step that does not say otherwise. */
export interface Defaults {
  readonly agents: Wanted
  readonly priority: number
  readonly timeoutMinutes: number | null
  readonly secrets: Readonly<Record<string, string>>
  readonly checkout: PartOfCheckout
}

export const priority = wholeNumber(-LIMITS.priority, LIMITS.priority, 'a priority')
export const timeoutMinutes = wholeNumber(1, LIMITS.timeoutSeconds / 60, 'a time limit in minutes')
const jobs = wholeNumber(0, PIPELINE_LIMITS.jobsPerUpload, 'the number of jobs')

export function commandStep(attributes: Attributes, path: readonly number[], defaults: Defaults): CommandStep {
  const { place } = attributes
  const { queue, tags } = requirementOf(attributes.readAny(['agents', 'agent_query_rules'], wantedAgents, []), defaults.agents, place.at('agents'))
  const parallelism = attributes.read<number | null>('parallelism', jobs, null)
  const written = skip(attributes)
  const combinations = attributes.read('matrix', matrix, null)
  if (parallelism !== null && combinations !== null) place.at('parallelism').wrong('"parallelism" and "matrix" cannot stand on one step; make the part a dimension of the matrix, or make two steps.')
  const step: CommandStep = {
    ...common(attributes, path, ['label', 'name']),
    kind: 'command',
    command: attributes.readAny(['command', 'commands', 'script'], script, null),
    branches: branches(attributes),
    queue,
    tags,
    env: attributes.read('env', environment, {}),
    plugins: attributes.read('plugins', plugins, []),
    artifactPaths: attributes.readAny(['artifact_paths', 'artifacts'], artifactPaths, []),
    timeoutMinutes: attributes.readAny<number | null>(['timeout_in_minutes', 'timeout'], timeoutMinutes, defaults.timeoutMinutes),
    priority: attributes.read('priority', priority, defaults.priority),
    concurrency: concurrency(attributes),
    parallelism: parallelism === 0 ? null : parallelism,
    matrix: combinations,
    retry: attributes.read('retry', retry, NO_RETRY),
    softFail: softFail(attributes),
    skip: written ?? (parallelism === 0 ? 'parallelism is 0' : null),
    cancelOnBuildFailing: attributes.read('cancel_on_build_failing', flag, false),
    ifChanged: ifChanged(attributes),
    notify: attributes.read('notify', stepNotifications, []),
    secrets: { ...defaults.secrets, ...attributes.read('secrets', secrets, {}) },
    checkout: mergedCheckout(attributes.read('checkout', checkoutOptions, {}), defaults.checkout),
  }
  refuseCache(attributes)
  judgeMatrixUse(step, place)
  return step
}

/** Lines of a list are one script. Without any, its plugins and hooks act. */
const script: Reader<string | null> = (value, place) => {
  const lines = oneOrMore(text, 'commands', 100_000)(value, place)
  const found = lines?.join('\n') ?? ''
  if (found.length > LIMITS.commandBytes) return place.wrong(`this command has ${found.length} characters; at most ${LIMITS.commandBytes} are allowed. Put it into a file of the repository.`)
  return found === '' ? null : found
}

/** Globs, in one text with semicolons between them or as a list. */
const artifactPaths: Reader<readonly string[]> = (value, place) => oneOrMore(text, 'paths')(value, place)?.flatMap((one) => one.split(';')).map((one) => one.trim()).filter((one) => one !== '')

/** The limit and the name of the group need each other. */
function concurrency(attributes: Attributes): Concurrency | null {
  const limit = attributes.read<number | null>('concurrency', wholeNumber(1, 10_000, 'how many jobs may run at once'), null)
  const group = attributes.read<string | null>('concurrency_group', concurrencyGroup, null)
  const method = attributes.read('concurrency_method', oneOf(['ordered', 'eager']), 'ordered')
  const { place } = attributes
  const has = (name: string) => attributes.has(name)
  if (has('concurrency') && !has('concurrency_group')) place.at('concurrency').wrong('a limit holds for a group of jobs, over all builds: give the step a "concurrency_group" with a name, such as "my-app/deploy".')
  if (has('concurrency_group') && !has('concurrency')) place.at('concurrency_group').wrong('how many of the group may run at once? Give the step "concurrency", such as 1.')
  if (has('concurrency_method') && !has('concurrency') && !has('concurrency_group')) place.at('concurrency_method').wrong('this is about a concurrency group; give the step "concurrency" and "concurrency_group", or take it away.')
  return limit === null || group === null ? null : { limit, group, method }
}

const concurrencyGroup: Reader<string> = (value, place) => {
  const found = someText(value, place)
  if (found === undefined) return undefined
  if (found.length > PIPELINE_LIMITS.concurrencyGroupCharacters) return place.wrong(`this name has ${found.length} characters; at most ${PIPELINE_LIMITS.concurrencyGroupCharacters} are allowed.`)
  return found.includes('{{') ? place.wrong('a value of the matrix cannot stand in the name of a concurrency group; take it out.') : found
}

/** Only "no cache" can be kept. */
function refuseCache(attributes: Attributes): void {
  if (attributes.raw('cache') !== false && attributes.has('cache')) attributes.place.at('cache').unsupported(NO_CACHE)
}

export const NO_CACHE = 'Kedge has no cache volumes, which are of hosted agents. Take "cache" away: a job finds a folder that outlives builds in KEDGE_CACHE_DIR.'
