/**
 * Resident memory over time, of workerd, of the real agents, and of this process. A process that has just started is
 * still growing into its work, so the young ones do not count.
 */
import { median } from '../bench/row.ts'
import type { Coordinator } from './coordinator.ts'
import type { RealAgent } from './real-agents.ts'

const EVERY_MS = 5000
const YOUNG_S = 15

export interface Sample {
  /** Since the first agent joined. */
  readonly seconds: number
  readonly workerd: number | null
  /** The median of the real agents. */
  readonly agent: number | null
  readonly own: number
}

export function watchMemory(coordinator: Coordinator, real: readonly RealAgent[]): { readonly samples: readonly Sample[]; stop(): void } {
  const samples: Sample[] = []
  const since = performance.now()
  const timer = setInterval(() => {
    const workerd = coordinator.memory()
    const agents = real.flatMap((agent) => agent.memory() ?? []).filter(({ seconds }) => seconds >= YOUNG_S)
    samples.push({
      seconds: (performance.now() - since) / 1000,
      workerd: workerd !== null && workerd.seconds >= YOUNG_S ? workerd.mib : null,
      agent: agents.length === 0 ? null : median(agents.map(({ mib }) => mib)),
      own: process.memoryUsage.rss() / 1024 ** 2,
    })
  }, EVERY_MS)
  return { samples, stop: () => clearInterval(timer) }
}

/** The median of the first third of the time, and of the last; null when one of them has nothing. */
export function thirds(samples: readonly Sample[], of: 'workerd' | 'agent' | 'own'): { readonly first: number; readonly last: number; readonly most: number } | null {
  const end = samples.at(-1)?.seconds ?? 0
  const within = (from: number, until: number) => samples.flatMap((sample) => (sample.seconds >= from && sample.seconds <= until && sample[of] !== null ? [sample[of]] : []))
  const [first, last] = [within(0, end / 3), within((2 * end) / 3, end)]
  return first.length === 0 || last.length === 0 ? null : { first: median(first), last: median(last), most: Math.max(...within(0, end)) }
}
