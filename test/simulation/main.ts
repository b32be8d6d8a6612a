/**
 * `npm run simulate`: lives through many seeds and says whether any promise was broken; replays one; or shows that each
 * rule is needed, by a mutant without it that is caught. Ctrl-C prints what was done so far.
 */
import { nearest } from '../../schema/nearest.ts'
import { commandLine } from '../support/command-line.ts'
import { showMutants } from './mutation.ts'
import { liveThrough } from './pool.ts'
import { PROFILES, writeScript, type ProfileName } from './script.ts'
import type { Told } from './seed-process.ts'
import { shrink } from './shrink.ts'
import { live, type Report } from './world.ts'

const USAGE = `usage: npm run simulate -- [--seeds N] [--from SEED] [--profile NAME] [--json]
       npm run simulate -- --seed SEED [--trace] [--steps N] [--profile NAME] [--json]
       npm run simulate -- --mutations [NAME…] [--seeds N] [--json]
profiles: ${Object.entries(PROFILES).map(([name, { says }]) => `${name} (${says})`).join('; ')}`

const OPTIONS = {
  seeds: { type: 'string' }, from: { type: 'string' }, seed: { type: 'string' }, steps: { type: 'string' }, profile: { type: 'string' },
  trace: { type: 'boolean' }, mutations: { type: 'boolean' }, json: { type: 'boolean' },
} as const

/** Of failing seeds that are made short; the others are only named. */
const SHRUNK_AT_MOST = 3
const SHRINK_MS = 60_000
const SAY_EVERY_MS = 5000

const { values, positionals, bad } = commandLine('simulate', USAGE, OPTIONS)

function whole(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (!/^\d{1,15}$/.test(text) || Number(text) < 1) bad(`--${name} must be a whole number from 1 on, such as --${name} 4711; not "${text}"`)
  return Number(text)
}

function profileNamed(text: string | undefined): ProfileName | null {
  if (text === undefined) return null
  if (text in PROFILES) return text as ProfileName // the line says so
  const close = nearest(text, Object.keys(PROFILES))
  return bad(`there is no profile "${text}"${close === null ? '' : `; did you mean "${close}"?`} There are: ${Object.keys(PROFILES).join(', ')}`)
}

const profile = profileNamed(values.profile)
const json = values.json === true
const aborting = new AbortController()
process.once('SIGINT', () => aborting.abort())
if (values.mutations === true) process.exitCode = await showMutants({ names: positionals, seeds: whole('seeds', values.seeds, 400), json, signal: aborting.signal })
else if (positionals.length > 0) bad(`"${positionals[0]}" is no option; names are for --mutations\n${USAGE}`)
else if (values.seed !== undefined) process.exitCode = await replay(whole('seed', values.seed, 1))
else process.exitCode = await liveThroughMany(whole('from', values.from, 1), whole('seeds', values.seeds, 2000))

async function replay(seed: number): Promise<number> {
  const script = writeScript(seed, profile ?? undefined)
  const steps = values.steps === undefined ? {} : { steps: whole('steps', values.steps, 1) }
  const report = await live(script, { trace: values.trace === true, ...steps })
  if (json) console.log(JSON.stringify({ seed, profile: script.profile, ...report }))
  else {
    for (const line of report.trace) console.log(line)
    console.log(`seed ${seed} (${script.profile}): ${inWords(report)}`)
    for (const violation of report.violations) console.log(`  ${violation.rule} broken at ${(violation.at / 1000).toFixed(1)} s: ${violation.text}`)
  }
  return report.violations.length === 0 ? 0 : 1
}

async function liveThroughMany(from: number, count: number): Promise<number> {
  const since = performance.now()
  const broken: Told[] = []
  const sum = { seeds: 0, jobs: 0, syncs: 0, steps: 0, lost: 0, lastedMs: 0 }
  let last = from - 1
  const rate = () => {
    const seconds = (performance.now() - since) / 1000
    return `${sum.seeds} seeds of ${count} from ${from} on, ${broken.length} broken, ${Math.round((sum.seeds / seconds) * 60)} seeds/min, ${Math.round(sum.syncs / seconds)} syncs/s`
  }
  const saying = setInterval(() => !json && console.log(rate()), SAY_EVERY_MS)
  await liveThrough({
    seeds: (function* () {
      for (let seed = from; seed < from + count; seed += 1) yield seed
    })(),
    profile,
    signal: aborting.signal,
    tell: (told) => {
      sum.seeds += 1
      last = Math.max(last, told.seed)
      for (const key of ['jobs', 'syncs', 'steps', 'lost', 'lastedMs'] as const) sum[key] += told.report[key]
      if (told.report.violations.length > 0) {
        broken.push(told)
        if (!json) console.log(`seed ${told.seed} (${told.profile}) broke ${told.report.violations[0]?.rule ?? ''}: ${told.report.violations[0]?.text.slice(0, 500) ?? ''}`)
      }
      return true
    },
  })
  clearInterval(saying)
  const seconds = (performance.now() - since) / 1000
  if (json) console.log(JSON.stringify({ from, ...sum, seconds: Math.round(seconds), broken: broken.map(({ seed, profile: of, report }) => ({ seed, profile: of, violations: report.violations })) }))
  else {
    for (const { seed, profile: of, report } of broken.slice(0, SHRUNK_AT_MOST)) await showShrunk(seed, of, report.violations[0]?.rule ?? '')
    console.log(`${rate()}; ${sum.jobs} jobs, ${sum.syncs} syncs, ${sum.lost} lost attempts, ${(sum.lastedMs / 3_600_000).toFixed(0)} hours of virtual time in ${seconds.toFixed(0)} s`)
    console.log(broken.length === 0 ? `No promise was broken. Go on with: npm run simulate -- --from ${last + 1} --seeds ${count}` : `Broken by the seeds ${broken.map(({ seed }) => seed).join(', ')}. Look at one with: npm run simulate -- --seed ${broken[0]?.seed} --trace`)
  }
  return broken.length === 0 ? 0 : 1
}

async function showShrunk(seed: number, of: ProfileName, rule: string): Promise<void> {
  const until = performance.now() + SHRINK_MS
  const { script, report, runs } = await shrink(writeScript(seed, of), { rule, until: () => performance.now() > until || aborting.signal.aborted })
  console.log(`\nseed ${seed} breaks ${rule}. With no more than this it still does (${script.agents.length} agents, ${script.happenings.length} happenings, found in ${runs} runs):`)
  for (const line of report.trace) console.log(line)
  for (const violation of report.violations) console.log(`  ${violation.rule} broken at ${(violation.at / 1000).toFixed(1)} s: ${violation.text}`)
}

function inWords({ jobs, syncs, steps, lost, lastedMs }: Report): string {
  return `${jobs} jobs, ${syncs} syncs, ${lost} lost attempts, ${steps} steps, ${(lastedMs / 60_000).toFixed(1)} minutes of virtual time`
}
