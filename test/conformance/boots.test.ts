/** Restarts, late messages and copies of an agent [C1.5, C1.6, C1.7]; those that stand by are in `standby.test.ts`. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import { TestCluster, type TestAgent } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
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

  it('does not hold back an agent that is started every few minutes', () => {
    const a = c.agent('a')
    for (let i = 0; i < 10; i++) {
      a.restart()
      a.join()
      c.pass(c.numbers.flapMs / 3)
    }
    c.build()
    expect(a.sync()).toMatchObject({ assignments: [{ attempt: 'J1-1-1.1' }], held_back: null })
  })

  it.each([[4, 10], [5, 20], [6, 40], [9, 320], [10, 600], [12, 600]])('holds back an agent that was started %i times at once for %i s', (starts, seconds) => {
    expect(heldFor(c.agent('a'), starts)).toBe(seconds)
  })

  it('holds back longer when the last time is not long ago, and has forgotten it after ten good minutes', () => {
    const a = c.agent('a')
    expect(heldFor(a, 4)).toBe(10)
    c.pass(c.numbers.heldBackCapMs - 1000)
    expect(heldFor(a, 4)).toBe(20)
    c.pass(c.numbers.heldBackCapMs)
    expect(heldFor(a, 4)).toBe(10)
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

/** How many seconds it gets no work when it is started so often at once. */
function heldFor(agent: TestAgent, starts: number): number {
  for (let i = 0; i < starts; i++) {
    agent.restart()
    agent.join()
  }
  const since = c.now
  while (agent.sync().held_back !== null) c.pass(1000)
  return (c.now - since) / 1000
}
