/**
 * One spelling for what a pipeline file says, exactly as Buildkite's own parser writes it: old names become new ones,
 * short forms long ones, a list of commands one text, a plugin its full source. Nothing is judged here: what is not known
 * stays as it is, and `read-steps.ts` says what is wrong with it.
 */
import { isList, isMap, type Json, type JsonMap, type Path } from './json.ts'
import { shown } from './read/reading.ts'

export interface Canonical {
  readonly pipeline: JsonMap
  /** What had to be kept as it was written, though it looks like something that is known. */
  readonly warnings: readonly { readonly path: Path; readonly message: string }[]
  /** Where in the document that stands which has this path in the pipeline. */
  origin(path: Path): Path
}

export type CanonicalAnswer = { readonly ok: true; readonly canonical: Canonical } | { readonly ok: false; readonly path: Path; readonly message: string }

export function canonical(document: Json): CanonicalAnswer {
  const making = new Making()
  try {
    if (isList(document)) return making.answer({ steps: making.steps(document, ['steps'], []) })
    if (!isMap(document)) throw new Wrong([], 'a pipeline is a mapping with "steps:", or a list of steps.')
    const { steps = null, env = null, checkout = null, ...rest } = document
    return making.answer({
      ...rest,
      ...(env === null ? {} : { env: textsOf(env, ['env']) }),
      ...(checkout === null ? {} : { checkout }),
      steps: making.steps(steps, ['steps'], ['steps']),
    })
  } catch (error) {
    if (error instanceof Wrong) return { ok: false, path: error.path, message: error.message }
    throw error
  }
}

/** It is not what it must be; `path` is of the document. */
class Wrong extends Error {
  readonly path: Path

  constructor(path: Path, message: string) {
    super(message)
    this.path = path
  }
}

const COMMAND_KEYS = ['command', 'commands', 'plugins']
const WAIT_KEYS = ['wait', 'waiter']
const ASKING_KEYS = ['block', 'input', 'manual']
const KINDS: Readonly<Record<string, Kind>> = { command: 'command', script: 'command', wait: 'as it is', waiter: 'as it is', block: 'as it is', input: 'as it is', manual: 'as it is', trigger: 'as it is', group: 'group' }
type Kind = 'command' | 'group' | 'as it is' | 'unknown'

class Making {
  readonly #warnings: { readonly path: Path; readonly message: string }[] = []
  /** By the spelled path of the pipeline, where that differs from the document's. */
  readonly #origins = new Map<string, Path>()

  answer(pipeline: JsonMap): CanonicalAnswer {
    return { ok: true, canonical: { pipeline, warnings: this.#warnings, origin: (path) => this.#origin(path) } }
  }

  #origin(path: Path): Path {
    for (let length = path.length; length > 0; length -= 1) {
      const known = this.#origins.get(spelled(path.slice(0, length)))
      if (known !== undefined) return [...known, ...path.slice(length)]
    }
    return path
  }

  #moved(to: Path, from: Path): void {
    if (spelled(to) !== spelled(from)) this.#origins.set(spelled(to), from)
  }

  steps(value: Json, to: Path, from: Path): readonly Json[] {
    this.#moved(to, from)
    if (value === null) return []
    if (!isList(value)) throw new Wrong(from, `"steps" is a list, not ${inWords(value)}.`)
    return value.map((step, index) => this.#step(step, [...to, index], [...from, index]))
  }

  #step(step: Json, to: Path, from: Path): Json {
    if (typeof step === 'string') {
      if (![...WAIT_KEYS, ...ASKING_KEYS].includes(step)) this.#warn(from, `${shown(step)} alone is no step; those that are one word are: ${[...WAIT_KEYS, ...ASKING_KEYS].join(', ')}.`)
      return step
    }
    if (!isMap(step)) throw new Wrong(from, `a step is a mapping, or a word such as "wait", not ${inWords(step)}.`)
    const kind = this.#kindOf(step, from)
    try {
      if (kind === 'command') return this.#command(step, to, from)
      if (kind === 'group') return this.#group(step, to, from)
    } catch (error) {
      if (!(error instanceof Wrong)) throw error
      this.#warn(error.path, error.message)
    }
    return step
  }

