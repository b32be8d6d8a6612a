/** What steps of every kind have, and a few attributes that several have. */
import { parseConditional } from '../conditional/conditional.ts'
import { isList, isMap, type Json } from '../json.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { Branches, CommandStep, Dependency, IfChanged, Skip, SoftFail, Step } from '../steps.ts'
import { Attributes, shown, type Place, type Reader } from './reading.ts'
import { flag, listOf, numberOf, oneOrMore, prose, someText, text, truthOf } from './values.ts'

type Common = Pick<Step, 'path' | 'key' | 'label' | 'if' | 'dependsOn' | 'allowDependencyFailure'>

/** `labels`: the names under which its label may stand, the first one first. */
export function common(attributes: Attributes, path: readonly number[], labels: readonly string[]): Common {
  return {
    path,
    key: attributes.readAny(['key', 'identifier', 'id'], key, null),
    label: labels.map((name) => attributes.read(name, prose(PIPELINE_LIMITS.labelCharacters), null)).find((label) => label !== null) ?? null,
    if: attributes.read('if', condition, null),
    dependsOn: dependencies(attributes.raw('depends_on'), attributes.place.at('depends_on')),
    allowDependencyFailure: attributes.read('allow_dependency_failure', flag, false),
  }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Empty is none, as the parser has it. Whether another step has it already is looked at where all are known. */
const key: Reader<string | null> = (value, place) => {
  const found = text(value, place)
  if (found === undefined || found === '') return null
  if (found.length > PIPELINE_LIMITS.keyCharacters) return place.wrong(`this key has ${found.length} characters; at most ${PIPELINE_LIMITS.keyCharacters} are allowed.`)
  if (found.includes('{{')) return place.wrong('a value of the matrix cannot stand in a key: all its jobs are one step. Take it out.')
  if (UUID.test(found)) return place.wrong('a key may not look like a UUID; give the step a name of its own.')
  if (!/^[\w\-:${}.,]+$/.test(found)) return place.wrong(`${shown(found)} cannot be a key: letters, digits and "_", "-", ":", ".", "," only.`)
  return found
}

/** Kept as text, which can be read: it is decided when the pipeline is uploaded. */
export const condition: Reader<string> = (value, place) => readCondition(value, place, { stepVariables: false })
/** Of a notification of a step, which knows how that went. */
export const stepCondition: Reader<string> = (value, place) => readCondition(value, place, { stepVariables: true })

function readCondition(value: Exclude<Json, null>, place: Place, use: { readonly stepVariables: boolean }): string | undefined {
  if (typeof value === 'boolean') return place.wrong(`a condition is text: write "${value}" in quotes${value ? ', or leave it out' : ', or "skip: true"'}.`)
  if (typeof value === 'string' && value.trim() === '') return undefined // says nothing, so there is none
  const found = someText(value, place)
  if (found === undefined) return undefined
  const read = parseConditional(found, { ...use, budget: place.mistakes.budget })
  return read.ok ? found : place.wrong(`this condition cannot be read${read.error.at === 0 ? '' : ` at ${shown(found.slice(read.error.at, read.error.at + Math.max(read.error.length, 12)))}`}: ${read.error.message}`)
}

/** Null: none are written. A written nothing is an empty list: it may start at once. */
function dependencies(value: Json | undefined, place: Place): readonly Dependency[] | null {
  if (value === undefined) return null
  if (value === null) return []
  if (isMap(value)) return place.wrong('dependencies with attributes are written as a list: put "- " before "step".') ?? null
  return oneOrMore(dependency, 'keys of steps', PIPELINE_LIMITS.stepsPerUpload)(value, place) ?? null
}

const dependency: Reader<Dependency> = (value, place) => {
  if (!isMap(value)) {
    if (isList(value) || typeof value === 'boolean') return place.wrong(`this is the key of a step, not ${shown(value)}.`)
    const step = someText(value, place)
    return step === undefined ? undefined : { step, allowFailure: false }
  }
  const attributes = new Attributes(value, place)
  const step = attributes.read('step', someText, null)
  const allowFailure = attributes.read('allow_failure', flag, false)
  attributes.refuseRest('a dependency')
  if (step !== null) return { step, allowFailure }
  return attributes.has('step') ? undefined : place.wrong('this dependency does not say on which step: give "step" its key.')
}

/** Patterns, in one text with spaces between them or as a list. */
const branchPatterns: Reader<Branches> = (value, place) => {
  const patterns = oneOrMore(text, 'patterns of branches')(value, place)?.flatMap((one) => one.split(/\s+/)).filter((one) => one !== '')
  return patterns === undefined || patterns.length === 0 ? null : patterns
}

/** Not beside `if`, which says the same and more. */
export function branches(attributes: Attributes): Branches {
  const found = attributes.read('branches', branchPatterns, null)
  if (attributes.has('branches') && attributes.has('if')) attributes.place.at('branches').wrong('"branches" and "if" cannot stand on one step; say it in "if", such as build.branch == "main".')
  return found
}

/** `true` and `"true"` give no reason; an empty one is `false`. */
const skipping: Reader<Skip> = (value, place) => {
  const truth = truthOf(value)
  if (truth !== undefined) return truth ? '' : null
  if (typeof value !== 'string') return place.wrong(`this is true, false or the reason as text, not ${shown(value)}.`)
  if (value.length > PIPELINE_LIMITS.skipReasonCharacters) return place.wrong(`this reason has ${value.length} characters; at most ${PIPELINE_LIMITS.skipReasonCharacters} are allowed.`)
  return value === '' ? null : value
}

export function skip(attributes: Attributes): Skip {
  return attributes.read('skip', skipping, null)
}

const softFailing: Reader<SoftFail> = (value, place) => {
  const truth = truthOf(value)
  if (truth !== undefined) return truth ? 'any' : 'none'
  if (!isList(value)) return place.wrong(`this is true, false or a list such as [{ exit_status: 1 }], not ${shown(value)}.`)
  const found = listOf(softStatus, 'exit statuses')(value, place) ?? []
  if (found.includes('*')) return 'any'
  const statuses = found.filter((one) => one !== '*')
  return statuses.length === 0 ? 'none' : [...new Set(statuses)]
}

const softStatus: Reader<number | '*'> = (value, place) => {
  if (!isMap(value)) return place.wrong(`an exit status is written as { exit_status: ${numberOf(value) ?? 1} }, not as ${shown(value)}.`)
  const attributes = new Attributes(value, place)
  const found = attributes.read('exit_status', (one, at) => (one === '*' ? one : exitStatus(one, at)), null)
  attributes.refuseRest('an item of "soft_fail"')
  return found ?? (attributes.has('exit_status') ? undefined : place.wrong('this does not say which exit status: give "exit_status" a number or "*".'))
}

/** -1 is that of a job whose agent was lost. */
export const exitStatus: Reader<number> = (value, place) => {
  const found = numberOf(value)
  return found !== undefined && found >= -1 && found <= 255 ? found : place.wrong(`${shown(value)} is not an exit status: a number from 0 to 255, or -1 for a lost agent, or "*" for each that is not 0.`)
}

export function softFail(attributes: Attributes): SoftFail {
  return attributes.read('soft_fail', softFailing, 'none')
}

const changes: Reader<IfChanged> = (value, place) => {
  if (!isMap(value)) {
    const include = oneOrMore(someText, 'patterns of paths')(value, place)
    return include === undefined ? undefined : { include, exclude: [] }
  }
  const attributes = new Attributes(value, place)
  const include = attributes.read('include', oneOrMore(someText, 'patterns of paths'), [])
  const exclude = attributes.read('exclude', oneOrMore(someText, 'patterns of paths'), [])
  attributes.refuseRest('"if_changed"')
  return attributes.has('include') ? { include, exclude } : place.wrong('this does not say which changes make it run: give "include" a pattern, such as "**".')
}

export function ifChanged(attributes: Attributes): CommandStep['ifChanged'] {
  return attributes.read('if_changed', changes, null)
}
