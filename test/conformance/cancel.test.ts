/** Cancelling a build [C13]. Against the real steps of the Scheduler, with the numbers of docs/protocol.md. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId } from '../../schema/job.ts'
import { TestCluster } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
  c.project()
})

const first = () => attemptId({ project: 1, build: 1, n: 1, fence: 1 })

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
