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

export class WatchedDatabase {
  readonly sql: Sql
  readonly #database = new DatabaseSync(':memory:')
  readonly #prepared = new Map<string, StatementSync>()

  constructor(onlooker: RowsOnlooker) {
    this.sql = {
      all: (query, bindings) => this.#statement(query).all(...bindings) as unknown as unknown[][], // as set when it was prepared
      run: (query, bindings) => void this.#statement(query).run(...bindings),
    }
    this.does('begin')
    migrate(this.sql, MIGRATIONS)
    this.does('commit')
    this.#prepared.clear()
    this.#watch(onlooker)
  }

  /** A statement of the transaction that is open, or opens one. */
  does(what: 'begin' | 'commit' | 'rollback' | 'savepoint event' | 'release event' | 'rollback to event'): void {
    this.#statement(what).run()
  }

  /** Rows that were ever written. */
  written(): number {
    return Number(this.#statement('select total_changes()').get()?.[0 as never] ?? 0) // an array, as set when it was prepared
  }

  close(): void {
    this.#database.close()
  }

  #statement(query: string): StatementSync {
    let known = this.#prepared.get(query)
    if (known === undefined) {
      known = this.#database.prepare(query)
      known.setReturnArrays(true)
      this.#prepared.set(query, known)
    }
    return known
  }

  #watch(onlooker: RowsOnlooker): void {
    const columns = (row: string, names: readonly string[]) => names.map((name) => `${row}.${name}`).join(', ')
    this.#database.function('job_inserted', { varargs: true }, (...after) => told(onlooker.jobChanged(null, after)))
    this.#database.function('job_updated', { varargs: true }, (...both) => told(onlooker.jobChanged(both.slice(0, JOB.length), both.slice(JOB.length))))
    this.#database.function('build_inserted', { varargs: true }, (...after) => told(onlooker.buildChanged(null, after)))
    this.#database.function('build_updated', { varargs: true }, (...both) => told(onlooker.buildChanged(both.slice(0, BUILD.length), both.slice(BUILD.length))))
    this.#database.function('attempt_inserted', { varargs: true }, (...row) => told(onlooker.attemptLost(row)))
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
