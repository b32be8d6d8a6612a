/**
 * Carries messages to others, outside every transaction: an answer comes back as an event of its own. Whatever it meets is
 * a reason in words: to try again later, or to give up, because the other side will not change its mind.
 */
import type { ForgesAnswer } from '../../schema/forges.ts'
import { VERSION } from '../../schema/version.ts'
import type { Told } from '../core/notify.ts'
import type { Delivery } from './deliveries.ts'
import { messageOf, type Message } from './message.ts'

export interface CourierParts {
  readonly forges: ForgesAnswer
  /** Those that are due, which are under way from then on. */
  readonly due: () => readonly Delivery[]
  readonly told: (delivery: Delivery, outcome: Told) => void
  /** Keeps the object awake meanwhile. */
  readonly during: (promise: Promise<void>) => void
  /** As the platform has it. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
}

const TIMEOUT_MS = 10_000
/** Of an answer that refuses, to find its reason in. */
const ANSWER_BYTES = 4096
const REASON_CHARACTERS = 200

export class Courier {
  readonly #parts: CourierParts

  constructor(parts: CourierParts) {
    this.#parts = parts
  }

  /** Sends what is due, and returns at once: what an outcome leads to may be the next to send, and so on. */
  go(): void {
    for (const delivery of this.#parts.due()) this.#parts.during(Promise.resolve(delivery).then((one) => this.#carry(one)))
  }

  async #carry(delivery: Delivery): Promise<void> {
    const { forges, told } = this.#parts
    let outcome: Told
    try {
      const made = messageOf(delivery, forges)
      outcome = made.ok ? await this.#send(made.message) : { kind: 'refused', why: made.why }
    } catch (error) {
      outcome = { kind: 'refused', why: `no message could be made: ${error instanceof Error ? error.message : String(error)}` }
    }
    told(delivery, outcome)
  }

  async #send(message: Message): Promise<Told> {
    const { url, headers, body, whom } = message
    let response: Response
    try {
      response = await this.#parts.fetch(url, {
        method: 'POST',
        redirect: 'manual',
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { ...headers, 'content-type': 'application/json', 'user-agent': `kedge/${VERSION}` },
        body: JSON.stringify(body),
      })
    } catch (error) {
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      return { kind: 'again', why: isLate ? `${whom} did not answer within ${TIMEOUT_MS / 1000} s` : `${whom} cannot be reached`, afterMs: null }
    }
    const text = response.ok ? '' : await beginningOf(response)
    if (response.ok) void response.body?.cancel().catch(() => undefined)
    return judge(response, text, message)
  }
}

/** What an answer means. Only what may change by itself is tried again. */
export function judge({ status, headers }: Pick<Response, 'status' | 'headers'>, text: string, { whom, secret, api }: Pick<Message, 'whom' | 'secret' | 'api'>): Told {
  if (status >= 200 && status < 300) return { kind: 'told' }
  if (api?.isThere?.(status, text) === true) return { kind: 'told' }
  const said = api === null ? '' : reasonIn(text, secret)
  const why = `${whom} answered ${status}${said === '' ? '' : ` (${said})`}`
  const afterMs = askedToWait(headers)
  // GitHub limits its callers with 403 as well.
  const isBusy = status === 429 || status === 408 || status >= 500 || (status === 403 && (afterMs !== null || headers.get('x-ratelimit-remaining') === '0'))
  if (isBusy) return { kind: 'again', why, afterMs }
  if (status >= 300 && status < 400) return { kind: 'refused', why: `${why}: it wants to be asked elsewhere, which is not followed; give the address where it answers itself` }
  if (api !== null && (status === 401 || status === 403 || status === 404)) return { kind: 'refused', why: `${why}: its token in KEDGE_FORGES must be valid for this repository, ${api.scope}` }
  return { kind: 'refused', why }
}

/** Milliseconds; a date is not read, and then our own pace holds. */
function askedToWait(headers: Headers): number | null {
  const seconds = headers.get('retry-after')
  return seconds !== null && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : null
}

/** What a forge says in its JSON, without what must not be repeated. */
function reasonIn(text: string, secret: string | null): string {
  const found = /"(?:message|error)"\s*:\s*(?:\{[^{}]*?"message"\s*:\s*)?"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? ''
  const safe = secret === null ? found : found.replaceAll(secret, '…')
  return safe.replace(/[\u0000-\u001f\u007f-\u009f]|\\./g, ' ').slice(0, REASON_CHARACTERS).trim()
}

async function beginningOf(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  const decoder = new TextDecoder()
  let text = ''
  try {
    while (text.length < ANSWER_BYTES) {
      const { done, value } = await reader.read()
      if (done) break
      text += decoder.decode(value as Uint8Array, { stream: true })
    }
  } catch {
    // Its status has said enough.
  }
  void reader.cancel().catch(() => undefined)
  return text.slice(0, ANSWER_BYTES)
}
