/** The SQLite of a Durable Object, as the code that also runs without one knows it. */
import type { Binding } from '../store/sql.ts'

/** Fills `Sql` of the store, and binds bytes too. */
export interface ObjectSql {
  all(query: string, bindings: readonly (Binding | Uint8Array)[]): readonly (readonly unknown[])[]
  run(query: string, bindings: readonly (Binding | Uint8Array)[]): void
}

export function sqlOf(storage: SqlStorage): ObjectSql {
  return {
    all: (query, bindings) => [...storage.exec(query, ...bindings).raw()],
    run: (query, bindings) => void storage.exec(query, ...bindings),
  }
}
