import { describe, expect, it } from 'vitest'
import type { BuildPage, BuildView, Problem, ProjectView } from '../../../schema/api.ts'
import { ask, json, ORIGIN } from '../../support/ask.ts'

let projects = 0

async function project(more: object = {}): Promise<string> {
  const slug = `api-${++projects}`
  const response = await ask('/api/v1/projects', { json: { slug, checkout: false, command: 'true', ...more } })
  expect(response.status).toBe(201)
  return slug
}

async function refusal(response: Response, status: number): Promise<Problem> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem = await json<Problem>(response)
  expect(problem).toMatchObject({ status, title: expect.any(String), detail: expect.any(String), code: expect.stringMatching(/^[a-z-]+$/) })
  return problem
}

describe('projects', () => {
  it('are made, named by Location, and read back', async () => {
    const made = await ask('/api/v1/projects', { json: { slug: 'made', repository: 'https://forge.test/team/app.git', default_branch: 'main' } })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe('/api/v1/projects/made')
    const view = await json<ProjectView>(made)
    expect(view).toMatchObject({ slug: 'made', repository: 'https://forge.test/team/app.git', default_branch: 'main', checkout: true })
    expect(await json(await ask('/api/v1/projects/made'))).toEqual(view)
    expect(await json<ProjectView[]>(await ask('/api/v1/projects'))).toContainEqual(view)
  })

  it('with a slug that is taken are refused', async () => {
    const slug = await project()
    await refusal(await ask('/api/v1/projects', { json: { slug, checkout: false } }), 409)
  })

  it('that nobody made are 404, and so is what cannot be a slug, with what one looks like', async () => {
    await refusal(await ask('/api/v1/projects/unmade'), 404)
    expect((await refusal(await ask('/api/v1/projects/Not%20A%20Slug'), 404)).detail).toMatch(/"Not A Slug" cannot be a project.*lower-case/)
  })
})

describe('builds', () => {
  it('are started, read, listed and canceled', async () => {
    const slug = await project()
    const started = await ask(`/api/v1/projects/${slug}/builds`, { json: { message: 'try it' } })
    expect(started.status).toBe(201)
    const build = await json<BuildView>(started)
    expect(build).toMatchObject({ project: slug, number: 1, state: 'scheduled', url: `${ORIGIN}/projects/${slug}/builds/1` })
    expect(started.headers.get('location')).toBe(`/api/v1/projects/${slug}/builds/1`)
    expect(await json(await ask(`/api/v1/projects/${slug}/builds/1`))).toMatchObject({ number: 1, jobs: [{ state: 'queued', waiting: { code: expect.any(String), reason: expect.any(String) } }] })
    expect((await json<BuildPage>(await ask(`/api/v1/projects/${slug}/builds`))).builds.map(({ number }) => number)).toEqual([1])

    expect(await json(await ask(`/api/v1/projects/${slug}/builds/1/cancel`, { method: 'POST' }))).toMatchObject({ state: 'canceled' })
    expect((await json<BuildPage>(await ask(`/api/v1/builds?project=${slug}&state=canceled`))).builds).toHaveLength(1)
  })

  it('with the same Idempotency-Key are one build', async () => {
    const slug = await project()
    const start = (body: object) => ask(`/api/v1/projects/${slug}/builds`, { json: body, headers: { 'idempotency-key': '7b0c-1' } })
    expect((await json<BuildView>(await start({}))).number).toBe(1)
    expect((await json<BuildView>(await start({}))).number).toBe(1)
    const other = await start({ message: 'something else' })
    expect(other.status).toBeGreaterThanOrEqual(400)
    expect((await json<BuildPage>(await ask(`/api/v1/projects/${slug}/builds`))).builds).toHaveLength(1)
  })

  it.each(['', 'x'.repeat(256), 'a b'])('with the Idempotency-Key "%s" are refused', async (key) => {
    const slug = await project()
    await refusal(await ask(`/api/v1/projects/${slug}/builds`, { json: {}, headers: { 'idempotency-key': key } }), 400)
  })

  it('come in pages that a cursor continues', async () => {
    const slug = await project()
    for (let n = 0; n < 5; n++) await ask(`/api/v1/projects/${slug}/builds`, { json: {} })
    const numbers: number[] = []
    let cursor: string | null = null
    do {
      const page: BuildPage = await json<BuildPage>(await ask(`/api/v1/projects/${slug}/builds?limit=2${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`))
      numbers.push(...page.builds.map(({ number }) => number))
      cursor = page.next_cursor
    } while (cursor !== null)
    expect(numbers).toEqual([5, 4, 3, 2, 1])
  })

  it.each(['0', '-1', '1.5', 'one', '01', '99999999999'])('have no number "%s"', async (number) => {
    const slug = await project()
    expect((await refusal(await ask(`/api/v1/projects/${slug}/builds/${number}`), 404)).detail).toContain('whole number')
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['cursor=', 'cursor'],
    ['cursor=%00', 'cursor'],
    ['state=finished', 'state'],
    ['branch=..', 'branch'],
  ])('are not listed by ?%s', async (query, path) => {
    const slug = await project()
    expect((await refusal(await ask(`/api/v1/projects/${slug}/builds?${query}`), 400)).errors).toMatchObject([{ path }])
  })

  it('an unknown query parameter is refused with the one that was meant', async () => {
    expect((await refusal(await ask('/api/v1/builds?brunch=main'), 400)).errors).toEqual([{ path: 'brunch', message: 'is not known here; did you mean "branch"?' }])
    await refusal(await ask('/api/v1/agents?limit=5'), 400)
  })
})

