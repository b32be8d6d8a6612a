/**
 * Asks the real Worker, with its real Durable Objects, as a script would; only in tests of the `workers` project.
 * Each test file has its own storage, but the tests in it share it: use a slug of your own.
 */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import worker from '../../coordinator/worker.ts'
import type { Environment } from '../../coordinator/environment.ts'

export const ORIGIN = 'https://kedge.test'
/** As `vitest.config.mts` sets it. */
export const ADMIN_TOKEN = 'kdg_adm_for-tests-only-0123456789abcdef'

export interface Question {
  readonly method?: string
  /** Null: none. Absent: the admin token. */
  readonly token?: string | null
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly body?: BodyInit
  readonly headers?: Readonly<Record<string, string>>
  /** Bindings that differ from the configured ones. */
  readonly bindings?: Partial<Record<keyof Environment, unknown>>
}

export async function ask(path: string, { method, token = ADMIN_TOKEN, json, body, headers, bindings }: Question = {}): Promise<Response> {
  const sent = json === undefined ? body : JSON.stringify(json)
  const request = new Request(ORIGIN + path, {
    method: method ?? (sent === undefined ? 'GET' : 'POST'),
    redirect: 'manual',
    headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(sent === undefined ? {} : { body: sent }),
  })
  const context = createExecutionContext()
  const response = await worker.fetch(request, { ...(env as unknown as Environment), ...bindings } as Environment, context) // `env` is declared by nobody; wrangler.toml holds what Environment says
  await waitOnExecutionContext(context)
  return response
}

/** The JSON of a response. Tests say what they expect of it, so its type is theirs to name. */
export async function json<T = Record<string, unknown>>(response: Response): Promise<T> {
  return (await response.json()) as T
}
