/**
 * A log as a build has it, by real processes: 100 MB from the first byte that the command prints to the last that the
 * coordinator has, with what the agent's memory grows by; and how long a single line takes to somebody who watches.
 */
import { execFileSync } from 'node:child_process'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { events } from '../../agent/cli/follow.ts'
import { eventually } from '../support/wait.ts'
import { median, ms, type Bar, type Row } from './row.ts'
import { memoryOf } from '../support/process-list.ts'
import { openAgent, openCoordinator, type AgentProcess, type Site } from './stage.ts'

const BYTES = 100_000_000
const LEAST_MB_PER_S = 40
const MOST_MIB = 64
const LINES = 10
/** Between lines, so that they are not taken for continuous output. */
const QUIET_MS = 2200
const MOST_MS = 300

export const printed: Bar = {
  name: 'printed',
  async run() {
    const site = await openCoordinator()
    const agent = await openAgent(site)
    return [...(await wholeLog(site, agent)), await watchedLines(site)]
  },
}

async function wholeLog(site: Site, agent: AgentProcess): Promise<readonly Row[]> {
  const text = join(site.folder, 'text')
  const note = join(site.folder, 'began')
  await writeFile(text, Buffer.alloc(BYTES, `${'a line like others of a build, not short and not long '.repeat(2)}\n`))
  const project = await site.people.project({})
  const before = memoryOf(agent.pid).peakMib
  const build = await project.build({ command: `date +%s%N > ${note}; cat ${text}` })
  const { id } = await build.job()
  const auth = { authorization: `Bearer ${site.adminToken}` }
  const read = (range: string) => fetch(`${site.url}/api/v1/jobs/${id}/log`, { headers: { ...auth, range } })
  await eventually('the coordinator has all of the log', async () => (await read(`bytes=${BYTES - 1}-`)).status === 206 || null, { withinMs: 120_000 })
  const ended = Date.now()
  const began = Number(await readFile(note, 'utf8')) / 1e6
  await build.over()
  const rate = BYTES / 1000 / (ended - began)
  const grown = memoryOf(agent.pid).peakMib - before
  return [
    { name: 'log of 100 MB, printed to stored', figure: `${rate.toFixed(0)} MB/s`, ratio: '', bar: `≥ ${LEAST_MB_PER_S} MB/s on a quiet machine`, holds: rate >= LEAST_MB_PER_S },
    { name: "the agent's memory in it", figure: `peak ${grown.toFixed(0)} MiB more than before`, ratio: '', bar: `flat: < ${MOST_MIB} MiB`, holds: grown < MOST_MIB },
  ]
}

async function watchedLines(site: Site): Promise<Row> {
  const pipe = join(site.folder, 'lines')
  execFileSync('mkfifo', [pipe])
  const project = await site.people.project({})
  const build = await project.build({ command: `while read -r line; do echo "$line"; done < ${pipe}` })
  const writer = await open(pipe, 'w') // waits for the command
  const { id } = await build.job()
  const came = new Map<string, number>()
  const leave = new AbortController()
  await writer.write('first\n') // a log that has nothing cannot be followed yet
  const response = await fetch(`${site.url}/api/v1/jobs/${id}/log`, { headers: { authorization: `Bearer ${site.adminToken}`, accept: 'text/event-stream' }, signal: leave.signal })
  const reading = (async () => {
    for await (const { data } of events(response)) {
      for (const line of Buffer.from(data, 'base64').toString().split('\n')) if (!came.has(line)) came.set(line, performance.now())
    }
  })().catch(() => undefined) // we left
  const arrival = (line: string) => eventually(`the line ${line} has come`, async () => came.get(line) ?? null, { withinMs: 30_000 })
  await arrival('first')
  const took: number[] = []
  for (let n = 0; n < LINES; n++) {
    await pause(QUIET_MS)
    const since = performance.now()
    await writer.write(`line-${n}\n`)
    took.push((await arrival(`line-${n}`)) - since)
  }
  await writer.close()
  await build.over()
  leave.abort()
  await reading
  const worst = Math.max(...took)
  return { name: 'a line, printed to seen by a viewer', figure: `p50 ${ms(median(took))}, worst of ${LINES} ${ms(worst)}`, ratio: '', bar: `≤ ${MOST_MS} ms`, holds: worst <= MOST_MS }
}
