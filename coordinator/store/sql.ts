/**
 * The one seam to SQLite, and the statements that drizzle builds from the tables. A statement is built once and reused
 * as text with bindings: building it anew costs more than running it. The same text runs in the object's SQLite and in
 * any other that fills `Sql`.
 */
import { and, Column, eq, getTableColumns, sql, type SQL } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/sqlite-proxy'
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core'

export type Binding = string | number | null

export interface Sql {
  /** Each row as its values, in the order of the query's columns: naming them at every row costs more than reading it. */
  all(query: string, bindings: readonly Binding[]): readonly (readonly unknown[])[]
  run(query: string, bindings: readonly Binding[]): void
}

/** Builds statements only; it is connected to nothing. */
const builder = drizzle(() => Promise.reject(new Error('this drizzle only builds statements')))

interface Statement {
  readonly text: string
  /** What is bound at each call, by name. */
  readonly params: readonly string[]
}

interface Field {
  readonly name: string
  readonly column: SQLiteColumn
  /** Absent where the stored value is the row's: most fields, and each call would be paid for at every row read. */
  readonly decode?: (stored: unknown) => unknown
  readonly encode?: (value: unknown) => unknown
}

/** One table's statements. `Row` is the decision's row; `json` names the fields that are stored as JSON text. */
export class Table<Row extends object> {
  readonly #table: SQLiteTable
  readonly #fields: ReadonlyMap<string, Field>
  readonly #key: readonly string[]
  /** Of each column, in the order of their definition, what reading a row takes. */
  readonly #decoders: readonly { readonly field: string; readonly decode: Field['decode'] }[]
  /** A row without a value: to fill in a copy of it costs less than to make each row grow field by field. */
  readonly #blank: Readonly<Record<string, unknown>>
  readonly #statements = new Map<string, Statement>()

  constructor(table: SQLiteTable, json: readonly (keyof Row & string)[] = []) {
    this.#table = table
    const columns = getTableColumns(table) as Record<string, SQLiteColumn> // every column of an SQLite table is one
    this.#fields = new Map(Object.entries(columns).map(([field, column]) => [field, fieldOf(column, json.some((name) => name === field))]))
    this.#decoders = Array.from(this.#fields, ([field, { decode }]) => ({ field, decode }))
    this.#blank = Object.fromEntries(Array.from(this.#fields.keys(), (field) => [field, null]))
    const config = getTableConfig(table)
    const composite = config.primaryKeys[0]?.columns.map((column) => column.name)
    const single = config.columns.filter((column) => column.primary).map((column) => column.name)
    const names = new Set(composite ?? single)
    this.#key = [...this.#fields].flatMap(([field, { name }]) => (names.has(name) ? [field] : []))
  }

