/**
 * The coordinator's REST API as commands use it: a reply that is the coordinator's, or a `Failure` that says why there is
 * none. Nothing waits for ever: a server that takes the connection and says nothing is given up too.
 */
import { randomUUID } from 'node:crypto'
import { parseJson } from '../../schema/parse-json.ts'
import { notACoordinator, refused, sentElsewhere, unreachable } from './no-reply.ts'
import { EXIT, Failure } from './output.ts'
import type { Reply } from './replies.ts'

export interface Access {
  /** Without a slash at its end. */
  readonly url: string
  readonly token: string | null
  /** A server that takes connections and says nothing is given up after this. */
  readonly answerMs?: number
}

export interface Client {
  readonly url: string
  get<T>(path: string, reply: Reply<T>): Promise<T>
  post<T>(path: string, reply: Reply<T>, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<T>
  delete<T>(path: string, reply: Reply<T>): Promise<T>
  /** As it is, for streams; refusals are thrown all the same. */
  open(path: string, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Response>
}

/** How often a request that must happen once is repeated while the network fails; its Idempotency-Key makes that safe. */
const TRIES = 5
/** No honest answer takes longer to begin. */
const ANSWER_MS = 15_000

export function createClient({ url, token, answerMs = ANSWER_MS }: Access): Client {
  const base = url.replace(/\/+$/, '')
  const ask = async (method: string, path: string, init: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {}): Promise<Response> => {
    const silence = new AbortController()
    const timer = setTimeout(() => silence.abort(new Error(`no answer came within ${answerMs / 1000} s`)), answerMs)
    const request: RequestInit = {
      method,
      redirect: 'manual',
      headers: { accept: 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(init.body === undefined ? {} : { 'content-type': 'application/json' }), ...init.headers },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      signal: init.signal ? AbortSignal.any([init.signal, silence.signal]) : silence.signal,
    }
    let response: Response
    try {
      response = await fetch(base + path, request)
    } catch (error) {
      throw unreachable(base, error)
    } finally {
      clearTimeout(timer) // a stream that began may last
    }
    if (response.status >= 300 && response.status < 400) throw sentElsewhere(base, response)
    if (!response.ok) throw refused(base, { response, text: await readWhole(base, response, answerMs), token })
    return response
  }
  const json = async <T>(response: Response, reply: Reply<T>): Promise<T> => {
    const text = await readWhole(base, response, answerMs)
    const value = parseJson(text)
    if (reply.is(value)) return value
    throw notACoordinator(base, response, text)
  }
  return {
    url: base,
    get: async (path, reply) => json(await ask('GET', path), reply),
    post: async (path, reply, body, headers) => json(await ask('POST', path, { body: body ?? {}, ...(headers ? { headers } : {}) }), reply),
    delete: async (path, reply) => json(await ask('DELETE', path), reply),
    open: (path, headers, signal) => ask('GET', path, { headers, ...(signal ? { signal } : {}) }),
  }
}

interface Posting {
  readonly body: unknown
  readonly pause: (ms: number) => Promise<void>
}

/** Posts what must happen once: repeated with the same key while the network fails. */
export async function postOnce<T>(client: Client, path: string, reply: Reply<T>, { body, pause }: Posting): Promise<T> {
  const key = randomUUID()
  return untilAnswered(() => client.post(path, reply, body, { 'idempotency-key': key }), pause)
}

/** Asks again while the network fails; only what may happen twice. The waits between double, from 0.4 s. */
export async function untilAnswered<T>(ask: () => Promise<T>, pause: Posting['pause'], tries = TRIES): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof Failure) || error.exitCode !== EXIT.unreachable || attempt >= tries) throw error
      await pause(200 * 2 ** attempt)
    }
  }
}

/** The text of a body, which must come to its end in time. */
async function readWhole(base: string, response: Response, mostMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`its answer did not end within ${mostMs / 1000} s`)), mostMs)
  })
  try {
    return await Promise.race([response.text(), late])
  } catch (error) {
    throw unreachable(base, error)
  } finally {
    clearTimeout(timer)
  }
}
