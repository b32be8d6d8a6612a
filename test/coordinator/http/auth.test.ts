import { describe, expect, it } from 'vitest'
import type { Problem, TokenView } from '../../../schema/api.ts'
import { ADMIN_TOKEN, ask, json, ORIGIN } from '../../support/ask.ts'

type NewToken = TokenView & { readonly token: string }

async function apiToken(scope: 'read' | 'build' | 'admin', name = `a ${scope} token`): Promise<NewToken> {
  const response = await ask('/api/v1/tokens', { json: { kind: 'api', name, scope } })
  expect(response.status).toBe(201)
  return json<NewToken>(response)
}

function form(fields: Record<string, string>, headers: Record<string, string> = {}) {
  return { method: 'POST', token: null, body: new URLSearchParams(fields).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } }
}

/** Signs in with a token; gives back the whole Set-Cookie and the pair that the browser sends. */
async function signIn(token: string, headers: Record<string, string> = {}) {
  const response = await ask('/sign-in', form({ token }, { origin: ORIGIN, ...headers }))
  const cookie = response.headers.getSetCookie().find((line) => line.startsWith('kedge_session=')) ?? ''
  return { response, cookie, pair: cookie.split(';')[0] ?? '' }
}

describe('bearer tokens', () => {
  it('without one, the API answers 401, says what it takes and challenges', async () => {
    const response = await ask('/api/v1/projects', { token: null })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="kedge"')
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await json<Problem>(response)).toMatchObject({ status: 401, code: 'token-missing', detail: expect.stringMatching(/admin or API token.*Bearer TOKEN/) })
  })

  it('the admin token opens everything, whatever the case of "Bearer"', async () => {
    expect((await ask('/api/v1/tokens')).status).toBe(200)
    expect((await ask('/api/v1/tokens', { token: null, headers: { authorization: `bearer ${ADMIN_TOKEN}` } })).status).toBe(200)
  })

  it.each([
    ['kdg_reg_for-tests-only-0123456789abcdef', 'a registration token'],
    [`kdg_att_${'A'.repeat(43)}.x`, "an attempt's token"],
    [`kdg_web_${'A'.repeat(43)}`, 'a page session'],
    [`kdg_sec_${'A'.repeat(43)}`, "an agent's secret"],
  ])('%s is refused by the name of its kind', async (token, kind) => {
    const response = await ask('/api/v1/projects', { token })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('invalid_token')
    expect((await json<Problem>(response)).detail).toContain(kind)
  })

  it.each(['kdg_api_short', `kdg_api_${'A'.repeat(43)}`, 'ghp_whatever', 'kdg_adm_another'])('%s is refused', async (token) => {
    const response = await ask('/api/v1/projects', { token })
    expect(response.status).toBe(401)
    expect((await json<Problem>(response)).code).toBe('token-invalid')
  })

  it.each(['Basic YTpi', 'Bearer', 'Bearer a b', ADMIN_TOKEN])('the header "%s" is refused with its right form', async (authorization) => {
    const response = await ask('/api/v1/projects', { token: null, headers: { authorization } })
    expect(response.status).toBe(401)
    expect((await json<Problem>(response)).detail).toContain('Bearer TOKEN')
  })

  it('a scope opens what is at or below it, and the refusal names the scope that is needed', async () => {
    const read = await apiToken('read', 'eyes')
    const build = await apiToken('build')
    const admin = await apiToken('admin')
    expect((await ask('/api/v1/agents', { token: read.token })).status).toBe(200)
    expect((await ask('/api/v1/tokens', { token: build.token })).status).toBe(403)
    expect((await ask('/api/v1/tokens', { token: admin.token })).status).toBe(200)

    const response = await ask('/api/v1/projects/any/builds', { token: read.token, json: {} })
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toContain('error="insufficient_scope", scope="build"')
    expect((await json<Problem>(response)).detail).toMatch(/"eyes" has the scope "read"; this needs "build"/)
  })

  it('a token is shown once and ends when it is revoked', async () => {
    const made = await apiToken('read', 'to be revoked')
    expect(made.token).toMatch(/^kdg_api_[\w-]{43}$/)
    const listed = await (await ask('/api/v1/tokens')).text()
    expect(listed).toContain('to be revoked')
    expect(listed).not.toContain(made.token)
    expect((await ask(`/api/v1/tokens/${made.id}`, { method: 'DELETE' })).status).toBe(200)
    expect((await ask('/api/v1/agents', { token: made.token })).status).toBe(401)
  })

  it('a token of the wrong kind for a field is refused', async () => {
    const response = await ask('/api/v1/tokens', { json: { kind: 'registration', name: 'x', scope: 'admin' } })
    expect(response.status).toBe(422)
    expect((await json<Problem>(response)).errors).toMatchObject([{ path: 'scope' }])
  })
})

