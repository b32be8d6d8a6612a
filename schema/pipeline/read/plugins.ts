/** Plugins of a step, in the order in which they run: canonically a list of mappings with one name each. */
import { isList, isMap, type Json } from '../json.ts'
import type { Plugin } from '../steps.ts'
import { shown, type Reader } from './reading.ts'
import { listOf, text } from './values.ts'

export const plugins: Reader<readonly Plugin[]> = (value, place) => {
  if (isMap(value)) return Object.entries(value).flatMap(([source, configuration]) => one({ [source]: configuration }, place) ?? [])
  return isList(value) ? listOf(one, 'plugins')(value, place) : place.wrong(`this is a list of plugins, such as [docker#v5.9.0], not ${shown(value)}.`)
}

const one: Reader<Plugin> = (value, place) => {
  if (!isMap(value)) {
    if (isList(value)) return place.wrong('a plugin is its source, or a mapping of that to its configuration, not a list.')
    const source = text(value, place)
    return source === undefined ? undefined : plugin(source, null, place)
  }
  const [first, ...more] = Object.entries(value)
  if (first === undefined) return place.wrong('this names no plugin; write its source, such as docker#v5.9.0.')
  if (more.length > 0) return place.wrong(`these are ${more.length + 1} plugins in one item of the list; put "- " before each. (Or the configuration is not indented.)`)
  return plugin(first[0], first[1], place)
}

function plugin(source: string, configuration: Plugin['configuration'], place: Parameters<typeof one>[1]): Plugin | undefined {
  if (source.trim() === '') return place.wrong('the source of this plugin is empty. (A variable that is not set becomes empty.)')
  if (/[\0\r\n]/.test(source)) return place.wrong('the source of a plugin is one line.')
  if (configuration !== null && !isMap(configuration)) return place.at(source).wrong(`the configuration of a plugin is a mapping, not ${shown(configuration)}.`)
  if (holdsNul(configuration)) return place.at(source).wrong('a NUL character cannot stand in the configuration of a plugin, which becomes variables; take it out.')
  return { source, configuration }
}

function holdsNul(value: Json): boolean {
  if (typeof value === 'string') return value.includes('\0')
  return typeof value === 'object' && value !== null && Object.values(value).some((one: Json) => holdsNul(one))
}
