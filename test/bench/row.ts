/** What a bar comes to, and the few sums that all of them need. A figure without its floor from the same run says nothing. */
export interface Row {
  readonly name: string
  /** What was measured, with its unit. */
  readonly figure: string
  /** Against the floor of the same run, or empty. */
  readonly ratio: string
  readonly bar: string
  /** Null: not measured, or told beside a bar. */
  readonly holds: boolean | null
}

export interface Bar {
  readonly name: string
  run(): Promise<readonly Row[]>
}

/** The value that `share` of all are not above. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)
export const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`
export const percent = (value: number): string => `${(100 * value).toFixed(0)} %`

export async function timed(act: () => unknown): Promise<number> {
  const since = performance.now()
  await act()
  return performance.now() - since
}

/** Does `act` for 0 … count-1, so many at a time. */
export async function abreast(count: number, width: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await act(next++)
    }),
  )
}
