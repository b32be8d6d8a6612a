/**
 * One question to the coordinator, be it a sync or a piece of a log, and the three things that can come back: its reply,
 * its refusal, or no answer. The border before the last is what an agent's safety hangs on: a proxy's 401, a captive
 * portal's 200, a redirect, a 5xx or half a body is *no answer*, and no answer never makes the agent drop anything [C2.1].
 */
import type { z } from 'zod'
import { parseJson } from '../schema/parse-json.ts'
import { PROTOCOL_HEADER, refusalBody, type RefusalBody } from '../schema/refusal.ts'
import type { Answered, Clock, Network } from './platform.ts'
import { whyUnreachable } from './unreachable.ts'

export type Answer<T> =
  | { readonly kind: 'reply'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: RefusalBody['error']; readonly retryAfterMs: number | null }
  /** `why` completes "cannot reach URL (…)" or stands alone when `elsewhere`: something answered, but not a coordinator. */
  | { readonly kind: 'none'; readonly why: string; readonly elsewhere: boolean; readonly retryAfterMs: number | null }

export interface Question<T> {
  readonly network: Network
  readonly clock: Clock
  readonly url: string
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Sent as `Authorization: Bearer`. */
  readonly credential: string
  /** Text is JSON. */
  readonly body?: string | Uint8Array
  readonly reply: z.ZodType<T>
  /** For everything, the last byte of the body included: a reply of one byte a second also ends here. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** No honest reply is larger: 256 slots of 32 KiB specs, doubled. */
const REPLY_BYTES = 16 * 1024 * 1024

const GIVEN_UP = 'the call was given up'

/** Whether a header can carry it. What cannot came damaged, and is no token: a call with it would never be sent at all. */
export function isSendable(credential: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(credential)
}

/** Asks once. Never throws, never retries. */
export async function ask<T>(question: Question<T>): Promise<Answer<T>> {
  if (!isSendable(question.credential)) return { kind: 'refused', error: { code: 'token_invalid', message: 'the token came damaged', retry: false }, retryAfterMs: null }
  const ending = new AbortController()
  let timedOut = false
  const takeBack = question.clock.after(question.timeoutMs, () => {
    timedOut = true
    ending.abort()
  })
  const forward = () => ending.abort()
  question.signal?.addEventListener('abort', forward, { once: true })
  try {
    if (question.signal?.aborted) throw new Error(GIVEN_UP)
    // Raced, so that a network which ignores the signal cannot hold the loop either.
    return await Promise.race([read(question, ending.signal), aborted(ending.signal)])
  } catch (error) {
    return { kind: 'none', why: timedOut ? `no whole answer within ${Math.max(1, Math.round(question.timeoutMs / 1000))} s` : whyUnreachable(error), elsewhere: false, retryAfterMs: null }
  } finally {
    takeBack()
    question.signal?.removeEventListener('abort', forward)
  }
}

async function read<T>(question: Question<T>, signal: AbortSignal): Promise<Answer<T>> {
  const headers: Record<string, string> = { authorization: `Bearer ${question.credential}`, accept: 'application/json' }
  if (question.body !== undefined) headers['content-type'] = typeof question.body === 'string' ? 'application/json' : 'application/octet-stream'
  const response = await question.network.fetch(question.url, { method: question.method, headers, signal, ...(question.body === undefined ? {} : { body: question.body }) })
  const retryAfterMs = readRetryAfter(response.headers)
  const foreign = whoElse(question.url, response)
  if (foreign !== null) {
    await response.body?.cancel() // of any length, and nothing to us
    return { kind: 'none', ...foreign, retryAfterMs }
  }
  const json = parseJson(await readText(response))
  const none = (why: string): Answer<T> => ({ kind: 'none', why, elsewhere: false, retryAfterMs })
  if (response.ok) {
    const reply = question.reply.safeParse(json)
    return reply.success ? { kind: 'reply', value: reply.data } : none(`a reply that this agent cannot read: ${reply.error.issues[0]?.path.join('.') ?? ''} ${reply.error.issues[0]?.message ?? ''}`)
  }
  const refusal = refusalBody.safeParse(json)
  return refusal.success ? { kind: 'refused', error: refusal.data.error, retryAfterMs } : none(`an answer that is not the coordinator's (${response.status})`)
}

/** Null when the head of the answer says that it is the coordinator's; else who it may be. */
function whoElse(url: string, { status, headers }: Answered): { readonly why: string; readonly elsewhere: boolean } | null {
  if (status >= 300 && status < 400) {
    return { why: `${url} redirects to ${headers.get('location') ?? 'somewhere else'}: not a coordinator. Is the URL right (https, no path), or does a sign-in page stand in between?`, elsewhere: true }
  }
  if (status >= 500) return { why: `the server answers ${status}`, elsewhere: false }
  const contentType = headers.get('content-type') ?? 'nothing'
  if (/html/i.test(contentType)) return { why: `something else than a coordinator answers at ${url} (${status}, a web page). Is the URL right, or does a proxy or sign-in page stand in between?`, elsewhere: true }
  if (!/^application\/json\b/i.test(contentType)) return { why: `an answer that is not the coordinator's (${status}, ${contentType})`, elsewhere: false }
  return headers.has(PROTOCOL_HEADER) ? null : { why: `an answer that is not the coordinator's (${status}, without the header ${PROTOCOL_HEADER})`, elsewhere: false }
}

/**
 * What a reply's `Retry-After` asks for, in milliseconds; null when it asks for nothing that can be understood. The date
 * form is read against the same reply's `Date`: two clocks are never compared [C16.1].
 */
export function readRetryAfter(headers: Pick<Headers, 'get'>): number | null {
  const text = headers.get('retry-after')?.trim()
  if (!text) return null
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000
  const until = Date.parse(text)
  const sent = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(until) || Number.isNaN(sent) ? null : Math.max(0, until - sent)
}

async function readText(response: Answered): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.byteLength
    if (size > REPLY_BYTES) throw new Error('the answer is too large to be a coordinator\'s')
    chunks.push(chunk)
  }
  return new TextDecoder().decode(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(new Error(GIVEN_UP))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
