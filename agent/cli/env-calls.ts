/** `kedge env` at work: the process's own environment, and the changes that wait for the job's next phase. */
import { parseJson } from '../../schema/parse-json.ts'
import { appendChanges, mistakeInChange, readChanges, type EnvChanges } from '../runner/env-changes.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { piped } from './piped.ts'
import { present } from './settings.ts'

interface ChangeFlags {
  readonly inputFormat?: string
  readonly outputFormat?: string
}

type Variables = Readonly<Record<string, string>>

export function getEnv(names: readonly string[], { format: given }: { readonly format?: string }, surroundings: Surroundings): ExitCode {
  const format = formatOf('--format', ['plain', 'json', 'json-pretty'], given, surroundings.environment['BUILDKITE_AGENT_ENV_GET_FORMAT'])
  const all = withChanges(own(surroundings), waiting(surroundings))
  const missing = names.filter((name) => !Object.hasOwn(all, name))
  for (const name of missing) surroundings.note(`"${name}" is not set.`)
  const asked = names.length === 0 ? all : pick(all, names)
  if (format !== 'plain') surroundings.print(jsonOf(sorted(asked), format))
  else if (names.length === 1) for (const value of Object.values(asked)) surroundings.print(value)
  else for (const [name, value] of Object.entries(sorted(asked))) surroundings.print(`${name}=${value}`)
  return missing.length > 0 ? EXIT.failed : EXIT.ok
}

export function dumpEnv({ format }: { readonly format?: string }, surroundings: Surroundings): ExitCode {
  surroundings.print(jsonOf(sorted(own(surroundings)), formatOf('--format', ['json', 'json-pretty'], format, surroundings.environment['BUILDKITE_AGENT_ENV_DUMP_FORMAT'])))
  return EXIT.ok
}

export function setEnv(given: readonly string[], flags: ChangeFlags, surroundings: Surroundings): ExitCode {
  const { input, output } = formatsOf('SET', flags, surroundings)
  const before = withChanges(own(surroundings), waiting(surroundings))
  const set = new Map(textsOf(given, input, surroundings).flatMap((text) => (input === 'json' ? variablesIn(text) : [variableIn(text)])))
  change(set, surroundings)
  const names = [...set.keys()].sort()
  const [added, updated] = [names.filter((name) => !Object.hasOwn(before, name)), names.filter((name) => Object.hasOwn(before, name))]
  if (output === 'quiet') return EXIT.ok
  if (output !== 'plain') surroundings.print(jsonOf({ added, updated }, output))
  else {
    tell(surroundings, 'Added:', '+', added)
    tell(surroundings, 'Updated:', '~', updated)
    if (names.length === 0) surroundings.print('No variables added or updated.')
  }
  return EXIT.ok
}

export function unsetEnv(given: readonly string[], flags: ChangeFlags, surroundings: Surroundings): ExitCode {
  const { input, output } = formatsOf('UNSET', flags, surroundings)
  const before = withChanges(own(surroundings), waiting(surroundings))
  const names = textsOf(given, input, surroundings).flatMap((text) => (input === 'json' ? namesIn(text) : [text]))
  change(new Map(names.map((name) => [name, null])), surroundings)
  const unset = [...new Set(names)].filter((name) => Object.hasOwn(before, name)).sort()
  if (output === 'quiet') return EXIT.ok
  if (output !== 'plain') surroundings.print(jsonOf(unset, output))
  else if (unset.length === 0) surroundings.print('No variables unset.')
  else tell(surroundings, 'Unset:', '-', unset)
  return EXIT.ok
}

function tell({ print }: Surroundings, title: string, sign: string, names: readonly string[]): void {
  if (names.length > 0) for (const line of [title, ...names.map((name) => `${sign} ${name}`)]) print(line)
}

