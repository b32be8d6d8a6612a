/**
 * What came back from one call about a log. Only a JSON body of ours is an answer; a proxy's page, a redirect, a 5xx or
 * half a body is `none`, and `none` never makes the agent drop anything [C2.1].
 */
import type { z } from 'zod'
import { PROTOCOL_HEADER, refusalBody, type RefusalBody } from '../../schema/refusal.ts'
import type { Clock, Network } from '../platform.ts'

export type LogAnswer<T> =
  | { readonly kind: 'reply'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: RefusalBody['error']; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'none'; readonly why: string; readonly retryAfterMs: number | undefined }

export interface LogCall<T> {
  readonly network: Network
  readonly clock: Clock
  readonly url: string
  readonly method: 'PUT' | 'POST'
  readonly token: string
  readonly body: Uint8Array | string
  readonly reply: z.ZodType<T>
  /** For all of it, to the last byte of the reply: one that trickles in ends here too [D30]. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** An honest reply has a hundred bytes. */
const REPLY_BYTES = 64 * 1024

/** Asks once; never throws and never retries. */
export async function askOnce<T>(call: LogCall<T>): Promise<LogAnswer<T>> {
  const ending = new AbortController()
  const giveUp = (): void => ending.abort()
  const takeBack = call.clock.after(call.timeoutMs, giveUp)
  call.signal.addEventListener('abort', giveUp, { once: true })
  if (call.signal.aborted) giveUp()
  const ended = new Promise<never>((_, reject) => {
    const end = (): void => reject(new Error(call.signal.aborted ? 'the agent stops' : `no whole answer within ${Math.round(call.timeoutMs / 1000)} s`))
    if (ending.signal.aborted) end()
    else ending.signal.addEventListener('abort', end, { once: true })
  })
  try {
    return await Promise.race([ask(call, ending.signal), ended]) // raced: a network that ignores the signal must not hold the log
  } catch (error) {
    return { kind: 'none', why: reasonOf(error), retryAfterMs: undefined }
  } finally {
    takeBack()
    call.signal.removeEventListener('abort', giveUp)
  }
}

async function ask<T>({ network, clock, url, method, token, body, reply }: LogCall<T>, signal: AbortSignal): Promise<LogAnswer<T>> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream' }
  const response = await network.fetch(url, { method, headers, body, signal })
  const retryAfterMs = readRetryAfter(response.headers, clock)
  const none = (why: string): LogAnswer<T> => ({ kind: 'none', why, retryAfterMs })
  if (!response.headers.has(PROTOCOL_HEADER) || !/^application\/json\b/i.test(response.headers.get('content-type') ?? '') || response.status >= 500) {
    await response.body?.cancel()
    return none(`not an answer of a coordinator (${response.status}, ${response.headers.get('content-type') ?? 'no content type'})`)
  }
  const json = parseJson(await readText(response))
  if (response.ok) {
    const parsed = reply.safeParse(json)
    return parsed.success ? { kind: 'reply', value: parsed.data } : none('a reply that this agent cannot read')
  }
  const refusal = refusalBody.safeParse(json)
  return refusal.success ? { kind: 'refused', error: refusal.data.error, retryAfterMs } : none(`not an answer of a coordinator (${response.status})`)
}

async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader() // a body of fetch yields bytes
  for (;;) {
    const piece = await reader?.read()
    if (piece === undefined || piece.done) return new TextDecoder().decode(Buffer.concat(pieces))
    bytes += piece.value.byteLength
    if (bytes > REPLY_BYTES) {
      await reader?.cancel()
      throw new Error("an answer too large to be a coordinator's")
    }
    pieces.push(piece.value)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // half a body; no schema takes it
  }
}

/** Seconds, or a date, which is compared with the same server's own `date` where it gives one [D27]. */
function readRetryAfter(headers: Headers, clock: Clock): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (!text) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const until = Date.parse(text)
  const sent = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(until) ? undefined : Math.max(0, until - (Number.isNaN(sent) ? clock.wall() : sent))
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}
