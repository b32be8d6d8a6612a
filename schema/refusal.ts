/**
 * Refusals that mean something to an agent. Only a JSON body of this shape under the header `x-kedge-protocol` is an
 * answer; everything else (HTML, redirects, 5xx, an empty body) is "no answer" and makes an agent keep what it has and
 * try again [C2.1]. People get `application/problem+json` instead (`schema/api.ts`).
 */
import { z } from 'zod'

export const PROTOCOL = { min: 1, max: 1 } as const
/** Its value is the coordinator's highest protocol number. Without it no body is authoritative. */
export const PROTOCOL_HEADER = 'x-kedge-protocol'

export const REFUSALS = {
  bad_request: { status: 400, retry: false },
  token_invalid: { status: 401, retry: false },
  session_expired: { status: 401, retry: true },
  agent_unknown: { status: 401, retry: true },
  agent_revoked: { status: 403, retry: true },
  agent_id_taken: { status: 409, retry: false },
  session_superseded: { status: 409, retry: true },
  identity_conflict: { status: 409, retry: true },
  result_conflict: { status: 409, retry: false },
  attempt_superseded: { status: 410, retry: false },
  attempt_final: { status: 410, retry: false },
  log_sealed: { status: 409, retry: false },
  log_gap: { status: 416, retry: true },
  log_mismatch: { status: 422, retry: true },
  payload_too_large: { status: 413, retry: false },
  proto_unsupported: { status: 426, retry: true },
  slow_down: { status: 429, retry: true },
} as const satisfies Record<string, { status: number; retry: boolean }>
export type RefusalCode = keyof typeof REFUSALS

export const refusalBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    retry: z.boolean(),
    /** `session_superseded`, `identity_conflict`: the highest boot number that the coordinator knows. */
    current: z.number().int().nonnegative().optional(),
    /** To an agent that stands by: the holder of its identity is silent, and it may go on as boot `current + 1` [C1.8]. */
    take_over: z.boolean().optional(),
    /** `log_gap`, `log_sealed`: the bytes stored so far; continue there. */
    size: z.number().int().nonnegative().optional(),
    /** `proto_unsupported`: the range that the coordinator speaks. */
    proto: z.object({ min: z.number().int(), max: z.number().int() }).optional(),
  }),
})
export type RefusalBody = z.infer<typeof refusalBody>