describe('a body', () => {
  const builds = async () => `/api/v1/projects/${await project()}/builds`
  const post = (path: string, body: BodyInit, type = 'application/json') => ask(path, { body, method: 'POST', headers: { 'content-type': type } })

  it.each([
    ['{', 'line 1, column 2'],
    ['{"a": 1,\n  "b" 2}', 'line 2, column 7'],
    ['{"a": tru}', 'line 1, column 7'],
    ['[1,]', 'line 1, column 4'],
    ['{} {}', 'line 1, column 4'],
    ['{"a": "x\ny"}', 'line 1, column 9'],
    ['['.repeat(100_000), 'line 1, column 100001'],
  ])('that is not JSON (%.20s) is refused with the place', async (body, place) => {
    expect((await refusal(await post(await builds(), body), 400)).detail).toContain(place)
  })

  it('that is not UTF-8 is refused', async () => {
    expect((await refusal(await post(await builds(), new Uint8Array([0x22, 0xff, 0x22])), 400)).detail).toContain('UTF-8')
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1'])('under %s is refused', async (type) => {
    await refusal(await post(await builds(), '{}', type), 415)
  })

  it('above 1 MiB is refused, whether or not its length is announced', async () => {
    const megabyte = new Uint8Array(1024 * 1024 + 1).fill(0x20)
    expect((await refusal(await post(await builds(), megabyte), 413)).detail).toContain('1024 KiB')
    const unannounced = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 17; part++) controller.enqueue(megabyte.subarray(0, 64 * 1024))
        controller.close()
      },
    })
    await refusal(await post(await builds(), unannounced), 413)
  })

  it.each(['[]', '"text"', 'null', '7'])('that is %s is no object', async (body) => {
    expect((await refusal(await post(await builds(), body), 422)).errors).toMatchObject([{ path: '', message: expect.stringContaining('must be an object') }])
  })

  it('with several mistakes hears of all of them at once', async () => {
    const response = await ask(await builds(), { json: { comand: 'make', agents: { tag: ['a=b'], tags: ['a'] }, env: { 'a b': 'x', B: 3 }, priority: 1.5, timeout_s: 0, on_partition: 'stopp', commit: 'HEAD' } })
    const { errors, detail } = await refusal(response, 422)
    expect(Object.fromEntries((errors ?? []).map(({ path, message }) => [path, message]))).toEqual({
      comand: 'is not known here; did you mean "command"?',
      commit: 'must be a full commit id: 40 (or 64) hex digits',
      'agents.tag': 'is not known here; did you mean "tags"?',
      'agents.tags[0]': 'must be KEY=VALUE without spaces',
      'env["a b"]': 'is not an environment name: letters, digits and "_", not beginning with a digit',
      'env.B': 'must be a string, not a number',
      priority: 'must be a whole number, not 1.5',
      timeout_s: 'must be more than 0',
      on_partition: 'must be "continue" or "stop"; did you mean "stop"?',
    })
    expect(detail).toContain('and 6 more')
  })

  it.each<[string, Readonly<Record<string, unknown>>, string, string]>([
    ['an empty command', { command: ' \n' }, 'command', 'must not be empty'],
    ['a command of 1 MiB less its frame', { command: 'x'.repeat(1024 * 1024 - 100) }, 'command', 'must be at most 256 KiB'],
    ['a message with NUL', { message: 'a\0b' }, 'message', 'must not hold a NUL character'],
    ['a command with NUL', { command: 'a\0b' }, 'command', 'must not hold a NUL character'],
    ['an environment name with =', { env: { 'A=B': 'x' } }, 'env["A=B"]', 'is not an environment name: letters, digits and "_", not beginning with a digit'],
    ['an environment name with NUL', { env: { 'A\0': 'x' } }, 'env["A\\u0000"]', 'is not an environment name: letters, digits and "_", not beginning with a digit'],
    ['no environment name', { env: { '': 'x' } }, 'env[""]', 'is not an environment name: letters, digits and "_", not beginning with a digit'],
    ['an environment value with NUL', { env: { A: 'x\0' } }, 'env.A', 'must not hold a NUL character'],
    ['an environment value of the wrong type', { env: { A: null } }, 'env.A', 'must be a string, not null'],
  ])('with %s is refused, and no build is made', async (_what, body, path, message) => {
    const url = await builds()
    expect((await refusal(await ask(url, { json: body }), 422)).errors).toEqual([{ path, message }])
    expect((await json<{ builds: unknown[] }>(await ask(url))).builds).toEqual([])
  })

  it('that is needed but absent is asked for', async () => {
    const { detail, errors } = await refusal(await ask('/api/v1/projects', { method: 'POST' }), 422)
    expect(detail).toContain('needs a JSON body')
    expect(errors).toContainEqual({ path: 'slug', message: 'is needed' })
  })

  it('may be left out where nothing is needed, and nothing else may stand there', async () => {
    const path = await builds()
    expect((await ask(path, { method: 'POST' })).status).toBe(201)
    expect((await refusal(await ask(`${path}/1/cancel`, { json: { force: true } }), 422)).errors).toMatchObject([{ path: 'force' }])
  })
})

