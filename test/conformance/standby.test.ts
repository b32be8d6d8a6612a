/**
 * Several processes with one identity [C1.8]: a copied state folder, or a disk that was rolled back. One holds the
 * identity, the others stand by, and one of them takes over when the holder is silent for longer than any pace.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { startSync, type SyncLoop } from '../../agent/loop/sync.ts'
import { agentTimes } from '../../agent/loop/times.ts'
import type { Network } from '../../agent/platform.ts'
import { PROTOCOL_HEADERS, refusal } from '../../coordinator/refusal.ts'
import { syncRequest } from '../../schema/sync.ts'
import { TestAgent, TestCluster } from '../support/cluster.ts'
import { loadedDice, turnedClock, type TurnedClock } from '../support/turned-clock.ts'

const MINUTE = 60_000

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
})

/** The holder, at boot 2, and an older process of the same identity that stands by. */
function pair() {
  const holder = c.agent('a')
  holder.join()
  const older = new TestAgent(c, 'a', {})
  holder.restart()
  holder.join()
  const standBy = () => {
    const answer = c.sync(older.request({ state: 'standby' }), older.caller())
    if (answer.ok) throw new Error('an older boot was answered')
    return answer
  }
  return { holder, older, standBy }
}

describe('a process that stands by [C1.8]', () => {
  it('may take over when the holder was silent for longer than any pace, through evictions', () => {
    const { standBy } = pair()
    const told: boolean[] = []
    for (let i = 0; i < 20; i++) {
      c.restart()
      told.push(standBy().extra?.take_over === true)
      c.pass(MINUTE)
    }
    const minutes = told.indexOf(true)
    expect(minutes).toBeGreaterThanOrEqual(c.numbers.silentMs / MINUTE)
    expect(minutes).toBeLessThanOrEqual(2 * (c.numbers.silentMs / MINUTE) + 2)
    expect(standBy()).toMatchObject({ code: 'session_superseded', extra: { take_over: true, current: 2 } })
  })

  it('may take over as soon when the object never slept', () => {
    const { standBy } = pair()
    c.pass(c.numbers.silentMs - 1)
    expect(standBy().extra?.take_over).toBeUndefined()
    c.pass(1)
    expect(standBy().extra?.take_over).toBe(true)
  })

  it('may do so with the holder\'s very boot number, too', () => {
    const { holder, older } = pair()
    older.bootSeq = holder.bootSeq
    c.pass(c.numbers.silentMs)
    expect(c.sync(older.request({ state: 'standby', boot_id: 'of-the-copy' }), older.caller())).toMatchObject({ code: 'identity_conflict', extra: { take_over: true, current: 2 } })
  })

  it.each([2_000, 60_000, 300_000])('may not while the holder is heard every %i ms, with or without evictions', (paceMs) => {
    const { holder, standBy } = pair()
    const begun = c.now
    let heardAt = begun
    for (let at = begun + MINUTE; at < begun + 120 * MINUTE; at += MINUTE) {
      const evict = () => (at - begun > 60 * MINUTE ? c.restart() : undefined)
      for (; heardAt + paceMs <= at; heardAt += paceMs) {
        c.pass(heardAt + paceMs - c.now)
        evict()
        holder.sync()
      }
      c.pass(at - c.now)
      evict()
      expect(standBy().extra?.take_over).toBeUndefined()
    }
  })

  it('may not while an attempt of the holder is live: its lease decides first [I9]', () => {
    const { holder, standBy } = pair()
    c.build({ timeout_s: 7 * 24 * 3600 })
    holder.join()
    holder.sync()
    c.pass(600_000, { away: true })
    expect(standBy().extra?.take_over).toBeUndefined()
    holder.sync()
    expect(c.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ fence: 1 }] })
  })

  it('costs no row beside a holder that is heard', () => {
    const { holder, standBy } = pair()
    const before = c.sql.rowsWritten()
    for (let i = 0; i < 100; i++) {
      c.pass(30_000)
      holder.sync()
      c.pass(30_000)
      standBy()
    }
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('costs a few rows each time the silence could have ended, when the object sleeps between all messages [I19]', () => {
    const { holder, standBy } = pair()
    const before = c.sql.rowsWritten()
    const hours = 10
    for (let i = 0; i < hours * 60; i++) {
      c.pass(30_000)
      c.restart()
      holder.sync()
      c.pass(30_000)
      c.restart()
      standBy()
    }
    expect(c.sql.rowsWritten() - before).toBeLessThanOrEqual(3 * (hours * 60 * MINUTE) / c.numbers.silentMs)
  })

  it('is not taken for one by a late message of an older boot, which changes nothing [I12]', () => {
    const { older } = pair()
    c.restart()
    const before = c.sql.rowsWritten()
    c.pass(2 * c.numbers.silentMs)
    const late = c.sync(older.request(), older.caller())
    expect(late).toMatchObject({ code: 'session_superseded' })
    expect(late.ok || late.extra?.take_over).toBeUndefined()
    expect(c.sql.rowsWritten()).toBe(before)
  })
})

