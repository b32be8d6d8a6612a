/** The coordinator's own clock is set [D23]: its real steps on a real database, under a clock that the test turns. workerd's is the machine's. */
import { expect, test } from 'vitest'
import { TestCluster } from '../support/cluster.ts'

const MINUTE = 60_000

test.each([
  ['forward', 5 * MINUTE],
  ['back', -5 * MINUTE],
])("the coordinator's clock jumps five minutes %s: the build that is named goes on, and is given to nobody else [D23]", (_, jump) => {
  const cluster = new TestCluster()
  cluster.project()
  const [holder, idle] = [cluster.agent('holder'), cluster.agent('idle')]
  cluster.build()
  holder.join()
  idle.join()
  const attempt = holder.only()
  const minute = () => {
    for (let i = 0; i < 6; i += 1) {
      cluster.pass(10_000)
      // First, and again when it has a fresh session: whatever was taken from the holder would be its.
      idle.sync()
      idle.sync()
      holder.sync()
    }
  }
  minute()
  cluster.now += jump
  minute()
  minute()
  expect([...idle.running]).toEqual([])
  expect(cluster.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ id: attempt, fence: 1 }] })

  // And work goes on as before: what is asked for is given, and what is lost is noticed, if later.
  cluster.build()
  minute()
  expect(idle.running.size).toBe(1)
  for (let i = 0; i < 10; i += 1) {
    cluster.pass(MINUTE)
    idle.sync()
  }
  expect(cluster.view(1).jobs[0]?.attempts[0]).toMatchObject({ id: attempt, state: 'lost', reason: { code: 'silent' } })
})

test.each(['that stays awake', 'that forgets all but its rows, again and again'])("the clock of a coordinator %s is set back by an hour: a dead agent is noticed a lease later, not an hour [D23, I6]", (kind) => {
  const cluster = new TestCluster()
  cluster.project()
  const [dead, idle] = [cluster.agent('dead'), cluster.agent('idle', { queue: 'other' })]
  cluster.build()
  dead.join()
  idle.join()
  cluster.now -= 60 * MINUTE
  const since = cluster.now
  while (cluster.view(1).jobs[0]?.state !== 'queued') {
    if (kind !== 'that stays awake') cluster.restart()
    idle.sync()
    cluster.pass(20_000)
    expect(cluster.now - since).toBeLessThan(cluster.numbers.leaseMs + 2 * cluster.numbers.graceMs + MINUTE)
  }
  expect(cluster.view(1).jobs[0]).toMatchObject({ attempts: [{ state: 'lost', reason: { code: 'silent' } }] })
})

test("the coordinator's clock is set back while a grace lasts: no grace is longer for it [D23, I6]", () => {
  const cluster = new TestCluster()
  cluster.project()
  const [dead, idle] = [cluster.agent('dead'), cluster.agent('idle', { queue: 'other' })]
  cluster.build()
  dead.join()
  cluster.pass(30 * MINUTE, { away: true })
  idle.join() // ends a silence of all
  cluster.now -= 60 * MINUTE
  for (let times = 0; times < 20; times += 1) {
    idle.sync()
    cluster.pass(15_000)
  }
  expect(cluster.view(1).jobs[0]).toMatchObject({ state: 'queued', attempts: [{ state: 'lost' }] })
})

test("the coordinator's clock jumps back while nobody talks: a dead agent is noticed later by the jump at most [D23, I6]", () => {
  const cluster = new TestCluster()
  cluster.project()
  const dead = cluster.agent('dead')
  cluster.build()
  dead.join()
  dead.sync()
  cluster.now -= 5 * MINUTE
  cluster.pass(5 * MINUTE + cluster.numbers.leaseMs + cluster.numbers.graceMs + MINUTE)
  expect(cluster.view(1).jobs[0]).toMatchObject({ state: 'queued', attempts: [{ state: 'lost' }] })
})

test("the coordinator's clock is set back, and it forgets all but its rows some time later: a build that was named all the while goes on [D23, I9]", () => {
  const cluster = new TestCluster()
  cluster.project()
  const holder = cluster.agent('holder')
  cluster.build()
  holder.join()
  const attempt = holder.only()
  cluster.now -= 60 * MINUTE
  for (let i = 0; i < 12; i += 1) {
    cluster.pass(15_000)
    holder.sync()
  }
  cluster.restart()
  cluster.pass(15_000)
  holder.sync()
  expect(cluster.view(1).jobs[0]).toMatchObject({ state: 'running', attempts: [{ id: attempt, state: 'running' }] })
})
