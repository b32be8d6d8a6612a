/**
 * The kinds of value that many attributes have. Interpolation makes strings of everything, so a number or a truth may
 * come as the text of one: `parallelism: "${SHARDS}"`.
 */
import { LIMITS } from '../../api.ts'
import { isList, isMap } from '../json.ts'
import { shown, shownName, type Reader } from './reading.ts'

/** Text; numbers and truths become theirs, as YAML reads `label: 2024` as a number. */
export const text: Reader<string> = (value, place) => {
  const found = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
  if (typeof found !== 'string') return place.wrong(`this is text, not ${shown(value)}.`)
  return found.includes('\0') ? place.wrong('a NUL character cannot stand in it; take it out.') : found
}

/** Text of which something is there. */
export const someText: Reader<string> = (value, place) => {
  const found = text(value, place)
  return found?.trim() === '' ? place.wrong('this is empty; write something, or leave it out. (A variable that is not set becomes empty.)') : found
}

/** For people; empty is the same as not there. */
export function prose(most: number): Reader<string | null> {
  return (value, place) => {
    const found = text(value, place)
    if (found !== undefined && found.length > most) return place.wrong(`this has ${found.length} characters; at most ${most} are shown.`)
    return found === '' ? null : found
  }
}

export const flag: Reader<boolean> = (value, place) => truthOf(value) ?? place.wrong(`this is true or false, not ${shown(value)}.`)

/** A truth, or the text of one. */
export function truthOf(value: unknown): boolean | undefined {
  if (value === true || value === 'true') return true
  if (value === false || value === 'false') return false
  return undefined
}

/** A whole number within bounds; `meaning` ends the sentence when it is not: "the number of jobs". */
export function wholeNumber(least: number, most: number, meaning: string): Reader<number> {
  return (value, place) => {
    const found = numberOf(value)
    return found !== undefined && found >= least && found <= most ? found : place.wrong(`${shown(value)} is not ${meaning}: a whole number from ${least} to ${most}.`)
  }
}

/** A whole number, or the text of one. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'string' && /^-?\d{1,15}$/.test(value)) return Number(value)
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[]): Reader<Word> {
  return (value, place) => words.find((word) => word === value) ?? place.wrong(`this is ${listed(words)}, not ${shown(value)}.`)
}

/** `a, b or c`, each in quotes. */
export function listed(words: readonly string[]): string {
  const quoted = words.map((word) => `"${word}"`)
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
}

/** Each item by its own reader; those that are wrong are told and left out. Null items are wrong. */
export function listOf<T>(item: Reader<T>, what: string, most = 1000): Reader<readonly T[]> {
  return (value, place) => {
    if (!isList(value)) return place.wrong(`this is a list of ${what}, not ${shown(value)}.`)
    if (value.length > most) return place.wrong(`these are ${value.length} ${what}; at most ${most} may stand here.`)
    return value.flatMap((one, index) => {
      const at = place.at(index)
      const found = one === null ? at.wrong(`this item of the list is empty; take it away.`) : item(one, at)
      return found === undefined ? [] : [found]
    })
  }
}

/** One, or a list of them. */
export function oneOrMore<T>(item: Reader<T>, what: string, most?: number): Reader<readonly T[]> {
  return (value, place) => {
    if (isList(value)) return listOf(item, what, most)(value, place)
    const found = item(value, place)
    return found === undefined ? undefined : [found]
  }
}

/** Texts under names: a nothing is empty, a number or truth becomes its text. */
export const textMap: Reader<Readonly<Record<string, string>>> = (value, place) => {
  if (!isMap(value)) return place.wrong(`this is a mapping of names to text, not ${shown(value)}.`)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, one === null ? '' : (text(one, place.at(name)) ?? '')]))
}

/** Variables of an environment. */
export const environment: Reader<Readonly<Record<string, string>>> = (value, place) => {
  if (!isMap(value)) return place.wrong(`variables are written as a mapping, such as { NAME: value }, not as ${shown(value)}.`)
  const found = textMap(value, place)
  for (const name of Object.keys(found ?? {})) checkVariable(name, place.at(name))
  const names = Object.keys(value).length
  if (names > LIMITS.envNames) return place.wrong(`these are ${names} variables; at most ${LIMITS.envNames} may be set at one place.`)
  return found
}

/** False, and told, when no shell could hold a variable of that name. */
export function checkVariable(name: string, place: Parameters<Reader<string>>[1]): boolean {
  if (/^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(name)) return true
  place.wrong(`"${shownName(name)}" cannot be the name of a variable: letters, digits and "_", the first no digit.`)
  return false
}
