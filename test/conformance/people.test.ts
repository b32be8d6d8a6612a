/** What people ask of a cluster, and are told. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId } from '../../schema/job.ts'
import { TestCluster } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
})

const first = () => attemptId({ project: 1, build: 1, n: 1, fence: 1 })

describe('people', () => {
  it('starts one build for one Idempotency-Key, and refuses the key for another', () => {
    expect(c.build({ message: 'x' }, { key: 'k' }).number).toBe(1)
    expect(c.build({ message: 'x' }, { key: 'k' }).number).toBe(1)
    expect(() => c.build({ message: 'y' }, { key: 'k' })).toThrow(/another body/)
  })

  it('retries a finished job as a new one that succeeds it', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.finish(first(), 'failed')
    a.sync()
    expect(c.retry(1, 'failed')).toMatchObject({ ok: true, value: { state: 'scheduled', jobs: [{ state: 'failed', retried_by: 'J1-1-2' }, { state: 'queued', retry_of: 'J1-1-1' }] } })
    expect(c.retry(1)).toMatchObject({ ok: false, problem: { code: 'nothing-to-retry' } })
  })

  it('pins the commit that the first attempt reports, for every later one [I29]', () => {
    const a = c.agent('a')
    c.build({ branch: 'main' })
    const sha = 'a'.repeat(40)
    a.join()
    a.finish(first(), 'failed', { commit: sha })
    a.sync()
    c.retry(1)
    expect(a.sync().assignments[0]?.spec?.checkout?.commit).toBe(sha)
  })

  it('says why a job waits', () => {
    const reason = () => c.view(1).jobs[0]?.waiting
    c.build({ agents: { tags: ['os=mac'] } })
    expect(reason()).toMatchObject({ code: 'no_agent', reason: expect.stringContaining('no agent has joined yet') })
    const b = c.agent('b')
    b.join()
    expect(reason()).toEqual({ code: 'no_agent', reason: 'no agent of the queue default has the tag os=mac' })
    const a = c.agent('a', { tags: ['os=mac'] })
    c.build({ agents: { tags: ['os=mac'] }, priority: 3 })
    a.join()
    expect(reason()).toEqual({ code: 'agents_busy', reason: '1 agent matches and is busy; next in line' })
    c.pass(600_000)
    expect(reason()?.code).toBe('no_agent_online')
  })

  it('rings as many idle agents as there is work for', () => {
    c.build()
    expect(c.effects.at(-1)).toEqual({ kind: 'ring-class', class: 1, count: 1 })
  })
})
