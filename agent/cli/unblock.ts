/**
 * `kedge unblock`: a person lets a block or an input of a build pass, with answers to its fields. The coordinator judges
 * the answers; where one will not do, the command says what is asked, so that the next try can be right.
 */
import type { BuildView, StepView } from '../../schema/api.ts'
import type { Field } from '../../schema/pipeline/steps.ts'
import { findBuild, type CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { EXIT, Failure, type ExitCode } from './output.ts'
import { BUILD } from './replies.ts'

export interface UnblockOptions {
  readonly project?: string
  /** KEY=VALUE; a key that is there several times selects several options. */
  readonly field?: readonly string[]
  readonly json?: boolean
}

export async function unblockBuild(client: Client, named: { readonly build: string; readonly step: string | undefined }, options: UnblockOptions, output: CommandOutput): Promise<ExitCode> {
  const fields = readFields(options.field ?? [])
  const { build, job } = await findBuild(client, named.build, options.project)
  if (job !== null) throw new Failure(EXIT.usage, `"${named.build}" names a job, and a block has none: write "kedge unblock ${build.project}#${build.number} STEP".`)
  const step = named.step === undefined ? theOneThatAsks(build) : stepCalled(named.step, build)
  let after: BuildView
  try {
    after = await client.post(`/api/v1/projects/${build.project}/builds/${build.number}/steps/${step.step}/unblock`, BUILD, { fields })
  } catch (error) {
    if (error instanceof Failure && error.code === 'answers-invalid') for (const line of whatIsAsked(step)) output.note(line)
    throw error
  }
  if (options.json) output.json(after)
  else output.line(`${after.project} #${after.number} ${after.state}`)
  return EXIT.ok
}

/** From entries, so that a field may be called as what every object has. */
function readFields(pairs: readonly string[]): Readonly<Record<string, string | readonly string[]>> {
  const given = Map.groupBy(pairs.map(readField), ([key]) => key)
  return Object.fromEntries([...given].map(([key, all]) => [key, all.length === 1 ? (all[0]?.[1] ?? '') : all.map(([, value]) => value)]))
}

function readField(pair: string): readonly [key: string, value: string] {
  const at = pair.indexOf('=')
  if (at < 1) throw new Failure(EXIT.usage, `--field takes KEY=VALUE, not "${pair}"`)
  return [pair.slice(0, at), pair.slice(at + 1)]
}

function theOneThatAsks({ project, number, state, steps }: BuildView): StepView {
  const asking = steps.filter((step) => step.state === 'blocked')
  const [first] = asking
  if (first === undefined) throw new Failure(EXIT.usage, `${project}#${number} is ${state} and asks nobody: ${steps.some(({ kind }) => kind === 'block') ? 'none of its blocks is open' : 'it has no block'}.`)
  if (asking.length > 1) throw new Failure(EXIT.usage, `${project}#${number} asks ${asking.length} times; say which: ${asking.map(nameOf).join(', ')}`)
  return first
}

/** By its key, or else its number within the build. */
function stepCalled(name: string, { project, number, steps }: BuildView): StepView {
  const found = steps.find(({ key }) => key === name) ?? steps.find(({ step }) => String(step) === name)
  if (found !== undefined) return found
  const blocks = steps.filter(({ kind }) => kind === 'block')
  throw new Failure(EXIT.usage, `${project}#${number} has no step "${name}". ${blocks.length === 0 ? 'It has no block at all.' : `Its blocks are: ${blocks.map(nameOf).join(', ')}`}`)
}

function nameOf({ key, step, label }: StepView): string {
  return `${key ?? step}${label === null ? '' : ` (${label})`}`
}

function whatIsAsked({ step, label, key, fields }: StepView): readonly string[] {
  if (fields.length === 0) return []
  return [`${label ?? key ?? `step ${step}`} asks:`, ...fields.map((field) => `--field ${field.key}=… ${[titleOf(field), field.required ? 'required' : 'optional', ...rulesOf(field)].join(', ')}`)]
}

function titleOf({ label, key, hint }: Field): string {
  return `${label ?? key}${hint === null ? '' : ` (${hint})`}`
}

function rulesOf(field: Field): readonly string[] {
  if (field.kind === 'text') return [...(field.default === null ? [] : [`usually ${JSON.stringify(field.default)}`]), ...(field.format === null ? [] : [`of the format ${field.format}`])]
  const options = field.options.map(({ label, value, required }) => `${value}${label === value ? '' : ` (${label})`}${field.multiple && required === true ? ' in any case' : ''}`)
  return [`${field.multiple ? 'one or more' : 'one'} of: ${options.join('; ')}`, ...(field.default.length === 0 ? [] : [`usually ${field.default.join(' and ')}`])]
}