describe('a request that fits no route', () => {
  it.each([
    ['/api/v1/project', '/api/v1/projects'],
    ['/api/projects', '/api/v1/projects'],
    ['/api/v1/projects/app/build', '/api/v1/projects/{slug}/builds'],
    ['/api/v1/projects/', '/api/v1/projects'],
  ])('%s is told of %s', async (path, meant) => {
    expect((await refusal(await ask(path), 404)).detail).toContain(`Did you mean ${meant}?`)
  })

  it('far from everything is told of nothing', async () => {
    expect((await refusal(await ask('/xyzzy/plugh/frobnicate'), 404)).detail).toBe('Nothing is at /xyzzy/plugh/frobnicate.')
  })

  it('by a method that the path does not take is told which it does', async () => {
    const response = await ask('/api/v1/projects', { method: 'PUT', json: {} })
    expect(response.headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS')
    await refusal(response, 405)
  })

  it('OPTIONS names the methods and allows no other site', async () => {
    const response = await ask('/api/v1/builds', { method: 'OPTIONS', token: null, headers: { origin: 'https://elsewhere.test' } })
    expect([response.status, response.headers.get('allow'), response.headers.get('access-control-allow-origin')]).toEqual([204, 'GET, HEAD, OPTIONS', null])
  })

  it('HEAD is GET without the body', async () => {
    const response = await ask('/api/v1/projects', { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  it('an agent hears nothing that it would obey', async () => {
    const response = await ask('/v1/agent/snyc', { json: {}, token: null })
    expect([response.status, response.headers.get('x-kedge-protocol')]).toEqual([404, null])
  })
})

it('agents that do not exist, or could not, are refused', async () => {
  expect((await refusal(await ask('/api/v1/agents/nobody/drain', { method: 'POST' }), 404)).detail).toContain('a_')
  await refusal(await ask(`/api/v1/agents/a_${'0'.repeat(20)}/drain`, { method: 'POST' }), 404)
})

it('an unexpected failure is a 500 that shows nothing of the inside', async () => {
  const SCHEDULER = { idFromName: () => ({}), get: () => ({ agents: () => Promise.reject(new Error('secret cause')) }) }
  const response = await ask('/api/v1/agents', { bindings: { SCHEDULER } })
  expect(JSON.stringify(await refusal(response, 500))).not.toMatch(/secret cause|\.ts/)
})

it('every answer carries the headers that a browser obeys, with a nonce of its own', async () => {
  const policies = new Set<string>()
  for (const path of ['/healthz', '/sign-in', '/api/v1/projects', '/nowhere', '/api/v1/tokens']) {
    const { headers } = await ask(path, path === '/api/v1/tokens' ? { token: null } : {})
    expect([path, headers.get('x-content-type-options'), headers.get('referrer-policy'), headers.get('cache-control')]).toEqual([path, 'nosniff', 'same-origin', 'no-store'])
    const policy = headers.get('content-security-policy') ?? ''
    for (const part of ["default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]) expect(policy).toContain(part)
    policies.add(policy)
  }
  expect(policies.size).toBe(5)
})
