/**
 * Rows as Cloudflare bills them: the statements of the real steps are recorded and carried out once more in a bare
 * object, whose SQLite counts index rows too. An alarm that is set counts as one.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { TestCluster } from '../support/cluster.ts'
import { openBare, poster, TO_THE_OBJECT } from './stage.ts'

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

export interface Recorded {
  readonly cluster: TestCluster
  /** Where the record stands now, for `billed`. */
  mark(): { readonly statements: number; readonly alarms: number }
  /** Rows from one mark to another, and by table. */
  billed(from: ReturnType<Recorded['mark']>, to?: ReturnType<Recorded['mark']>): Promise<{ readonly rows: number; readonly byTable: string }>
}

export function recorded(): Recorded {
  const cluster = new TestCluster()
  const statements: Statement[] = migrations().map((query) => ({ query, bindings: [] }))
  const { all, run } = cluster.sql
  Object.assign(cluster.sql, {
    all: (...[query, bindings]: Parameters<typeof all>) => (statements.push({ query, bindings }), all(query, bindings)),
    run: (...[query, bindings]: Parameters<typeof run>) => (statements.push({ query, bindings }), run(query, bindings)),
  })
  let alarms = 0
  let alarmAt = cluster.alarmAt
  Object.defineProperty(cluster, 'alarmAt', {
    get: () => alarmAt,
    set: (at: number | null) => {
      if (at !== null) alarms += 1
      alarmAt = at
    },
  })
  const mark = () => ({ statements: statements.length, alarms })
  return {
    cluster,
    mark,
    async billed(from, to = mark()) {
      const counts = z.array(z.number()).parse(JSON.parse(await poster(await openBare(BARE), 1).post('/', 'none', JSON.stringify(statements.slice(0, to.statements)))))
      const written = statements.slice(from.statements, to.statements).map(({ query }, i) => ({ table: /(?:into|update) "?(\w+)/i.exec(query)?.[1] ?? '?', rows: counts[from.statements + i] ?? 0 }))
      const set = to.alarms - from.alarms
      const byTable = written.flatMap(({ table, rows }) => (rows > 0 ? [`${table} ${rows}`] : []))
      return { rows: written.reduce((sum, { rows }) => sum + rows, 0) + set, byTable: [...byTable, ...(set > 0 ? [`alarm ${set}`] : [])].join(', ') }
    },
  }
}

function migrations(): readonly string[] {
  const folder = new URL('../../schema/migrations/', import.meta.url)
  const { entries } = z.object({ entries: z.array(z.object({ tag: z.string() })) }).parse(JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')))
  return entries.flatMap(({ tag }) => readFileSync(new URL(`${tag}.sql`, folder), 'utf8').split('--> statement-breakpoint')).filter((query) => query.trim() !== '')
}
