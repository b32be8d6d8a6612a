/**
 * The one seam to SQLite, and the statements that drizzle builds from the tables. A statement is built once and reused
 * as text with bindings: building it anew costs more than running it. The same text runs in the object's SQLite and in
 * any other that fills `Sql`.
 */
import { and, eq, getTableColumns, sql, type SQL } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/sqlite-proxy'
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core'

export type Binding = string | number | null

export interface Sql {
  all(query: string, bindings: readonly Binding[]): readonly Readonly<Record<string, unknown>>[]
  run(query: string, bindings: readonly Binding[]): void
}

/** Builds statements only; it is connected to nothing. */
const builder = drizzle(() => Promise.reject(new Error('this drizzle only builds statements')))

interface Statement {
  readonly text: string
  readonly params: readonly unknown[]
}

/** One table's statements. `Row` is the decision's row; `codec` names the fields that are stored as JSON text. */
export class Table<Row extends object> {
  readonly #table: SQLiteTable
  readonly #columns: Record<string, SQLiteColumn>
  readonly #json: ReadonlySet<string>
  readonly #key: readonly string[]
  readonly #statements = new Map<string, Statement>()

  constructor(table: SQLiteTable, json: readonly (keyof Row & string)[] = []) {
    this.#table = table
    this.#columns = getTableColumns(table) as Record<string, SQLiteColumn> // every column of an SQLite table is one
    this.#json = new Set(json)
    const config = getTableConfig(table)
    const composite = config.primaryKeys[0]?.columns.map((column) => column.name)
    const single = config.columns.filter((column) => column.primary).map((column) => column.name)
    const names = new Set(composite ?? single)
    this.#key = Object.entries(this.#columns).flatMap(([field, column]) => (names.has(column.name) ? [field] : []))
  }

  insert(on: Sql, row: Row, { orReplace = false } = {}): void {
    const fields = Object.keys(this.#columns)
    const statement = this.#built(orReplace ? 'replace' : 'insert', () => {
      const values = Object.fromEntries(fields.map((field) => [field, sql.placeholder(field)]))
      const insert = builder.insert(this.#table).values(values as never) // placeholders stand for every column
      if (!orReplace) return insert.toSQL()
      const target = this.#key.map((field) => this.#column(field))
      return insert.onConflictDoUpdate({ target, set: Object.fromEntries(fields.map((field) => [field, sql.raw(`excluded."${this.#column(field).name}"`)])) as never }).toSQL()
    })
    on.run(statement.text, this.#bind(statement, row as Record<string, unknown>))
  }

  /** Sets only the given fields of the row with this key. */
  update(on: Sql, key: Readonly<Record<string, Binding>>, set: Partial<Row>): void {
    const fields = Object.keys(set)
    if (fields.length === 0) return
    const statement = this.#built(`update ${fields.join()}`, () =>
      builder
        .update(this.#table)
        .set(Object.fromEntries(fields.map((field) => [field, sql`${sql.placeholder(`set_${field}`)}`])) as never)
        .where(this.#byKey())
        .toSQL(),
    )
    const values: Record<string, unknown> = { ...key }
    for (const field of fields) values[`set_${field}`] = this.#encode(field, (set as Record<string, unknown>)[field])
    on.run(statement.text, this.#bind(statement, values, true))
  }

  get(on: Sql, key: Readonly<Record<string, Binding>>): Row | null {
    return this.select(on, 'by key', () => ({ where: this.#byKey() }), key)[0] ?? null
  }

  /** `name` identifies the statement; it is built at the first call only, with placeholders for the bindings. */
  select(on: Sql, name: string, build: () => { readonly where?: SQL | undefined; readonly orderBy?: readonly SQL[]; readonly limit?: number }, bindings: Readonly<Record<string, Binding>> = {}): readonly Row[] {
    const statement = this.#built(`select ${name}`, () => {
      const { where, orderBy, limit } = build()
      let query = builder.select().from(this.#table).$dynamic()
      if (where) query = query.where(where)
      if (orderBy) query = query.orderBy(...orderBy)
      if (limit !== undefined) query = query.limit(limit)
      return query.toSQL()
    })
    return on.all(statement.text, this.#bind(statement, bindings, true)).map((raw) => this.#decode(raw))
  }

  remove(on: Sql, name: string, where: () => SQL, bindings: Readonly<Record<string, Binding>>): void {
    const statement = this.#built(`delete ${name}`, () => builder.delete(this.#table).where(where()).toSQL())
    on.run(statement.text, this.#bind(statement, bindings, true))
  }

  #byKey(): SQL {
    const all = and(...this.#key.map((field) => eq(this.#column(field), sql.placeholder(field))))
    if (!all) throw new Error('a table without a primary key')
    return all
  }

  #column(field: string): SQLiteColumn {
    const column = this.#columns[field]
    if (!column) throw new Error(`no column for the field ${field}`)
    return column
  }

  #built(name: string, build: () => { sql: string; params: unknown[] }): Statement {
    let statement = this.#statements.get(name)
    if (!statement) {
      const built = build()
      statement = { text: built.sql, params: built.params }
      this.#statements.set(name, statement)
    }
    return statement
  }

  #bind({ params }: Statement, values: Readonly<Record<string, unknown>>, encoded = false): Binding[] {
    return params.map((param) => {
      // drizzle leaves a placeholder as itself, or wrapped by the column's encoder.
      const name = placeholderName(param)
      if (name === null) return param as Binding // a constant that drizzle bound
      if (!(name in values)) throw new Error(`no value for ${name}`)
      return encoded ? (values[name] as Binding) : this.#encode(name, values[name])
    })
  }

  #encode(field: string, value: unknown): Binding {
    if (value === null || value === undefined) return null
    if (this.#json.has(field)) return JSON.stringify(value)
    return this.#column(field).mapToDriverValue(value) as Binding
  }

  #decode(raw: Readonly<Record<string, unknown>>): Row {
    const row: Record<string, unknown> = {}
    for (const field in this.#columns) {
      const column = this.#column(field)
      const value = raw[column.name]
      row[field] = value === null || value === undefined ? null : this.#json.has(field) ? JSON.parse(String(value)) : column.mapFromDriverValue(value as never)
    }
    return row as Row // the table's columns are the row's fields; `rows.test.ts` holds them together
  }
}

function placeholderName(param: unknown): string | null {
  if (typeof param !== 'object' || param === null) return null
  if ('name' in param && typeof param.name === 'string') return param.name
  if ('value' in param) return placeholderName(param.value)
  return null
}
