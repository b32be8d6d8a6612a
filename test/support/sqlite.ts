/** Node's SQLite as the objects' code asks for it. */
import type { DatabaseSync } from 'node:sqlite'
import type { LogStorage } from '../../coordinator/objects/log-rows.ts'

/** All that `run` does, or nothing of it. */
export function inTransaction<T>(database: DatabaseSync, run: () => T): T {
  database.exec('begin')
  try {
    const value = run()
    database.exec('commit')
    return value
  } catch (error) {
    database.exec('rollback')
    throw error
  }
}

export function logStorage(database: DatabaseSync): LogStorage {
  return {
    all: (query, bindings) => {
      const statement = database.prepare(query)
      statement.setReturnArrays(true)
      return statement.all(...bindings) as unknown as unknown[][] // what that setting makes of them
    },
    run: (query, bindings) => void database.prepare(query).run(...bindings),
    transaction: (run) => inTransaction(database, run),
  }
}
