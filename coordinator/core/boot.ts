/**
 * Which process of an agent is talking [C1.5]. The boot number is a fsynced counter, not a random id: with a random one,
 * a delayed packet of an older process would look like a new start and take the live build away.
 */
import type { AgentRow } from './decision.ts'
import { FLAP_BOOTS, type Numbers } from './numbers.ts'

export type Boot =
  | { readonly kind: 'same' }
  | { readonly kind: 'new'; readonly set: Partial<AgentRow> }
  /** A message of an older process: nothing may change by it [I12]. */
  | { readonly kind: 'stale'; readonly current: number }
  /** Two processes with one number: a cloned disk image. */
  | { readonly kind: 'conflict'; readonly current: number }

/** Reads boot number and id of a sync against the stored ones. `now` is the object's clock, in ms. */
export function recogniseBoot(agent: AgentRow, sync: { readonly boot_seq: number; readonly boot_id: string }, now: number, numbers: Numbers): Boot {
  if (sync.boot_seq < agent.bootSeq) return { kind: 'stale', current: agent.bootSeq }
  if (sync.boot_seq === agent.bootSeq) return sync.boot_id === agent.bootId ? { kind: 'same' } : { kind: 'conflict', current: agent.bootSeq }
  const boots = [...agent.boots.filter((at) => at > now - numbers.flapMs), now].slice(-FLAP_BOOTS - 2)
  const flaps = boots.length > FLAP_BOOTS
  return { kind: 'new', set: { bootSeq: sync.boot_seq, bootId: sync.boot_id, boots, ...(flaps ? holdBack(agent, now, numbers) : {}) } }
}

/** What is known of the process that holds an identity, when another one stands by and asks. */
export interface Holder {
  /** When it was last heard, as stored: it may have been heard since. */
  readonly storedAt: number | null
  /** When it was last heard since the object woke, which is certain. */
  readonly heardAt: number | null
  /** It has live attempts: their leases decide before anything else. */
  readonly holdsAttempts: boolean
}

/**
 * Whether a process that stands by may take over [C1.8]. Memory does not outlive the object's sleep, so the beginning of
 * a silence is stored, and the holder's next sync takes it away. Beside a holder that is alive nothing is stored while
 * what is known of it is young, so such a pair costs a few rows each `silentMs`, and none while the object is awake.
 */
export function standBy(agent: AgentRow, holder: Holder, now: number, numbers: Numbers): { readonly takeOver: boolean; readonly set: Pick<AgentRow, 'rivalAt'> | null } {
  const silentSince = agent.rivalAt ?? holder.heardAt
  if (silentSince !== null) return { takeOver: now - silentSince >= numbers.silentMs && !holder.holdsAttempts, set: null }
  const wasHeardLately = holder.storedAt !== null && now - holder.storedAt < numbers.silentMs
  return { takeOver: false, set: wasHeardLately ? null : { rivalAt: now } }
}

/** Keeps an agent from work for a while, twice as long each time in a row, up to the cap. */
export function holdBack(agent: AgentRow, now: number, numbers: Numbers): Pick<AgentRow, 'heldBackUntil' | 'heldBackFor'> {
  // A long good stretch since the last time forgives: the doubling starts anew.
  const recent = agent.heldBackUntil !== null && now - agent.heldBackUntil < numbers.heldBackCapMs
  const ms = recent && agent.heldBackFor !== null ? Math.min(agent.heldBackFor * 2, numbers.heldBackCapMs) : numbers.heldBackMs
  return { heldBackUntil: now + ms, heldBackFor: ms }
}
