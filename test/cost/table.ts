/** Figures as people read them: in `docs/cost.md` and by `npm run cost`. */
import { DAYS } from './days.ts'
import { total, type Figures } from './figures.ts'
import { CAUSES, COUNTED } from './meter.ts'
import { DAYS_OF_MONTH, dollarsAMonth, METERED, shareOfFree, SUBSCRIPTION_DOLLARS } from './plans.ts'

export type FiguresOfDays = ReadonlyMap<string, Figures>

export function number(value: number, decimals = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Each counted thing beside its share of the free plan, and what a month costs on the paid one. */
export function plansTable(days: FiguresOfDays): string {
  const free = METERED.map((metered) => [
    metered.name,
    ...[...days.values()].map((figures) => {
      const share = shareOfFree(metered, figures)
      return `${number(metered.of(figures), metered.decimals)} (${share > 1 ? `**${number(100 * share)} %**` : share > 0 && share < 0.005 ? '< 1 %' : `${number(100 * share)} %`})`
    }),
  ])
  const month = [...days.values()].map((figures) => SUBSCRIPTION_DOLLARS + METERED.reduce((sum, metered) => sum + dollarsAMonth(metered, figures), 0))
  return table(['a day', ...days.keys()], [...free, ['**Paid plan, a month**', ...month.map((dollars) => `**$${number(dollars, 2)}**`)]])
}

/** What of the month is beyond what the paid plan includes. */
export function monthTable(days: FiguresOfDays): string {
  const rows = METERED.map((metered) => [metered.name, ...[...days.values()].map((figures) => dollarsAMonth(metered, figures))] as const).filter(([, ...dollars]) => dollars.some((one) => one >= 0.005))
  return table([`$ in ${DAYS_OF_MONTH} such days`, ...days.keys()], rows.map(([name, ...dollars]) => [name, ...dollars.map((one) => number(one, 2))]))
}

const CAUSE_NAMES = { sync: 'agents: syncs, doorbells', log: 'agents: logs', people: 'people and scripts', alarm: 'alarms' } as const
const COUNTED_NAMES = { worker_requests: 'Worker requests', object_requests: 'Object requests', rows_written: 'Rows written', rows_read: 'Rows read' } as const

/** Who causes what. */
export function causesTable(days: FiguresOfDays): string {
  const rows = COUNTED.flatMap((counted) => CAUSES.filter((cause) => [...days.values()].some((figures) => figures[counted][cause] > 0)).map((cause) => [`${COUNTED_NAMES[counted]}, ${CAUSE_NAMES[cause]}`, ...[...days.values()].map((figures) => number(figures[counted][cause]))]))
  const idle = ['GB-s if the idle 10 s were billed', ...[...days.values()].map(({ duration }) => number(duration.gb_s_if_idle_counted))]
  const perBuild = (['worker_requests', 'rows_written'] as const).map((counted) => [`${COUNTED_NAMES[counted]} a build`, ...[...days.values()].map((figures) => (figures.builds === 0 ? '–' : number(total(figures, counted) / figures.builds, 1)))])
  return table(['of it', ...days.keys()], [...rows, idle, ['Builds', ...[...days.values()].map(({ builds }) => number(builds))], ...perBuild])
}

export function daysList(): string {
  return DAYS.map(({ name, says }) => `- \`${name}\`: ${says[0]?.toLowerCase()}${says.slice(1)}.`).join('\n')
}

/** All of it, as it stands in the documentation. */
export function markdown(days: FiguresOfDays): string {
  return [daysList(), plansTable(days), 'Beyond what the paid plan includes:', monthTable(days), 'Where it comes from:', causesTable(days)].join('\n\n')
}