  #kindOf(step: JsonMap, from: Path): Kind {
    if (Object.hasOwn(step, 'type')) {
      const { type } = step
      if (typeof type === 'string' && Object.hasOwn(KINDS, type)) return KINDS[type] ?? 'unknown'
      this.#warn([...from, 'type'], `there is no step of the type ${inWords(type ?? null)}.`)
      return 'unknown'
    }
    const has = (names: readonly string[]) => names.some((name) => Object.hasOwn(step, name))
    if (has(COMMAND_KEYS)) return 'command'
    if (has(WAIT_KEYS) || has(ASKING_KEYS) || has(['trigger'])) return 'as it is'
    if (has(['group'])) return 'group'
    this.#warn(from, 'this step does nothing: it has none of command, plugins, wait, block, input, trigger, group.')
    return 'unknown'
  }

  #warn(path: Path, message: string): void {
    this.#warnings.push({ path, message })
  }

  #command(step: JsonMap, to: Path, from: Path): Json {
    const taken = new Taken(step, (name, as) => this.#moved([...to, as], [...from, name]))
    const key = taken.text('key', ['id', 'identifier'], from)
    const label = taken.text('label', ['name'], from)
    const commands = taken.first('command', ['commands', 'command'])
    if (commands?.name === 'commands' && Object.hasOwn(step, 'command') && spelledValue(step['command']) !== spelledValue(commands.value)) this.#warn([...from, 'command'], '"command" is another name of "commands", which is here too and is taken; keep one of them.')
    const plugins = taken.first('plugins', ['plugins'])
    const env = taken.first('env', ['env'])
    const matrix = taken.first('matrix', ['matrix'])
    const secrets = taken.first('secrets', ['secrets'])
    const cache = taken.first('cache', ['cache'])
    const out: Record<string, Json> = { ...taken.rest() } // spread, since an assigned "__proto__" would be none of its entries
    out['command'] = commands === undefined ? '' : lines(commands.value, [...from, commands.name]).join('\n')
    if (key !== '') out['key'] = key
    if (label !== '') out['label'] = label
    const list = plugins === undefined ? [] : this.#plugins(plugins.value, [...to, 'plugins'], [...from, 'plugins'])
    if (list.length > 0) out['plugins'] = list
    const texts = env === undefined ? {} : textsOf(env.value, [...from, 'env'])
    if (Object.keys(texts).length > 0) out['env'] = texts
    if (matrix !== undefined && matrix.value !== null) out['matrix'] = matrixOf(matrix.value, [...from, 'matrix'])
    if (secrets !== undefined) {
      const named = secretsOf(secrets.value, [...from, 'secrets'])
      if (named.length > 0) out['secrets'] = named
    }
    if (cache !== undefined && cache.value !== null) out['cache'] = cacheOf(cache.value, [...from, 'cache'])
    return out
  }

  #group(step: JsonMap, to: Path, from: Path): Json {
    const taken = new Taken(step, (name, as) => this.#moved([...to, as], [...from, name]))
    const group = taken.first('group', ['group'])?.value ?? null
    const steps = this.steps(taken.first('steps', ['steps'])?.value ?? null, [...to, 'steps'], [...from, 'steps'])
    const key = taken.text('key', ['id', 'identifier'], from)
    const label = taken.text('label', ['name'], from)
    return { ...taken.rest(), ...(key === '' ? {} : { key }), ...(label === '' ? {} : { label }), group: group === null ? null : textOf(group, [...from, 'group']), steps }
  }

  /** A list of names or of mappings from name to configuration, or one mapping of all; in any case a list of one-entry mappings. */
  #plugins(value: Json, to: Path, from: Path): readonly Json[] {
    if (value === null) return []
    const out: Json[] = []
    const add = (source: string, configuration: Json, at: Path) => {
      const full = fullSource(source)
      this.#moved([...to, out.length], at)
      this.#moved([...to, out.length, full], [...at, source])
      out.push({ [full]: configuration })
    }
    const addAll = (map: JsonMap, at: Path) => {
      for (const [source, configuration] of Object.entries(map)) add(source, configuration, at)
    }
    if (isMap(value)) addAll(value, from)
    else if (isList(value)) {
      for (const [index, item] of value.entries()) {
        if (typeof item === 'string') add(item, null, [...from, index])
        else if (isMap(item)) addAll(item, [...from, index])
        else throw new Wrong([...from, index], `a plugin is a name, or a mapping from a name to its configuration, not ${inWords(item)}.`)
      }
    } else throw new Wrong(from, `"plugins" is a list, not ${inWords(value)}.`)
    return out
  }
}

/** Entries of a step that have been taken under one of their names; what remains stays as it is. */
class Taken {
  readonly #step: JsonMap
  readonly #names = new Set<string>()
  readonly #moved: (name: string, as: string) => void

  constructor(step: JsonMap, moved: (name: string, as: string) => void) {
    this.#step = step
    this.#moved = moved
  }

