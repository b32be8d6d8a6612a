/**
 * Fills in the variables of a whole pipeline file, names of mappings included, before it gets its one spelling: a plugin
 * `$SOURCE` is spelled by what the variable says. The `env` at the top comes first, in its order, and feeds all the rest.
 */
import { textOf, type Json } from './canonical.ts'
import { interpolate, type InterpolationError } from './interpolate.ts'
import type { Path } from './document.ts'

export interface InterpolatedPipeline {
  readonly value: Json
  /** In order; the value is then what it was where it could not be filled in. */
  readonly mistakes: readonly InterpolationMistake[]
}

export interface InterpolationMistake {
  readonly path: Path
  /** Whether the name of the entry is meant, not its value. */
  readonly isName: boolean
  readonly error: InterpolationError
}

/**
 * `environment`: of whoever uploads; the file's own `env` is stronger unless `preferEnvironment`.
 */
export function interpolatePipeline(document: Json, environment: Readonly<Record<string, string | undefined>>, { preferEnvironment = false }: { readonly preferEnvironment?: boolean } = {}): InterpolatedPipeline {
  const filling = new Filling(environment, preferEnvironment)
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return { value: filling.value(document, []), mistakes: filling.mistakes }
  const env = 'env' in document ? filling.env(document['env'] ?? null) : null
  const rest = Object.entries(document).map(([name, value]) => [filling.name(name, []), name === 'env' ? env : filling.value(value, [name])] as const)
  return { value: Object.fromEntries(rest), mistakes: filling.mistakes }
}

class Filling {
  readonly mistakes: InterpolationMistake[] = []
  readonly #variables: Map<string, string>
  readonly #preferEnvironment: boolean

  constructor(environment: Readonly<Record<string, string | undefined>>, preferEnvironment: boolean) {
    this.#variables = new Map(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
    this.#preferEnvironment = preferEnvironment
  }

  /** Each entry may use those before it. */
  env(env: Json): Json {
    if (typeof env !== 'object' || env === null || Array.isArray(env)) return env // it is told of where its shape is read
    return Object.fromEntries(Object.entries(env).map(([written, value]) => {
      const name = this.name(written, ['env'])
      const filled = this.value(value, ['env', written])
      if (typeof filled !== 'object' && !(this.#preferEnvironment && this.#variables.has(name))) this.#variables.set(name, textOf(filled, []))
      return [name, filled]
    }))
  }

  value(value: Json, path: Path): Json {
    if (typeof value === 'string') return this.#text(value, path, false)
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item: Json, index) => this.value(item, [...path, index]))
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [this.name(name, path), this.value(one, [...path, name])]))
  }

  name(name: string, path: Path): string {
    return this.#text(name, [...path, name], true)
  }

  #text(text: string, path: Path, isName: boolean): string {
    const filled = interpolate(text, (name) => this.#variables.get(name))
    if (filled.ok) return filled.text
    this.mistakes.push({ path, isName, error: filled.error })
    return text
  }
}
