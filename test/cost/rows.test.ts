/** The counting of rows against workerd's own, statement by statement: half a working hour of a small site, and the life of a log. */
import { createHash } from 'node:crypto'
import { afterAll, expect, it } from 'vitest'
import { z } from 'zod'
import { LogStore } from '../../coordinator/objects/log-store.ts'
import { clearAway, openBare, poster, TO_THE_OBJECT } from '../bench/stage.ts'
import { Dice } from '../simulation/chance.ts'
import { CostAgent } from './agents.ts'
import { teamBuild } from './builds.ts'
import { lookAtBuilds, watchBuild } from './people.ts'
import { countingSqlite, type TellStatement } from './rows.ts'
import { Site } from './site.ts'
import { Timeline } from './timeline.ts'

const BARE = `import { DurableObject } from 'cloudflare:workers'
export class Bare extends DurableObject {
  async fetch(request) {
    return Response.json((await request.json()).map(({ query, bindings }) => {
      const cursor = this.ctx.storage.sql.exec(query, ...bindings.map((one) => typeof one === 'object' && one !== null ? new Uint8Array(one.length) : one))
      cursor.toArray()
      return { read: cursor.rowsRead, written: cursor.rowsWritten }
    }))
  }
}
${TO_THE_OBJECT}`

type Statement = Parameters<TellStatement>[0]

afterAll(clearAway)

it.each([
  ['the Scheduler', schedulerStatements],
  ['a log', logStatements],
])('rows of %s are counted as workerd counts them: written exactly, read never too few', async (_, statementsOf) => {
  const statements = await statementsOf()
  const sent = statements.map(({ query, bindings }) => ({ query, bindings: bindings.map((one) => (one instanceof Uint8Array ? { length: one.byteLength } : one)) }))
  const billed = z.array(z.object({ read: z.number(), written: z.number() })).parse(JSON.parse(await poster(await openBare(BARE), 1).post('/', 'none', JSON.stringify(sent))))
  expect(billed).toHaveLength(statements.length)
  const wrong = statements.flatMap(({ query, read, written }, i) => (written === billed[i]?.written && read >= (billed[i]?.read ?? Infinity) ? [] : [{ query: query.slice(0, 300), counted: { read, written }, billed: billed[i] }]))
  expect(wrong.filter(({ query }) => !isOfSetUp(query))).toEqual([])
  const sum = (rows: readonly { readonly read: number }[]) => rows.reduce((all, { read }) => all + read, 0)
  expect(sum(statements)).toBeLessThan(1.15 * sum(billed))
})

/** What makes the tables runs once in the life of an installation. */
function isOfSetUp(query: string): boolean {
  return query.startsWith('insert into "__drizzle_migrations"') || (/^\s*(?:create|alter) /i.test(query) && !query.startsWith('create table if not exists'))
}

async function schedulerStatements(): Promise<readonly Statement[]> {
  const statements: Statement[] = []
  const timeline = new Timeline(Date.UTC(2027, 0, 12))
  const site = new Site(timeline, (statement) => statements.push(statement))
  await site.setUp()
  await site.signIn('somebody')
  for (let i = 0; i < 4; i += 1) await new CostAgent({ site, name: `agent${i}`, hasDoorbell: i % 2 === 0, dice: new Dice(i, 'agent'), scriptOf: (build) => teamBuild(new Dice(build, 'build')) }).start()
  for (let i = 0; i < 24; i += 1) {
    timeline.after(i * 30_000, async () => {
      const number = await site.startBuild()
      if (i % 6 === 0) await watchBuild(site, 'somebody', number, 60_000)
      if (i % 12 === 0) await lookAtBuilds(site, 'somebody', 30_000)
    })
  }
  await timeline.turnTo(timeline.now + 1_500_000)
  return statements
}

async function logStatements(): Promise<readonly Statement[]> {
  const statements: Statement[] = []
  const storage = countingSqlite({ read: 0, written: 0 }, (statement) => statements.push(statement))
  let store = new LogStore(storage)
  const hash = createHash('sha256')
  let offset = 0
  for (const length of [100, 20_000, 50_000, 700_000, 10]) {
    const bytes = new Uint8Array(length) // zeros, as the other side makes them
    store.put({ attempt: 'J1-1-1.1', epoch: 1, offset, bytes })
    hash.update(bytes)
    offset += length
    store = new LogStore(storage)
  }
  store.piece(60_000, 10)
  store.seal('J1-1-1.1', 1, { bytes: offset, sha256: hash.digest('hex') })
  await store.archive(async (_, { piece }) => void piece(0), () => 0.5)
  store = new LogStore(storage)
  return statements
}
