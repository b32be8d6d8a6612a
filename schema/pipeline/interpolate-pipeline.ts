/**
 * Fills in the variables of a whole pipeline file, names of mappings included, before it gets its one spelling: a plugin
 * `$SOURCE` is spelled by what the variable says. The `env` at the top comes first, in its order, and feeds all the rest.
 */
import { textOf } from './canonical.ts'
import { interpolate, newBudget, type InterpolationError } from './interpolate.ts'
import { isMap, type Json, type JsonMap, type Path } from './json.ts'

/** Further ones only repeat what the first say. */
const MOST_MISTAKES = 100

export interface InterpolatedPipeline {
  readonly value: Json
  /** In order; the value is then what it was where it could not be filled in. */
  readonly mistakes: readonly InterpolationMistake[]
  /** Where in the document that stands which has this path in the value: names may have had variables. */
  origin(path: Path): Path
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
  const top: At = { written: [], filled: [] }
  const answer = (value: Json): InterpolatedPipeline => ({ value, mistakes: filling.mistakes, origin: (path) => filling.origin(path) })
  if (!isMap(document)) return answer(filling.value(document, top))
  const env = filling.env(document['env'] ?? null, { written: ['env'], filled: ['env'] })
  return answer(filling.mapping(document, top, (value, at) => (at.written[0] === 'env' ? env : filling.value(value, at))))
}

/** A place before and after names are filled in. */
interface At {
  readonly written: Path
  readonly filled: Path
}

class Filling {
  readonly mistakes: InterpolationMistake[] = []
  readonly #variables: Map<string, string>
  readonly #preferEnvironment: boolean
  readonly #budget = newBudget()
  /** What a name was, by its path in the value, where it is another now. */
  readonly #names = new Map<string, string>()

  constructor(environment: Readonly<Record<string, string | undefined>>, preferEnvironment: boolean) {
    this.#variables = new Map(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
    this.#preferEnvironment = preferEnvironment
  }

  origin(path: Path): Path {
    return path.map((name, index) => this.#names.get(spelled(path.slice(0, index + 1))) ?? name)
  }

  /** Each entry may use those before it. */
  env(env: Json, at: At): Json {
    if (!isMap(env)) return env // it is told of where its shape is read
    return this.mapping(env, at, (value, inner) => {
      const filled = this.value(value, inner)
      const name = String(inner.filled.at(-1))
      if (typeof filled !== 'object' && !(this.#preferEnvironment && this.#variables.has(name))) this.#variables.set(name, textOf(filled, []))
      return filled
    })
  }

  value(value: Json, at: At): Json {
    if (typeof value === 'string') return this.#text(value, at.written, false)
    if (typeof value !== 'object' || value === null) return value
    if (!isMap(value)) return value.map((item: Json, index) => this.value(item, { written: [...at.written, index], filled: [...at.filled, index] }))
    return this.mapping(value, at, (one, inner) => this.value(one, inner))
  }

  mapping(mapping: JsonMap, at: At, fill: (value: Json, at: At) => Json): Json {
    const out = new Map<string, Json>()
    for (const [written, value] of Object.entries(mapping)) {
      const inner = [...at.written, written]
      const name = this.#text(written, inner, true)
      const filled = [...at.filled, name]
      if (out.has(name)) this.mistakes.push({ path: inner, isName: true, error: { at: 0, length: written.length, message: `with its variables filled in, this name is "${name}", which stands here already` } })
      if (name !== written) this.#names.set(spelled(filled), written)
      out.set(name, fill(value, { written: inner, filled }))
    }
    return Object.fromEntries(out)
  }

  #text(text: string, path: Path, isName: boolean): string {
    if (this.mistakes.length >= MOST_MISTAKES) return text
    const filled = interpolate(text, (name) => this.#variables.get(name), this.#budget)
    if (filled.ok) return filled.text
    this.mistakes.push({ path, isName, error: filled.error })
    return text
  }
}

function spelled(path: Path): string {
  return JSON.stringify(path)
}
