/**
 * `npm run soak [-- --minutes M] [--agents N] [--real R] [--jobs J] [--seed S] [--quick] [--json]`: a fleet at work for as
 * long as one likes, with kills throughout, and what became of every job (docs/load.md). Exit 0: all bars hold, 1: one
 * does not, 2: bad options, 130: stopped.
 */
import { availableParallelism, loadavg } from 'node:os'
import { nearest } from '../../schema/nearest.ts'
import type { Row } from '../bench/row.ts'
import { commandLine } from '../support/command-line.ts'
import { planOf } from './plan.ts'
import { rowsOf } from './report.ts'
import { soak } from './soak.ts'

const USAGE = 'usage: npm run soak -- [--minutes M] [--agents N] [--real R] [--jobs J] [--seed S] [--quick] [--json]'
const OPTIONS = {
  minutes: { type: 'string' }, agents: { type: 'string' }, real: { type: 'string' }, jobs: { type: 'string' }, seed: { type: 'string' },
  quick: { type: 'boolean' }, json: { type: 'boolean' },
} as const
const MOST = { agents: 5000, real: 100, jobs: 1_000_000 } as const
const MOST_MINUTES = 24 * 60

const { values, positionals, bad } = commandLine('soak', USAGE, OPTIONS)

function whole(name: keyof typeof MOST, text: string | undefined, least: number): number | null {
  if (text === undefined) return null
  if (!/^\d{1,9}$/.test(text) || Number(text) < least || Number(text) > MOST[name]) bad(`--${name} must be a whole number from ${least} to ${MOST[name]}; not "${text}"`)
  return Number(text)
}

const [word] = positionals
if (word !== undefined) {
  const close = nearest(word, Object.keys(OPTIONS))
  bad(`"${word}" is no option${close === null ? '.' : `; did you mean --${close}?`}\n${USAGE}`)
}
if (values.minutes !== undefined && !(Number(values.minutes) > 0 && Number(values.minutes) <= MOST_MINUTES)) bad(`--minutes must be a number above 0 and up to ${MOST_MINUTES}; not "${values.minutes}"`)
if (values.seed !== undefined && !/^\d{1,15}$/.test(values.seed)) bad(`--seed must be a whole number, as an earlier soak printed it; not "${values.seed}"`)
const plan = planOf({
  minutes: values.minutes === undefined ? null : Number(values.minutes),
  agents: whole('agents', values.agents, 1),
  real: whole('real', values.real, 0),
  jobs: whole('jobs', values.jobs, 1),
  seed: values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed),
  isQuick: values.quick === true,
})

const cut = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => cut.abort())
/** Others on the machine spoil every time, so whoever reads them must know. */
const machine = { cores: availableParallelism(), load_average: loadavg()[0] ?? 0 }
const since = performance.now()
const say = (sentence: string) => console.error(`soak: ${((performance.now() - since) / 1000).toFixed(0).padStart(5)} s  ${sentence}`)
try {
  const outcome = await soak(plan, { say }, cut.signal)
  const rows = rowsOf(outcome)
  if (values.json === true) console.log(JSON.stringify({ machine, plan, was_cut: outcome.wasCut, rows, judgement: outcome.judgement, memory: outcome.samples }))
  else {
    print(rows)
    console.log(`\n${machine.cores} cores; load average before: ${machine.load_average.toFixed(1)}${machine.load_average > machine.cores / 2 ? ' (this machine is not quiet: the times are too bad)' : ''}${outcome.wasCut ? '; stopped before the end, and nothing of it is left' : ''}`)
  }
  process.exit(outcome.wasCut ? 130 : rows.some(({ holds }) => holds === false) ? 1 : 0)
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(cut.signal.aborted ? 130 : 1)
}

function print(all: readonly Row[]): void {
  const lines = [['name', 'figure', 'ratio', 'bar', 'holds'], ...all.map(({ name, figure, ratio, bar, holds }) => [name, figure, ratio, bar, holds === null ? '–' : holds ? 'yes' : 'NO'])]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  for (const line of lines) console.log(line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}
