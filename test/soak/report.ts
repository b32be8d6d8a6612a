/**
 * What a soak came to, each figure with its bar. Two kinds of bar: what may never happen holds on any machine; a time or
 * a size holds only where nobody else works, so a quick soak shows those and lets them decide nothing.
 */
import { median, ms, percent, quantile, type Row } from '../bench/row.ts'
import type { Judgement } from './judge.ts'
import { thirds, type Sample } from './memory.ts'
import type { Plan } from './plan.ts'
import type { Record } from './record.ts'

/** C8: two seconds after an assignment, and a finish is told at once. */
const MOST_IDLE_P99_MS = 2000
/** A call's timeout [C7]: a sync may take as long and be tried again. */
const TIMEOUT_MS = 10_000
const MOST_SYNC_P99_MS = 1000
/** An attempt's claim, which also brings the last one's result, its acknowledgement, and one sync more. */
const FIXED_REQUESTS = 3
/** HB times 0.9, as agents take 80 to 100 % of it [C7]. */
const HEARTBEAT_S = 13.5
const MOST_GROWTH = 1.25
const GROWTH_MIB = 32
/** Against the short queue, whose claims wait behind the same syncs. */
const MOST_DEEP = 1.5
const DEEP_MS = 5

export interface Outcome {
  readonly plan: Plan
  readonly record: Record
  readonly judgement: Judgement
  readonly samples: readonly Sample[]
  /** Agents at work, in seconds. */
  readonly seconds: number
  readonly asking: { readonly count: number; readonly seconds: number }
  /** What no agent has delivered, what was still there when everybody had ended, and logs that are not what was printed. */
  readonly leftovers: readonly string[]
  readonly logs: { readonly looked: number; readonly wrong: readonly string[] }
  /** Longest and usual wait of this process for itself. */
  readonly lagMs: { readonly p99: number; readonly most: number }
  /** Ctrl-C. */
  readonly wasCut: boolean
}

export function rowsOf(outcome: Outcome): readonly Row[] {
  const { plan, record, judgement, samples, seconds, asking } = outcome
  const soft = (holds: boolean): boolean | null => (plan.isQuick || outcome.wasCut ? null : holds)
  const told = (name: string, figure: string, bar = ''): Row => ({ name, figure, ratio: '', bar, holds: null })
  const none = (name: string, sentences: readonly string[], figure = ''): Row => ({ name, figure: sentences.length === 0 ? figure || '0' : `${sentences.length}: ${sentences.slice(0, 3).join('; ')}`, ratio: '', bar: 'none', holds: sentences.length === 0 })
  const { harms } = record
  const all = record.asked.deep.size + record.asked.short.size
  const rate = (count: number) => `${(count / Math.max(1, seconds)).toFixed(0)}/s`

  return [
    told('agents', `${plan.agents} protocol-true, ${plan.real} real; ${(seconds / 60).toFixed(1)} min; seed ${plan.seed}`),
    told('asking', `${asking.count} builds in ${asking.seconds.toFixed(0)} s, ${(asking.count / Math.max(1, asking.seconds)).toFixed(0)}/s; later ${record.asked.short.size} of the short queue`),
    told('harm', `${harms.agentsKilled} agents killed, ${harms.agentsStopped} stopped, ${harms.realKilled} real ones killed, workerd ${harms.runtime}, workerd and all ${harms.both}; ${record.unanswered} calls without an answer`),
    { name: 'jobs', figure: `${judgement.final} final of ${all}, ${rate(judgement.final)}; ${judgement.waiting} wait${judgement.live > 0 ? `, ${judgement.live} in hand` : ''}`, ratio: '', bar: plan.isQuick ? 'all final' : '', holds: plan.isQuick && !outcome.wasCut ? judgement.final === all && all >= plan.jobs : null },
    none('lost', judgement.lost),
    none('doubled', judgement.doubled),
    none('taken or wrong', judgement.wrong),
    told('lost attempts', `${judgement.lostAttempts}, each of an agent that was made to end`),
    none('complaints of agents', record.complaints),
    none('logs', outcome.logs.wrong, `${outcome.logs.looked} looked at, whole`),
    none('left behind', outcome.leftovers),
    ...idle(outcome, soft),
    ...latency(outcome, soft),
    requests(outcome, soft),
    told('rows written', 'not counted: nothing outside of workerd sees them; npm run bench -- rows does'),
    memory('memory of workerd', thirds(samples, 'workerd'), soft),
    memory('memory of a real agent', thirds(samples, 'agent'), soft),
    told('this process', `waits for itself p99 ${ms(outcome.lagMs.p99)}, most ${ms(outcome.lagMs.most)}: so much of each time is its own; ${thirds(samples, 'own')?.last.toFixed(0) ?? '–'} MiB`),
  ]
}

