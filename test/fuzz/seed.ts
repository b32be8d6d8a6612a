/**
 * How often a property is tried, and with what chance: the same each time, so that a check does not fail for one commit
 * and pass for the next. `KEDGE_FUZZ_SEED=4711` tries others, `KEDGE_FUZZ_TIMES=20` more of them; what fails says its seed.
 */
const SEED = whole('KEDGE_FUZZ_SEED', 20_270_115)
export const TIMES = whole('KEDGE_FUZZ_TIMES', 1)

/** For the Workers runtime, which has an environment of its own. */
export const FUZZING = { KEDGE_FUZZ_SEED: String(SEED), KEDGE_FUZZ_TIMES: String(TIMES) } as const

/** Options for `fc.assert`. */
export function runs(count: number): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: count * TIMES, seed: SEED }
}

function whole(name: string, otherwise: number): number {
  const text = process.env[name]
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name} must be a whole number from 1 on, such as ${name}=4711; not "${text}"`)
  return Number(text)
}
