/** The SQLite of a Durable Object, as the code knows it that also runs without one: for tables (`Sql`) and for logs. */
import type { LogStorage } from './log-rows.ts'

export function sqlOf(storage: DurableObjectStorage): LogStorage {
  const { sql } = storage
  return {
    all: (query, bindings) => [...sql.exec(query, ...bindings).raw()],
    run: (query, bindings) => void sql.exec(query, ...bindings),
    transaction: (run) => storage.transactionSync(run),
  }
}
