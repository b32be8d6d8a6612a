/** Which results are accepted [C4.5]. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId } from '../../schema/job.ts'
import { TestCluster } from '../support/cluster.ts'

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

  it('answers an unknown attempt with superseded', () => {
    const a = c.agent('a')
    a.finish(first(99))
    expect(a.join().verdicts).toEqual([])
    expect(a.spool.size).toBe(0)
  })
})
