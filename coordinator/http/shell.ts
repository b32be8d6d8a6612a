/**
 * What every request passes through, whatever it asks for: a coordinator that has its secrets, headers that a browser
 * obeys, and one place where errors become answers. Routes are mounted onto it by `worker.ts`.
 */
import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { PROTOCOL_HEADER } from '../../schema/refusal.ts'
import { VERSION } from '../../schema/version.ts'
import type { Environment } from '../environment.ts'
import { STORAGE_NOT_READY } from '../objects/scheduler-api.ts'
import { document, ProblemPage } from '../pages/layout.tsx'
import type { HttpContext, HttpEnvironment } from './context.ts'
import { problem, ProblemError, problemResponse } from './problem.ts'
import { askToSignIn } from './session.ts'
import { answerUnmatched } from './unmatched.ts'

const ADMIN_TOKEN_CHARACTERS = 16
const SIGNING_KEY_CHARACTERS = 32

/** An app that knows `/healthz` and how to fail; everything else is mounted onto it. */
export function createShell(): Hono<HttpEnvironment> {
  const app = new Hono<HttpEnvironment>()
  app.use(securityHeaders)
  app.get('/healthz', (c) => c.json({ ok: true, version: VERSION }))
  app.use(requireSecrets)
  app.notFound((c) => answerUnmatched(app, c))
  app.onError(answerError)
  return app
}

/**
 * The Content-Security-Policy lets nothing run or style but what carries this response's nonce. The referrer policy is
 * not `no-referrer`: under that, browsers send `Origin: null` with our own forms, and the check of Origin would refuse them.
 */
const securityHeaders = createMiddleware<HttpEnvironment>(async (c, next) => {
  const nonce = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
  c.set('nonce', nonce)
  await next()
  // A WebSocket's 101 cannot be copied, and needs none of this; nor does an answer to an agent, which is no browser.
  if (c.res.status === 101 || (c.res.status < 500 && c.res.headers.has(PROTOCOL_HEADER))) return
  // What came from a Durable Object or R2 has immutable headers, hence the copy.
  const response = new Response(c.res.body, c.res)
  const headers = response.headers
  headers.set('x-content-type-options', 'nosniff')
  headers.set('referrer-policy', 'same-origin')
  headers.set('cross-origin-opener-policy', 'same-origin')
  headers.set('cross-origin-resource-policy', 'same-origin')
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`
  if (!headers.has('content-security-policy')) headers.set('content-security-policy', policy) // what jobs uploaded has a stricter one
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store')
  // A failure of ours is "no answer" to an agent, whoever marked it on its way out [C2.1].
  if (response.status >= 500) headers.delete(PROTOCOL_HEADER)
  c.res = undefined
  c.res = response
})

/** A coordinator that anybody could command is worse than none. */
const requireSecrets = createMiddleware<HttpEnvironment>(async (c, next) => {
  const missing = missingSecrets(c.env)
  if (missing.length === 0) return next()
  throw problem(503, {
    code: 'secrets-missing',
    detail: `This coordinator does not serve before its secrets are set. Run: ${missing.map(({ name, characters }) => `npx wrangler secret put ${name} (at least ${characters} random characters)`).join('; ')}. "openssl rand -base64 32" prints some.`,
  })
})

function missingSecrets(env: Environment): readonly { readonly name: string; readonly characters: number }[] {
  return [
    { name: 'KEDGE_ADMIN_TOKEN', value: env.KEDGE_ADMIN_TOKEN, characters: ADMIN_TOKEN_CHARACTERS },
    { name: 'KEDGE_SIGNING_KEY', value: env.KEDGE_SIGNING_KEY, characters: SIGNING_KEY_CHARACTERS },
  ].filter(({ value, characters }) => (value ?? '').length < characters)
}

/** The one place where an error becomes an answer. None carries the protocol header, so to an agent all of it is "no answer" [C2.1]. */
function answerError(error: Error, c: HttpContext): Response | Promise<Response> {
  if (!(error instanceof ProblemError)) return answerProblem(unexpected(error, c), c)
  const isWithoutSession = error.problem.status === 401 && c.req.method === 'GET' && isForPerson(c)
  return isWithoutSession ? askToSignIn(c, { message: error.problem.code === 'token-missing' ? null : error.problem.detail }) : answerProblem(error, c)
}

function unexpected(error: Error, c: HttpContext): ProblemError {
  if (error.message.startsWith(STORAGE_NOT_READY)) return problem(503, { code: 'storage-not-ready', detail: error.message.slice(STORAGE_NOT_READY.length), headers: { 'retry-after': '60' } })
  // The path only: a query can hold a sign-in token.
  console.error(`${c.req.method} ${c.req.path} failed: ${error.stack ?? error.message}`)
  // As the platform marks a Durable Object that has more than it can take.
  if ('overloaded' in error && error.overloaded === true) {
    return problem(503, { code: 'overloaded', detail: 'The coordinator has more requests than it can take. Try again in some seconds.', headers: { 'retry-after': '5' } })
  }
  return problem(500, { code: 'internal', detail: 'Something went wrong inside the coordinator; its log holds the cause. Trying again is safe where the request was a GET or carried an Idempotency-Key.' })
}

function answerProblem(error: ProblemError, c: HttpContext): Response | Promise<Response> {
  const { title, detail, status } = error.problem
  if (!isForPerson(c) || error.problem.code === 'secrets-missing') return problemResponse(error)
  const frame = { nonce: c.get('nonce'), principal: c.get('principal') ?? null, now: Date.now() }
  return c.html(document(ProblemPage({ frame, title, detail })), status as ContentfulStatusCode, error.headers) // every problem has a body
}

/** Whether a browser asks for a page, rather than a script for the API. */
function isForPerson(c: HttpContext): boolean {
  return !/^\/(?:api|v1)\//.test(c.req.path) && c.req.header('authorization') === undefined && (c.req.header('accept') ?? '').includes('text/html')
}
