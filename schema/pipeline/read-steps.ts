/**
 * A canonical pipeline becomes typed steps, or a list of everything that is wrong with it. Nothing is silently ignored: an
 * attribute that Kedge does not know, or knows and cannot keep, is a mistake with the way out. Only the top of the file
 * may hold unknown names, since anchors live there.
 *
 * The command line and the coordinator both call this: the one to tell people early, the other because it trusts nobody.
 */
import { nearest } from '../nearest.ts'
import { mistakenFormats } from './field-format.ts'
import { isList, isMap, type Json } from './json.ts'
import { PIPELINE_LIMITS } from './limits.ts'
import { wantedAgents } from './read/agents.ts'
import { askingStep } from './read/asking.ts'
import { checkoutOptions } from './read/checkout.ts'
import { commandStep, NO_CACHE, priority, timeoutMinutes, type Defaults } from './read/command.ts'
import { groupStep } from './read/group.ts'
import { openStep, type Kind } from './read/kind.ts'
import { buildNotifications } from './read/notify.ts'
import { Attributes, Mistakes, Place, shown, shownName } from './read/reading.ts'
import { secrets } from './read/secrets.ts'
import { triggerStep } from './read/trigger.ts'
import { environment } from './read/values.ts'
import { waitStep } from './read/wait.ts'
import type { Mistake, Pipeline, Step } from './steps.ts'

export type PipelineAnswer = { readonly ok: true; readonly pipeline: Pipeline } | { readonly ok: false; readonly mistakes: readonly Mistake[] }

/** `taken`: keys of the steps that the build has already. */
export function readPipeline(canonical: Json, taken: ReadonlySet<string> = new Set()): PipelineAnswer {
  const mistakes = new Mistakes()
  const place = new Place([], mistakes)
  const pipeline = tooMuch(canonical, place) ? undefined : pipelineOf(canonical, place)
  if (pipeline !== undefined) refuseSameKeys(pipeline.steps, taken, place)
  if (pipeline === undefined || mistakes.all.length > 0) return { ok: false, mistakes: mistakes.all }
  const formats = mistakenFormats(pipeline.steps)
  return formats.length > 0 ? { ok: false, mistakes: formats } : { ok: true, pipeline }
}

/** What would cost much to read is refused before it is read. */
function tooMuch(canonical: Json, place: Place): boolean {
  const list = isMap(canonical) ? canonical['steps'] : canonical
  const count = isList(list) ? list.reduce((sum: number, one) => sum + 1 + (isMap(one) && isList(one['steps']) ? one['steps'].length : 0), 0) : 0
  if (count > PIPELINE_LIMITS.stepsPerUpload) {
    place.at('steps').wrong(`these are ${count} steps; one upload may bring ${PIPELINE_LIMITS.stepsPerUpload}. Make jobs of one step by "parallelism" or "matrix", or let a step upload the rest.`)
    return true
  }
  if (isDeeperThan(PIPELINE_LIMITS.depth, canonical)) {
    place.wrong(`mappings and lists stand more than ${PIPELINE_LIMITS.depth} deep in each other; no pipeline needs that.`)
    return true
  }
  return false
}

/** With a stack of its own: what is too deep may be too deep for the engine's. */
function isDeeperThan(most: number, root: Json): boolean {
  const open: { readonly value: Json; readonly depth: number }[] = [{ value: root, depth: 0 }]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (typeof at.value !== 'object' || at.value === null) continue
    if (at.depth >= most) return true
    for (const value of Object.values(at.value)) open.push({ value, depth: at.depth + 1 })
  }
  return false
}

function pipelineOf(canonical: Json, place: Place): Pipeline | undefined {
  const map = isList(canonical) ? { steps: canonical } : canonical
  if (!isMap(map)) return place.wrong(`a pipeline is a mapping with "steps", or a list of steps, not ${shown(map)}.`)
  const attributes = new Attributes(map, place)
  const env = attributes.read('env', environment, {})
  const notify = attributes.read('notify', buildNotifications, [])
  const defaults: Defaults = {
    agents: attributes.readAny(['agents', 'agent_query_rules'], wantedAgents, []),
    priority: attributes.read('priority', priority, 0),
    timeoutMinutes: attributes.read<number | null>('timeout_in_minutes', timeoutMinutes, null),
    secrets: attributes.read('secrets', secrets, {}),
    checkout: attributes.read('checkout', checkoutOptions, {}),
  }
  if (attributes.has('image')) place.at('image').unsupported(NO_IMAGE)
  if (attributes.has('cache') && attributes.raw('cache') !== false) place.at('cache').unsupported(NO_CACHE)

  const written = attributes.raw('steps') ?? null
  if (written !== null && !isList(written)) place.at('steps').wrong(`the steps are a list, not ${shown(written)}.`)
  const steps: Step[] = []
  for (const [index, one] of (isList(written) ? written : []).entries()) {
    const step = readStep(one, { path: [index], place: place.at('steps').at(index), defaults })
    if (step !== undefined) steps.push(step)
  }
  tellNearMisses(Object.keys(map), { place, hasSteps: isList(written) && written.length > 0 })
  const jobs = flat(steps).reduce((sum, step) => sum + jobsOf(step), 0)
  if (jobs > PIPELINE_LIMITS.jobsPerUpload) place.at('steps').wrong(`these steps make ${jobs} jobs; one upload may bring ${PIPELINE_LIMITS.jobsPerUpload}. Let a step upload the rest.`)
  return { env, steps, notify }
}

