/** Which agents may run a step: a mapping of tags, or a list of `tag=value`. */
import { queueName, tag } from '../../sync.ts'
import { isList, isMap } from '../json.ts'
import { shown, shownName, type Place, type Reader } from './reading.ts'
import { listOf, text } from './values.ts'

/** Tags as written; the queue is the one called so. */
export type Wanted = readonly (readonly [name: string, value: string])[]

export interface Requirement {
  readonly queue: string | null
  readonly tags: readonly string[]
}

export const wantedAgents: Reader<Wanted> = (value, place) => {
  if (isMap(value)) {
    return Object.entries(value).flatMap(([name, one]) => {
      const at = place.at(name)
      const found = one === null ? '' : text(one, at)
      return found === undefined || !isTag(name, found, at) ? [] : [[name, found] as const]
    })
  }
  if (!isList(value)) return place.wrong(`this is a mapping such as { queue: deploy, os: linux }, not ${shown(value)}.`)
  return listOf(pair, 'tags')(value, place)
}

const pair: Reader<readonly [string, string]> = (value, place) => {
  const found = text(value, place)
  if (found === undefined) return undefined
  const cut = found.indexOf('=')
  const [name, rest] = cut < 0 ? [found, ''] : [found.slice(0, cut), found.slice(cut + 1)]
  return isTag(name, rest, place) ? [name, rest] : undefined
}

const MATRIX = /\{\{\s*matrix[\w.\s-]*\}\}/g

/** A value of the matrix may stand for any part of one. */
function isTag(name: string, value: string, place: Place): boolean {
  const filled = value.replace(MATRIX, 'x')
  if (name === 'queue') {
    if (queueName.safeParse(filled).success) return true
    place.wrong(value === '' ? 'the name of the queue is empty; write one, or leave it out for the default queue. (A variable that is not set becomes empty.)' : `${shown(value)} cannot be a queue: letters, digits, "_", "." and "-" only, at most 64.`)
    return false
  }
  if (tag.safeParse(`${name.replace(MATRIX, 'x')}=${filled === '' ? '*' : filled}`).success) {
    if (filled === '*' || !filled.includes('*')) return true
    place.wrong(`a part of a tag's value cannot be "*", as in ${shown(value)}: write it in full, or "*" alone for any.`)
    return false
  }
  place.wrong(`"${shownName(`${name}=${value}`)}" cannot be the tag of an agent: at most 64 letters, digits, "_", "." and "-", then "=" and a value of at most 128 characters without spaces and "=".`)
  return false
}

/** A step's own tags stand over those for the whole pipeline, name by name. */
export function requirementOf(own: Wanted, defaults: Wanted, place: Place): Requirement {
  const names = new Set(own.map(([name]) => name))
  const all = [...own, ...defaults.filter(([name]) => !names.has(name))]
  const queues = [...new Set(all.flatMap(([name, value]) => (name === 'queue' ? [value] : [])))]
  if (queues.length > 1) place.wrong(`these are ${queues.length} queues; a job waits in one.`)
  const tags = [...new Set(all.flatMap(([name, value]) => (name === 'queue' ? [] : [`${name}=${value === '' ? '*' : value}`])))].toSorted()
  if (tags.length > 32) place.wrong(`these are ${tags.length} tags; a job may ask for 32.`)
  return { queue: queues[0] ?? null, tags }
}
