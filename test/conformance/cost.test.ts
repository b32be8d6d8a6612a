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
})