describe('signing in', () => {
  it('with a token gives a cookie that scripts of the page cannot read', async () => {
    const { response, cookie, pair } = await signIn(ADMIN_TOKEN)
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe('/')
    expect(cookie).toMatch(/^kedge_session=kdg_web_[\w-]{43}; /)
    for (const attribute of ['HttpOnly', 'SameSite=Lax', 'Secure', 'Path=/', 'Max-Age=2592000']) expect(cookie).toContain(attribute)
    expect((await ask('/api/v1/tokens', { token: null, headers: { cookie: pair } })).status).toBe(200)
  })

  it('keeps the scope of the token', async () => {
    const { pair } = await signIn((await apiToken('read')).token)
    expect((await ask('/api/v1/agents', { token: null, headers: { cookie: pair } })).status).toBe(200)
    expect((await ask('/api/v1/tokens', { token: null, headers: { cookie: pair } })).status).toBe(403)
  })

  it('with a wrong token shows the form again and sets no cookie', async () => {
    const { response, cookie } = await signIn('kdg_reg_for-tests-only-0123456789abcdef')
    expect(response.status).toBe(401)
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(await response.text()).toContain('registration token')
    expect(cookie).toBe('')
  })

  it.each([{ origin: 'https://elsewhere.test' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }])('from another site (%o) is refused', async (headers) => {
    const response = await ask('/sign-in', form({ token: ADMIN_TOKEN }, headers))
    expect(response.status).toBe(403)
    expect(response.headers.getSetCookie()).toEqual([])
  })

  it('by link takes a click, works once, and opening the link does not use it up', async () => {
    const made = await ask('/api/v1/login-links', { method: 'POST' })
    expect(made.status).toBe(201)
    const { url } = await json<{ url: string }>(made)
    expect(url).toMatch(/^https:\/\/kedge\.test\/sign-in\?token=kdg_lgn_[\w-]{43}$/)
    const link = url.slice(ORIGIN.length)
    const token = new URL(url).searchParams.get('token') ?? ''

    for (const preview of [1, 2]) {
      const page = await ask(link, { token: null })
      expect([preview, page.status, page.headers.getSetCookie()]).toEqual([preview, 200, []])
      expect(await page.text()).toContain(token)
    }
    const { response, pair } = await signIn(token)
    expect(response.status).toBe(303)
    expect((await ask('/api/v1/tokens', { token: null, headers: { cookie: pair } })).status).toBe(200)

    const again = await signIn(token)
    expect([again.response.status, again.cookie]).toEqual([401, ''])
    expect(await again.response.text()).toContain('used already')
  })

  it('a sign-in link is no bearer token, and only an admin makes one', async () => {
    const { url } = await json<{ url: string }>(await ask('/api/v1/login-links', { method: 'POST' }))
    const token = new URL(url).searchParams.get('token') ?? ''
    expect((await ask('/api/v1/projects', { token })).status).toBe(401)
    expect((await ask('/api/v1/login-links', { method: 'POST', token: (await apiToken('build')).token })).status).toBe(403)
  })

  it('in place of a page comes back to that page', async () => {
    const asked = await ask('/projects/some?tab=1', { token: null, headers: { accept: 'text/html' } })
    expect(asked.status).toBe(401)
    expect(asked.headers.get('content-type')).toContain('text/html')
    const next = asked.headers.getSetCookie().find((line) => line.startsWith('kedge_next=')) ?? ''
    const { response } = await signIn(ADMIN_TOKEN, { cookie: next.split(';')[0] ?? '' })
    expect(response.headers.get('location')).toBe('/projects/some?tab=1')
  })

  it('a page that is not there is a page for a browser and a problem for a script', async () => {
    const page = await ask('/nowhere', { token: null, headers: { accept: 'text/html' } })
    expect([page.status, page.headers.get('content-type')]).toEqual([404, expect.stringContaining('text/html')])
    expect(await page.text()).toContain('Nothing is at /nowhere.')
    expect((await ask('/nowhere')).headers.get('content-type')).toBe('application/problem+json')
  })

  it.each(['//elsewhere.test/x', 'https://elsewhere.test/', '/.//elsewhere.test', '/\\elsewhere.test', 'javascript:alert(1)'])('never leads to another site (%s)', async (next) => {
    const { response } = await signIn(ADMIN_TOKEN, { cookie: `kedge_next=${encodeURIComponent(next)}` })
    expect(response.headers.get('location')).toBe('/')
  })

  it('lasts no longer than the token that it came from', async () => {
    const token = await apiToken('admin')
    const { pair } = await signIn(token.token)
    const { url } = await json<{ url: string }>(await ask('/api/v1/login-links', { method: 'POST', token: null, headers: { cookie: pair, origin: ORIGIN } }))
    const [link, unused] = [url, (await json<{ url: string }>(await ask('/api/v1/login-links', { method: 'POST', token: token.token }))).url].map((made) => new URL(made).searchParams.get('token') ?? '')
    const byLink = await signIn(link ?? '')
    const opens = async (cookie: string) => (await ask('/api/v1/agents', { token: null, headers: { cookie } })).status
    expect([await opens(pair), await opens(byLink.pair)]).toEqual([200, 200])

    expect((await ask(`/api/v1/tokens/${token.id}`, { method: 'DELETE' })).status).toBe(200)
    expect([await opens(pair), await opens(byLink.pair)]).toEqual([401, 401])
    expect((await signIn(unused ?? '')).response.status).toBe(401)
  })

  it('out ends the session on both sides', async () => {
    const { pair } = await signIn(ADMIN_TOKEN)
    const out = await ask('/sign-out', form({}, { cookie: pair, origin: ORIGIN }))
    expect([out.status, out.headers.get('location')]).toEqual([303, '/sign-in'])
    expect(out.headers.getSetCookie().join()).toMatch(/kedge_session=;.*Max-Age=0/)
    const after = await ask('/api/v1/agents', { token: null, headers: { cookie: pair } })
    expect(after.status).toBe(401)
    expect((await json<Problem>(after)).detail).toContain('session has ended')
  })
})

