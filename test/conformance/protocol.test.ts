/** The agent protocol, rule by rule, against the real steps of the Scheduler. The numbers are those of docs/protocol.md. */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { attemptId } from '../../schema/job.ts'
import { TestCluster } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
})

const first = (n = 1, fence = 1) => attemptId({ project: 1, build: n, n: 1, fence })

describe('assignment [C4.10]', () => {
  it('gives an idle agent the waiting job, and its result ends the build', () => {
    const a = c.agent('a')
    c.build()
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first()])
    a.finish(first())
    expect(a.sync().verdicts).toEqual([{ attempt: first(), verdict: 'accepted' }])
    expect(c.view(1).state).toBe('passed')
  })

  it('takes the next job in the very sync that delivers a result', () => {
    const a = c.agent('a')
    c.build()
    c.build()
    a.join()
    a.finish(first())
    expect(a.sync().assignments.map(({ attempt }) => attempt)).toEqual([first(2)])
  })

  it('fills all free slots in one sync, the highest priority first, then the oldest', () => {
    const a = c.agent('a', { slots: 2 })
    c.build()
    c.pass(5)
    c.build()
    c.build({ priority: 5 })
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first(3), first(1)])
  })

  it('never gives an agent more than its slots, and less when it lowered them', () => {
    const a = c.agent('a', { slots: 3 })
    for (let i = 0; i < 5; i++) c.build()
    expect(a.join().assignments).toHaveLength(3)
    a.finish(first(1))
    expect(a.sync({ slots: 1 }).assignments).toHaveLength(0)
  })

  it('respects queue and tags', () => {
    const plain = c.agent('plain')
    const mac = c.agent('mac', { tags: ['os=mac', 'xcode=16'] })
    const gpu = c.agent('gpu', { queue: 'gpu' })
    c.build({ agents: { tags: ['os=mac'] } })
    c.build({ agents: { queue: 'gpu' } })
    expect(plain.join().assignments).toEqual([])
    expect(mac.join().assignments.map(({ attempt }) => attempt)).toEqual([first(1)])
    expect(gpu.join().assignments.map(({ attempt }) => attempt)).toEqual([first(2)])
  })

  it('gives nothing to an agent that has not proved that it hears, at most two batches over [I27]', () => {
    const a = c.agent('a', { slots: 2 })
    for (let i = 0; i < 9; i++) c.build()
    a.join()
    c.pass(c.numbers.hearingMs + 1)
    for (let i = 0; i < 5; i++) a.syncUnheard({ running: [] })
    expect(c.cluster.agents(c.now)[0]?.running).toHaveLength(2)
  })

  it('gives nothing to an agent that drains, is unhealthy, or was told to drain', () => {
    const a = c.agent('a')
    a.join()
    c.build()
    expect(a.sync({ state: 'draining' }).assignments).toEqual([])
    expect(a.sync({ state: 'unhealthy', reason: 'disk full' }).assignments).toEqual([])
    c.cluster.changeAgent(c.now, a.id, 'drain')
    expect(a.sync()).toMatchObject({ assignments: [], drain: true })
    c.cluster.changeAgent(c.now, a.id, 'resume')
    expect(a.sync().assignments).toHaveLength(1)
  })

  it('avoids the agent that lost the last attempt while another can run it', () => {
    const a = c.agent('a')
    const b = c.agent('b')
    b.join()
    c.build()
    a.join()
    a.restart()
    expect(a.join().assignments).toEqual([])
    expect(b.sync().assignments.map(({ attempt }) => attempt)).toEqual([first(1, 2)])
  })

  it('gives the job back to the agent that lost it when there is no other', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.restart()
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first(1, 2)])
  })
})

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

