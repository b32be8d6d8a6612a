/**
 * `npm run bench [-- NAME…] [-- --json]`: every promise about speed and cost, measured here and now beside its floor.
 * Exit 0: all bars hold, 1: one does not, 2: no such bar.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { availableParallelism, loadavg } from 'node:os'
import { artifact } from './artifact.ts'
import { cancel } from './cancel.ts'
import { checkout } from './checkout.ts'
import { dispatch } from './dispatch.ts'
import { growth } from './growth.ts'
import { log } from './log.ts'
import { printed } from './printed.ts'
import { queue } from './queue.ts'
import { requeue } from './requeue.ts'
import { silence } from './silence.ts'
import type { Bar, Row } from './row.ts'
import { rows as rowsWritten } from './rows.ts'
import { clearAway } from './stage.ts'
import { steps } from './steps.ts'
import { syncs } from './syncs.ts'
import { throughput } from './throughput.ts'

/** A bar that takes longer has failed. */
const LIMIT_MS = 180_000

const bars: readonly Bar[] = [dispatch, throughput, syncs, cancel, requeue, silence, checkout, rowsWritten, log, printed, artifact, queue, steps, growth]

const words = process.argv.slice(2).filter((word) => word !== '--')
const isJson = words.includes('--json')
const names = words.filter((word) => word !== '--json')
const unknown = names.filter((name) => !bars.some((bar) => bar.name === name))
if (unknown.length > 0) {
  console.error(`bench: there is no bar ${unknown.map((name) => `"${name}"`).join(', ')}. There are: ${bars.map(({ name }) => name).join(', ')}. Without a name all of them are measured.`)
  process.exit(2)
}
let isLeaving = false
/** The bar that is measured now, when it has a process of its own. */
let child: ChildProcess | null = null
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    isLeaving = true
    child?.kill(signal)
    void clearAway().then(() => process.exit(130))
  })
}

/** Others on the machine spoil figures and ratios alike, so whoever reads them must know. */
const machine = { cores: availableParallelism(), load_average: loadavg()[0] ?? 0 }
const chosen = bars.filter((bar) => names.length === 0 || names.includes(bar.name))
const rows: Row[] = []
if (chosen.length === 1) for (const bar of chosen) rows.push(...(await measure(bar)))
else for (const bar of chosen) if (!isLeaving) rows.push(...(await measureApart(bar)))
if (isLeaving) await new Promise(() => {}) // what was begun is being cleared away
if (isJson) console.log(JSON.stringify({ machine, rows }))
else {
  print(rows)
  console.log(`\n${machine.cores} cores; load average before: ${machine.load_average.toFixed(1)}${machine.load_average > machine.cores / 2 ? ' (this machine is not quiet: the figures are too bad)' : ''}`)
}
process.exit(rows.some(({ holds }) => holds === false) ? 1 : 0)

/** In a process of its own: what one bar has in memory would make each process that another starts dearer. */
async function measureApart(bar: Bar): Promise<readonly Row[]> {
  if (!isJson) console.error(`measuring ${bar.name} …`)
  const stdout = await new Promise<string>((resolve, reject) => {
    let text = ''
    child = spawn(process.execPath, [import.meta.filename, bar.name, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    child.once('error', reject).once('close', () => resolve(text))
  })
  try {
    return (JSON.parse(stdout) as { readonly rows: readonly Row[] }).rows // printed by this very file
  } catch {
    return [failed(bar, 'it ended without a figure')]
  }
}

function failed(bar: Bar, why: string): Row {
  return { name: bar.name, figure: `failed: ${why.slice(0, 300)}`, ratio: '', bar: '', holds: false }
}

async function measure(bar: Bar): Promise<readonly Row[]> {
  if (!isJson) console.error(`measuring ${bar.name} …`)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(`not done within ${LIMIT_MS / 1000} s`)), LIMIT_MS)))
  try {
    return await Promise.race([bar.run(), late])
  } catch (error) {
    if (!isLeaving) console.error(error)
    return [failed(bar, error instanceof Error ? error.message : String(error))]
  } finally {
    clearTimeout(timer)
    await clearAway()
  }
}

function print(all: readonly Row[]): void {
  const lines = [['name', 'figure', 'ratio', 'bar', 'holds'], ...all.map(({ name, figure, ratio, bar, holds }) => [name, figure, ratio, bar, holds === null ? '–' : holds ? 'yes' : 'NO'])]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  for (const line of lines) console.log(line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}
