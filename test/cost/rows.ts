/**
 * Rows as Cloudflare bills them, counted beside an SQLite in memory, which itself tells only how many rows changed. What
 * is added comes from the schema and from SQLite's own plan of each statement:
 *
 * written: each row inserted, updated or deleted; and each index entry that an insert makes, or an update whose columns
 * touch the index or its condition (triggers count those: SQLite fires them by the same rule). A table costs two rows to
 * make, an index one.
 * read: each row that a seek or scan visits, also the one at which it notices that there is no more (which is taken to be
 * there always, so that a few too many are counted).
 *
 * `rows.test.ts` holds it to what workerd counts: written exactly, read never too few.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { LogStorage } from '../../coordinator/objects/log-rows.ts'
import type { Binding } from '../../coordinator/store/sql.ts'
import { inTransaction } from '../support/sqlite.ts'

export interface CountedRows {
  read: number
  written: number
}

export interface CountingSqlite extends LogStorage {
  /** Once after the tables were made: index entries are counted from here on. */
  watchIndexes(): void
  /** As the platform measures what is stored. */
  bytes(): number
}

/** How many rows a statement visits: always so many; those that it finds; those, but one at least; those and the next one; a whole table. */
type Reads = { readonly kind: 'fixed'; readonly rows: number } | { readonly kind: 'found' | 'returned' | 'range' } | { readonly kind: 'scan'; readonly table: string }

interface Prepared {
  readonly statement: StatementSync
  readonly verb: string
  readonly reads: Reads
  readonly limit: number
  readonly isCount: boolean
}

/** Each statement as it was run, and what was counted of it. */
export type TellStatement = (statement: { readonly query: string; readonly bindings: readonly (Binding | Uint8Array)[] } & Readonly<CountedRows>) => void

export function countingSqlite(rows: CountedRows, tell?: TellStatement): CountingSqlite {
  const database = new DatabaseSync(':memory:')
  const known = new Map<string, Prepared>()
  database.function('index_entry', () => {
    rows.written += 1
    return null
  })

  const prepared = (query: string): Prepared => {
    let found = known.get(query)
    if (found !== undefined) return found
    const statement = database.prepare(query)
    statement.setReturnArrays(true)
    const verb = /^\s*(\w+)/.exec(query)?.[1]?.toLowerCase() ?? ''
    found = { statement, verb, reads: readsOf(database, query, verb), limit: Number(/ limit (\d+)\)?/.exec(query)?.[1] ?? Infinity), isCount: query.startsWith('select count(*)') }
    known.set(query, found)
    return found
  }
  const count = (table: string): number => Number(prepared(`select count(*) from ${table}`).statement.get()?.[0 as never] ?? 0) // an array, as set

  const add = ({ reads, limit, isCount }: Prepared, returned: number): void => {
    switch (reads.kind) {
      case 'fixed':
        rows.read += reads.rows
        return
      case 'found':
        rows.read += returned
        return
      case 'returned':
        rows.read += Math.max(1, returned)
        return
      case 'range':
        rows.read += isCount ? Math.min(returned + 2, limit) : returned === limit ? returned : returned + 1
        return
      case 'scan':
        rows.read += Math.max(1, count(reads.table))
        return
      default:
        reads satisfies never
    }
  }
  const sqlite: CountingSqlite = {
    all: (query, bindings) => {
      const one = prepared(query)
      const found = one.statement.all(...bindings) as unknown as unknown[][] // arrays, as set when it was prepared
      add(one, one.isCount ? Number(found[0]?.[0]) : found.length)
      return found
    },
    run: (query, bindings) => {
      const one = prepared(query)
      if (one.verb === 'create') {
        const before = count('sqlite_master')
        one.statement.run(...bindings)
        if (count('sqlite_master') === before) return // it was there
        // The entry of a key that is no rowid is one more.
        rows.written += /^create (unique )?index/i.test(query) ? 1 : 1 + count('sqlite_master') - before
        rows.read += 1
        return
      }
      if (one.reads.kind === 'scan') add(one, 0) // before the rows are gone
      const changes = Number(one.statement.run(...bindings).changes)
      rows.written += changes
      if (one.reads.kind !== 'scan') add(one, changes)
    },
    transaction: (run) => inTransaction(database, run),
    watchIndexes: () => {
      for (const trigger of indexTriggers(database)) database.exec(trigger)
      known.clear()
    },
    bytes: () => {
      const value = (pragma: string) => Number(Object.values(database.prepare(`pragma ${pragma}`).get() ?? {})[0])
      return (value('page_count') - value('freelist_count')) * value('page_size')
    },
  }
  return tell === undefined ? sqlite : telling(sqlite, rows, tell)
}

