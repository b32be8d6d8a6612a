/**
 * Every time that is compiled into the agent, in milliseconds. What the coordinator says in a reply (pace, heartbeat,
 * self-fence) always wins over these; they rule only while nobody answers.
 *
 * `scale` divides all of them, so that a test lives through hours of outage in seconds; it is never set in production.
 */
export interface AgentTimes {
  /** One sync, register or spec call, with its body [C7]. */
  readonly callTimeoutMs: number
  readonly retryBaseMs: number
  /** Longest wait between tries while an attempt or a result is held; GRACE of the coordinator counts on it [C7]. */
  readonly retryHoldingCapMs: number
  readonly retryIdleCapMs: number
  /** Between tries after a refusal that only a person can mend: revoked, unknown, protocol too old [C2.1]. */
  readonly refusedMs: number
  /** Between syncs in standby, ± 20 % [C1.5]. */
  readonly standbyMs: number
  readonly retryAfterFloorMs: number
  readonly retryAfterCapMs: number
  /** Bounds on what a reply may set as pace: a zero must not spin, a huge number must not lose the agent. */
  readonly paceFloorMs: number
  readonly paceCapMs: number
  readonly heartbeatMs: number
  readonly logMs: number
  /** One PUT of a log or its seal, with its body and its reply: a megabyte may be slow [D29]. */
  readonly logCallTimeoutMs: number
  readonly selfFenceMs: number
  readonly pingMs: number
  readonly pongMs: number
  readonly doorbellCapMs: number
  /** One more sync may be caused by rings each time this passes; `RING_BURST` at once. */
  readonly ringRefillMs: number
  /** After the last build of a draining agent, for its results to be delivered [C14]. */
  readonly deliverMs: number
  /** Self-fence: SIGTERM to SIGKILL, whatever the job asked for [C7]. */
  readonly killGraceMs: number
  /** Third stop: how long the kill may take before the process goes. */
  readonly lastKillMs: number
  readonly healthMs: number
  /** How often the same waiting sentence is shown again. */
  readonly sayAgainMs: number
  /** Watch for a suspended machine and for the self-fence. */
  readonly watchMs: number
  /** At most one sync per this time is started only because a fresh session token was gained [C4.10]. */
  readonly hearAgainMs: number
}

/** Syncs that rings may cause at once [C9]. */
export const RING_BURST = 10

const SECOND = 1000
const STANDARD: AgentTimes = {
  callTimeoutMs: 10 * SECOND,
  retryBaseMs: SECOND,
  retryHoldingCapMs: 15 * SECOND,
  retryIdleCapMs: 30 * SECOND,
  refusedMs: 300 * SECOND,
  standbyMs: 60 * SECOND,
  retryAfterFloorMs: SECOND,
  retryAfterCapMs: 600 * SECOND,
  paceFloorMs: SECOND / 10,
  paceCapMs: 600 * SECOND,
  heartbeatMs: 15 * SECOND,
  logMs: 5 * SECOND,
  logCallTimeoutMs: 30 * SECOND,
  selfFenceMs: 85 * SECOND,
  pingMs: 30 * SECOND,
  pongMs: 10 * SECOND,
  doorbellCapMs: 64 * SECOND,
  ringRefillMs: SECOND / 2,
  deliverMs: 60 * SECOND,
  killGraceMs: 10 * SECOND,
  lastKillMs: 2 * SECOND,
  healthMs: 10 * SECOND,
  sayAgainMs: 30 * SECOND,
  watchMs: SECOND,
  hearAgainMs: 60 * SECOND,
}

/** The times divided by `scale`. Throws unless the scale is a positive number. */
export function agentTimes(scale = 1): AgentTimes {
  if (!(scale > 0 && Number.isFinite(scale))) throw new Error(`KEDGE_TIME_SCALE must be a positive number, not ${scale}`)
  return Object.fromEntries(Object.entries(STANDARD).map(([name, ms]) => [name, ms / scale])) as unknown as AgentTimes // same keys
}
