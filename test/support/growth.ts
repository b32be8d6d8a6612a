/**
 * Whether work grows as its input does: the processor's time of this thread, which what else the machine does leaves
 * alone, for an input and for one that is eight times as long. It is a ratio of both, so that no machine is too slow for it;
 * what is quadratic takes 64 times as long.
 */

const TIMES = 8
/** So long is the smaller one repeated, since a single run of it is too short to be measured. */
const ENOUGH_MS = 4
const TRIES = 2

/** Between eight, for what is linear, and this, there is room for caches and compilers. */
export const LINEAR = 3 * TIMES

/** `work` of inputs that `input` makes of a size. */
export function growthOf<T>(work: (input: T) => unknown, input: (size: number) => T, size: number): number {
  const [small, large] = [input(size), input(size * TIMES)]
  repeatedly(work, small) // until it is compiled
  const ratios = Array.from({ length: TRIES }, () => once(work, large) / repeatedly(work, small))
  return Math.min(...ratios)
}

/** Milliseconds of one run. */
function repeatedly<T>(work: (input: T) => unknown, input: T): number {
  let [runs, ms] = [0, 0]
  while (ms < ENOUGH_MS) [runs, ms] = [runs + 1, ms + once(work, input)]
  return ms / runs
}

function once<T>(work: (input: T) => unknown, input: T): number {
  const before = process.threadCpuUsage()
  work(input)
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