function telling(sqlite: CountingSqlite, rows: CountedRows, tell: TellStatement): CountingSqlite {
  const told = <T>(act: LogStorage['all'] | LogStorage['run'], query: string, bindings: readonly (Binding | Uint8Array)[]): T => {
    const before = { ...rows }
    const value = act(query, bindings) as T // what `act` gives
    tell({ query, bindings, read: rows.read - before.read, written: rows.written - before.written })
    return value
  }
  return { ...sqlite, all: (query, bindings) => told(sqlite.all, query, bindings), run: (query, bindings) => told(sqlite.run, query, bindings) }
}

function readsOf(database: DatabaseSync, query: string, verb: string): Reads {
  if (verb === 'insert') {
    const table = /^insert into "?(\w+)/.exec(query)?.[1] ?? ''
    return { kind: 'fixed', rows: Number(!isWithoutRowid(database, table)) + Number(query.includes('on conflict')) }
  }
  if (verb !== 'select' && verb !== 'update' && verb !== 'delete') return { kind: 'fixed', rows: 0 }
  const plan = database.prepare(`explain query plan ${query}`).all().map(({ detail }) => String(detail))
  const step = plan.map((detail) => /^(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?(?:INDEX (\w+)|INTEGER PRIMARY KEY|PRIMARY KEY)(?: \((.*)\))?)?/.exec(detail)).find((match) => match !== null && match[2] !== 'found')
  const [, how, table = '', index, terms = ''] = step ?? []
  if (how === undefined) return { kind: 'fixed', rows: 0 }
  const returnsAll = verb === 'select' && !query.includes('max(') && (!query.includes(' where ') || (index !== undefined && isPartial(database, table, index)))
  if (how === 'SCAN' || terms === '') return returnsAll ? { kind: 'returned' } : { kind: 'scan', table }
  if (!isOneRow(database, table, index, terms)) return { kind: 'range' }
  return terms.startsWith('rowid') ? { kind: 'fixed', rows: 1 } : { kind: 'found' }
}

function isWithoutRowid(database: DatabaseSync, table: string): boolean {
  return /without rowid\s*$/i.test(String(database.prepare('select sql from sqlite_master where name = ?').get(table)?.['sql'] ?? ''))
}

/** Every column of a unique key is asked for by `=`. */
function isOneRow(database: DatabaseSync, table: string, index: string | undefined, terms: string): boolean {
  const equal = terms.split(' AND ').filter((term) => term.endsWith('=?')).length
  if (terms.startsWith('rowid')) return equal === 1
  if (index === undefined) return equal === database.prepare(`select 1 from pragma_table_info('${table}') where pk > 0`).all().length
  const isUnique = Number(database.prepare(`select "unique" as u from pragma_index_list('${table}') where name = ?`).get(index)?.['u']) === 1
  return isUnique && equal === database.prepare(`select 1 from pragma_index_info('${index}')`).all().length
}

/** It holds no rows but those that its condition, which is the query's, lets through. */
function isPartial(database: DatabaseSync, table: string, index: string): boolean {
  return Number(database.prepare(`select partial as p from pragma_index_list('${table}') where name = ?`).get(index)?.['p']) === 1
}

/** SQLite rewrites the entry of an index when a statement sets one of its columns, or one that its condition names. */
function indexTriggers(database: DatabaseSync): readonly string[] {
  return database.prepare("select name, tbl_name, sql from sqlite_master where type = 'index' and sql is not null").all().flatMap(({ name, tbl_name: table, sql }) => {
    const condition = / where (.*)$/is.exec(String(sql))?.[1] ?? 'true'
    const columns = database.prepare(`select name from pragma_index_info('${name}')`).all().map((column) => String(column['name']))
    const named = [...condition.matchAll(/"\w+"\."(\w+)"/g)].map(([, column = '']) => column)
    const when = condition.replaceAll(/"\w+"\."(\w+)"/g, 'new."$1"')
    const count = `when ${when} begin select index_entry(); end`
    return [`create temp trigger ${name}_i after insert on ${table} ${count}`, `create temp trigger ${name}_u after update of ${[...new Set([...columns, ...named])].join(', ')} on ${table} ${count}`]
  })
}
