/** Who is in the queue is rung for, however it came there [C9]: an agent behind a doorbell comes by itself only after minutes. Against the real steps of the Scheduler. */
import { beforeEach, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import { clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, triggerStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
  c.project('deploy')
  c.build()
  agent.sync()
})

const attempt = (n: number, build = 1): AttemptId => attemptId({ project: 1, build, n, fence: 1 })
/** It takes no more work, so what is in the queue stays there. */
const isFull = { slots: 0 } as const
const again = { automatic: [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 1 }], manual: { allowed: true, reason: null, permitOnPassed: true } } as const
const one = { concurrency: { group: 'g', limit: 1, method: 'ordered' } } as const

/** The job with this number ends, and the agent tells. */
function end(n: number, exitStatus = 0): void {
  agent.finish(attempt(n), exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus })
  agent.sync(isFull)
}

/** The first job brings these; whatever may begin is in the agent's hands. */
function upload(...steps: Parameters<TestCluster['upload']>[1]): void {
  valueOf(c.upload(attempt(1), steps))
  agent.sync()
}

it.each<[string, number, () => void, () => void]>([
  ['a build that is asked for', 1, () => {}, () => c.build()],
  ['what an upload brings', 2, () => {}, () => valueOf(c.upload(attempt(1), [commandStep('a'), commandStep('b'), waitStep(), commandStep('c')]))],
  ['what a restarted agent has lost', 1, () => agent.restart(), () => agent.sync(isFull)],
  ['what an agent that fell silent held', 1, () => {}, () => c.pass(c.numbers.leaseMs + c.numbers.graceMs)],
  ['what an agent hands back', 1, () => agent.running.clear(), () => agent.sync({ ...isFull, lost: [{ attempt: attempt(1), why: 'handed_back' }] })],
  ['what waited for a step that is done', 2, () => upload(commandStep('a'), waitStep(), commandStep('b'), commandStep('c')), () => end(2)],
  ['what a rule has tried again', 1, () => upload(commandStep('a', { retry: again })), () => end(2, 1)],
  ['a job that a person has tried again', 1, () => (upload(commandStep('a')), end(2, 1)), () => valueOf(c.retryJob('J1-1-2'))],
  ['all that failed, when a person has it tried again', 2, () => (upload(commandStep('a'), commandStep('b')), end(2, 1), end(3, 1)), () => valueOf(c.retry(1, 'failed'))],
  ['a job of a build without steps that a person has tried again', 1, () => end(1, 1), () => valueOf(c.retry(1))],
  ['what stands behind a block that a person lets pass', 1, () => upload(blockStep('ok'), commandStep('a')), () => valueOf(c.unblock(1, 'ok'))],
  ['the next of a concurrency group', 1, () => upload(commandStep('a', one), commandStep('b', one), commandStep('c', one)), () => end(2)],
  ['the next of a group behind one that is cancelled in the queue', 1, () => (upload(commandStep('a', one)), end(2), c.build(), agent.sync(), valueOf(c.upload(attempt(1, 2), [commandStep('b', one)])), valueOf(c.upload(attempt(1), [commandStep('c', one)]))), () => c.cancel(2)],
  ['builds that a trigger starts', 2, () => upload(commandStep('a'), waitStep(), triggerStep('deploy', { parallelism: 2 })), () => end(2)],
])('%s: for each job', (_, jobs, prepare, act) => {
  prepare()
  const before = queued()
  c.effects.length = 0
  act()
  const joined = [...queued()].filter((job) => !before.has(job))
  expect(joined).toHaveLength(jobs)
  expect(rungFor(joined)).toBe(jobs)
})

function queued(): ReadonlySet<string> {
  return new Set(c.sql.all("select project || '-' || build || '-' || n from job where state = 'queued'", []).map(([job]) => String(job)))
}

/** For how many jobs of their class; all jobs of a test are of one. */
function rungFor(jobs: readonly string[]): number {
  const classes = new Set(jobs.map((job) => c.sql.all("select class from job where project || '-' || build || '-' || n = ?", [job])[0]?.[0]))
  return c.effects.reduce((sum, effect) => sum + (effect.kind === 'ring-class' && classes.has(effect.class) ? effect.count : 0), 0)
}
