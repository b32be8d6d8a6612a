/**
 * Who calls, and may they: people and scripts by bearer token, browsers by session cookie. Agents prove themselves in
 * `agent-credentials.ts`; their tokens open nothing here, and ours nothing there.
 *
 * A cookie is sent by the browser whoever asked for the request, so a cookie alone never changes anything: whatever is
 * not a GET must also come from our own pages. Loopback is no exception, or any website could start commands.
 */
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { createMiddleware } from 'hono/factory'
import type { Scope } from '../../schema/api.ts'
import type { Principal } from '../objects/scheduler-api.ts'
import { adminIdOf, sameText, sha256Hex, TOKEN_NAMES, tokenTag } from '../trust/tokens.ts'
import { ownOrigin, scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { problem, type ProblemError } from './problem.ts'

const SESSION_COOKIE = 'kedge_session'
export const SESSION_SECONDS = 30 * 24 * 3600

const RANK: Readonly<Record<Scope, number>> = { read: 0, build: 1, admin: 2 }

/** Lets the request pass when its caller holds this scope or a higher one, and sets `principal`. */
export function may(scope: Scope) {
  return createMiddleware<HttpEnvironment>(async (c, next) => {
    const principal = await authenticate(c)
    if (!(RANK[principal.scope] >= RANK[scope])) throw notAllowed(principal, scope) // so written that an unknown scope opens nothing
    c.set('principal', principal)
    await next()
  })
}

/** The principal of a token that a person typed or sent; the problem says which kind was expected and which was given. */
export async function principalOf(c: HttpContext, token: string): Promise<Principal> {
  // An admin token may have any form: it is whatever the secret was set to.
  if (c.env.KEDGE_ADMIN_TOKEN && sameText(token, c.env.KEDGE_ADMIN_TOKEN)) return adminPrincipal(token)
  const tag = tokenTag(token)
  // Only what has the form of an API token costs the Scheduler a question.
  if (tag === 'api' && /^kdg_api_[\w-]{43}$/.test(token)) {
    const principal = await scheduler(c.env).identify(sha256Hex(token), 'api')
    if (principal) return principal
    throw notSignedIn('This API token is unknown, has expired or was revoked. An admin makes a new one with "kedge token create".', { invalid: true })
  }
  if (tag === 'adm') throw notSignedIn("This is an admin token, but not this coordinator's: it must equal the secret KEDGE_ADMIN_TOKEN (\"kedge dev\" prints it).", { invalid: true })
  if (tag !== null && tag !== 'api') throw notSignedIn(`This takes an admin or API token; the one presented is ${article(TOKEN_NAMES[tag])}.`, { invalid: true })
  throw notSignedIn('This takes an admin token or an API token (kdg_api_ and 43 characters); what was presented is neither.', { invalid: true })
}

function adminPrincipal(token: string): Principal {
  const id = adminIdOf(token)
  return { tokenId: id, root: id, name: 'admin token', scope: 'admin' }
}

/** Refuses a request that another site's page made a browser send. */
export function requireOwnOrigin(c: HttpContext, { browserOnly }: { readonly browserOnly: boolean }): void {
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  if (origin !== undefined ? isOwn(c, origin) : site !== undefined ? site === 'same-origin' : !browserOnly) return
  throw problem(403, {
    code: 'origin-foreign',
    detail: `Signed in by cookie, a change is only taken from this coordinator's own pages; this request came from ${origin ?? 'an unnamed origin'}. Scripts use "Authorization: Bearer TOKEN" instead.`,
  })
}

/** Gives the browser its session; only the SHA-256 of `token` is known to the Scheduler. */
export function setSession(c: HttpContext, token: string): void {
  setCookie(c, SESSION_COOKIE, token, { httpOnly: true, sameSite: 'Lax', path: '/', maxAge: SESSION_SECONDS, secure: ownOrigin(c).startsWith('https:') })
}

export function clearSession(c: HttpContext): void {
  deleteCookie(c, SESSION_COOKIE, { path: '/' })
}

/** The principal of the session cookie, or null when there is none or it ended. */
export async function sessionOf(c: HttpContext): Promise<Principal | null> {
  const token = getCookie(c, SESSION_COOKIE)
  return token !== undefined && /^kdg_web_[\w-]{43}$/.test(token) ? scheduler(c.env).identify(sha256Hex(token), 'session') : null
}

async function authenticate(c: HttpContext): Promise<Principal> {
  const header = c.req.header('authorization')
  if (header !== undefined) {
    const token = /^bearer +(\S+) *$/i.exec(header)?.[1]
    if (token === undefined) throw notSignedIn('The Authorization header must be "Bearer TOKEN".', { invalid: true })
    return principalOf(c, token)
  }
  const principal = await sessionOf(c)
  if (principal) {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') requireOwnOrigin(c, { browserOnly: true })
    return principal
  }
  if (getCookie(c, SESSION_COOKIE) !== undefined) throw notSignedIn('This session has ended. Sign in again at /sign-in.', { invalid: true })
  throw notSignedIn('This needs an admin or API token: send "Authorization: Bearer TOKEN", or sign in at /sign-in.', { invalid: false })
}

function isOwn(c: HttpContext, origin: string): boolean {
  // Over https the same host is ours even where a proxy ends TLS and does not say so.
  return origin === ownOrigin(c) || origin === ownOrigin(c).replace(/^http:/, 'https:')
}

function notSignedIn(detail: string, { invalid }: { readonly invalid: boolean }): ProblemError {
  const challenge = `Bearer realm="kedge"${invalid ? ', error="invalid_token"' : ''}`
  return problem(401, { code: invalid ? 'token-invalid' : 'token-missing', detail, headers: { 'www-authenticate': challenge } })
}

function notAllowed(principal: Principal, scope: Scope): ProblemError {
  return problem(403, {
    code: 'scope-insufficient',
    detail: `"${principal.name}" has the scope "${principal.scope}"; this needs "${scope}". An admin makes such a token with "kedge token create --scope ${scope}".`,
    headers: { 'www-authenticate': `Bearer realm="kedge", error="insufficient_scope", scope="${scope}"` },
  })
}

function article(noun: string): string {
  return `${/^[aeio]/i.test(noun) ? 'an' : 'a'} ${noun}`
}