describe('a change by cookie', () => {
  const json = { slug: 'by-cookie', checkout: false, command: 'true' }

  it.each([{}, { origin: 'https://elsewhere.test' }, { origin: 'null' }, { origin: 'https://kedge.test:444' }, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'none' }])(
    'is refused from %o',
    async (headers) => {
      const { pair } = await signIn(ADMIN_TOKEN)
      const response = await ask('/api/v1/projects', { token: null, json, headers: { cookie: pair, ...headers } })
      expect(response.status).toBe(403)
      expect(((await response.json()) as Problem).code).toBe('origin-foreign')
    },
  )

  it.each([{ origin: ORIGIN }, { 'sec-fetch-site': 'same-origin' }])('is taken from our own pages (%o)', async (headers) => {
    const { pair } = await signIn(ADMIN_TOKEN)
    const slug = 'origin' in headers ? 'by-origin' : 'by-fetch-site'
    expect((await ask('/api/v1/projects', { token: null, json: { ...json, slug }, headers: { cookie: pair, ...headers } })).status).toBe(201)
  })

  it('by bearer needs no origin', async () => {
    expect((await ask('/api/v1/projects', { json: { ...json, slug: 'by-bearer' } })).status).toBe(201)
  })
})

describe('a coordinator without its secrets', () => {
  it.each([
    [{ KEDGE_ADMIN_TOKEN: undefined }, 'KEDGE_ADMIN_TOKEN', 'KEDGE_SIGNING_KEY'],
    [{ KEDGE_ADMIN_TOKEN: 'short' }, 'KEDGE_ADMIN_TOKEN', 'KEDGE_SIGNING_KEY'],
    [{ KEDGE_SIGNING_KEY: 'x'.repeat(31) }, 'KEDGE_SIGNING_KEY', 'KEDGE_ADMIN_TOKEN'],
  ])('serves nothing and names the command (%o)', async (bindings, named, unnamed) => {
    for (const path of ['/', '/api/v1/projects', '/v1/proto', '/sign-in', '/nowhere']) {
      const response = await ask(path, { bindings, headers: { accept: 'text/html' } })
      expect([path, response.status]).toEqual([path, 503])
      expect(response.headers.get('x-kedge-protocol')).toBeNull()
      const { detail } = await json<Problem>(response)
      expect(detail).toContain(`npx wrangler secret put ${named}`)
      expect(detail).not.toContain(unnamed)
    }
  })

  it('still says that it is alive', async () => {
    const response = await ask('/healthz', { token: null, bindings: { KEDGE_ADMIN_TOKEN: undefined, KEDGE_SIGNING_KEY: undefined } })
    expect([response.status, await json(response)]).toEqual([200, { ok: true, version: expect.any(String) }])
  })
})
