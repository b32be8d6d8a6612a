/**
 * Builds of many steps: what an upload of a thousand costs inside the object, and whether a job of a long chain costs more
 * than one of a short. The real steps of the Scheduler on SQLite in this process.
 */
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Step } from '../../schema/pipeline/steps.ts'
import { TestCluster, type TestAgent } from '../support/cluster.ts'
import { commandStep } from '../support/steps.ts'
import { median, ms, type Bar } from './row.ts'

const MANY = 1000
const FEW = 10
const ROUNDS = 5
const MOST_UPLOAD_MS = 300
const MOST_TIMES_DEARER = 1.3

export const steps: Bar = {
  name: 'steps',
  run: async () => {
    const side = Array.from({ length: MANY }, (_, at) => commandStep(`k${at}`))
    const upload = median(Array.from({ length: ROUNDS }, () => opened(side).uploadMs))
    chain(FEW) // what runs for the first time is compiled
    const few = median(Array.from({ length: (ROUNDS * MANY) / FEW / 10 }, () => chain(FEW)))
    const many = median(Array.from({ length: ROUNDS }, () => chain(MANY)))
    return [
      { name: `upload of ${MANY} jobs, in the object`, figure: `p50 ${ms(upload)}`, ratio: '', bar: `< ${MOST_UPLOAD_MS} ms`, holds: upload < MOST_UPLOAD_MS },
      { name: `a job of ${MANY} that wait for each other`, figure: `${ms(many)} against ${ms(few)} of ${FEW}`, ratio: `${(many / few).toFixed(2)} ×`, bar: `≤ ${MOST_TIMES_DEARER} ×`, holds: many / few <= MOST_TIMES_DEARER },
    ]
  },
}

/** A build whose first job has brought these. */
function opened(brought: readonly Step[]): { readonly cluster: TestCluster; readonly agent: TestAgent; readonly uploadMs: number } {
  const cluster = new TestCluster()
  cluster.project()
  const agent = cluster.agent('bench')
  agent.join()
  cluster.build()
  agent.sync()
  const before = performance.now()
  const answer = cluster.upload(jobOf(1), brought)
  const uploadMs = performance.now() - before
  if (!answer.ok) throw new Error(answer.problem.detail)
  return { cluster, agent, uploadMs }
}

/** Milliseconds for each job, from its claim to the verdict that lets the next go. */
function chain(length: number): number {
  const { cluster, agent } = opened(Array.from({ length }, (_, at) => commandStep(`k${at}`, at === 0 ? {} : { dependsOn: [{ step: `k${at - 1}`, allowFailure: false }] })))
  const before = performance.now()
  for (let n = 1; n <= length + 1; n += 1) {
    agent.finish(jobOf(n))
    agent.sync()
    agent.sync()
    cluster.effects.length = 0
  }
  const took = performance.now() - before
  const { state } = cluster.view(1)
  if (state !== 'passed') throw new Error(`the build is ${state}`)
  return took / length
}

function jobOf(n: number): AttemptId {
  return attemptId({ project: 1, build: 1, n, fence: 1 })
}