  insert(on: Sql, row: Row, { orReplace = false } = {}): void {
    const fields = [...this.#fields.keys()]
    const statement = this.#built(orReplace ? 'replace' : 'insert', () => {
      const values = Object.fromEntries(fields.map((field) => [field, sql.placeholder(field)]))
      const insert = builder.insert(this.#table).values(values as never) // placeholders stand for every column
      if (!orReplace) return insert.toSQL()
      const target = this.#key.map((field) => this.#column(field))
      return insert.onConflictDoUpdate({ target, set: Object.fromEntries(fields.map((field) => [field, sql.raw(`excluded."${this.#field(field).name}"`)])) as never }).toSQL()
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
        .where(this.byKey())
        .toSQL(),
    )
    const values: Record<string, unknown> = { ...key }
    for (const field of fields) values[`set_${field}`] = this.#encode(field, (set as Record<string, unknown>)[field])
    on.run(statement.text, this.#bind(statement, values, true))
  }

  get(on: Sql, key: Readonly<Record<string, Binding>>): Row | null {
    return this.select(on, 'by key', () => ({ where: this.byKey() }), key)[0] ?? null
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

  /** The row with the bound key. */
  byKey(): SQL {
    const all = and(...this.#key.map((field) => eq(this.#column(field), sql.placeholder(field))))
    if (!all) throw new Error('a table without a primary key')
    return all
  }

  /** How many rows match, counted up to `most`. */
  count(on: Sql, name: string, where: () => SQL | undefined, most: number, bindings: Readonly<Record<string, Binding>>): number {
    const statement = this.#built(`count ${name}`, () => {
      const found = builder.select({ one: sql`1`.as('one') }).from(this.#table).where(where()).limit(most).as('found')
      return builder.select({ n: sql`count(*)`.as('n') }).from(found).toSQL()
    })
    return Number(on.all(statement.text, this.#bind(statement, bindings, true))[0]?.[0] ?? 0)
  }

  /** How many rows match, and what one of their fields comes to together. */
  sum(on: Sql, name: string, field: keyof Row & string, where: () => SQL | undefined, bindings: Readonly<Record<string, Binding>>): { readonly count: number; readonly sum: number } {
    const statement = this.#built(`sum ${field} ${name}`, () => builder.select({ n: sql`count(*)`.as('n'), all: sql`total(${this.#column(field)})`.as('all_of_it') }).from(this.#table).where(where()).toSQL())
    const [row] = on.all(statement.text, this.#bind(statement, bindings, true))
    return { count: Number(row?.[0] ?? 0), sum: Number(row?.[1] ?? 0) }
  }

  /** How many characters the texts in one field of the rows that match have together. */
  lengths(on: Sql, name: string, field: keyof Row & string, where: () => SQL | undefined, bindings: Readonly<Record<string, Binding>>): number {
    const statement = this.#built(`lengths ${field} ${name}`, () => builder.select({ all: sql`total(length(${this.#column(field)}))`.as('all_of_it') }).from(this.#table).where(where()).toSQL())
    return Number(on.all(statement.text, this.#bind(statement, bindings, true))[0]?.[0] ?? 0)
  }

  /** One field of the rows that match, as it is stored: the others may be large. */
  values(on: Sql, name: string, field: keyof Row & string, build: () => { readonly where: SQL | undefined; readonly orderBy: readonly SQL[] }, bindings: Readonly<Record<string, Binding>>): readonly unknown[] {
    const statement = this.#built(`values ${field} ${name}`, () => {
      const { where, orderBy } = build()
      return builder.select({ value: this.#column(field) }).from(this.#table).where(where).orderBy(...orderBy).toSQL()
    })
    return on.all(statement.text, this.#bind(statement, bindings, true)).map(([value]) => value)
  }

  /** The rows that match, without their last field, which may be large. */
  selectWithout<Last extends keyof Row & string>(on: Sql, name: string, last: Last, where: () => SQL | undefined, bindings: Readonly<Record<string, Binding>>): readonly Omit<Row, Last>[] {
    const fields = [...this.#fields.keys()].slice(0, -1)
    const statement = this.#built(`select ${name} without ${last}`, () => {
      if ([...this.#fields.keys()].at(-1) !== last) throw new Error(`${last} is not the last field of its table`)
      return builder.select(Object.fromEntries(fields.map((field) => [field, this.#column(field)]))).from(this.#table).where(where()).toSQL()
    })
    return on.all(statement.text, this.#bind(statement, bindings, true)).map((raw) => {
      const { [last]: _absent, ...row } = this.#decode(raw)
      return row
    })
  }

  #field(field: string): Field {
    const found = this.#fields.get(field)
    if (!found) throw new Error(`no column for the field ${field}`)
    return found
  }

  #column(field: string): SQLiteColumn {
    return this.#field(field).column
  }

  #built(name: string, build: () => { sql: string; params: unknown[] }): Statement {
    let statement = this.#statements.get(name)
    if (!statement) {
      const built = build()
      statement = withLiterals(built.sql, built.params)
      this.#statements.set(name, statement)
    }
    return statement
  }

  #bind({ params }: Statement, values: Readonly<Record<string, unknown>>, encoded = false): Binding[] {
    return params.map((name) => {
      const value = values[name]
      if (value === undefined && !(name in values)) throw new Error(`no value for ${name}`)
      return encoded ? (value as Binding) : this.#encode(name, value)
    })
  }

  #encode(field: string, value: unknown): Binding {
    if (value === null || value === undefined) return null
    const { encode } = this.#field(field)
    return (encode ? encode(value) : value) as Binding
  }

  /** drizzle selects a table's columns in the order of their definition. */
  #decode(raw: readonly unknown[]): Row {
    const row: Record<string, unknown> = { ...this.#blank }
    let at = 0
    for (const { field, decode } of this.#decoders) {
      const stored = raw[at++] ?? null
      if (stored !== null) row[field] = decode === undefined ? stored : decode(stored)
    }
    return row as Row // the table's columns are the row's fields; `rows.test.ts` holds them together
  }
}

function fieldOf(column: SQLiteColumn, isJson: boolean): Field {
  if (isJson) return { name: column.name, column, decode: (stored) => JSON.parse(String(stored)), encode: (value) => JSON.stringify(value) }
  const isPlain = column.mapFromDriverValue === Column.prototype.mapFromDriverValue && column.mapToDriverValue === Column.prototype.mapToDriverValue
  if (isPlain) return { name: column.name, column }
  return { name: column.name, column, decode: (stored) => column.mapFromDriverValue(stored as never), encode: (value) => column.mapToDriverValue(value) }
}

/**
 * A number that drizzle bound (a limit) is written into the text: SQLite plans by a limit, so binding one makes it
 * prepare the statement anew at each run, which costs more than the run. No text of ours holds a `?` of its own.
 */
function withLiterals(text: string, bound: readonly unknown[]): Statement {
  const params: string[] = []
  let at = 0
  const withNumbers = text.replaceAll('?', () => {
    const param = bound[at++]
    if (typeof param === 'number') return String(param)
    params.push(placeholderName(param))
    return '?'
  })
  return { text: withNumbers, params }
}

/** drizzle leaves a placeholder as itself, or wrapped by the column's encoder. */
function placeholderName(param: unknown): string {
  if (typeof param === 'object' && param !== null) {
    if ('name' in param && typeof param.name === 'string') return param.name
    if ('value' in param) return placeholderName(param.value)
  }
  throw new Error('only numbers are bound as constants: a placeholder is needed')
}
