/** Who is given what, and when [C4.10]. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../coordinator/objects/scheduler-api.ts'
import { numbers } from '../../coordinator/core/numbers.ts'
import { attemptId } from '../../schema/job.ts'
import { TestCluster, type TestAgent } from '../support/cluster.ts'

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

  it('takes the best of all that it can run, whatever that asks for: priority, then age, then the order in which it was asked for', () => {
    const a = c.agent('a', { tags: ['os=mac', 'xcode=16'] })
    c.build({ agents: { tags: ['os=mac'] } })
    c.build() // in the same millisecond
    c.build({ agents: { tags: ['xcode=16'] } })
    c.pass(5)
    c.build({ agents: { tags: ['os=mac'] }, priority: 1 })
    const taken = [...a.join().assignments]
    while (a.running.size > 0) {
      a.finish(a.only())
      taken.push(...a.sync().assignments)
    }
    expect(taken.map(({ attempt }) => attempt)).toEqual([first(4), first(1), first(2), first(3)])
  })

  it('never gives an agent more than its slots, and less when it lowered them', () => {
    const a = c.agent('a', { slots: 3 })
    for (let i = 0; i < 5; i++) c.build()
    expect(a.join().assignments).toHaveLength(3)
    a.finish(first(1))
    expect(a.sync({ slots: 1 }).assignments).toHaveLength(0)
  })

  it('finds what is in the queue also when the object has forgotten its memory', () => {
    const a = c.agent('a')
    c.build()
    c.restart()
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first()])
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

  it('gives nothing for the proof of a time that is still to come, since the clock was set back, until there is one of now [I27]', () => {
    const a = c.agent('a')
    a.join()
    c.now -= 3_600_000
    c.build()
    expect(a.sync()).toMatchObject({ assignments: [], next_sync_ms: 50 })
    expect(a.sync().assignments.map(({ attempt }) => attempt)).toEqual([first()])
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

  it('gives the agent that is avoided the jobs behind the one that it lost', () => {
    const [a, b] = [c.agent('a'), c.agent('b')]
    b.join()
    c.build()
    a.join()
    c.build()
    a.restart()
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first(2)])
  })

  it.each<[string, (b: TestAgent) => void]>([
    ['was not seen for a minute', () => c.pass(c.numbers.alternativeMs + 1)],
    ['takes no work', (b) => void b.sync({ state: 'unhealthy', reason: 'no disk' })],
    ['lacks a tag', (b) => void b.sync({ offer_rev: 2, offer: { ...b.offer, tags: [] } })],
  ])('gives the job back to the agent that lost it when the only other %s', (_, make) => {
    const tags = ['os=linux']
    const [a, b] = [c.agent('a', { tags }), c.agent('b', { tags })]
    b.join()
    c.build({ agents: { tags } })
    a.join()
    make(b)
    a.restart()
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first(1, 2)])
  })

  it('goes by what an agent offers now, and asks for an offer that it does not know', () => {
    const a = c.agent('a')
    a.join()
    c.build({ agents: { tags: ['os=mac'] } })
    const { offer: _, ...without } = a.request({ offer_rev: 2 })
    expect(c.sync(without, a.caller())).toMatchObject({ ok: true, value: { need: ['offer'], assignments: [] } })
    expect(a.sync({ offer_rev: 2, offer: { ...a.offer, tags: ['os=mac'] } })).toMatchObject({ need: [], assignments: [{ attempt: first() }] })
    const { offer: __, ...known } = a.request({ offer_rev: 2 })
    expect(c.sync(known, a.caller())).toMatchObject({ ok: true, value: { need: [] } })
    c.restart()
    expect(c.cluster.agents(c.now)).toMatchObject([{ tags: ['os=mac'] }])
  })

  it('leaves a job to be asked for alone when it is too large for the reply', () => {
    const a = c.agent('a')
    c.build({ env: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`V${i}`, 'x'.repeat(8000)])) })
    const [large] = a.join().assignments
    expect(large).toEqual({ attempt: first(), token: expect.stringMatching(/^kdg_att_/) })
    expect(c.cluster.spec(first())).toMatchObject({ ok: true, value: expect.stringContaining('"V19":"xxx') })
  })

  it('shows what an agent says of itself', () => {
    const a = c.agent('a', { slots: 4 })
    a.sync({ state: 'unhealthy', reason: 'no disk', slots: 3 })
    expect(c.cluster.agents(c.now)).toMatchObject([{ state: 'unhealthy', slots: 3, reason: 'no disk' }])
    a.sync({ slots: 2 })
    expect(c.cluster.agents(c.now)).toMatchObject([{ slots: 2, reason: null }])
  })

  it.each<[string, (a: TestAgent, b: TestAgent) => Caller]>([
    ['of another agent', (_, b) => b.caller()],
    ['from before its secret was changed', (a) => {
      const before = a.caller()
      c.cluster.rotate(c.now, a.id, before, 'another')
      return before
    }],
  ])('hears nothing that comes with a session %s', (_, callerOf) => {
    const [a, b] = [c.agent('a'), c.agent('b')]
    for (const agent of [a, b]) agent.join()
    const caller = callerOf(a, b)
    const before = c.sql.rowsWritten()
    expect(c.sync(a.request(), caller)).toMatchObject({ ok: false, code: 'session_expired' })
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('gives the job back to the agent that lost it when there is no other', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    a.restart()
    expect(a.join().assignments.map(({ attempt }) => attempt)).toEqual([first(1, 2)])
  })
})

describe('the pace that an agent is told [C8]', () => {
  const { soonMs, heartbeatMs, idleStepMs } = numbers()

  it('is soon after an assignment, that of its leases while it holds one, and soon after a cancel', () => {
    const a = c.agent('a')
    c.build()
    expect(a.join().next_sync_ms).toBe(soonMs)
    expect(a.sync().next_sync_ms).toBe(heartbeatMs)
    c.cancel(1)
    expect(a.sync()).toMatchObject({ directives: [{ directive: 'cancel' }], next_sync_ms: soonMs })
  })

  it('is that of its leases while its results do not fit one call', () => {
    const a = c.agent('a')
    c.build()
    a.join()
    expect(a.sync({ running: [], spooled: [first()] }).next_sync_ms).toBe(heartbeatMs)
  })

  it('is soon when what it carried was not heard, and when a job waits for another agent', () => {
    const [a, b] = [c.agent('a'), c.agent('b')]
    b.join()
    c.build()
    a.join()
    expect(a.sync({ running: [] })).toMatchObject({ assignments: [{ attempt: first() }], next_sync_ms: soonMs })
    a.restart()
    expect(a.join()).toMatchObject({ assignments: [], next_sync_ms: soonMs })
  })

  it('is slower the more agents of its queue are idle: not the busy, the unfit and those of other queues', () => {
    const [a, b, unfit, busy] = ['a', 'b', 'unfit', 'busy'].map((name) => c.agent(name))
    const elsewhere = c.agent('elsewhere', { queue: 'other' })
    c.build()
    busy?.join()
    unfit?.sync({ state: 'unhealthy', reason: 'no disk' })
    for (const agent of [b, elsewhere]) agent?.join()
    expect(a?.join().next_sync_ms).toBe(2 * idleStepMs)
    for (let waited = 0; waited <= c.numbers.quietMs; waited += heartbeatMs) {
      c.pass(heartbeatMs)
      busy?.sync()
    }
    expect(elsewhere.join().next_sync_ms).toBe(idleStepMs) // for this one it is not known how long no job came
    expect(a?.join().next_sync_ms).toBe(4 * idleStepMs)
  })
})
