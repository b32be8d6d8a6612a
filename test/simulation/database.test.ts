import { expect, it } from 'vitest'
import { WatchedDatabase } from './database.ts'

const DEAF = { jobChanged: () => undefined, buildChanged: () => undefined, attemptLost: () => undefined }
const names = ({ sql }: WatchedDatabase) => sql.all('select name from fact order by name', []).map(([name]) => name)
const note = ({ sql }: WatchedDatabase, name: string) => sql.run('insert into fact (name, value) values (?, ?)', [name, ''])

it('undoes what was written within a savepoint, and no more', () => {
  const database = new WatchedDatabase(DEAF)
  database.does('begin')
  note(database, 'before')
  database.does('savepoint event')
  note(database, 'within')
  database.does('rollback to event')
  database.does('release event')
  database.does('savepoint event')
  database.does('rollback to event') // in which nothing was written
  database.does('release event')
  database.does('commit')
  expect(names(database)).toEqual(['before'])
  database.close()
})

it('undoes all of an event whose first write was within a savepoint', () => {
  const database = new WatchedDatabase(DEAF)
  database.does('begin')
  database.does('savepoint event')
  note(database, 'within')
  database.does('release event')
  note(database, 'after')
  database.does('rollback')
  expect(names(database)).toEqual([])
  database.does('begin')
  note(database, 'later')
  database.does('commit')
  expect(names(database)).toEqual(['later'])
  database.close()
})

it('counts the rows that were written, also those that were undone', () => {
  const database = new WatchedDatabase(DEAF)
  const before = database.written()
  database.does('begin')
  note(database, 'one')
  expect(database.written() - before).toBe(1)
  database.does('rollback')
  database.does('begin')
  database.does('commit')
  expect(database.written() - before).toBe(1)
  database.close()
})

it('begins without a row of the world before, and tells of its own to nobody but its own onlooker', () => {
  const builds: string[] = []
  const insert = ({ sql }: WatchedDatabase, number: number) => sql.run('insert into build (project, number, created_at) values (1, ?, 0)', [number])
  const watched = (who: string) => new WatchedDatabase({ ...DEAF, buildChanged: (_, [, number]) => void builds.push(`${who} ${String(number)}`) })
  const first = watched('first')
  insert(first, 7)
  first.close()
  const second = watched('second')
  expect(second.sql.all('select number from build', [])).toEqual([])
  insert(second, 8)
  expect(builds).toEqual(['first 7', 'second 8'])
  second.close()
})