/** The script that starts `kedge` in a job keeps Node's own options from it, and what they were beside (`job-tools.ts`). */
function own({ environment }: Surroundings): Variables {
  const { NODE_OPTIONS: options, KEDGE_NODE_OPTIONS: jobs, ...rest } = environment
  const isOutside = environment['KEDGE_ATTEMPT'] === undefined
  return Object.fromEntries(Object.entries({ ...rest, NODE_OPTIONS: isOutside ? options : jobs }).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function fileOf({ environment }: Surroundings): string {
  const path = present(environment['KEDGE_ENV_CHANGES'])
  if (path === undefined) throw new Failure(EXIT.usage, 'this works inside a job only: KEDGE_ENV_CHANGES, which an agent sets, is not there. "kedge env dump" works anywhere.')
  return path
}

function waiting(surroundings: Surroundings): EnvChanges {
  const path = fileOf(surroundings)
  try {
    return readChanges(path)
  } catch (error) {
    throw new Failure(EXIT.failed, `cannot read what was set before: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

/** All of it or nothing. */
function change(changes: EnvChanges, surroundings: Surroundings): void {
  const mistakes = [...changes].flatMap(([name, value]) => {
    const mistake = mistakeInChange(name, value)
    return mistake === null ? [] : [`"${name}" ${mistake}`]
  })
  if (mistakes.length > 0) throw new Failure(EXIT.usage, `nothing was changed: ${mistakes.join('; ')}.`)
  try {
    appendChanges(fileOf(surroundings), changes)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(EXIT.failed, `cannot keep it for the next phase: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

function withChanges(env: Variables, changes: EnvChanges): Variables {
  const all = new Map<string, string>(Object.entries(env))
  for (const [name, value] of changes) {
    if (value === null) all.delete(name)
    else all.set(name, value)
  }
  return Object.fromEntries(all)
}

/** What is given, with standard input in the place of "-": line by line, or whole where it is JSON. */
function textsOf(given: readonly string[], input: string, surroundings: Surroundings): readonly string[] {
  return given.flatMap((text) => {
    if (text !== '-') return [text]
    const read = piped(surroundings, { what: 'input', otherwise: '"-" reads standard input, and nothing is piped there.' })
    return input === 'json' ? [read] : read.split(/\r?\n/).filter((line) => line !== '')
  })
}

function variableIn(text: string): readonly [string, string] {
  const end = text.indexOf('=')
  if (end <= 0) throw new Failure(EXIT.usage, `"${text}" is not of the form NAME=value.`)
  return [text.slice(0, end), text.slice(end + 1)]
}

function variablesIn(text: string): readonly (readonly [string, string])[] {
  const json = parseJson(text)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Failure(EXIT.usage, 'the input is not a JSON object of texts, such as {"NAME": "value"}.')
  return Object.entries(json).map(([name, value]: readonly [string, unknown]) => {
    if (typeof value !== 'string') throw new Failure(EXIT.usage, `the value of "${name}" must be a text.`)
    return [name, value] as const
  })
}

function namesIn(text: string): readonly string[] {
  const json = parseJson(text)
  if (!Array.isArray(json) || !json.every((name): name is string => typeof name === 'string')) throw new Failure(EXIT.usage, 'the input is not a JSON list of names, such as ["NAME"].')
  return json
}

function formatsOf(command: 'SET' | 'UNSET', { inputFormat, outputFormat }: ChangeFlags, { environment }: Surroundings) {
  return {
    input: formatOf('--input-format', ['plain', 'json'], inputFormat, environment[`BUILDKITE_AGENT_ENV_${command}_INPUT_FORMAT`]),
    output: formatOf('--output-format', ['plain', 'json', 'json-pretty', 'quiet'], outputFormat, environment[`BUILDKITE_AGENT_ENV_${command}_OUTPUT_FORMAT`]),
  }
}

/** The first of `known` unless another is given. */
function formatOf(flag: string, known: readonly string[], given: string | undefined, variable: string | undefined): string {
  const format = given ?? present(variable) ?? known[0] ?? ''
  if (!known.includes(format)) throw new Failure(EXIT.usage, `${flag} must be ${known.slice(0, -1).join(', ')} or ${known.at(-1)}, not "${format}".`)
  return format
}

function jsonOf(value: unknown, format: string): string {
  return format === 'json-pretty' ? JSON.stringify(value, null, 2) : JSON.stringify(value)
}

function sorted(env: Variables): Variables {
  return Object.fromEntries(Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function pick(env: Variables, names: readonly string[]): Variables {
  return Object.fromEntries(names.flatMap((name) => (Object.hasOwn(env, name) ? [[name, env[name] ?? '']] : [])))
}
