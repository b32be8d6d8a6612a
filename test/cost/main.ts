/**
 * `npm run cost [-- --day NAME] [--json] [--accept]`: lives through the scripted days with the real scheduler and the real
 * log store under a turned clock, and says what Cloudflare would count and bill. Exit 0: as held in `figures.json`,
 * 1: not so, 2: no such day or option.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { didYouMean, nearest } from '../../schema/nearest.ts'
import { commandLine } from '../support/command-line.ts'
import { DAYS } from './days.ts'
import { advice, differences, readHeld, writeHeld, type Held } from './held.ts'
import { causesTable, monthTable, plansTable } from './table.ts'

const USAGE = `usage: npm run cost -- [--day NAME…] [--json] [--accept]
days:
${DAYS.map(({ name, says }) => `  ${name.padEnd(15)} ${says}`).join('\n')}`
const OPTIONS = { day: { type: 'string', multiple: true }, json: { type: 'boolean' }, accept: { type: 'boolean' } } as const

const { values, positionals, bad } = commandLine('cost', USAGE, OPTIONS)
if (positionals.length > 0) bad(`"${positionals[0]}" is no option; a day is named by --day ${positionals[0]}\n${USAGE}`)
const names = DAYS.map(({ name }) => name)
const unknown = values.day?.find((name) => !names.includes(name))
if (unknown !== undefined) bad(`there is no day "${unknown}"${didYouMean(unknown, names)}${nearest(unknown, names) === null ? '.' : ''} There are: ${names.join(', ')}`)
const chosen = DAYS.filter(({ name }) => values.day === undefined || values.day.includes(name))

const lived = new Map<string, Held[string]>()
const waiting = chosen.map(({ name }) => name)
await Promise.all(Array.from({ length: availableParallelism() }, livesThrough))
/** In the order of the days, whichever thread was first. */
const inOrder = (figuresOf: (name: string) => Held[string] | undefined): Held =>
  Object.fromEntries(names.flatMap((name) => {
    const figures = figuresOf(name)
    return figures === undefined ? [] : [[name, figures] as const]
  }))
const now = inOrder((name) => lived.get(name))
const days = new Map(Object.entries(now).map(([name, { day }]) => [name, day]))

const held = readHeld()
const different = Object.entries(now).flatMap(([name, { day, sample }]) => [...differences(name, held[name]?.day, day), ...differences(`the sample of ${name}`, held[name]?.sample, sample)])
if (values.accept === true) writeHeld(inOrder((name) => now[name] ?? held[name]))

if (values.json === true) console.log(JSON.stringify({ days: Object.fromEntries(days), differences: different }))
else {
  for (const table of [plansTable(days), monthTable(days), causesTable(days)]) console.log(`${aligned(table)}\n`)
  for (const sentence of different) console.log(sentence)
  console.log(different.length === 0 ? 'All as held in test/cost/figures.json.' : values.accept === true ? 'Accepted: test/cost/figures.json and docs/cost.md say so now.' : advice(different))
}
process.exit(different.length > 0 && values.accept !== true ? 1 : 0)

async function livesThrough(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const since = performance.now()
    lived.set(name, await inThread(name))
    if (values.json !== true) console.error(`${name}: lived through in ${((performance.now() - since) / 1000).toFixed(1)} s`)
  }
}

function inThread(name: string): Promise<Held[string]> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('day-thread.ts', import.meta.url), { workerData: name })
    thread.once('message', resolve).once('error', reject)
  })
}

/** Markdown as a terminal likes it. */
function aligned(table: string): string {
  const rows = table.split('\n').filter((_, line) => line !== 1).map((line) => line.slice(2, -2).replaceAll('**', '').split(' | '))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')).join('\n')
}
