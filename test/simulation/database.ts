/**
 * The rows of a world: real SQLite with the real tables, which itself tells of each change to whoever looks on. Nothing
 * that the code under test does to them can go by unseen.
 */
import { readFileSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { migrate, type Migrations } from '../../coordinator/store/migrate.ts'
import type { Sql } from '../../coordinator/store/sql.ts'

/** Told within the statement that changes a row; the columns are those that `JOB`, `BUILD` and `ATTEMPT` name. */
export interface RowsOnlooker {
  /** `before` is null for a new one. */
  jobChanged(before: readonly unknown[] | null, after: readonly unknown[]): void
  buildChanged(before: readonly unknown[] | null, after: readonly unknown[]): void
  attemptLost(row: readonly unknown[]): void
}

const JOB = ['project', 'build', 'n', 'state', 'fence', 'agent', 'boot_seq', 'cancel', 'lost_count', 'digest', 'class', 'ord', 'avoid_agent', 'spec', 'result', 'created_at']
const BUILD = ['project', 'number', 'commit_sha', 'state']
const ATTEMPT = ['project', 'build', 'n', 'fence', 'agent', 'boot_seq', 'detail']

const MIGRATIONS = readMigrations()

function readMigrations(): Migrations {
  const folder = new URL('../../schema/migrations/', import.meta.url)
  const journal = JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')) as Migrations['journal'] // written by drizzle-kit
  return { journal, migrations: Object.fromEntries(journal.entries.map(({ idx, tag }) => [`m${String(idx).padStart(4, '0')}`, readFileSync(new URL(`${tag}.sql`, folder), 'utf8')])) }
}

/** Empty ones that a former world has left: to migrate one and to prepare its statements costs as much as many events. */
const empty: Tables[] = []

export class WatchedDatabase {
  readonly sql: Sql
  readonly #tables: Tables
  /** Null: rows may have been written since it was last counted. */
  #written: number | null = null
  /** What is open for whoever asks, and not for SQLite yet: most events write nothing, and then there is nothing to end. */
  readonly #unopened: ('begin' | 'savepoint event')[] = []

  constructor(onlooker: RowsOnlooker) {
    const tables = (this.#tables = empty.pop() ?? new Tables())
    tables.onlooker = onlooker
    this.sql = {
      all: tables.sql.all,
      run: (query, bindings) => {
        if (this.#unopened.length > 0) for (const what of this.#unopened.splice(0)) tables.statement(what).run()
        this.#written = null
        tables.sql.run(query, bindings)
      },
    }
  }

  /** A statement of the transaction that is open, or opens one. */
  does(what: 'begin' | 'commit' | 'rollback' | 'savepoint event' | 'release event' | 'rollback to event'): void {
    if (what === 'begin' || what === 'savepoint event') this.#unopened.push(what)
    else if (this.#unopened.length === 0) this.#tables.statement(what).run()
    else if (what !== 'rollback to event') this.#unopened.pop()
  }

  /** Rows that were ever written. */
  written(): number {
    return (this.#written ??= Number(this.#tables.statement('select total_changes()').get()?.[0 as never] ?? 0)) // an array, as set when it was prepared
  }

  close(): void {
    this.#tables.onlooker = null
    if (this.#tables.clear()) empty.push(this.#tables)
  }
}

/** The tables of a world, and of the next one in the same process. */
class Tables {
  onlooker: RowsOnlooker | null = null
  readonly sql: Sql = {
    all: (query, bindings) => this.statement(query).all(...bindings) as unknown as unknown[][], // as set when it was prepared
    run: (query, bindings) => void this.statement(query).run(...bindings),
  }
  readonly #database = new DatabaseSync(':memory:')
  readonly #prepared = new Map<string, StatementSync>()
  readonly #names: readonly string[]

  constructor() {
    this.#database.exec('begin')
    migrate(this.sql, MIGRATIONS)
    this.#database.exec('commit')
    this.#prepared.clear()
    this.#names = this.sql.all("select name from sqlite_master where type = 'table' and name <> '__drizzle_migrations'", []).map(([name]) => String(name))
    this.#watch()
  }

  statement(query: string): StatementSync {
    let known = this.#prepared.get(query)
    if (known === undefined) {
      known = this.#database.prepare(query)
      known.setReturnArrays(true)
      this.#prepared.set(query, known)
    }
    return known
  }

  /** Without a row, as they were made. False: within a transaction that never ended, and not to be used again. */
  clear(): boolean {
    if (this.#database.isTransaction) return false
    for (const name of this.#names) this.statement(`delete from "${name}"`).run()
    return true
  }

  #watch(): void {
    const columns = (row: string, names: readonly string[]) => names.map((name) => `${row}.${name}`).join(', ')
    this.#database.function('job_inserted', { varargs: true }, (...after) => told(this.onlooker?.jobChanged(null, after)))
    this.#database.function('job_updated', { varargs: true }, (...both) => told(this.onlooker?.jobChanged(both.slice(0, JOB.length), both.slice(JOB.length))))
    this.#database.function('build_inserted', { varargs: true }, (...after) => told(this.onlooker?.buildChanged(null, after)))
    this.#database.function('build_updated', { varargs: true }, (...both) => told(this.onlooker?.buildChanged(both.slice(0, BUILD.length), both.slice(BUILD.length))))
    this.#database.function('attempt_inserted', { varargs: true }, (...row) => told(this.onlooker?.attemptLost(row)))
    this.#database.exec(`
      create temp trigger job_inserted after insert on job begin select job_inserted(${columns('new', JOB)}); end;
      create temp trigger job_updated after update on job begin select job_updated(${columns('old', JOB)}, ${columns('new', JOB)}); end;
      create temp trigger build_inserted after insert on build begin select build_inserted(${columns('new', BUILD)}); end;
      create temp trigger build_updated after update on build begin select build_updated(${columns('old', BUILD)}, ${columns('new', BUILD)}); end;
      create temp trigger attempt_inserted after insert on attempt begin select attempt_inserted(${columns('new', ATTEMPT)}); end;
    `)
  }
}

/** What a function of SQLite gives back when it has nothing to say. */
function told(said: void): null {
  return said ?? null
}