describe('two real agent loops with one identity [C1.8]', () => {
  interface Process {
    readonly loop: SyncLoop
    readonly boots: number[]
    readonly killed: () => number
    cut: boolean
  }

  function start(clock: TurnedClock, record: TestAgent, name: string, bootSeq: number, random: number): Process {
    let boot = bootSeq
    let killed = 0
    const boots: number[] = []
    const begun = c.now - clock.monotonic()
    const network: Network = {
      fetch: async (_url, { body, headers }) => {
        if (process.cut) throw new Error('no route to host')
        c.pass(begun + clock.monotonic() - c.now)
        const parsed = syncRequest.parse(JSON.parse(String(body)))
        const token = (headers['authorization'] ?? '').replace('Bearer ', '')
        record.session = token === record.secret ? null : token
        const answer = c.sync({ ...parsed, finished: [] }, record.caller())
        if (!answer.ok) return refusal(answer) as never // a Response is what an agent looks at
        boots.push(parsed.boot_seq)
        return Response.json(answer.value, { headers: PROTOCOL_HEADERS }) as never
      },
      openSocket: () => ({ close: () => {}, ping: () => {} }),
    }
    const loop = startSync({
      url: 'http://coordinator',
      identity: { agentId: record.id, secret: record.secret, get bootSeq() { return boot }, bootId: `boot-of-${name}`, jumpTo: async (next) => void (boot = next) },
      registrationToken: null,
      offer: record.offer,
      clock,
      chance: loadedDice(random),
      network,
      times: agentTimes(),
      terminal: { line: () => {}, waiting: () => {} },
      report: () => ({ state: 'ready', reason: null, doorbell: false, running: [], pending: [], lost: [] }),
      heard: () => {},
      superseded: () => void (killed += 1),
    })
    const process: Process = { loop, boots, killed: () => killed, cut: false }
    return process
  }

  it('never fight, and the one that stands by takes over for the one that is gone', async () => {
    const clock = turnedClock()
    const record = c.agent('a')
    const minutes = async (n: number) => {
      for (let s = 0; s < n * 60; s += 2) await clock.turn(2000)
    }
    const first = start(clock, record, 'first', 1, 0.3)
    await minutes(1)
    const copy = start(clock, record, 'copy', 1, 0.7)
    await minutes(30)
    expect([copy.killed(), copy.boots, first.killed()]).toEqual([1, [], 0])

    first.cut = true
    await minutes(10)
    expect(new Set(copy.boots)).toEqual(new Set([2]))

    first.cut = false
    await minutes(30)
    expect(first.killed()).toBe(1)
    expect(new Set(first.boots)).toEqual(new Set([1])) // it saw that it is not alone, and stands by

    copy.cut = true
    await minutes(10)
    expect(first.boots.at(-1)).toBe(3)
    copy.cut = false
    const { length } = first.boots
    await minutes(30)
    expect(new Set(first.boots.slice(length))).toEqual(new Set([3]))
    expect(copy.boots.at(-1)).toBe(2)
    first.loop.stop()
    copy.loop.stop()
  })

  it('let the holder be heard first when the coordinator was away', async () => {
    const clock = turnedClock()
    const record = c.agent('a')
    const minutes = async (n: number) => {
      for (let s = 0; s < n * 60; s += 2) await clock.turn(2000)
    }
    const first = start(clock, record, 'first', 1, 0.9)
    await minutes(1)
    const copy = start(clock, record, 'copy', 1, 0.1)
    await minutes(3)
    first.cut = copy.cut = true
    await minutes(20)
    copy.cut = false // the first word after the outage is the standby's
    await clock.turn(30_000)
    first.cut = false
    await minutes(20)
    expect([copy.boots, first.killed()]).toEqual([[], 0])
    first.loop.stop()
    copy.loop.stop()
  })
})
