/** What costs no row [C18]. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import { TestCluster } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
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

  it('a sleeping fleet is not hurried by the wake of the object: whoever holds a doorbell open counts as idle [C8]', () => {
    const [a] = Array.from({ length: 12 }, (_, i) => {
      const agent = c.agent(`idle${String.fromCharCode(97 + i)}`)
      agent.join()
      c.attached.add(agent.id)
      return agent
    })
    if (a === undefined) throw new Error('no agent')
    c.restart()
    expect(a.sync({ doorbell: true }).next_sync_ms).toBe(12 * c.numbers.doorbellStepMs)
    c.attached.clear()
    c.restart()
    expect(a.sync({ doorbell: true }).next_sync_ms).toBe(c.numbers.doorbellFloorMs)
  })

  it('what people asked for once is forgotten after its time, looked for once an hour', () => {
    c.build({}, { key: 'first' })
    const stored = () => Number(c.sql.all('select count(*) from dedup', [])[0]?.[0])
    const alarmAfter = (ms: number) => {
      c.pass(ms, { away: true })
      c.cluster.alarm(c.now)
    }
    alarmAfter(c.numbers.dedupMs - 60_000)
    expect(stored()).toBe(1)
    alarmAfter(120_000)
    expect(stored()).toBe(1)
    alarmAfter(3_600_000)
    expect(stored()).toBe(0)
  })
})
