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
const MOST_P99_MS = 5
const MOST_MIB = 100
/** The event loop breathes between so many, or no deadline of the bench could pass. */
const PIECE = 2000

export const queue: Bar = {
  name: 'queue',
  async run() {
    const cluster = new TestCluster()
    const empty = heapMib()
    cluster.project()
    const agents = Array.from({ length: AGENTS }, (_, i) => cluster.agent(`bench${i}`))
    const since = performance.now()
    for (let made = 0; made < JOBS; made += PIECE) {
      for (let i = 0; i < PIECE; i++) cluster.build()
      cluster.effects.length = 0 // what the object would have followed at once
      await new Promise(setImmediate)
    }
    const queuedMs = performance.now() - since
    for (const agent of agents) agent.join()
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
      { name: 'claim, 100,000 queued, 1,000 agents', figure: `p50 ${ms(median(took))}, p99 ${ms(p99)} of ${took.length}; ${(JOBS / queuedMs).toFixed(1)} builds queued per ms`, ratio: '', bar: `p99 < ${MOST_P99_MS} ms`, holds: p99 < MOST_P99_MS },
      { name: 'memory of it', figure: `${mib.toFixed(0)} MiB of heap, the agents' side included`, ratio: '', bar: `< ${MOST_MIB} MiB`, holds: mib < MOST_MIB },
    ]
  },
}

function heapMib(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed / 1024 / 1024
}
