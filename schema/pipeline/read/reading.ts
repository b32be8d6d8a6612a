/**
 * How a pipeline is read: whoever finds something wrong says so at its place and goes on, so that all mistakes are told
 * at once. A mapping remembers which of its names were asked for; the others are unknown, and each is told.
 */
import { nearest } from '../../nearest.ts'
import { Budget } from '../conditional/budget.ts'
import { isList, isMap, type Json, type JsonMap } from '../json.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { Mistake } from '../steps.ts'

/** All that was found wrong; after the first hundred they are only counted. */
export class Mistakes {
  /** What reading all the conditions may cost, in what one may: their regular expressions are compiled to judge them. */
  readonly budget = new Budget({ times: 10 })
  readonly #told: Mistake[] = []
  #more = 0

  add(mistake: Mistake): void {
    if (this.#told.length < PIPELINE_LIMITS.mistakes) this.#told.push(mistake)
    else this.#more += 1
  }

  /** Nothing more is told, so nothing need be found out about it. */
  get isFull(): boolean {
    return this.#told.length >= PIPELINE_LIMITS.mistakes
  }

  get all(): readonly Mistake[] {
    if (this.#more === 0) return this.#told
    return [...this.#told, { path: [], message: `and ${this.#more} more ${this.#more === 1 ? 'mistake' : 'mistakes'} of which nothing is said yet; mend these first.` }]
  }
}

/** Where something stands, and where to say that it is wrong. */
export class Place {
  readonly path: Mistake['path']
  readonly mistakes: Mistakes

  constructor(path: Mistake['path'], mistakes: Mistakes) {
    this.path = path
    this.mistakes = mistakes
  }

  at(name: string | number): Place {
    return new Place([...this.path, name], this.mistakes)
  }

  /** Undefined, so that a reader can return it. */
  wrong(message: string): undefined {
    this.mistakes.add({ path: this.path, message })
  }

  /** Nobody knows the name that it stands under. */
  wrongName(message: string): undefined {
    this.mistakes.add({ path: this.path, message, isOfName: true })
  }

  /** It is right, but Kedge cannot do it. */
  unsupported(message: string): undefined {
    this.mistakes.add({ path: this.path, message, isOfName: true, unsupported: true })
  }
}

/** Makes what a value means of it, or says at its place what is wrong and returns undefined. Null does not come here. */
export type Reader<T> = (value: Exclude<Json, null>, place: Place) => T | undefined

/** The attributes of one thing. */
export class Attributes {
  readonly place: Place
  readonly #map: JsonMap
  readonly #asked = new Set<string>()

  constructor(map: JsonMap, place: Place) {
    this.place = place
    this.#map = map
  }

  /** Of a value that ought to be a mapping; `what` is for the sentence that says that it is none. */
  static of(value: Json, place: Place, what: string): Attributes | undefined {
    return isMap(value) ? new Attributes(value, place) : place.wrong(`${what} is a mapping of names to values, not ${shown(value)}.`)
  }

  /** The value as written, null included; undefined when the name is not there. */
  raw(name: string): Json | undefined {
    this.#asked.add(name)
    return Object.hasOwn(this.#map, name) ? this.#map[name] : undefined
  }

  /** Whether the name is there at all; nobody is said to know it by that. */
  isWritten(name: string): boolean {
    return Object.hasOwn(this.#map, name)
  }

  has(name: string): boolean {
    return (this.raw(name) ?? null) !== null
  }

  /** `fallback` when it is not there, null, or wrong. */
  read<T>(name: string, reader: Reader<T>, fallback: T): T {
    const value = this.raw(name)
    return value === undefined || value === null ? fallback : (reader(value, this.place.at(name)) ?? fallback)
  }

  /** The same under any of several names: old spellings. Two that say different things are one too many. */
  readAny<T>(names: readonly string[], reader: Reader<T>, fallback: T): T {
    const there = names.filter((name) => this.has(name))
    const [first = names[0] ?? '', second] = there
    if (second !== undefined && JSON.stringify(this.raw(first)) !== JSON.stringify(this.raw(second))) this.place.at(second).wrong(`"${second}" is another name of "${first}", which is here too; keep one of them.`)
    return this.read(first, reader, fallback)
  }

  /** Says of each name that nobody asked for that `owner` ("a wait step") has no such attribute. */
  refuseRest(owner: string, reasons: { readonly unsupported?: Readonly<Record<string, string>>; readonly elsewhere?: Readonly<Record<string, string>> } = {}): void {
    for (const name of Object.keys(this.#map)) {
      if (this.#asked.has(name)) continue
      const place = this.place.at(name)
      const unsupported = own(reasons.unsupported, name)
      const elsewhere = own(reasons.elsewhere, name)
      if (unsupported !== undefined) place.unsupported(unsupported)
      else if (elsewhere !== undefined) place.wrongName(`${owner} has no "${name}": ${elsewhere}.`)
      else place.wrongName(place.mistakes.isFull ? '' : `${owner} has no "${shownName(name)}"${this.#advice(name)}`)
    }
  }

  #advice(name: string): string {
    const close = nearest(name, this.#asked)
    if (close !== null) return `; did you mean "${close}"?`
    return this.#asked.size <= 8 ? `; it has ${[...this.#asked].join(', ')}.` : '. Take it away; docs/pipelines.md tells what there is.'
  }
}

function own(record: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined
}

/** A value within a sentence: short, and of one line. */
export function shown(value: Json): string {
  if (isList(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (isMap(value)) return 'a mapping'
  if (value === '') return 'empty'
  const text = JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}

/** A name that somebody wrote, within quotes of ours. */
export function shownName(name: string): string {
  const text = JSON.stringify(name).slice(1, -1)
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}
