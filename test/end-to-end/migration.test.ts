/**
 * Data of other versions under this one, in workerd and on disk. What an older version left is written by a bare Worker
 * that opens the very object whose storage the coordinator will find.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startCoordinator } from '../../agent/embedded.ts'
import type { BuildView } from '../../schema/api.ts'
import { startBareWorker } from '../support/bare-worker.ts'
import { ownFolder } from '../support/folder.ts'

const FOLDER = new URL('../../schema/migrations/', import.meta.url)
const journal = JSON.parse(readFileSync(new URL('meta/_journal.json', FOLDER), 'utf8')) as { entries: { tag: string; when: number }[] }
const statementsOf = (tag: string) => readFileSync(new URL(`${tag}.sql`, FOLDER), 'utf8').split('--> statement-breakpoint')
const BOOK = 'create table "__drizzle_migrations" (id serial primary key, hash text not null, created_at numeric)'

const STORED = `import { DurableObject } from 'cloudflare:workers'
export class Scheduler extends DurableObject {
  async fetch(request) {
    let rows = []
    for (const statement of await request.json()) rows = [...this.ctx.storage.sql.exec(statement).raw()]
    return Response.json(rows)
  }
}
export default { fetch: (request, env) => env.OBJECT.get(env.OBJECT.idFromName('default')).fetch(request) }`

/** Runs the statements in the Scheduler's storage below `state`, and returns the rows of the last. */
async function stored(state: string, statements: readonly string[]): Promise<unknown> {
  const worker = await startBareWorker({ name: 'kedge', className: 'Scheduler', script: STORED, folder: join(state, 'coordinator') })
  try {
    const response = await fetch(worker.url, { method: 'POST', body: JSON.stringify(statements) })
    if (!response.ok) throw new Error(await response.text())
    return await response.json()
  } finally {
    await worker.stop()
  }
}

async function open(state: string) {
  const coordinator = await startCoordinator({ host: '127.0.0.1', port: 0, state })
  let isOpen = true
  const stop = async () => {
    if (isOpen) await coordinator.stop()
    isOpen = false
  }
  onTestFinished(stop)
  const ask = (path: string, init: RequestInit = {}) => fetch(`${coordinator.url}${path}`, { ...init, headers: { authorization: `Bearer ${coordinator.adminToken}`, 'content-type': 'application/json' } })
  return { ask, stop }
}

describe('stored data', () => {
  it('of the first version comes up whole, and goes on', async () => {
    const state = await ownFolder()
    const [first] = journal.entries
    if (!first) throw new Error('no migration')
    await stored(state, [
      BOOK,
      ...statementsOf(first.tag),
      `insert into "__drizzle_migrations" (hash, created_at) values ('', ${first.when})`,
      `insert into project values (1, 'app', null, null, 'make', 0, 3600, 1790000000000)`,
      `insert into class (id, queue, tags) values (1, 'default', '[]')`,
      `insert into build values (1, 7, null, null, 'main', 'From before', 1790000000000, null, null)`,
      `insert into job (project, build, n, state, fence, class, ord, priority, spec, cancel, lost_count, created_at) values (1, 7, 1, 'queued', 0, 1, 1, 0, '{"command":"make","env":{},"timeout_s":3600,"grace_s":10}', 0, 0, 1790000000000)`,
      `insert into token (id, kind, sha256, name, scope, created_at, used_by) values ('t-1', 'api', 'aa', 'from before', 'read', 1790000000000, '[]')`,
    ])
    const { ask } = await open(state)
    const view = (await (await ask('/api/v1/projects/app/builds/7')).json()) as BuildView
    expect(view).toMatchObject({ number: 7, state: 'scheduled', message: 'From before', jobs: [{ command: 'make', waiting: { code: 'no_agent' } }] })
    expect(await (await ask('/api/v1/tokens')).json()).toMatchObject([{ id: 't-1', name: 'from before' }])
    expect(await (await ask('/api/v1/projects/app/builds', { method: 'POST', body: '{}' })).json()).toMatchObject({ number: 8 })
  })

  it('of a newer version is not served and not touched: every request is told so', async () => {
    const state = await ownFolder()
    await stored(state, [BOOK, `insert into "__drizzle_migrations" (hash, created_at) values ('', 4102444800000)`, 'create table of_the_future (id integer)'])
    const { ask, stop } = await open(state)
    for (const path of ['/api/v1/agents', '/api/v1/projects/app/builds/1', '/api/v1/tokens']) {
      const response = await ask(path)
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({ detail: expect.stringMatching(/could not be brought up to this version: its tables are of 2100-01-01, newer than this version.*deploy the version that wrote them/) })
    }
    expect((await ask('/healthz')).status).toBe(200)
    await stop()
    expect(await stored(state, [`select name from sqlite_master where type = 'table' and name not like '\\_%' escape '\\' order by name`])).toEqual([['of_the_future']])
  })

  it('that a migration fails on is told with the reason, and is as it was', async () => {
    const state = await ownFolder()
    await stored(state, ['create table job (mine text)', `insert into job values ('precious')`])
    const { ask, stop } = await open(state)
    const response = await ask('/api/v1/agents')
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(await response.json()).toMatchObject({ detail: expect.stringMatching(/migration 0000_first failed: .*job.* already exists.*Nothing was changed/) })
    await stop()
    expect(await stored(state, [`select name from sqlite_master where type = 'table' and name not like '\\_%' escape '\\' order by name`])).toEqual([['job']])
    expect(await stored(state, ['select * from job'])).toEqual([['precious']])
  })
})