/** Groups, each followed by its steps. */
function flat(steps: readonly Step[]): readonly Step[] {
  return steps.flatMap((step) => (step.kind === 'group' ? [step, ...step.steps] : [step]))
}

/** As how many jobs, or builds, it is executed. */
function jobsOf(step: Step): number {
  if (step.kind === 'trigger') return step.parallelism ?? 1
  if (step.kind !== 'command') return 0
  if (step.matrix === null) return step.parallelism ?? 1
  return Object.values(step.matrix.setup).reduce((product, values) => product * values.length, 1) + step.matrix.adjustments.length
}

const TOP = ['steps', 'env', 'agents', 'notify', 'priority', 'timeout_in_minutes', 'secrets', 'checkout']

/** A name at the top may be anything, but one that is nearly a known one that is missing was meant to be it. */
function tellNearMisses(names: readonly string[], { place, hasSteps }: { readonly place: Place; readonly hasSteps: boolean }): void {
  const missing = TOP.filter((name) => (name === 'steps' ? !hasSteps : !names.includes(name)))
  // Nobody has written so many by hand, and to compare each costs.
  for (const name of names.slice(0, 500)) {
    if (TOP.includes(name) || /^[_.]|^x-/.test(name)) continue
    const close = nearest(name, missing)
    if (close !== null) place.at(name).wrongName(`"${shownName(name)}" means nothing here; did you mean "${close}"? (If it only holds an anchor, call it "_${shownName(name)}".)`)
  }
}

interface Reading {
  readonly path: readonly number[]
  readonly place: Place
  readonly defaults: Defaults
}

function readStep(value: Json, { path, place, defaults }: Reading): Step | undefined {
  if (value === null) return place.wrong('this step is empty; take it away, or write what it does, such as "command: make test".')
  const raw = openStep(value, place)
  if (raw === undefined) return undefined
  const attributes = new Attributes(raw.map, raw.place)
  attributes.raw('type')
  const step = ((): Step => {
    switch (raw.kind) {
      case 'command':
        return commandStep(attributes, path, defaults)
      case 'wait':
        return waitStep(attributes, path)
      case 'block':
      case 'input':
        return askingStep(raw.kind, attributes, path)
      case 'trigger':
        return triggerStep(attributes, path)
      case 'group':
        return groupStep(attributes, path, (one, innerPath, innerPlace) => readStep(one, { path: innerPath, place: innerPlace, defaults }))
      default:
        return raw.kind satisfies never
    }
  })()
  attributes.refuseRest(OWNER[raw.kind], { unsupported: UNSUPPORTED[raw.kind] ?? {}, elsewhere: ELSEWHERE })
  return step
}

const OWNER: Readonly<Record<Kind, string>> = { command: 'a command step', wait: 'a wait step', block: 'a block step', input: 'an input step', trigger: 'a trigger step', group: 'a group' }

const NO_IMAGE = 'Kedge runs commands on the agent\'s own machine. Take "image" away, and use the docker plugin, or an agent that runs in such a container.'
const NO_TEAMS = 'Kedge has no teams: whoever may start a build may let it pass. Take "allowed_teams" away.'

/** What Buildkite has and Kedge has not. */
const UNSUPPORTED: Readonly<Partial<Record<Kind, Readonly<Record<string, string>>>>> = {
  command: {
    image: NO_IMAGE,
    signature: 'Kedge does not check signatures of steps, so it does not pretend to. Upload the pipeline without signing it.',
  },
  block: { allowed_teams: NO_TEAMS },
  input: { allowed_teams: NO_TEAMS },
}

const COMMAND_ONLY = 'only command steps have it'
/** What is right on steps of another kind. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['agents', 'artifact_paths', 'cancel_on_build_failing', 'checkout', 'command', 'commands', 'concurrency', 'concurrency_group', 'concurrency_method', 'env', 'matrix', 'plugins', 'priority', 'retry', 'secrets', 'timeout_in_minutes'].map((name) => [name, COMMAND_ONLY]),
  ),
  parallelism: 'only command and trigger steps have it',
  soft_fail: 'only command and trigger steps have it',
  skip: 'command steps, trigger steps and groups have it; say it in "if"',
  notify: 'only command steps, groups and the top of the file have it',
  if_changed: 'only command steps, trigger steps and groups have it',
  branches: 'say it in "if", or on each of its steps',
  continue_on_failure: 'only wait steps have it; "depends_on" has "allow_failure", and each step "allow_dependency_failure"',
  steps: 'only groups have it; to make this one, give it "group" with a name',
  fields: 'only block and input steps have it',
  prompt: 'only block and input steps have it',
  submit: 'only block and input steps have it',
  blocked_state: 'only block and input steps have it',
  build: 'only trigger steps have it',
  async: 'only trigger steps have it',
}

/** Each key names one step of the build. */
function refuseSameKeys(steps: readonly Step[], taken: ReadonlySet<string>, place: Place): void {
  const seen = new Set<string>()
  for (const step of flat(steps)) {
    if (step.key === null) continue
    const at = step.path.reduce((within, index) => within.at('steps').at(index), place).at('key')
    if (seen.has(step.key)) at.wrong(`another step has the key "${step.key}" already; give one of them another.`)
    else if (taken.has(step.key)) at.wrong(`a step of this build has the key "${step.key}" already; give this one another.`)
    seen.add(step.key)
  }
}
