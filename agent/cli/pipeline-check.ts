/** `kedge pipeline check`: what would run, told without a coordinator. */
import { graphOf, type Node } from '../../schema/pipeline/graph.ts'
import { combinationsOf, withValues } from '../../schema/pipeline/matrix.ts'
import { notYet } from '../../schema/pipeline/not-yet.ts'
import { preparePipeline } from '../../schema/pipeline/prepare.ts'
import type { Concurrency, Step } from '../../schema/pipeline/steps.ts'
import { EXIT, Failure, oneLine, type ExitCode, type Surroundings } from './output.ts'
import { readPipelineFile, tellMistakes } from './pipeline-file.ts'

interface CheckFlags {
  readonly env?: readonly string[]
  readonly known?: readonly string[]
  readonly interpolation: boolean
  readonly json?: boolean
}

interface Told {
  /** From 1, as the steps stand; those of a group follow it. */
  readonly step: number
  readonly kind: Step['kind']
  readonly label: string | null
  readonly key: string | null
  readonly command: string | null
  readonly jobs: number
  /** What tells the jobs of a matrix apart; empty without one. */
  readonly matrix: readonly { readonly label: string | null; readonly command: string | null }[]
  /** When it runs at all, where that is known only when it is uploaded; or that it never does. */
  readonly only: readonly string[]
  /** Numbers of steps, and keys of those that the build has from elsewhere. */
  readonly after: readonly (number | string)[]
  readonly group: number | null
  /** Its concurrency group. */
  readonly concurrency: Concurrency | null
}

/** Exit status 0: it would run; 2: it has mistakes. */
export async function checkPipeline(named: string | undefined, flags: CheckFlags, surroundings: Surroundings): Promise<ExitCode> {
  const file = readPipelineFile(named, surroundings)
  const environment = flags.interpolation ? { ...surroundings.environment, ...Object.fromEntries((flags.env ?? []).map(variableOf)) } : null
  const answer = preparePipeline(file.text, environment)
  const graph = answer.ok ? graphOf(answer.prepared.pipeline.steps, { known: new Set(flags.known) }) : null
  const refused = graph === null ? [] : graph.ok ? graph.graph.nodes.flatMap(({ step }) => notYet(step)) : graph.mistakes
  const mistakes = !answer.ok ? answer.mistakes : refused.map((mistake) => ({ place: answer.prepared.placeOf(mistake), message: mistake.message }))
  if (graph?.ok !== true || mistakes.length > 0) {
    if (flags.json === true) surroundings.print(JSON.stringify({ file: file.name, ok: false, mistakes: mistakes.map(({ place: { line, column }, message }) => ({ line, column, message })) }))
    else tellMistakes(file, mistakes, surroundings)
    return EXIT.usage
  }
  const told = graph.graph.nodes.map(tell)
  const jobs = told.reduce((sum, one) => sum + one.jobs, 0)
  if (flags.json === true) {
    surroundings.print(JSON.stringify({ file: file.name, ok: true, steps: told }))
    return EXIT.ok
  }
  surroundings.print(`${file.name}: ${told.length} step${told.length === 1 ? '' : 's'}, ${jobs} job${jobs === 1 ? '' : 's'}`)
  const titles = told.map(({ group, label, key, kind }) => `${group === null ? '' : '  '}${oneLine(label ?? key ?? kind)}`)
  const width = Math.min(40, Math.max(0, ...titles.map((title) => title.length)))
  for (const [index, { step, after, command, jobs: own, matrix, only, concurrency }] of told.entries()) {
    const parts = [matrix.length > 0 || command === null ? null : firstLine(command), own > 1 ? `× ${own}` : null, after.length === 0 ? 'at once' : `after ${after.join(', ')}`, concurrency === null ? null : `at most ${concurrency.limit} at a time of ${oneLine(concurrency.group)}`, ...only]
    surroundings.print(`${String(step).padStart(4)}  ${(titles[index] ?? '').padEnd(width)}  ${parts.filter((part) => part !== null && part !== '').join('  ')}`)
    for (const one of matrix) surroundings.print(`${' '.repeat(8)}${[one.label, one.command].map((text) => firstLine(text ?? '')).join('  ').trimEnd()}`)
  }
  return EXIT.ok
}

function firstLine(text: string): string {
  return oneLine(text.split('\n')[0] ?? '')
}

function tell({ step, group, waitsFor, waitsForKnown }: Node, index: number): Told {
  const matrix = step.kind === 'command' && step.matrix !== null ? combinationsOf(step.matrix).map((one) => withValues(step, one)).map(({ label, command }) => ({ label, command })) : null
  return {
    step: index + 1,
    kind: step.kind,
    label: step.label,
    key: step.key,
    command: step.kind === 'command' ? (step.command ?? '') : null,
    jobs: step.kind === 'command' ? (matrix?.length ?? step.parallelism ?? 1) : 0,
    matrix: matrix ?? [],
    only: conditionsOf(step),
    after: [...waitsFor.map(({ node }) => node + 1), ...waitsForKnown.map((known) => known.step)],
    group: group === null ? null : group + 1,
    concurrency: step.kind === 'command' ? step.concurrency : null,
  }
}

function conditionsOf(step: Step): readonly string[] {
  if ('skip' in step && step.skip !== null) return [`is skipped${step.skip === '' ? '' : `: ${oneLine(step.skip)}`}`]
  const { include, exclude } = ('ifChanged' in step ? step.ifChanged : null) ?? { include: [], exclude: [] }
  return [
    ...(step.kind !== 'group' && step.branches !== null ? [`only on ${step.branches.join(' ')}`] : []),
    ...(step.if === null ? [] : [`only if ${oneLine(step.if)}`]),
    ...(include.length === 0 ? [] : [`only if ${include.join(', ')} changed${exclude.length === 0 ? '' : ` (${exclude.join(', ')} aside)`}`]),
  ]
}

function variableOf(text: string): readonly [name: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Failure(EXIT.usage, `--env must be NAME=VALUE, not "${text}".`)
  return [text.slice(0, at), text.slice(at + 1)]
}
