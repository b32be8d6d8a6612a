/** Who still holds what: silence, outages, lost replies, time limits [C4.6, C4.8, C10]. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Caller } from '../../coordinator/objects/scheduler-api.ts'
import { attemptId } from '../../schema/job.ts'
import type { SyncReply } from '../../schema/sync.ts'
import { TestCluster, type TestAgent } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
})

const first = (n = 1, fence = 1) => attemptId({ project: 1, build: n, n: 1, fence })
const heard = (answer: ReturnType<TestCluster['sync']>): SyncReply => {
  if (!answer.ok) throw new Error(answer.message)
  return answer.value
}

describe('leases [C4.6, C10]', () => {
  it('requeues the job of an agent that fell silent, by the alarm alone [I6]', () => {
    const a = c.agent('a')
    const b = c.agent('b')
    c.build()
    a.join()
    a.sync()
    for (let i = 0; i < 8; i++) {
      c.pass(15_000)
      b.sync()
    }
    c.pass(c.numbers.leaseMs + c.numbers.graceMs - 8 * 15_000)
    expect(c.view(1).jobs[0]?.attempts[0]).toMatchObject({ state: 'lost', reason: { code: 'silent' } })
  })

  it('keeps the start of the build when its first attempt is lost', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.sync()
    const before = c.view(1).started_at
    for (let lost = 0; lost < 2; lost += 1) {
      c.pass(1_000)
      a.restart()
      a.join()
      a.sync()
    }
    expect(c.view(1).jobs[0]?.attempts.map(({ state }) => state)).toEqual(['lost', 'lost', 'running'])
    expect(c.view(1).started_at).toBe(before)
  })

  it('is no start of the build when the attempt never arrived', () => {
    const a = c.agent('a')
    c.build()
    a.sync()
    a.syncUnheard() // the reply that carried it is lost, and so is the agent
    c.pass(400_000)
    const b = c.agent('b')
    b.join()
    const began = new Date(c.now).toISOString()
    b.finish(b.only())
    b.sync()
    expect(c.view(1)).toMatchObject({ state: 'passed', started_at: began, jobs: [{ attempts: [{ fence: 1, state: 'lost', reason: { code: 'never_taken' } }, { fence: 2, started_at: began }] }] })
  })

  it('is no start of the build when the attempt was handed back', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.running.clear()
    c.pass(5000)
    a.sync({ lost: [{ attempt: first(), why: 'handed_back' }] })
    expect(c.view(1).started_at).toBe(new Date(c.now).toISOString()) // of the attempt that it was given then
  })

  it('is renewed too by a sync that says that the result did not fit it, and leaves room for the next job', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    c.build()
    const taken: string[] = []
    for (let i = 0; i < 40; i++) {
      c.pass(15_000)
      taken.push(...a.sync({ running: [...a.running].filter((attempt) => attempt !== first()).map((attempt) => ({ attempt, phase: 'running' as const, commit: null, log_bytes: 0 })), spooled: [first()] }).assignments.map(({ attempt }) => attempt))
    }
    expect(taken).toEqual([first(2)])
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ fence: 1, state: 'running' }] })
  })

  it.each<[string, { readonly state: string; readonly reason: { readonly code: string; readonly message: string } }, (a: TestAgent) => void]>([
    ['was cancelled', { state: 'canceled', reason: { code: 'canceled', message: 'cancelled; the agent was restarted and no longer had the job' } }, (a) => (c.cancel(1), a.restart(), a.sync())],
    ['was lost too often', { state: 'errored', reason: { code: 'agent_lost', message: 'lost 3 times, last because the agent was restarted and no longer had the job; the job may be what ends its agents' } }, (a) => [1, 2, 3].forEach(() => (a.restart(), a.join()))],
    ['went on beyond its time limit', { state: 'timed_out', reason: { code: 'overran', message: 'the job went on far beyond its time limit' } }, (a) => keepsOn(a)],
  ])('says why and when, of a job that %s and has no result', (_, ended, lose) => {
    const a = c.agent('a')
    c.build({ timeout_s: 60 })
    a.join()
    a.sync()
    lose(a)
    const last = c.view(1).jobs[0]?.attempts.at(-1)
    expect(last?.finished_at).not.toBeNull()
    expect(c.view(1)).toMatchObject({ finished_at: last?.finished_at, jobs: [{ ...ended, finished_at: last?.finished_at }] })
  })

  it('is renewed only by a sync that names the attempt', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.sync()
    for (let i = 0; i < 12; i++) {
      c.pass(15_000)
      a.syncUnheard({ running: [] }) // alive, but knows nothing of the job
    }
    expect(c.view(1).jobs[0]?.attempts.some(({ state, fence }) => state === 'lost' && fence === 1)).toBe(true)
  })

  it('keeps a build that is named through evictions between all messages', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    for (let i = 0; i < 40; i++) {
      c.pass(15_000)
      c.restart()
      a.sync()
    }
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ fence: 1 }] })
  })

  it('stores a lease by its own age: another agent cannot starve it of the flush [C7.3]', () => {
    const a = c.agent('a')
    const b = c.agent('b')
    c.build()
    c.build()
    a.join()
    b.join()
    for (let i = 0; i < 40; i++) {
      c.pass(7000)
      b.sync()
      c.restart()
      c.pass(7000)
      a.sync()
      c.restart()
    }
    expect(c.view(1).jobs[0]?.attempts).toMatchObject([{ fence: 1, state: 'running' }])
    expect(c.view(2).jobs[0]?.attempts).toMatchObject([{ fence: 1, state: 'running' }])
  })

  it.each([1_000, 40_000, 70_000, 600_000, 86_400_000])('loses no attempt by an outage of its own of %i ms [I10]', (ms) => {
    const a = c.agent('a')
    c.build({ timeout_s: 7 * 24 * 3600 })
    a.join()
    a.sync()
    c.pass(ms, { away: true })
    c.restart()
    c.pass(0) // an overdue alarm fires before any agent is back
    c.pass(20_000)
    a.sync()
    c.pass(60_000)
    a.sync()
    expect(c.view(1).jobs[0]?.attempts).toMatchObject([{ fence: 1, state: 'running' }])
  })

  it.each([
    ['an agent that was revoked', (agent: TestAgent) => agent.caller(), (agent: TestAgent) => agent.request()],
    ['a stranger', (): Caller => ({ via: 'secret', sha256: 'x' }), (agent: TestAgent) => agent.request()],
    ['a copy of a state folder', (agent: TestAgent) => agent.caller(), (agent: TestAgent) => agent.request({ boot_id: 'of-a-copied-disk' })],
  ] as const)('loses no attempt by an outage after which %s is the first to speak [I10, C4.1]', (who, caller, request) => {
    const [a, other] = [c.agent('a'), c.agent('other')]
    other.sync()
    if (who === 'an agent that was revoked') c.cluster.changeAgent(c.now, other.id, 'revoke')
    c.build({ timeout_s: 7 * 24 * 3600 })
    a.join()
    a.sync()
    c.pass(600_000, { away: true })
    c.restart()
    const [rows, { deadline }] = [c.sql.rowsWritten(), c.cluster.peek()]
    expect(c.sync(request(other), caller(other)).ok).toBe(false)
    expect([c.sql.rowsWritten(), c.cluster.peek()]).toEqual([rows, { deadline }]) // it was not heard: the alarm sees to what is due
    c.pass(20_000)
    a.sync()
    expect(c.view(1).jobs[0]?.attempts).toMatchObject([{ fence: 1, state: 'running' }])
  })

  it('takes an expired attempt back while nobody else has the job, with the same fence', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.sync()
    c.pass(400_000)
    expect(c.view(1).jobs[0]?.state).toBe('queued')
    expect(a.sync().directives).toEqual([])
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ fence: 1, state: 'running' }] })
  })

  it('gives an expired attempt to nobody else who names it [I1]', () => {
    const [a, b] = [c.agent('a'), c.agent('b', { queue: 'other' })]
    c.build()
    a.join()
    a.sync()
    c.pass(400_000)
    b.running.add(first())
    expect(b.join().directives).toEqual([])
    expect(b.running.size).toBe(0) // told to abandon it, by the first of two
    expect(c.view(1).jobs[0]?.state).toBe('queued')
    a.sync()
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ fence: 1, agent: 'a' }] })
  })

  it('tells the holder of a superseded attempt to abandon it', () => {
    const a = c.agent('a')
    const b = c.agent('b')
    c.build()
    a.join()
    c.pass(400_000)
    b.join()
    expect(a.sync().directives).toMatchObject([{ attempt: first(), directive: 'abandon' }])
  })

  it('delivers an assignment again, the same one, when its reply was lost [I11]', () => {
    const a = c.agent('a')
    c.build()
    a.sync()
    a.syncUnheard()
    expect(a.sync().assignments.map(({ attempt }) => attempt)).toEqual([first()])
  })

  it('lets an agent come back soon for what one of two copies of its message was given [C8]', () => {
    const a = c.agent('a')
    a.join()
    c.build()
    const [twice, by] = [a.request({ doorbell: true }), a.caller()]
    c.sync(twice, by)
    const unaware = heard(c.sync(twice, by))
    expect(unaware).toMatchObject({ assignments: [], next_sync_ms: 2_000 })
    a.hear(unaware)
    expect(a.sync().assignments.map(({ attempt }) => attempt)).toEqual([first()])
  })

  it('gives what may not run twice away, instead of delivering it when its lease ends sooner than a holder that is cut off ends it [C16.2]', () => {
    const a = c.agent('a')
    c.build({ on_partition: 'stop' })
    a.sync()
    a.syncUnheard()
    c.pass(15_000)
    a.syncUnheard({ running: [] })
    c.pass(10_000)
    for (const _ of ['a message from before, for all that is known', 'one that has heard']) expect(a.sync({ running: [], doorbell: true })).toMatchObject({ assignments: [], next_sync_ms: 2_000 })
    expect(a.sync({ running: [] }).assignments.map(({ attempt }) => attempt)).toEqual([attemptId({ project: 1, build: 1, n: 1, fence: 2 })])
    expect(c.view(1).jobs[0]?.attempts).toMatchObject([{ state: 'lost' }, {}])
  })

  it.each(['as it was', 'restarted'])('leaves to its lease what may not run twice, when a message that comes late does not name it; the coordinator %s [C16.2]', (how) => {
    const a = c.agent('a')
    c.build({ on_partition: 'stop' })
    a.sync()
    const [late, by] = [a.request(), a.caller()]
    a.hear(heard(c.sync(late, by)))
    expect([...a.running]).toEqual([first()])
    if (how === 'restarted') c.restart()
    c.pass(26_000)
    expect(heard(c.sync(late, by))).toMatchObject({ assignments: [], directives: [] })
    expect(c.view(1).jobs[0]?.attempts).toMatchObject([{ state: 'assigned' }])
    expect(a.sync().directives).toEqual([])
    expect(c.view(1).jobs[0]?.attempts).toMatchObject([{ state: 'running' }])
  })

  it('does not count an attempt that never arrived towards the cap', () => {
    const a = c.agent('a')
    c.build()
    for (let i = 0; i < 5; i++) {
      a.sync({ running: [] })
      a.syncUnheard({ running: [] })
      c.pass(400_000)
    }
    expect(c.view(1).jobs[0]?.state).not.toBe('errored')
  })

  it('always has an alarm armed at or before the next deadline [I20]', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    for (let i = 0; i < 30; i++) {
      c.pass(9_000)
      a.sync()
      const { deadline } = c.cluster.peek()
      expect(deadline === null || (c.alarmAt !== null && c.alarmAt <= deadline)).toBe(true)
      if (i % 3 === 0) c.restart()
    }
  })

  it('ends every due lease on its own: one that cannot be ended holds up neither the others nor the alarm [I21]', () => {
    const [a, b, other] = [c.agent('a'), c.agent('b'), c.agent('other')]
    c.build()
    a.join()
    c.build()
    b.join()
    for (const agent of [a, b]) agent.sync()
    const damage = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    c.sql.database.exec(`create trigger damaged before update on job when old.build = 1 begin select raise(abort, 'the row is damaged'); end`)
    for (let i = 0; i < 14; i++) {
      c.pass(15_000)
      other.sync()
    }
    expect(damage).toHaveBeenCalled()
    expect(c.view(1).jobs[0]?.attempts.map(({ state }) => state)).not.toContain('lost')
    expect(c.view(2).jobs[0]?.attempts.map(({ state }) => state)).toEqual(['lost', 'running'])
    expect([...other.running]).toEqual([first(2, 2)])
    expect(c.alarmAt).not.toBeNull()
    const tries = damage.mock.calls.length
    for (let i = 0; i < 40; i++) {
      c.pass(15_000)
      other.sync()
    }
    expect(damage.mock.calls.length - tries).toBeLessThan(6) // in ten minutes: each wait is twice the one before
    c.sql.database.exec('drop trigger damaged')
    c.pass(3_600_000)
    expect(c.view(1).jobs[0]?.attempts.map(({ state }) => state)).toContain('lost')
    damage.mockRestore()
  })

  it('ends an attempt whose agent does not keep its time limit', () => {
    const a = c.agent('a')
    c.build({ timeout_s: 60 })
    a.join()
    keepsOn(a)
    expect(c.view(1).jobs[0]?.state).toBe('timed_out')
    expect(a.running.size).toBe(0)
  })

  it('hands back without counting what an agent gives back', () => {
    const a = c.agent('a')
    c.build()
    for (let i = 0; i < 5; i++) {
      a.join()
      const attempt = a.only()
      a.running.clear()
      a.sync({ lost: [{ attempt, why: 'handed_back' }], state: 'draining' })
    }
    expect(c.view(1).jobs[0]?.state).toBe('queued')
  })
})

/** A quarter of an hour goes by, and it still has what it has. */
function keepsOn(agent: TestAgent): void {
  for (let i = 0; i < 60; i++) {
    c.pass(15_000)
    agent.sync()
  }
}
