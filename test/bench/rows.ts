/**
 * Rows written for a one-job build, as Cloudflare bills them: the statements of the real steps are recorded and carried
 * out once more in a bare object, whose SQLite counts index rows too. An alarm that is set counts as one.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { TestCluster } from '../support/cluster.ts'
import type { Bar } from './row.ts'
import { openBare, poster, TO_THE_OBJECT } from './stage.ts'

const MOST_ROWS = 8

const BARE = `import { DurableObject } from 'cloudflare:workers'
export class Bare extends DurableObject {
  async fetch(request) {
    return Response.json((await request.json()).map(({ query, bindings }) => {
      const cursor = this.ctx.storage.sql.exec(query, ...bindings)
      cursor.toArray()
      return cursor.rowsWritten
    }))
  }
}
${TO_THE_OBJECT}`

interface Statement {
  readonly query: string
  readonly bindings: readonly unknown[]
}

export const rows: Bar = {
  name: 'rows',
  async run() {
    const cluster = new TestCluster()
    const statements: Statement[] = migrations().map((query) => ({ query, bindings: [] }))
    const { all, run } = cluster.sql
    Object.assign(cluster.sql, {
      all: (...[query, bindings]: Parameters<typeof all>) => (statements.push({ query, bindings }), all(query, bindings)),
      run: (...[query, bindings]: Parameters<typeof run>) => (statements.push({ query, bindings }), run(query, bindings)),
    })
    cluster.project()
    const agent = cluster.agent('bench')
    agent.join()
    const oneBuild = (number: number) => {
      cluster.build()
      agent.sync() // claims
      agent.sync() // names it
      agent.finish(agent.only())
      agent.sync()
      const { state } = cluster.view(number)
      if (state !== 'passed') throw new Error(`build ${number} is ${state}`)
    }
    oneBuild(1) // the first of its kind also notes the kind
    const from = statements.length
    const alarmBefore = cluster.alarmAt
    oneBuild(2)
    const counts = z.array(z.number()).parse(JSON.parse(await poster(await openBare(BARE), 1).post('/', 'none', JSON.stringify(statements))))
    const written = counts.slice(from).reduce((sum, count) => sum + count, 0)
    const alarms = cluster.alarmAt !== alarmBefore ? 1 : 0
    const byTable = statements.slice(from).flatMap(({ query }, i) => ((counts[from + i] ?? 0) > 0 ? [`${/(?:into|update) "?(\w+)/i.exec(query)?.[1] ?? '?'} ${counts[from + i]}`] : []))
    return [{ name: 'rows of a one-job build', figure: `${written + alarms} (${byTable.join(', ')}${alarms > 0 ? ', alarm 1' : ''})`, ratio: '', bar: `≤ ${MOST_ROWS}`, holds: written + alarms <= MOST_ROWS }]
  },
}

function migrations(): readonly string[] {
  const folder = new URL('../../schema/migrations/', import.meta.url)
  const { entries } = z.object({ entries: z.array(z.object({ tag: z.string() })) }).parse(JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')))
  return entries.flatMap(({ tag }) => readFileSync(new URL(`${tag}.sql`, folder), 'utf8').split('--> statement-breakpoint')).filter((query) => query.trim() !== '')
}
