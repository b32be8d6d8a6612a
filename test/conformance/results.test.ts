/** Which results are accepted [C4.5]. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId } from '../../schema/job.ts'
import { TestCluster, type TestAgent } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
})

const first = (n = 1, fence = 1) => attemptId({ project: 1, build: n, n: 1, fence })

describe('results [C4.5]', () => {
  it('accepts the same result again without a change of any row [I2]', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.finish(first())
    a.syncUnheard()
    const before = c.sql.rowsWritten()
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'accepted' }])
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('keeps the first of two different results of one attempt', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.finish(first())
    a.syncUnheard()
    a.finish(first(), 'failed')
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'conflict' }])
    expect(c.view(1).state).toBe('passed')
  })

  it('refuses the result of a superseded attempt and leaves the job alone', () => {
    const a = c.agent('a')
    const b = c.agent('b')
    c.build()
    a.join()
    b.join()
    c.pass(400_000)
    b.join()
    expect(b.only()).toBe(first(1, 2))
    a.finish(first())
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'superseded' }])
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'assigned', attempts: [{ fence: 1, state: 'lost' }, { fence: 2 }] })
  })

  it('accepts a result after the lease ended when nobody else took the job', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    c.pass(400_000)
    expect(c.view(1).jobs[0]?.state).toBe('queued')
    a.finish(first())
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'accepted' }])
    expect(c.view(1).state).toBe('passed')
  })

  it('takes a result that was spooled before a crash, in the sync of the new boot', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.finish(first())
    a.restart()
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'accepted' }])
    expect(c.view(1).jobs[0]?.attempts).toHaveLength(1)
  })

  it('says of a job that ended without a result that it is final, and of one with another result that they differ', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    c.cancel(1)
    a.restart()
    a.sync() // it lost the job, which ends as it was cancelled
    expect(c.view(1).jobs[0]?.state).toBe('canceled')
    a.finish(first())
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'final' }])
    expect(c.view(1)).toMatchObject({ state: 'canceled', jobs: [{ state: 'canceled' }] })
  })

  it('answers an unknown attempt with superseded', () => {
    const a = c.agent('a')
    a.finish(first(99))
    expect(a.join().verdicts).toEqual([])
    expect(a.spool.size).toBe(0)
  })
})

describe('failures of the machine [C15.3]', () => {
  const broken = (a: TestAgent, code: string) => {
    c.build()
    a.sync()
    a.finish(a.only(), 'errored', { reason: { code, message: 'it could not' } })
    return a.sync()
  }

  it('hold the agent back from the sync that delivers the third in a row, and a person may take it back at once', () => {
    const a = c.agent('a')
    a.join()
    const failed = [broken(a, 'agent_disk'), broken(a, 'agent_checkout')]
    c.build()
    a.sync()
    c.build() // another waits
    a.finish(a.only(), 'errored', { reason: { code: 'agent_disk', message: 'no space' } })
    expect([...failed, a.sync()]).toMatchObject([{ held_back: null }, { held_back: null }, { assignments: [], held_back: { message: 'held back after 3 failures of the machine in a row' } }])
    expect(a.sync().assignments).toEqual([])
    c.cluster.changeAgent(c.now, a.id, 'resume')
    expect(a.sync()).toMatchObject({ assignments: [{ attempt: first(4) }], held_back: null })
  })

  it('count each for itself when one sync delivers several', () => {
    const a = c.agent('a', { slots: 3 })
    for (let i = 0; i < 4; i++) c.build()
    a.join()
    for (const attempt of a.running) a.finish(attempt, 'errored', { reason: { code: 'agent_disk', message: 'no space' } })
    expect(a.sync()).toMatchObject({ assignments: [], held_back: { code: 'held_back' } })
  })

  it.each(['passed', 'failed'] as const)('are not in a row when a job %s between them', (outcome) => {
    const a = c.agent('a')
    a.join()
    for (let i = 0; i < 3; i++) {
      broken(a, 'agent_disk')
      broken(a, 'agent_disk')
      c.build()
      a.sync()
      a.finish(a.only(), outcome)
      a.sync()
    }
    c.build()
    expect(a.sync().assignments).toHaveLength(1)
  })

  it('are not what a build does to itself', () => {
    const a = c.agent('a')
    a.join()
    for (let i = 0; i < 4; i++) expect(broken(a, 'pipeline_invalid').held_back).toBeNull()
  })
})
