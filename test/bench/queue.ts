/**
 * A long queue: the real steps of a sync that finishes and claims, inside the object, with 100,000 jobs queued and 1,000
 * agents known. Memory is what the steps keep on the heap; rows are SQLite's, on the object's disk.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { TestCluster } from '../support/cluster.ts'
import { median, ms, quantile, type Bar } from './row.ts'

const JOBS = 100_000
const AGENTS = 1000
const ROUNDS = 3
/** New builds while all agents are known; told beside the bar. */
const ASKED = 50
const MOST_P99_MS = 5
const MOST_MIB = 100

export const queue: Bar = {
  name: 'queue',
  async run() {
    const cluster = new TestCluster()
    const empty = heapMib()
    cluster.project()
    cluster.build()
    repeatFirstBuild(cluster)
    cluster.restart() // what it remembers, it reads from the rows
    const agents = Array.from({ length: AGENTS }, (_, i) => cluster.agent(`bench${10_000 + i}`))
    for (const agent of agents) agent.join()
    const asked = Array.from({ length: ASKED }, () => {
      const before = performance.now()
      cluster.build()
      return performance.now() - before
    })
    const took: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      for (const agent of agents) {
        agent.finish(agent.only())
        const request = agent.request()
        const caller = agent.caller()
        cluster.now += 1
        const before = performance.now()
        const answer = cluster.sync(request, caller)
        took.push(performance.now() - before)
        if (!answer.ok || answer.value.assignments.length !== 1) throw new Error('a sync claimed nothing')
        agent.hear(answer.value)
      }
      cluster.effects.length = 0
      await new Promise(setImmediate)
    }
    const mib = heapMib() - empty
    const p99 = quantile(took, 0.99)
    return [
      { name: 'claim, 100,000 queued, 1,000 agents', figure: `p50 ${ms(median(took))}, p99 ${ms(p99)} of ${took.length}`, ratio: '', bar: `p99 < ${MOST_P99_MS} ms`, holds: p99 < MOST_P99_MS },
      { name: 'a new build, 1,000 agents known', figure: `p50 ${ms(median(asked))}, p99 ${ms(quantile(asked, 0.99))}`, ratio: '', bar: '', holds: null },
      { name: 'memory of it', figure: `${mib.toFixed(0)} MiB of heap, the agents' side included`, ratio: '', bar: `< ${MOST_MIB} MiB`, holds: mib < MOST_MIB },
    ]
  },
}

/** 100,000 requests would take minutes: the rows of the first build once more under each further number, as they would be. */
function repeatFirstBuild({ sql }: TestCluster): void {
  for (const [table, key] of [['build', 'number'], ['job', 'build']] as const) {
    const names = sql.all(`select name from pragma_table_info('${table}')`, []).map(([name]) => String(name))
    const columns = names.map((name) => (name === key ? 'i' : name)).join(', ')
    sql.run(`with recursive more(i) as (select 2 union all select i + 1 from more where i < ${JOBS}) insert into ${table} (${names.join(', ')}) select ${columns} from ${table}, more where ${key} = 1`, [])
  }
}

function heapMib(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed / 1024 / 1024
}