type Soft = (holds: boolean) => boolean | null

function spread(values: readonly number[]): string {
  return values.length === 0 ? 'none' : `p50 ${ms(median(values))}, p99 ${ms(quantile(values, 0.99))}, most ${ms(values.reduce((most, value) => Math.max(most, value), 0))} of ${values.length}`
}

function idle({ record }: Outcome, soft: Soft): readonly Row[] {
  const calm = record.gaps.filter(({ isCalm }) => isCalm)
  const times = calm.map((gap) => gap.ms)
  const late = calm.filter((gap) => gap.ms > gap.paceMs + TIMEOUT_MS).length
  return [
    { name: 'idle beside a waiting job [I7]', figure: spread(times), ratio: `${late} longer than pace and timeout`, bar: `p99 ≤ ${MOST_IDLE_P99_MS / 1000} s, 0 longer`, holds: times.length === 0 ? null : soft(quantile(times, 0.99) <= MOST_IDLE_P99_MS && late === 0) },
    { name: 'the same, coordinator killed', figure: spread(record.gaps.filter(({ isCalm }) => !isCalm).map((gap) => gap.ms)), ratio: '', bar: '', holds: null },
  ]
}

function latency({ record, plan }: Outcome, soft: Soft): readonly Row[] {
  const calm = record.syncs.filter(({ isCalm }) => isCalm)
  const times = calm.map((sync) => sync.ms)
  const deepest = plan.jobs / 10
  const deep = calm.filter(({ isClaim, queue, depth }) => isClaim && queue === 'deep' && depth >= deepest).map((sync) => sync.ms)
  const short = calm.filter(({ isClaim, queue, depth }) => isClaim && (queue === 'short' || depth < deepest)).map((sync) => sync.ms)
  const isMeasured = deep.length > 0 && short.length > 0
  return [
    { name: 'a sync', figure: spread(times), ratio: '', bar: `p99 ≤ ${MOST_SYNC_P99_MS / 1000} s`, holds: times.length === 0 ? null : soft(quantile(times, 0.99) <= MOST_SYNC_P99_MS) },
    { name: 'the same, coordinator killed', figure: spread(record.syncs.filter(({ isCalm }) => !isCalm).map((sync) => sync.ms)), ratio: '', bar: '', holds: null },
    { name: 'a claim, deep queue', figure: spread(deep), ratio: isMeasured ? `${percent(median(deep) / median(short))} of short` : '', bar: `p50 ≤ ${MOST_DEEP} × short + ${DEEP_MS} ms`, holds: isMeasured ? soft(median(deep) <= MOST_DEEP * median(short) + DEEP_MS) : null },
    { name: 'a claim, short queue', figure: spread(short), ratio: '', bar: '', holds: null },
  ]
}

function requests({ record }: Outcome, soft: Soft): Row {
  const { busyBuilds, busySeconds, busySyncs } = record
  const seconds = busySeconds / Math.max(1, busyBuilds)
  const each = busySyncs / Math.max(1, busyBuilds)
  const most = FIXED_REQUESTS + seconds / HEARTBEAT_S
  const others = [...record.requests].filter(([what]) => what !== 'sync').map(([what, count]) => `${count} ${what}`)
  return { name: `requests of a build of ${seconds.toFixed(1)} s`, figure: `${each.toFixed(2)} syncs; in all ${others.join(', ')}`, ratio: '', bar: `≤ ${most.toFixed(2)}: three and a heartbeat each ${HEARTBEAT_S} s [C7]`, holds: busyBuilds === 0 ? null : soft(each <= most) }
}

function memory(name: string, found: ReturnType<typeof thirds>, soft: Soft): Row {
  if (found === null) return { name, figure: 'too short a time', ratio: '', bar: '', holds: null }
  const most = MOST_GROWTH * found.first + GROWTH_MIB
  return { name, figure: `first third ${found.first.toFixed(0)} MiB, last third ${found.last.toFixed(0)} MiB, most ${found.most.toFixed(0)} MiB`, ratio: percent(found.last / found.first), bar: `≤ ${percent(MOST_GROWTH)} + ${GROWTH_MIB} MiB`, holds: soft(found.last <= most) }
}
