/**
 * An agent falls silent for ever in a build: from its last sync to its job being taken from it, by the real steps under a
 * clock that is turned, at the numbers of production.
 */
import { TestCluster } from '../support/cluster.ts'
import type { Bar } from './row.ts'

const STEP_MS = 1000
const MOST_OTHERS_MS = 5000
const MOST_ALONE_MS = 50_000

export const silence: Bar = {
  name: 'silence',
  run: async () => [measured({ isAlone: false, mostMs: MOST_OTHERS_MS }), measured({ isAlone: true, mostMs: MOST_ALONE_MS })],
}

function measured({ isAlone, mostMs }: { readonly isAlone: boolean; readonly mostMs: number }) {
  const cluster = new TestCluster()
  cluster.project()
  const silent = cluster.agent('silent')
  const other = isAlone ? null : cluster.agent('other')
  cluster.build()
  silent.join()
  silent.sync()
  if (other) {
    cluster.build()
    other.join() // it holds a job of its own, so it is heard in all this time
  }
  const since = cluster.now
  const { leaseMs } = cluster.numbers
  const isLost = () => cluster.view(1).jobs[0]?.attempts.some(({ state }) => state === 'lost') === true
  for (let nextSync = since; !isLost(); ) {
    if (cluster.now - since > 3 * leaseMs) throw new Error('the attempt of the silent agent is not given up')
    cluster.pass(STEP_MS)
    if (other && cluster.now >= nextSync) nextSync = cluster.now + 0.9 * other.sync().next_sync_ms
  }
  const took = cluster.now - since
  return { name: `requeue after silence, ${isAlone ? 'the only one talking' : 'others talking'}`, figure: `${took / 1000} s (virtual)`, ratio: '', bar: `≤ ${(leaseMs + mostMs) / 1000} s`, holds: took <= leaseMs + mostMs }
}
