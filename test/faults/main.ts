/**
 * `npm run faults [-- NAME…] [-- --full] [--minutes M] [--seed N] [--list]`: every fault of docs/faults.md against real
 * processes, each shown by the tests that `rows.ts` names. Everyday runs divide the times of production by 20; `--full`
 * lives through them, which takes about half an hour. Exit 0: all held, 1: one did not, 2: no such name, 130: stopped.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { commandLine } from '../support/command-line.ts'
import { mayMount, NO_MOUNTING } from '../support/mounting.ts'
import { choose, type Chosen, patternOf, processTests, ROOT } from './names.ts'
import type { Told } from './reporter.ts'
import { ROWS, type FaultRow } from './rows.ts'
import { startRun } from './stage.ts'
import { markdown } from './table.ts'

const USAGE = 'npm run faults -- [NAME…] [--full] [--minutes M] [--seed N] [--list]. A NAME is D12, D12-D16, or a word of a fault; without one, all.'

interface Planned {
  readonly row: FaultRow
  readonly file: string
  readonly pattern: string
}

const OPTIONS = { full: { type: 'boolean', default: false }, minutes: { type: 'string' }, seed: { type: 'string' }, list: { type: 'boolean', default: false } } as const
const { values, positionals, bad: fail } = commandLine('faults', USAGE, OPTIONS)
if (values.minutes !== undefined && !(Number(values.minutes) > 0 && Number(values.minutes) <= 600)) fail(`--minutes must be a number above 0 and up to 600, not "${values.minutes}".`)
if (values.seed !== undefined && !/^\d{1,15}$/.test(values.seed)) fail(`--seed must be a whole number, as an earlier run printed it, not "${values.seed}".`)

const chosen = choose(positionals)
const { rows } = 'unknown' in chosen ? unknownName(chosen) : chosen
if (values.list) {
  console.log(markdown(rows))
  process.exit(0)
}

function unknownName({ unknown, meant }: Extract<Chosen, { readonly unknown: string }>): never {
  return fail(`no fault is called "${unknown}"${meant === null ? '.' : `; did you mean "${meant}"?`} There are:\n${ROWS.map(({ id, fault }) => `  ${id.padEnd(4)} ${fault}`).join('\n')}`)
}

const tests = processTests()
const planned: readonly Planned[] = rows.flatMap((row) =>
  row.shown.flatMap((proof): readonly Planned[] => {
    if (proof.by === 'processes') return tests.filter((test) => test.rows.includes(row.id)).map(({ file, name }) => ({ row, file, pattern: patternOf(name) }))
    return proof.by === 'unit' || proof.by === 'workers' ? [{ row, file: proof.file, pattern: patternOf(proof.test) }] : []
  }),
)
/** The last words of an `it.each` or a describe around a name are not part of how it is written. */
const isOf = ({ file, pattern }: Planned, told: Told): boolean => told.file === file && new RegExp(`${pattern}$`).test(told.name)

// Tests in the Workers runtime take the scripts of the pages as files.
if (planned.some(({ file }) => file.startsWith('test/coordinator/'))) execFileSync(process.execPath, [join(ROOT, 'coordinator/build.ts'), 'islands'], { stdio: ['ignore', 'ignore', 'inherit'] })

const done: Told[] = []
const began = performance.now()
const run =
  planned.length === 0
    ? null
    : startRun({
        files: [...new Set(planned.map(({ file }) => file))],
        names: [...new Set(planned.map(({ pattern }) => pattern))],
        environment: {
          KEDGE_FAULTS_SCALE: values.full ? '1' : '20',
          ...(values.minutes === undefined ? (values.full ? { KEDGE_FAULTS_MINUTES: '10' } : {}) : { KEDGE_FAULTS_MINUTES: values.minutes }),
          ...(values.seed === undefined ? {} : { KEDGE_FAULTS_SEED: values.seed }),
        },
        told: (told) => {
          const ids = [...new Set(planned.filter((one) => isOf(one, told)).map(({ row }) => row.id))]
          if (ids.length === 0 && told.state === 'passed') return
          done.push(told)
          console.log(`${told.state === 'passed' ? 'ok    ' : 'FAILED'}  ${ids.join(', ').padEnd(8)} ${told.seconds.toFixed(1).padStart(6)} s  ${told.name}`)
          for (const note of told.notes) console.log(`        ${note}`)
          if (told.state === 'failed') console.log(told.message.trimEnd().split('\n').slice(0, 200).map((line) => `        ${line}`).join('\n'))
        },
      })

let isLeaving = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isLeaving) return
    isLeaving = true
    void Promise.resolve(run?.stop()).then(() => {
      summarize()
      console.log('stopped before the end; nothing of it runs any more')
      process.exit(130)
    })
  })
}

const other = (await run?.ended) ?? ''
if (isLeaving) await new Promise(() => {}) // whoever stopped it prints
const isWell = summarize()
if (!isWell && done.every(({ state }) => state === 'passed')) console.log(other)
process.exit(isWell ? 0 : 1)

/** One line a row; whether each that can be shown was. */
function summarize(): boolean {
  console.log('')
  const count = { held: 0, FAILED: 0, 'not run': 0, none: 0 }
  for (const row of rows) {
    const mine = planned.filter((one) => one.row === row)
    const told = done.filter((one) => mine.some((plan) => isOf(plan, one)))
    const missing = mine.filter((plan) => !told.some((one) => isOf(plan, one)))
    const cannot = missing.length > 0 && missing.every(({ file }) => file.endsWith('/disks.test.ts')) && !mayMount()
    const seconds = told.reduce((sum, one) => sum + one.seconds, 0)
    const notes = row.shown.flatMap((proof) => (proof.by === 'bench' ? [`npm run bench -- ${proof.bar}`] : proof.by === 'simulation' ? [`simulation only: ${proof.why}`] : proof.by === 'later' ? [`not yet: ${proof.why}`] : []))
    if (cannot) notes.push(NO_MOUNTING)
    if (missing.length > 0 && !cannot) notes.push(`not run: ${missing.length}`)
    const word = told.some(({ state }) => state === 'failed') ? 'FAILED' : mine.length === 0 || cannot ? 'none' : missing.length > 0 ? 'not run' : 'held'
    count[word] += 1
    console.log(`${row.id.padEnd(4)} ${word.padEnd(8)} ${told.length > 0 ? `${told.length} tests, ${seconds.toFixed(1)} s` : ''}${notes.length > 0 ? `  (${notes.join('; ')})` : ''}`.trimEnd())
  }
  const strangers = done.filter((one) => one.state === 'failed' && !planned.some((plan) => isOf(plan, one)))
  console.log(`${count.held} faults held, ${count.FAILED} did not, ${count['not run'] > 0 ? `${count['not run']} were not run or not to the end, ` : ''}${count.none} have nothing to run here; ${((performance.now() - began) / 1000).toFixed(0)} s`)
  return count.FAILED + count['not run'] + strangers.length === 0
}
