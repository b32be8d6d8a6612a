import { describe, expect, it } from 'vitest'
import type { BuildView } from '../../../schema/api.ts'
import { ask, json } from '../../support/ask.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' }

async function project(slug: string): Promise<void> {
  const response = await ask('/api/v1/projects', { json: { slug, checkout: false, command: 'make test' } })
  expect(response.status).toBe(201)
}

async function page(path: string): Promise<string> {
  const response = await ask(path, { headers: { accept: 'text/html' } })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toContain('text/html')
  return response.text()
}

function send(path: string, fields: Record<string, string> = {}): Promise<Response> {
  return ask(path, { method: 'POST', body: new URLSearchParams(fields).toString(), headers: FORM })
}

describe('pages', () => {
  it('the first one says how to begin, and lists builds of all projects once there are some', async () => {
    expect(await page('/')).toContain('No builds yet')
    expect(await page('/projects')).toContain('npx kedge build')
    await ask('/api/v1/projects', { json: { slug: 'listed', repository: 'https://git.example/listed.git', command: 'make test' } })
    const created = await ask('/api/v1/projects/listed/builds', { json: { message: 'Begin here', branch: 'main' } })
    expect(await created.text()).toContain('Begin here')
    const html = await page('/')
    expect(html).toContain('Begin here')
    expect(html).toContain('href="/projects/listed/builds/1"')
    expect(await page('/?state=&branch=')).toContain('Begin here')
    expect(await page('/?state=scheduled&branch=main')).toContain('Begin here')
    expect(await page('/?branch=other')).not.toContain('Begin here')
  })

  it('list all projects by name', async () => {
    await project('later')
    await ask('/api/v1/projects', { json: { slug: 'early', repository: 'https://git.example/<early>.git', default_branch: 'trunk', command: 'make test' } })
    const html = await page('/projects')
    expect(html.indexOf('href="/projects/early"')).toBeLessThan(html.indexOf('href="/projects/later"'))
    expect(html).toContain('trunk')
    expect(html).toContain('no repository; runs in an empty folder')
    expect(html).toContain('https://git.example/&lt;early&gt;.git')
  })

  it('carry the nonce of their own response', async () => {
    const response = await ask('/agents', { headers: { accept: 'text/html' } })
    const nonce = /'nonce-([^']+)'/.exec(response.headers.get('content-security-policy') ?? '')?.[1]
    expect(nonce).toBeDefined()
    expect(await response.text()).toContain(`<style nonce="${nonce}">`)
  })

  it('answer their own refresh with what may have changed, and nothing else', async () => {
    const response = await ask('/agents', { headers: { accept: 'text/html', 'x-kedge-refresh': '1' } })
    const html = await response.text()
    expect(html).toContain('<main')
    expect(html).not.toMatch(/<style|<script/)
  })

  it.each(['/?state=burning', '/?branch=a..b', '/projects/nowhere', '/projects/nowhere/builds/1'])('%s is refused with a reason', async (path) => {
    const response = await ask(path, { headers: { accept: 'text/html' } })
    expect([400, 404]).toContain(response.status)
    expect(await response.text()).toMatch(/burning|a\.\.b|nowhere/)
  })
})

describe('the form that starts a build', () => {
  it('starts it and leads to it; the same form sent twice starts one', async () => {
    await project('started')
    const fields = { key: 'k1', command: 'echo one\r\necho two', message: 'By hand', branch: '', commit: '' }
    const response = await send('/projects/started/builds', fields)
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe('/projects/started/builds/1')
    expect((await send('/projects/started/builds', fields)).headers.get('location')).toBe('/projects/started/builds/1')
    const build = await json<BuildView>(await ask('/api/v1/projects/started/builds/1'))
    expect(build).toMatchObject({ message: 'By hand', jobs: [{ command: 'echo one\necho two' }] })
    expect((await send('/projects/started/builds', { ...fields, message: 'Another' })).headers.get('location')).toBe('/projects/started/builds/2')
  })

  it('comes back with what was typed and what was wrong', async () => {
    await project('mistyped')
    const response = await send('/projects/mistyped/builds', { commit: 'abc', message: 'Keep me' })
    expect(response.status).toBe(422)
    const html = await response.text()
    expect(html).toContain('must be a full commit id')
    expect(html).toContain('value="Keep me"')
  })
})

describe('the page of a build', () => {
  it('says why it waits; cancel and retry lead back to it', async () => {
    await project('waiting')
    await send('/projects/waiting/builds', { message: 'Wait' })
    const path = '/projects/waiting/builds/1'
    expect(await page(path)).toMatch(/Waiting:<\/strong> no agent/)
    const canceled = await send(`${path}/cancel`)
    expect([canceled.status, canceled.headers.get('location')]).toEqual([303, path])
    expect(await page(path)).toContain('canceled')
    const retried = await send(`${path}/retry`, { only: 'failed' })
    expect([retried.status, retried.headers.get('location')]).toEqual([303, path])
    expect(await page(path)).toContain('queued')
    expect((await send(`${path}/retry`, { only: 'some' })).status).toBe(422)
  })
})
