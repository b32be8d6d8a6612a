/**
 * Authoritative refusals to agents: the only answers that may make an agent drop anything [C2.1]. They carry the
 * protocol header and a code of ours; everything else that goes wrong must not look like one.
 */
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS, type RefusalBody, type RefusalCode } from '../schema/refusal.ts'

/** The headers that make a reply ours. */
export const PROTOCOL_HEADERS: Readonly<Record<string, string>> = { [PROTOCOL_HEADER]: String(PROTOCOL.max), 'cache-control': 'no-store' }

/** A refusal as it is decided: a value, of which whoever answers makes a response. */
export interface Refusal {
  readonly ok: false
  readonly code: RefusalCode
  readonly message: string
  readonly extra?: Omit<RefusalBody['error'], 'code' | 'message' | 'retry'>
  /** Differs from the code's own only for people and proxies on the way: agents go by the code. */
  readonly status?: number
}

export function refusal({ code, message, extra = {}, status = REFUSALS[code].status }: Refusal): Response {
  const { retry } = REFUSALS[code]
  const body: RefusalBody = { error: { code, message, retry, ...extra } }
  return Response.json(body, { status, headers: PROTOCOL_HEADERS })
}
