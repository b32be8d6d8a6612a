/** What a concurrency group costs in rows, as Cloudflare bills them; docs/cost.md says the same. */
import { expect, it } from 'vitest'
import { migrate } from '../../coordinator/store/migrate.ts'
import { attemptId } from '../../schema/job.ts'
import type { CommandStep, Step } from '../../schema/pipeline/steps.ts'
import { TestCluster } from '../support/cluster.ts'
import { commandStep } from '../support/steps.ts'
import { countingSqlite, type CountedRows } from './rows.ts'
import { readMigrations } from './site.ts'

/** Of a build of these steps from its upload to its end; its first job is not counted. */
function rowsOf(steps: (name: string) => readonly Step[]): CountedRows {
  const rows: CountedRows = { read: 0, written: 0 }
  const counting = countingSqlite(rows)
  migrate(counting, readMigrations())
  counting.watchIndexes()
  const c = new TestCluster()
  Object.assign(c.sql, { all: counting.all, run: counting.run })
  c.project()
  const agent = c.agent('a')
  agent.join()
  const build = (name: string): CountedRows => {
    const { number } = c.build()
    agent.sync()
    const before = { ...rows }
    const answer = c.upload(attemptId({ project: 1, build: number, n: 1, fence: 1 }), steps(name))
    if (!answer.ok) throw new Error(answer.problem.detail)
    for (let job = 0; job < 4; job += 1) {
      agent.finish(agent.only())
      agent.sync()
    }
    agent.sync()
    if (agent.running.size > 0) throw new Error('it has more than three jobs')
    return { read: rows.read - before.read, written: rows.written - before.written }
  }
  build('first') // makes what is there for all builds
  return build('second')
}

const JOBS = ['a', 'b', 'c']

it.each<[string, number, Partial<CommandStep>]>([
  ['held by the one before it', 4, { concurrency: { limit: 1, group: 'g', method: 'ordered' } }],
  ['eager and held', 4, { concurrency: { limit: 1, group: 'g', method: 'eager' } }],
  ['not held', 4, { concurrency: { limit: 3, group: 'g', method: 'ordered' } }],
])('a job of a group that is %s costs %i rows written more than one of none, and about ten read', (_what, written, over) => {
  const steps = (common: Partial<CommandStep>) => rowsOf((build) => JOBS.map((key) => commandStep(`${build}-${key}`, common)))
  const [none, grouped] = [steps({}), steps(over)]
  expect((grouped.written - none.written) / JOBS.length).toBe(written)
  expect((grouped.read - none.read) / JOBS.length).toBeLessThanOrEqual(12)
})

it('one that waited for other steps costs one more', () => {
  const chain = (common: Partial<CommandStep>) => rowsOf((build) => JOBS.map((key, at) => commandStep(`${build}-${key}`, { ...common, dependsOn: JOBS.slice(Math.max(0, at - 1), at).map((before) => ({ step: `${build}-${before}`, allowFailure: false })) })))
  const [none, grouped] = [chain({}), chain({ concurrency: { limit: 1, group: 'g', method: 'ordered' } })]
  expect(grouped.written - none.written).toBe(4 + 5 + 5)
})
