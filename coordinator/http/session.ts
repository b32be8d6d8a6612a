/**
 * Signing a person in and out of the pages. A sign-in link works once, so opening it only shows a button: chat programs
 * and virus scanners open every link they see, and a GET that used it up would lock out the person it was made for.
 */
import { getCookie, setCookie } from 'hono/cookie'
import { Hono } from 'hono'
import type { Principal } from '../objects/scheduler-api.ts'
import { signInPage } from '../pages/sign-in.tsx'
import { newToken, sha256Hex, tokenTag } from '../trust/tokens.ts'
import { clearSession, principalOf, requireOwnOrigin, SESSION_SECONDS, sessionOf, setSession } from './auth.ts'
import { ownOrigin, scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { readForm } from './input.ts'
import { problem, ProblemError, valueOf } from './problem.ts'

/** Where the person wanted to go before being asked to sign in. */
const NEXT_COOKIE = 'kedge_next'
export const LOGIN_LINK_SECONDS = 10 * 60

export const sessionRoutes = new Hono<HttpEnvironment>()

sessionRoutes.get('/sign-in', (c) => {
  const token = c.req.query('token') ?? null
  if (token !== null && tokenTag(token) !== 'lgn') return signIn(c, { message: 'This is not a sign-in link. Paste the token below instead.', status: 400 })
  return signIn(c, { message: null, token })
})

sessionRoutes.post('/sign-in', async (c) => {
  requireOwnOrigin(c, { browserOnly: false })
  const token = (await readForm(c)).get('token')?.trim() ?? ''
  if (token === '') return signIn(c, { message: 'Paste an admin or API token.', status: 422 })
  let principal: Principal
  try {
    principal = await signInPrincipal(c, token)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    return signIn(c, { message: error.problem.detail, status: 401 })
  }
  const session = newToken('web')
  valueOf(await scheduler(c.env).storeToken({ kind: 'session', name: principal.name, scope: principal.scope, life_s: SESSION_SECONDS, parent: principal.root }, sha256Hex(session)))
  setSession(c, session)
  return c.redirect(takeNext(c), 303)
})

sessionRoutes.post('/sign-out', async (c) => {
  requireOwnOrigin(c, { browserOnly: true })
  const principal = await sessionOf(c)
  if (principal) valueOf(await scheduler(c.env).revokeToken(principal.tokenId))
  clearSession(c)
  return c.redirect('/sign-in', 303)
})

/** The sign-in page in place of a page that needs one; afterwards the person comes back to it. */
export function askToSignIn(c: HttpContext, { message }: { readonly message: string | null }): Response | Promise<Response> {
  const url = new URL(c.req.url)
  setCookie(c, NEXT_COOKIE, url.pathname + url.search, { httpOnly: true, sameSite: 'Lax', path: '/', maxAge: 600 })
  return signIn(c, { message, status: 401 })
}

async function signInPrincipal(c: HttpContext, token: string): Promise<Principal> {
  if (tokenTag(token) !== 'lgn') return principalOf(c, token)
  const principal = await scheduler(c.env).identify(sha256Hex(token), 'login')
  if (!principal) throw problem(401, { code: 'token-invalid', detail: 'This sign-in link was used already or is older than 10 minutes. Make another with "kedge login", or paste a token.' })
  return principal
}

function signIn(c: HttpContext, { message, token = null, status = 200 }: { readonly message: string | null; readonly token?: string | null; readonly status?: 200 | 400 | 401 | 422 }): Response | Promise<Response> {
  c.header('cache-control', 'no-store')
  return c.html(signInPage({ nonce: c.get('nonce'), message, token }), status)
}

/** The remembered page, or the first one; never another site. */
function takeNext(c: HttpContext): string {
  const next = getCookie(c, NEXT_COOKIE) ?? '/'
  setCookie(c, NEXT_COOKIE, '', { path: '/', maxAge: 0 })
  const url = URL.parse(next, ownOrigin(c))
  // "//elsewhere" and "/.//elsewhere" begin with a slash too, so the parsed URL is what counts.
  return url?.origin === ownOrigin(c) && !url.pathname.startsWith('//') ? url.pathname + url.search : '/'
}
