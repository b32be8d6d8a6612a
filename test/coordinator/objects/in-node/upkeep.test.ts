/**
 * What keeps a cluster going around its events, with an alarm and a clock that the tests turn. That the platform itself
 * calls it so is seen by the tests that go through the Worker.
 */
import { describe, expect, it, vi } from 'vitest'
import { Doorbell, type Attached } from '../../../../coordinator/objects/doorbell.ts'
import { STORAGE_NOT_READY } from '../../../../coordinator/objects/scheduler-api.ts'
import { Upkeep } from '../../../../coordinator/objects/upkeep.ts'
import { createBuildRequest } from '../../../../schema/api.ts'
import { ORIGIN, TestCluster } from '../../../support/cluster.ts'

/** An upkeep of a cluster with one live job, so that something falls due; `log` is what it did to the outside, in order. */
function kept({ migrate = () => {}, armed = null as number | null } = {}) {
  const test = new TestCluster()
  test.project()
  test.build()
  const agent = test.agent('one')
  agent.join()
  const log: string[] = []
  const sockets: Attached[] = [{ agent: agent.id, queue: 'default', tags: [], send: () => void log.push('ring') }]
  const alarm = { at: armed, get: async () => alarm.at, set: (at: number) => void log.push(`arm ${(alarm.at = at) - test.now}`) }
  const upkeep = new Upkeep({ cluster: test.cluster, doorbell: new Doorbell(() => sockets, () => {}), alarm, migrate, now: () => test.now })
  const deadline = () => test.cluster.peek().deadline ?? Number.NaN
  /** No alarm of the cluster gets through. */
  const breakAlarms = () => test.sql.database.exec('drop table dedup')
  return { test, agent, alarm, log, upkeep, deadline, breakAlarms }
}

describe('the bells', () => {
  it('reach an idle agent although nobody was seen since the object woke, and a busy one is asked first [I7]', () => {
    const { test, agent: busy } = kept()
    const idle = test.agent('two')
    idle.join()
    const rung: string[] = []
    const bells = [busy, idle].map(({ id, offer }): Attached => ({ agent: id, queue: 'default', tags: [], send: () => void rung.push(offer.name) }))
    const woken = new Upkeep({ cluster: test.cluster, doorbell: new Doorbell(() => bells, () => {}), alarm: { get: async () => null, set: () => {} }, migrate: () => {}, now: () => test.now })
    test.cluster.evict()
    woken.follow(test.cluster.createBuild(test.now, 'app', createBuildRequest.parse({}), { idempotencyKey: null, origin: ORIGIN }))
    expect(rung).toEqual(['one'])
    woken.sync(busy.request(), busy.caller())
    expect(rung).toEqual(['one', 'two'])
    expect(woken.sync(idle.request(), idle.caller())).toMatchObject({ ok: true, value: { assignments: [{ attempt: expect.any(String) }] } })
    expect(rung).toEqual(['one', 'two']) // nothing waits any more
  })

  it.each([
    ['a copy of the agent', { boot_id: 'of-a-copied-disk' }, null],
    ['a stranger', {}, { via: 'secret', sha256: 'of-nobody' }],
  ] as const)('are rung again although %s has spoken in between', (_, change, stranger) => {
    const { test, agent } = kept()
    const rung: string[] = []
    let again = () => {}
    const doorbell = new Doorbell(() => [{ agent: agent.id, queue: 'default', tags: [], send: () => void rung.push('ring') }], (call) => void (again = call))
    const upkeep = new Upkeep({ cluster: test.cluster, doorbell, alarm: { get: async () => null, set: () => {} }, migrate: () => {}, now: () => test.now })
    upkeep.follow(test.cluster.cancelBuild(test.now, 'app', 1, ORIGIN))
    expect(upkeep.sync(agent.request(change), stranger ?? agent.caller()).ok).toBe(false)
    again()
    expect(rung).toEqual(['ring', 'ring'])
    expect(upkeep.sync(agent.request(), agent.caller()).ok).toBe(true)
    again()
    expect(rung).toEqual(['ring', 'ring'])
  })
})