  first(as: string, names: readonly string[]): { readonly name: string; readonly value: Json } | undefined {
    const present = names.filter((one) => Object.hasOwn(this.#step, one))
    const silent = present.filter((one) => this.#step[one] === null || this.#step[one] === '')
    for (const one of silent) this.#names.add(one) // one that says nothing does not hide another, nor stay behind it
    const name = present.find((one) => !silent.includes(one)) ?? present[0]
    const value = name === undefined ? undefined : this.#step[name]
    if (name === undefined || value === undefined) return undefined
    this.#names.add(name)
    this.#moved(name, as)
    return { name, value }
  }

  text(as: string, others: readonly string[], from: Path): string {
    const found = this.first(as, [as, ...others])
    return found === undefined || found.value === null ? '' : textOf(found.value, [...from, found.name])
  }

  rest(): JsonMap {
    return Object.fromEntries(Object.entries(this.#step).filter(([name]) => !this.#names.has(name)))
  }
}

/** As Go prints a value. A whole number is taken for one that was written without a fraction, which Go prints digit by digit. */
export function textOf(value: Json, path: Path): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return numberText(value)
  throw new Wrong(path, `this must be text, not ${inWords(value)}.`)
}

function numberText(value: number): string {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? '-0' : String(value)
  const size = Math.abs(value)
  return size >= 1e-4 && size < 1e6 ? String(value) : value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
}

function textsOf(value: Json, path: Path): Readonly<Record<string, string>> {
  if (value === null) return {}
  if (!isMap(value)) throw new Wrong(path, `"${path.at(-1) ?? ''}" is a mapping of names to texts, not ${inWords(value)}.`)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, one === null ? '' : textOf(one, [...path, name])]))
}

function lines(value: Json, path: Path): readonly string[] {
  if (value === null) return []
  return isList(value) ? value.map((line, index) => (line === null ? '' : textOf(line, [...path, index]))) : [textOf(value, path)]
}

function matrixOf(value: Json, path: Path): Json {
  if (isList(value)) return lines(value, path)
  if (!isMap(value)) throw new Wrong(path, `"matrix" is a list of values, or a mapping with "setup", not ${inWords(value)}.`)
  const { setup = null, adjustments = null, ...rest } = value
  const dimensions: Json = isList(setup) ? lines(setup, [...path, 'setup']) : isMap(setup) ? Object.fromEntries(Object.entries(setup).map(([name, values]) => [name, lines(values, [...path, 'setup', name])])) : {}
  const changed = isList(adjustments) ? adjustments.map((one, index) => adjustmentOf(one, [...path, 'adjustments', index])) : []
  // Without anything beside its values it is as short as it can be.
  if (isList(dimensions) && changed.length === 0 && Object.keys(rest).length === 0) return dimensions
  return { ...rest, setup: dimensions, ...(changed.length === 0 ? {} : { adjustments: changed }) }
}

function adjustmentOf(value: Json, path: Path): Json {
  if (!isMap(value)) return value
  const { with: of = null, ...rest } = value
  const chosen: Json = isMap(of) ? Object.fromEntries(Object.entries(of).map(([name, one]) => [name, textOf(one, [...path, 'with', name])])) : of === null ? {} : textOf(of, [...path, 'with'])
  const { skip, ...others } = rest
  return { ...others, ...(skip === undefined || skip === null ? {} : { skip }), with: chosen }
}

function secretsOf(value: Json, path: Path): readonly Json[] {
  if (isMap(value)) return Object.entries(value).map(([name, key]) => ({ key: key === null ? '' : textOf(key, [...path, name]), environment_variable: name }))
  if (!isList(value)) throw new Wrong(path, `"secrets" is a list of names, not ${inWords(value)}.`)
  return value.map((one, index) => {
    if (typeof one === 'string') return { key: one, environment_variable: one }
    if (isMap(one) && typeof one['key'] === 'string' && one['key'] !== '') return { key: one['key'], ...(typeof one['environment_variable'] === 'string' ? { environment_variable: one['environment_variable'] } : {}) }
    throw new Wrong([...path, index], 'a secret is its name, or a mapping with "key".')
  })
}

function cacheOf(value: Json, path: Path): Json {
  if (typeof value === 'string') return { paths: [value] }
  if (isList(value)) return { paths: lines(value, path) }
  if (!isMap(value)) throw new Wrong(path, `"cache" is a path, a list of paths, or a mapping, not ${inWords(value)}.`)
  const { paths, ...rest } = value
  return { ...rest, paths: paths === undefined || paths === null ? null : lines(paths, [...path, 'paths']) }
}

/** `docker#v5` is `github.com/buildkite-plugins/docker-buildkite-plugin#v5`; paths and whole URLs are meant as they are. */
export function fullSource(source: string): string {
  if (source === '' || /^[/.\\]/.test(source)) return source
  const [whole = '', ...fragments] = source.split('#')
  const fragment = fragments.join('#')
  if (/^[a-z][a-z0-9+.-]*:/i.test(whole) || /[\s%?]/.test(whole) || /^[^/]*:/.test(whole)) return source
  const parts = whole.replace(/^\//, '').split('/')
  const [first = '', second] = parts
  if (parts.length > 2) return source
  const name = `${second ?? first}-buildkite-plugin`
  return `${['github.com', second === undefined ? 'buildkite-plugins' : first, name].join('/')}${fragment === '' ? '' : `#${fragment}`}`
}

function inWords(value: Json): string {
  if (value === null) return 'nothing'
  if (isList(value)) return 'a list'
  return isMap(value) ? 'a mapping' : shown(value)
}

function spelledValue(value: Json | undefined): string {
  return JSON.stringify(value) ?? ''
}

function spelled(path: Path): string {
  return JSON.stringify(path)
}
