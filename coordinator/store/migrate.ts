/**
 * Brings the stored tables up to this version, or says why it must not. Call it inside a transaction: what it throws has
 * to leave everything as it was. The book of what was applied is drizzle's own, so that its tools read it; drizzle's own
 * migrator forgets why a statement failed, and does not notice tables that are newer than itself.
 */
import type { Sql } from './sql.ts'

/** As drizzle-kit writes them: `m0000` is the text of the first entry. */
export interface Migrations {
  readonly journal: { readonly entries: readonly { readonly idx: number; readonly when: number; readonly tag: string }[] }
  readonly migrations: Readonly<Record<string, string>>
}

/** The data cannot be served by this version; the message ends a sentence about it. */
export class MigrationError extends Error {}

const BOOK = '"__drizzle_migrations"'

export function migrate(on: Sql, { journal, migrations }: Migrations): void {
  on.run(`create table if not exists ${BOOK} (id serial primary key, hash text not null, created_at numeric)`, [])
  // The last entry is the newest; looking for it among all would cost a read of each at every wake.
  const last = Number(on.all(`select created_at from ${BOOK} order by rowid desc limit 1`, [])[0]?.[0] ?? 0)
  const newest = Math.max(...journal.entries.map(({ when }) => when))
  if (last > newest) throw new MigrationError(`its tables are of ${day(last)}, newer than this version, which knows those of ${day(newest)}: deploy the version that wrote them, or a later one`)
  for (const { idx, when, tag } of journal.entries) {
    if (when <= last) continue
    for (const statement of (migrations[`m${String(idx).padStart(4, '0')}`] ?? '').split('--> statement-breakpoint')) {
      try {
        on.run(statement, [])
      } catch (error) {
        throw new MigrationError(`migration ${tag} failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      }
    }
    on.run(`insert into ${BOOK} (hash, created_at) values ('', ?)`, [when])
  }
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
