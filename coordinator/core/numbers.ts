/**
 * Every time that scheduling uses, in milliseconds, and the inequalities that tie them together [C7]. Changing one
 * number alone is how such a system breaks, so `numbers` refuses a set that does not hold together.
 *
 * `scale` divides all of them, so that hours of silence fit into the minutes of a test; it is never set in production.
 */
export interface Numbers {
  /** What all of them are divided by; 1 in production. */
  readonly scale: number
  /** HB: sync period while an attempt is held. */
  readonly heartbeatMs: number
  /** L: from the last sync that named the attempt. */
  readonly leaseMs: number
  /** F: last-seen is stored when the attempt's own stored value is older than this. */
  readonly flushMs: number
  /** GAP: "I heard nobody for this long". */
  readonly gapMs: number
  /** GRACE: extra wait after a gap. */
  readonly graceMs: number
  /** Per sync call, at the agent. */
  readonly syncTimeoutMs: number
  /** Longest wait of an agent that holds an attempt or a result. */
  readonly retryCapMs: number
  /** A generous round trip. */
  readonly roundTripMs: number
  /** `on_partition: stop`: the agent begins to kill this long after the send of its last acknowledged sync. */
  readonly selfFenceMs: number
  /** From SIGTERM to giving up: 10 s, then 5 s. */
  readonly killMs: number
  /** Idle pace: the fleet polls once in this time. */
  readonly idleStepMs: number
  readonly idleCapMs: number
  readonly doorbellStepMs: number
  readonly doorbellFloorMs: number
  readonly doorbellCapMs: number
  /** Fast acknowledgement, redelivery and hearing gate. */
  readonly soonMs: number
  /** Hearing gate: an agent that does not hear does not see this pace either, so it may be short [C4.10]. */
  readonly provenMs: number
  /** How old the newest reply that an agent proves to have heard may be; also three times its last pace. */
  readonly hearingMs: number
  /** Without any job for so long, an idle pace doubles. */
  readonly quietMs: number
  /** The hard end of an attempt, after its own time limit: for agents that do not keep time. */
  readonly hardLimitMs: number
  /** More than `flapBoots` starts within `flapMs` hold an agent back. */
  readonly flapMs: number
  /** A holder that is silent for so long may be succeeded by a process that stands by: longer than any pace [C1.8]. */
  readonly silentMs: number
  readonly heldBackMs: number
  readonly heldBackCapMs: number
  /** An agent that was seen within this time counts as an alternative when one is to be avoided. */
  readonly alternativeMs: number
  readonly offlineMs: number
  /** How often to send log bytes that nobody watches. */
  readonly logMs: number
  readonly ringAgainMs: number
  readonly dedupMs: number
}

/** Lost attempts that end a job as `errored` [C5.2]. */
export const LOST_CAP = 3
/** Starts within `flapMs` that are still normal [C1.6]. */
export const FLAP_BOOTS = 3
/** Failures of the machine, not of the build, in a row, that hold an agent back [C15.3]. */
export const FAILURE_CAP = 3
/** Deadlines handled by one alarm. */
export const DUE_PER_ALARM = 200

const SECOND = 1000

const STANDARD: Omit<Numbers, 'scale'> = {
  heartbeatMs: 15 * SECOND,
  leaseMs: 120 * SECOND,
  flushMs: 20 * SECOND,
  gapMs: 50 * SECOND,
  graceMs: 45 * SECOND,
  syncTimeoutMs: 10 * SECOND,
  retryCapMs: 15 * SECOND,
  roundTripMs: 2 * SECOND,
  selfFenceMs: 85 * SECOND,
  killMs: 15 * SECOND,
  idleStepMs: 2 * SECOND,
  idleCapMs: 30 * SECOND,
  doorbellStepMs: 15 * SECOND,
  doorbellFloorMs: 60 * SECOND,
  doorbellCapMs: 300 * SECOND,
  soonMs: 2 * SECOND,
  provenMs: 50,
  hearingMs: 60 * SECOND,
  quietMs: 600 * SECOND,
  hardLimitMs: 600 * SECOND,
  flapMs: 120 * SECOND,
  silentMs: 360 * SECOND,
  heldBackMs: 10 * SECOND,
  heldBackCapMs: 600 * SECOND,
  alternativeMs: 60 * SECOND,
  offlineMs: 90 * SECOND,
  logMs: 5 * SECOND,
  ringAgainMs: SECOND,
  dedupMs: 24 * 3600 * SECOND,
}

/** The inequalities of [C7] that this set breaks, each as a sentence; none when it holds together. */
export function brokenInequalities(n: Numbers): readonly string[] {
  const rules: readonly (readonly [string, boolean])[] = [
    ['GAP must be at least F + 2·HB', n.gapMs >= n.flushMs + 2 * n.heartbeatMs],
    ['GRACE must be shorter than GAP', n.graceMs < n.gapMs],
    ['GRACE must be at least retry cap + 2·timeout + 2·RTT', n.graceMs >= n.retryCapMs + 2 * n.syncTimeoutMs + 2 * n.roundTripMs],
    ['L must be at least GAP + HB + F + retry cap + timeout', n.leaseMs >= n.gapMs + n.heartbeatMs + n.flushMs + n.retryCapMs + n.syncTimeoutMs],
    ['SILENT must be at least the longest pace + GAP', n.silentMs >= Math.max(n.doorbellCapMs, n.idleCapMs) + n.gapMs],
    ['self-fence + kill must be at most L − F', n.selfFenceMs + n.killMs <= n.leaseMs - n.flushMs],
  ]
  return rules.filter(([, holds]) => !holds).map(([rule]) => rule)
}

/** The numbers divided by `scale`. Throws when the result breaks an inequality or the scale is not a positive number. */
export function numbers(scale = 1, change: Partial<Omit<Numbers, 'scale'>> = {}): Numbers {
  if (!(scale > 0 && Number.isFinite(scale))) throw new Error(`KEDGE_TIME_SCALE must be a positive number, not ${scale}`)
  const all = { ...STANDARD, ...change }
  const scaled = { ...Object.fromEntries(Object.entries(all).map(([name, ms]) => [name, ms / scale])), scale } as unknown as Numbers // the same names
  const broken = brokenInequalities(scaled)
  if (broken.length > 0) throw new Error(`the times of the protocol do not hold together: ${broken.join('; ')}`)
  return scaled
}
