/**
 * What builds and idling cost on Cloudflare: rows that the real steps write, and requests that they take, under a clock
 * that is turned. Agents sync when their last reply told them to.
 */
import type { TestAgent, TestCluster } from '../support/cluster.ts'
import { recorded } from './billed.ts'
import type { Bar } from './row.ts'

const MOST_ROWS = 8
const LONG_BUILD_MS = 300_000
const MOST_REQUESTS = 25
const FREE_REQUESTS = 100_000
const DAY_MS = 86_400_000
const IDLE_AGENTS = 50
const MOST_OF_FREE = 0.25

export const rows: Bar = {
  name: 'rows',
  run: async () => [await oneJobBuild(), await longBuilds({ agents: 4, mostRows: 14 }), await longBuilds({ agents: 1, mostRows: 22 }), idleDay()],
}

async function oneJobBuild() {
  const { cluster, mark, billed } = recorded()
  cluster.project()
  const agent = cluster.agent('bench')
  agent.join()
  const oneBuild = (number: number) => {
    cluster.build()
    agent.sync() // claims
    agent.sync() // names it
    agent.finish(agent.only())
    agent.sync()
    const { state } = cluster.view(number)
    if (state !== 'passed') throw new Error(`build ${number} is ${state}`)
  }
  oneBuild(1) // the first of its kind also notes the kind
  const from = mark()
  oneBuild(2)
  const { rows: written, byTable } = await billed(from)
  return { name: 'rows of a one-job build', figure: `${written} (${byTable})`, ratio: '', bar: `≤ ${MOST_ROWS}`, holds: written <= MOST_ROWS }
}

/** Agents that build without a pause; the first round, which arms the alarm and notes the kind of job, is left out. */
async function longBuilds({ agents: count, mostRows }: { readonly agents: number; readonly mostRows: number }) {
  const ROUNDS = 4
  const { cluster, mark, billed } = recorded()
  cluster.project()
  const agents = Array.from({ length: count }, (_, i) => cluster.agent(`bench${1000 + i}`))
  for (let i = 0; i < count * (ROUNDS + 2); i++) cluster.build()
  for (const [i, agent] of agents.entries()) {
    cluster.pass(i * (LONG_BUILD_MS / count / 4)) // not all at the same time
    agent.join()
  }
  let syncs = 0
  let finished = 0
  let from: ReturnType<typeof mark> | null = null
  const startedAt = new Map(agents.flatMap((agent) => [...agent.running].map((attempt) => [attempt, cluster.now] as const)))
  turn(cluster, agents, () => finished < count * (ROUNDS + 1), (agent) => {
    for (const attempt of agent.running) {
      if (cluster.now - (startedAt.get(attempt) ?? cluster.now) < LONG_BUILD_MS) continue
      agent.finish(attempt)
      finished += 1
      if (finished === count) {
        from = mark()
        syncs = 0
      }
    }
    syncs += 1
    const reply = agent.sync()
    for (const { attempt } of reply.assignments) startedAt.set(attempt, cluster.now)
    return reply.next_sync_ms
  })
  if (from === null) throw new Error('no round was finished')
  const builds = count * ROUNDS
  const written = (await billed(from)).rows / builds
  const requests = syncs / builds
  const who = count === 1 ? 'alone' : `with ${count} busy agents`
  return { name: `a 5-minute build ${who}`, figure: `${written.toFixed(1)} rows, ${requests.toFixed(1)} requests`, ratio: '', bar: `≤ ${mostRows} rows, ≤ ${MOST_REQUESTS} requests`, holds: written <= mostRows && requests <= MOST_REQUESTS }
}

function idleDay() {
  const { cluster } = recorded()
  cluster.project()
  const agents = Array.from({ length: IDLE_AGENTS }, (_, i) => cluster.agent(`bench${1000 + i}`))
  for (const agent of agents) agent.join()
  const until = cluster.now + DAY_MS
  const before = cluster.sql.rowsWritten()
  let syncs = 0
  turn(cluster, agents, () => cluster.now < until, (agent) => {
    syncs += 1
    return agent.sync({ doorbell: true }).next_sync_ms
  })
  const written = cluster.sql.rowsWritten() - before
  const share = syncs / FREE_REQUESTS
  return { name: `a day of ${IDLE_AGENTS} idle agents with doorbell`, figure: `${syncs} requests, ${written} rows`, ratio: `${(100 * share).toFixed(0)} % of the free plan's requests`, bar: `≤ ${100 * MOST_OF_FREE} %`, holds: share <= MOST_OF_FREE }
}

/** Each agent syncs when it is due, the earliest first. It takes 80 to 100 % of the pace that it was told; here 90. */
function turn(cluster: TestCluster, agents: readonly TestAgent[], goesOn: () => boolean, sync: (agent: TestAgent) => number): void {
  const due = new Map(agents.map((agent) => [agent, cluster.now]))
  while (goesOn()) {
    const [agent, at] = [...due].reduce((first, other) => (other[1] < first[1] ? other : first))
    cluster.pass(Math.max(0, at - cluster.now))
    due.set(agent, cluster.now + 0.9 * sync(agent))
  }
}
