/**
 * What Cloudflare's plans include and what more costs, in US dollars without tax. Read on 25 November 2026 at the pages
 * that `docs/cost.md` links; the figures change there without notice.
 */
import { total, type Figures } from './figures.ts'

export interface Meterable {
  readonly name: string
  /** Of one day; of `stored`, what a month of such days leaves there. */
  readonly of: (figures: Figures) => number
  /** What the free plan allows: a day, a month, or at all. */
  readonly free: number
  readonly per: 'day' | 'month' | 'stored'
  /** What the paid plan includes in a month. */
  readonly included: number
  /** Beyond that, for each `unit`. */
  readonly dollars: number
  readonly unit: number
  readonly decimals?: number
}

export const DAYS_OF_MONTH = 30
/** Of the paid plan, a month. */
export const SUBSCRIPTION_DOLLARS = 5

const MILLION = 1_000_000
const gbOfMonth = (kbADay: number) => (kbADay * DAYS_OF_MONTH) / MILLION

export const METERED: readonly Meterable[] = [
  { name: 'Worker requests', of: (figures) => total(figures, 'worker_requests'), free: 100_000, per: 'day', included: 10 * MILLION, dollars: 0.3, unit: MILLION },
  { name: 'Object requests', of: (figures) => total(figures, 'object_requests'), free: 100_000, per: 'day', included: MILLION, dollars: 0.15, unit: MILLION },
  { name: 'Object duration, GB-s', of: ({ duration }) => duration.gb_s, free: 13_000, per: 'day', included: 400_000, dollars: 12.5, unit: MILLION },
  { name: 'Rows written', of: (figures) => total(figures, 'rows_written'), free: 100_000, per: 'day', included: 50 * MILLION, dollars: 1, unit: MILLION },
  { name: 'Rows read', of: (figures) => total(figures, 'rows_read'), free: 5 * MILLION, per: 'day', included: 25_000 * MILLION, dollars: 0.001, unit: MILLION },
  { name: 'SQLite stored after 30 days, GB', of: ({ sqlite }) => gbOfMonth(sqlite.kb_stored), free: 5, per: 'stored', included: 5, dollars: 0.2, unit: 1, decimals: 2 },
  { name: 'R2 class A', of: ({ r2 }) => r2.class_a, free: MILLION, per: 'month', included: MILLION, dollars: 4.5, unit: MILLION },
  { name: 'R2 class B', of: ({ r2 }) => r2.class_b, free: 10 * MILLION, per: 'month', included: 10 * MILLION, dollars: 0.36, unit: MILLION },
  { name: 'R2 stored after 30 days, GB', of: ({ r2 }) => gbOfMonth(r2.kb_stored), free: 10, per: 'stored', included: 10, dollars: 0.015, unit: 1, decimals: 2 },
]

/** Of what the free plan allows; above 1 it does not do. */
export function shareOfFree({ of, free, per }: Meterable, figures: Figures): number {
  return (of(figures) * (per === 'month' ? DAYS_OF_MONTH : 1)) / free
}

/** On the paid plan, for a month of such days, beyond what it includes. */
export function dollarsAMonth({ of, per, included, dollars, unit }: Meterable, figures: Figures): number {
  const used = of(figures) * (per === 'stored' ? 1 : DAYS_OF_MONTH)
  return (Math.max(0, used - included) / unit) * dollars
}
