/**
 * The coordinator's REST API as commands use it. Tells apart what a person can act on: not reachable (4), not allowed
 * (5), refused with a reason (2), and an address where something else answers.
 */
import { randomUUID } from 'node:crypto'
import type { Problem } from '../../schema/api.ts'
import { EXIT, Failure } from './output.ts'

export interface Access {
  /** Without a slash at its end. */
  readonly url: string
  readonly token: string | null
}

export interface Client {
  readonly url: string
  get<T>(path: string): Promise<T>
  post<T>(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<T>
  delete<T>(path: string): Promise<T>
  /** As it is, for streams; refusals are thrown all the same. */
  open(path: string, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Response>
}

/** How often a request that must happen once is repeated while the network fails; its Idempotency-Key makes that safe. */
const TRIES = 5

export function createClient({ url, token }: Access): Client {
  const base = url.replace(/\/+$/, '')
  const ask = async (method: string, path: string, init: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {}): Promise<Response> => {
    const request: RequestInit = {
      method,
      redirect: 'manual',
      headers: { accept: 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(init.body === undefined ? {} : { 'content-type': 'application/json' }), ...init.headers },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      ...(init.signal ? { signal: init.signal } : {}),
    }
    let response: Response
    try {
      response = await fetch(base + path, request)
    } catch (error) {
      throw unreachable(base, error)
    }
    if (response.status >= 300 && response.status < 400) throw new Failure(EXIT.unreachable, `${base} sends elsewhere (${response.headers.get('location') ?? 'a redirect'}): is this the coordinator's own address, and is no login page of a network in between?`)
    if (!response.ok) throw await refused(base, response, token)
    return response
  }
  const json = async <T>(response: Response): Promise<T> => {
    const text = await response.text()
    try {
      return JSON.parse(text) as T // the coordinator's own views
    } catch {
      throw new Failure(EXIT.unreachable, `what answers at ${base} is not a coordinator of Kedge: it sent ${describe(response, text)} where JSON was expected. Check --url.`)
    }
  }
  return {
    url: base,
    get: async (path) => json(await ask('GET', path)),
    post: async (path, body, headers) => json(await ask('POST', path, { body: body ?? {}, ...(headers ? { headers } : {}) })),
    delete: async (path) => json(await ask('DELETE', path)),
    open: (path, headers, signal) => ask('GET', path, { headers, ...(signal ? { signal } : {}) }),
  }
}

/** Posts what must happen once: repeated with the same key while the network fails. */
export async function postOnce<T>(client: Client, path: string, body: unknown, pause: (ms: number) => Promise<void>): Promise<T> {
  const key = randomUUID()
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.post<T>(path, body, { 'idempotency-key': key })
    } catch (error) {
      if (!(error instanceof Failure) || error.exitCode !== EXIT.unreachable || attempt === TRIES) throw error
      await pause(200 * 2 ** attempt)
    }
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ECONNRESET: 'the connection was cut',
  ETIMEDOUT: 'no answer came',
  UND_ERR_CONNECT_TIMEOUT: 'no answer came',
  EHOSTUNREACH: 'there is no way to that host',
}

function unreachable(base: string, error: unknown): Failure {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const why = CAUSES[code] ?? schemeTrouble(base, code, cause) ?? (cause instanceof Error ? cause.message : String(cause))
  const advice = code === 'ECONNREFUSED' ? ' Start it with: npx kedge dev' : ''
  return new Failure(EXIT.unreachable, `cannot reach the coordinator at ${base}: ${why}.${advice}`)
}

/** Told apart, because the way out differs: trust a certificate, or write another scheme. */
function schemeTrouble(base: string, code: string, cause: unknown): string | null {
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) return `its TLS certificate is not trusted (${code}); NODE_EXTRA_CA_CERTS names a file with the certificate of your own authority`
  if (/SSL|EPROTO/.test(code)) return `it does not speak TLS. Try ${base.replace('https:', 'http:')}`
  if (code.startsWith('HPE_') || (cause instanceof Error && cause.name === 'HTTPParserError')) return `it does not speak HTTP. Try ${base.replace('http:', 'https:')}`
  return null
}

async function refused(base: string, response: Response, token: string | null): Promise<Failure> {
  const text = await response.text()
  let problem: Partial<Problem> = {}
  try {
    problem = JSON.parse(text) as Partial<Problem>
  } catch {
    // Not ours: told below.
  }
  if (typeof problem.detail !== 'string') return new Failure(EXIT.unreachable, `what answers at ${base} is not a coordinator of Kedge, or it is in trouble: it sent ${describe(response, text)}. Check --url.`)
  const fields = (problem.errors ?? []).map(({ path, message }) => `\n  ${path}: ${message}`).join('')
  const isAboutTokens = response.status === 401 || response.status === 403
  const advice = response.status === 401 && token === null ? ' Give one with KEDGE_TOKEN or --token-file.' : ''
  return new Failure(isAboutTokens ? EXIT.notAllowed : response.status >= 500 ? EXIT.unreachable : EXIT.usage, `${problem.detail}${advice}${fields}`)
}

function describe(response: Response, text: string): string {
  const type = (response.headers.get('content-type') ?? 'no content type').split(';')[0]
  return text.trim() === '' ? `an empty answer (status ${response.status})` : `${type} (status ${response.status})`
}
