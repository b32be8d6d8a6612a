/**
 * What travels per attempt, outside of sync: log bytes and the seal. Stored bytes are always a prefix of the file that
 * the agent spooled [I16]; every reply says how many are stored, and the client goes on from there.
 */
import { z } from 'zod'

/** The largest body of one log PUT, in plain bytes. */
export const LOG_PUT_BYTES = 1024 * 1024
/** A log longer than this is cut by the agent: its head, a marker, its last `LOG_TAIL_BYTES`. */
export const LOG_LIMIT_BYTES = 1024 * 1024 * 1024
export const LOG_TAIL_BYTES = 16 * 1024 * 1024

const count = z.number().int().nonnegative()

/** Reply to `PUT /v1/attempts/{id}/log?offset=N[&epoch=2]`. */
export const logReply = z.object({
  /** Plain bytes stored; the next PUT starts here. */
  size: count,
  /** Somebody watches: send within 100 ms of the first unsent byte. */
  watched: z.boolean(),
})
export type LogReply = z.infer<typeof logReply>

/** `POST /v1/attempts/{id}/log/seal[?epoch=2]`. */
export const sealRequest = z.object({ bytes: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) })
export type SealRequest = z.infer<typeof sealRequest>

export const sealReply = z.object({ size: count, sealed: z.literal(true) })
export type SealReply = z.infer<typeof sealReply>