describe('boots [C1.5]', () => {
  it('requeues what a restarted agent lost in its very first sync [I14]', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.sync()
    a.restart()
    a.sync()
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'queued', attempts: [{ state: 'lost', reason: { code: 'restarted' } }] })
  })

  it('ignores a delayed message of an older boot [I12]', () => {
    const a = c.agent('a')
    c.build()
    const late = a.request({ running: [] })
    const caller = a.caller()
    a.restart()
    a.join()
    expect(c.sync(late, caller)).toMatchObject({ ok: false, code: 'session_superseded', extra: { current: 2 } })
    expect(c.view(1).jobs[0]?.state).toBe('assigned')
  })

  it('tells a cloned state folder that its identity is in use', () => {
    const a = c.agent('a')
    a.join()
    expect(c.sync(a.request({ boot_id: 'another-process' }), a.caller())).toMatchObject({ ok: false, code: 'identity_conflict' })
  })

  it('ends a job that was lost by three restarts, and no fourth agent is touched', () => {
    const agents = ['a', 'b', 'c', 'd'].map((name) => c.agent(name))
    c.build()
    for (const agent of agents.slice(0, 3)) {
      agent.join()
      expect(agent.running.size).toBe(1)
      agent.restart()
      agent.sync()
    }
    expect(c.view(1)).toMatchObject({ state: 'failed', jobs: [{ state: 'errored', reason: { code: 'agent_lost' } }] })
    expect(agents[3]?.join().assignments).toEqual([])
  })

  it('holds back an agent that starts again and again, and takes it back later', () => {
    const a = c.agent('a')
    for (let i = 0; i < 4; i++) {
      a.restart()
      a.join()
      c.pass(1000)
    }
    c.build()
    expect(a.sync()).toMatchObject({ assignments: [], held_back: { code: 'held_back' } })
    c.pass(c.numbers.heldBackMs)
    expect(a.sync().assignments).toHaveLength(1)
  })

  it('does only verdicts and renewals for a message that comes late [C4.3]', () => {
    const a = c.agent('a', { slots: 2 })
    const late = a.request()
    a.join()
    c.build()
    const answer = c.sync(late, a.caller())
    expect(answer).toMatchObject({ ok: true, value: { assignments: [] } })
  })
})

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
    c.pass(1_000)
    a.restart()
    a.join()
    a.sync()
    expect(c.view(1).jobs[0]?.attempts.map(({ state }) => state)).toEqual(['lost', 'running'])
    expect(c.view(1).started_at).toBe(before)
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
    for (let i = 0; i < 60; i++) {
      c.pass(15_000)
      a.sync()
    }
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

describe('cancel [C13]', () => {
  it('ends a queued job at once', () => {
    c.build()
    expect(c.cancel(1)).toMatchObject({ state: 'canceled', jobs: [{ state: 'canceled' }] })
  })

  it('is repeated in each reply until the result comes, through a restart, and rings the holder', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.sync()
    c.cancel(1)
    expect(c.effects.at(-1)).toEqual({ kind: 'ring', agent: a.id })
    a.syncUnheard()
    c.restart()
    expect(a.sync().directives).toMatchObject([{ attempt: first(), directive: 'cancel' }])
    a.finish(first(), 'canceled')
    a.sync()
    expect(c.view(1).state).toBe('canceled')
  })

  it('is never requeued when its holder is gone [I18]', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.sync()
    c.cancel(1)
    a.restart()
    a.sync()
    expect(c.view(1)).toMatchObject({ state: 'canceled', jobs: [{ state: 'canceled' }] })
  })

  it('loses to a result that was already spooled', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.finish(first())
    c.cancel(1)
    a.sync()
    expect(c.view(1).state).toBe('passed')
  })
})

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

describe('cost [C18]', () => {
  it('an idle agent writes no row [I19]', () => {
    const a = c.agent('a')
    a.join()
    const before = c.sql.rowsWritten()
    for (let i = 0; i < 100; i++) {
      c.pass(5_000)
      a.sync()
    }
    expect(c.sql.rowsWritten()).toBe(before)
  })
})
