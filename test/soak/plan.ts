/**
 * How large a soak is, and how hard: everything that its size decides, in one place. Figures from plans that differ cannot
 * be compared; the plan is therefore part of the report.
 */
export interface Plan {
  readonly minutes: number
  /** Protocol-true agents, in this process. */
  readonly agents: number
  /** Agents as processes. */
  readonly real: number
  /** Builds of one job each that stand in the deep queue before the first agent joins. */
  readonly jobs: number
  readonly seed: number
  /** Only what may never happen decides: on a busy machine times say nothing. */
  readonly isQuick: boolean
  /** How long a job of the deep queue lasts, in seconds; half of them less than a quarter of the way. */
  readonly lasts: readonly [number, number]
  /** Of the short queue, which real agents serve: each job costs them a shell and a few fsyncs. */
  readonly shortLasts: readonly [number, number]
  /** One in so many jobs prints something: a log is an object of its own at the coordinator. */
  readonly printsOneIn: number
  /** From the first to the last that joins. */
  readonly joinMs: number
  readonly harm: HarmPlan
}

/** Between one harm and the next, in milliseconds. */
export interface HarmPlan {
  readonly agentMs: readonly [number, number]
  readonly realMs: readonly [number, number]
  readonly coordinatorMs: readonly [number, number]
  /** Longest that one is away; now and then an agent is away for longer than its leases last. */
  readonly awayMs: number
  readonly isLongAway: boolean
  /** Null: throughout. */
  readonly atMost: number | null
}

export interface Asked {
  readonly minutes: number | null
  readonly agents: number | null
  readonly real: number | null
  readonly jobs: number | null
  readonly seed: number
  readonly isQuick: boolean
}

export function planOf({ minutes, agents, real, jobs, seed, isQuick }: Asked): Plan {
  const crowd = agents ?? (isQuick ? 60 : 1000)
  return {
    minutes: minutes ?? (isQuick ? 10 : 30),
    agents: crowd,
    real: real ?? (isQuick ? 2 : 20),
    jobs: jobs ?? (isQuick ? 600 : 100_000),
    seed,
    isQuick,
    lasts: isQuick ? [0.1, 2] : [1, 60],
    shortLasts: isQuick ? [0, 1] : [0, 15],
    printsOneIn: isQuick ? 10 : 20,
    joinMs: isQuick ? 1000 : 30 * crowd,
    harm: isQuick
      ? { agentMs: [2000, 3000], realMs: [3000, 4000], coordinatorMs: [5000, 6000], awayMs: 1000, isLongAway: false, atMost: 1 }
      : { agentMs: [1000, 4000], realMs: [10_000, 20_000], coordinatorMs: [45_000, 120_000], awayMs: 20_000, isLongAway: true, atMost: null },
  }
}

/** Real agents and one protocol-true agent in so many serve the short queue. */
export const SHORT_ONE_IN = 40
/** Every so many protocol-true agents one has two slots, and one has a doorbell. */
export const TWO_SLOTS_ONE_IN = 5
export const DOORBELL_ONE_IN = 4
/** How many jobs may wait in the short queue. */
export const SHORT_WAITING = 3