describe('the alarm', () => {
  it('is armed at wake when it is missing [C10.2]', async () => {
    const { upkeep, alarm, deadline } = kept()
    await upkeep.wake()
    expect(alarm.at).toBe(deadline())
  })

  it('is left as it is at wake when it comes soon enough', async () => {
    const soon = new TestCluster().now + 1
    const { upkeep, alarm, log } = kept({ armed: soon })
    await upkeep.wake()
    expect(alarm.at).toBe(soon)
    expect(log).toEqual([])
  })

  it('is armed before the bells are rung, in the same breath as the event', async () => {
    const { test, upkeep, log, agent } = kept()
    const built = test.cluster.createBuild(test.now, 'app', createBuildRequest.parse({}), { idempotencyKey: null, origin: ORIGIN })
    test.cluster.memory.presence.delete(agent.id) // not seen since the object woke: it may be idle
    upkeep.follow(built)
    expect(log).toEqual([expect.stringMatching(/^arm \d+$/), 'ring'])
  })

  it('is armed again for what is due after it', async () => {
    const { upkeep, alarm, deadline } = kept()
    await upkeep.wake()
    alarm.at = null
    upkeep.alarm(0)
    expect(alarm.at).toBe(deadline())
  })

  it.each([0, 3])('that failed %i times before is tried again by the platform, and armed all the same [I21]', async (retryCount) => {
    const { upkeep, alarm, deadline, breakAlarms } = kept()
    await upkeep.wake()
    breakAlarms()
    alarm.at = null
    expect(() => upkeep.alarm(retryCount)).toThrow('dedup')
    expect(alarm.at).toBe(deadline())
  })

  it('that the platform has dropped is set again by whatever comes next, and once only', async () => {
    const { test, upkeep, alarm, log } = kept()
    await upkeep.wake()
    const lost = alarm.at ?? Number.NaN
    log.length = 0
    test.now = lost + 5000
    upkeep.follow({ value: null, effects: [], deadline: lost + 60_000 })
    expect(log).toEqual([]) // it may be late
    test.now = lost + 10_000
    for (let times = 0; times < 2; times += 1) upkeep.follow({ value: null, effects: [], deadline: lost + 60_000 })
    expect(log).toEqual(['arm 50000'])
  })

  it('that the platform is about to give up is put off instead [I21]', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { upkeep, alarm, log, breakAlarms } = kept()
    await upkeep.wake()
    breakAlarms()
    alarm.at = null
    log.length = 0
    upkeep.alarm(4)
    expect(log).toEqual(['arm 30000'])
    expect(said).toHaveBeenCalledOnce()
    said.mockRestore()
  })
})

it('a sync answers the ring that it follows, so that the next work rings again', async () => {
  const { test, upkeep, log, agent } = kept()
  await upkeep.wake()
  const ring = () => upkeep.follow({ value: null, deadline: null, effects: [{ kind: 'ring', agent: agent.id }] })
  ring()
  ring()
  expect(log.filter((entry) => entry === 'ring')).toHaveLength(1)
  upkeep.sync(agent.request(), agent.caller())
  ring()
  expect(log.filter((entry) => entry === 'ring')).toHaveLength(2)
  expect(test.cluster.memory.presence.has(agent.id)).toBe(true)
})

describe('tables that could not be brought up', () => {
  it('are never served from, and touched by no alarm', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { upkeep, alarm, log } = kept({
      migrate: () => {
        throw new Error('they are newer')
      },
    })
    await upkeep.wake()
    upkeep.alarm(0)
    expect(upkeep.broken).toMatch(/could not be brought up to this version: they are newer\. Nothing was changed\.$/)
    expect(() => upkeep.cluster).toThrow(`${STORAGE_NOT_READY}${upkeep.broken}`)
    expect({ at: alarm.at, log }).toEqual({ at: null, log: [] })
    said.mockRestore()
  })
})
