/** Steps that ask a person: a block holds up what stands behind it, an input only what depends on it. */
import { isList, type Json } from '../json.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { BlockStep, Field, InputStep, SelectField } from '../steps.ts'
import { branches, common } from './common.ts'
import { Attributes, shown, shownName, type Reader } from './reading.ts'
import { flag, listOf, oneOf, oneOrMore, prose, someText, text } from './values.ts'

const LABEL = prose(PIPELINE_LIMITS.labelCharacters)
const PROMPT = prose(10_000)

export function askingStep(kind: 'block' | 'input', attributes: Attributes, path: readonly number[]): BlockStep | InputStep {
  return {
    ...common(attributes, path, kind === 'block' ? ['block', 'manual', 'label', 'name'] : ['input', 'label', 'name']),
    kind,
    branches: branches(attributes),
    prompt: attributes.read('prompt', PROMPT, null),
    submit: attributes.read('submit', LABEL, null),
    fields: attributes.read('fields', fields, []),
    blockedState: attributes.read('blocked_state', oneOf(['passed', 'failed', 'running']), 'passed'),
  }
}

const fields: Reader<readonly Field[]> = (value, place) => {
  const found = listOf(field, 'fields', PIPELINE_LIMITS.fields)(value, place)
  for (const [index, one] of (found ?? []).entries()) {
    if (found?.findIndex(({ key }) => key === one.key) !== index) place.wrong(`two fields have the key "${one.key}", so one answer would be lost; give one of them another.`)
  }
  return found
}

const field: Reader<Field> = (value, place) => {
  const attributes = Attributes.of(value, place, 'a field')
  if (attributes === undefined) return undefined
  const isSelect = attributes.isWritten('select') || attributes.isWritten('options')
  if (attributes.isWritten('select') && attributes.isWritten('text')) return place.wrong('a field is "text" or "select", not both.')
  const key = attributes.read('key', fieldKey, null)
  if (!attributes.has('key')) place.wrong('this field has no "key", under which its answer becomes meta-data; give it one.')
  const common = {
    key: key ?? '',
    label: attributes.read(isSelect ? 'select' : 'text', LABEL, null),
    hint: attributes.read('hint', PROMPT, null),
    required: attributes.read('required', flag, true),
  }
  const found: Field = isSelect
    ? { ...common, kind: 'select', ...choice(attributes) }
    : { ...common, kind: 'text', default: attributes.read('default', text, null), format: attributes.read('format', format, null) }
  attributes.refuseRest(isSelect ? 'a select field' : 'a text field')
  return key === null ? undefined : found
}

const fieldKey: Reader<string> = (value, place) => {
  const found = someText(value, place)
  if (found === undefined) return undefined
  return /^[\w\-/]{1,100}$/.test(found) ? found : place.wrong(`${shown(found)} cannot be the key of a field: letters, digits, "_", "-" and "/" only, at most 100.`)
}

function choice(attributes: Attributes): Pick<SelectField, 'options' | 'multiple' | 'default'> {
  const options = attributes.read('options', listOf(option, 'options', PIPELINE_LIMITS.options), [])
  const { place } = attributes
  if (!attributes.has('options')) place.wrong('this field has no "options" to select from; give it a list of them.')
  else if (isEmptyList(attributes.raw('options'))) place.at('options').wrong('there is nothing to select from; write at least one option.')
  const values = options.map(({ value }) => value)
  const twice = values.find((value, index) => values.indexOf(value) !== index)
  if (twice !== undefined) place.at('options').wrong(`two options have the value "${shownName(twice)}"; give one of them another.`)
  const multiple = attributes.read('multiple', flag, false)
  const chosen = attributes.read('default', oneOrMore(text, 'values of options'), []).filter((value) => value !== '')
  if (!multiple && chosen.length > 1) place.at('default').wrong('only one option may be selected, so only one can be the default; set "multiple: true", or name one.')
  const stray = chosen.find((value) => !values.includes(value))
  if (stray !== undefined && values.length > 0) place.at('default').wrong(`no option has the value "${shownName(stray)}"; the values are ${values.slice(0, 10).map(shownName).join(', ')}${values.length > 10 ? ', …' : ''}.`)
  return { options, multiple, default: chosen }
}

function isEmptyList(value: Json | undefined): boolean {
  return isList(value) && value.length === 0
}

const option: Reader<SelectField['options'][number]> = (value, place) => {
  const attributes = Attributes.of(value, place, 'an option')
  if (attributes === undefined) return undefined
  const label = attributes.read('label', text, null)
  const own = attributes.read('value', text, null)
  const found = { hint: attributes.read('hint', PROMPT, null), required: attributes.read<boolean | null>('required', flag, null) }
  attributes.refuseRest('an option')
  if (label !== null && own !== null) return { label, value: own, ...found }
  return attributes.has('label') && attributes.has('value') ? undefined : place.wrong('an option has a "label" for people and a "value" for the meta-data; give it both.')
}

const format: Reader<string> = (value, place) => {
  const found = someText(value, place)
  if (found === undefined) return undefined
  return found.length <= 1000 ? found : place.wrong(`this expression has ${found.length} characters; at most 1000 are allowed.`)
}
