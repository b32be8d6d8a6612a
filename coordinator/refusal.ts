/**
 * Authoritative refusals to agents: the only answers that may make an agent drop anything [C2.1]. They carry the
 * protocol header and a code of ours; everything else that goes wrong must not look like one.
 */
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS, type RefusalBody, type RefusalCode } from '../schema/refusal.ts'

/** The headers that make a reply ours. */
export const PROTOCOL_HEADERS: Readonly<Record<string, string>> = { [PROTOCOL_HEADER]: String(PROTOCOL.max), 'cache-control': 'no-store' }

type Extra = Omit<RefusalBody['error'], 'code' | 'message' | 'retry'>

/** `status` differs from the code's own only for people and proxies on the way: agents go by the code. */
export function refusal(code: RefusalCode, message: string, extra: Extra = {}, { status = REFUSALS[code].status }: { readonly status?: number } = {}): Response {
  const { retry } = REFUSALS[code]
  const body: RefusalBody = { error: { code, message, retry, ...extra } }
  return Response.json(body, { status, headers: PROTOCOL_HEADERS })
}
