/** What fits into one sync: the parts of the message that are decided by size and by change, not by what is held. */
import { createHash } from 'node:crypto'
import type { Offer, SyncRequest } from '../../schema/sync.ts'
import type { SpooledResult } from '../spool/results.ts'

/** Results that one body names at most, and of those left out, how many it names as `spooled`: never fewer than an agent can have slots. */
export const RESULTS_PER_SYNC = 256

/** The message with as many results as fit, oldest first; those left out are named, so that they are not redelivered [C4.8]. */
export function withResults(base: SyncRequest, pending: readonly SpooledResult[], limitBytes: number): SyncRequest {
  if (pending.length === 0) return base
  const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value)) + 1
  const spooledBytes = bytes(pending.slice(-RESULTS_PER_SYNC).map((result) => result.attempt))
  let room = limitBytes - bytes(base) - spooledBytes
  const finished: SyncRequest['finished'] = []
  for (const result of pending.slice(0, RESULTS_PER_SYNC)) {
    const entry = { attempt: result.attempt, digest: result.digest, result: result.text, commit: result.result.commit }
    room -= bytes(entry)
    if (room < 0 && finished.length > 0) break // the first always travels: it may not block all others
    finished.push(entry)
  }
  // Only live attempts matter here, there are no more of them than slots, and they are the newest.
  return { ...base, finished, spooled: pending.slice(finished.length).slice(-RESULTS_PER_SYNC).map((result) => result.attempt) }
}

/** A number that changes iff the offer changes, also across starts. */
export function revisionOf(offer: Offer): number {
  return createHash('sha256').update(JSON.stringify(offer)).digest().readUIntBE(0, 6)
}
