/** Of which kind a step is: by its `type`, else by the word that only steps of that kind have. */
import { nearest } from '../../nearest.ts'
import { isMap, type Json, type JsonMap } from '../json.ts'
import type { Step } from '../steps.ts'
import { shown, shownName, type Place } from './reading.ts'
import { listed } from './values.ts'

export type Kind = Step['kind']

/** Words of `type`, with the old ones. */
const TYPES: Readonly<Record<string, Kind>> = { command: 'command', commands: 'command', script: 'command', wait: 'wait', waiter: 'wait', block: 'block', manual: 'block', input: 'input', trigger: 'trigger', group: 'group' }
/** Attributes that tell the kind, in the order in which the parser looks for them. */
const TELLING: Readonly<Record<string, Kind>> = { command: 'command', commands: 'command', script: 'command', plugins: 'command', wait: 'wait', waiter: 'wait', block: 'block', manual: 'block', input: 'input', trigger: 'trigger', group: 'group' }
/** Words that may hold all the attributes: `- block: { label: … }`. */
const NESTING: readonly string[] = ['command', 'commands', 'script', 'wait', 'waiter', 'block', 'manual', 'input', 'trigger']
/** Steps that may be one word. */
const WORDS = ['wait', 'waiter', 'block', 'manual', 'input']

export interface Raw {
  readonly kind: Kind
  readonly map: JsonMap
  readonly place: Place
}

/** A step as written, opened: `- wait` and `- wait: { if: … }` are mappings here as well. */
export function openStep(value: Json, place: Place): Raw | undefined {
  if (typeof value === 'string') {
    const kind = WORDS.includes(value) ? TYPES[value] : undefined
    if (kind !== undefined) return { kind, map: {}, place }
    const close = nearest(value, WORDS)
    return place.wrong(`${shown(value)} is not a step${close === null ? `: one word is ${listed(['wait', 'block', 'input'])}; write a command as "command: …"` : `; did you mean "${close}"?`}${close === null ? '.' : ''}`)
  }
  if (!isMap(value)) return place.wrong(`a step is a mapping, such as { command: make test }, not ${shown(value)}.`)
  const names = Object.keys(value)
  const [only] = names
  const inner = only === undefined || names.length > 1 || !NESTING.includes(only) ? undefined : value[only]
  if (only !== undefined && isMap(inner)) return typed(inner, place.at(only), TELLING[only])
  const telling = names.filter((name) => Object.hasOwn(TELLING, name))
  const kinds = new Set(telling.map((name) => TELLING[name]))
  if (kinds.size > 1 && !names.includes('type')) return place.wrong(`this is two steps in one, since it has ${telling.map((name) => `"${name}"`).join(' and ')}; make each a step of its own.`)
  const [kind] = kinds
  return typed(value, place, kind) ?? (names.includes('type') ? undefined : place.wrong(`this step does not say what it does${missing(names)}`))
}

/** `kind`: what it is without a `type`. */
function typed(map: JsonMap, place: Place, kind: Kind | undefined): Raw | undefined {
  const type = map['type'] ?? null
  const said = typeof type === 'string' && Object.hasOwn(TYPES, type) ? TYPES[type] : type === null ? kind : place.at('type').wrong(`${shown(type)} is not a type of step; it is one of ${listed(['command', 'wait', 'block', 'input', 'trigger', 'group'])}.`)
  return said === undefined ? undefined : { kind: said, map, place }
}

function missing(names: readonly string[]): string {
  for (const name of names) {
    const close = nearest(name, Object.keys(TELLING))
    if (close !== null) return `: "${shownName(name)}" is not known; did you mean "${close}"?`
  }
  return names.includes('steps') ? ': to make it a group, give it "group" with a name.' : ': give it "command", "plugins", "wait", "block", "input", "trigger" or "group".'
}
