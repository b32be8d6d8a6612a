/** Who let a block pass is known to the jobs behind it, and to no other. Against the real steps of the Scheduler. */
import { beforeEach, expect, it } from 'vitest'
import { attemptId, parseJobId } from '../../schema/job.ts'
import type { Dependency, Step } from '../../schema/pipeline/steps.ts'
import { clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const first = attemptId({ project: 1, build: 1, n: 1, fence: 1 })
const on = (step: string): readonly Dependency[] => [{ step, allowFailure: false }]

function begin(steps: readonly Step[]): void {
  c.build()
  agent.sync()
  valueOf(c.upload(first, steps))
}

function letPass(step: string, by: string): void {
  valueOf(c.unblock(1, step, { by }))
  agent.sync()
}

/** The newest job of the step. */
function jobOf(key: string) {
  const { steps, jobs } = c.view(1)
  const job = jobs.filter(({ step }) => step === steps.find((one) => one.key === key)?.step).at(-1)
  const id = job && parseJobId(job.id)
  if (!id) throw new Error(`${key} has no job`)
  return { attempt: attemptId({ ...id, fence: 1 }) }
}

/** What its agent is told; null: nothing. */
function unblocker(key: string): string | null {
  const spec = c.cluster.spec(jobOf(key).attempt)
  if (!spec.ok) throw new Error(spec.message)
  return (JSON.parse(spec.value) as { readonly unblocker?: string }).unblocker ?? null
}

function end(key: string, outcome: 'passed' | 'failed' = 'passed'): void {
  agent.finish(jobOf(key).attempt, outcome, { exit_status: outcome === 'passed' ? 0 : 1 })
  agent.sync()
  agent.sync()
}

it('of several the last is known, through waits and groups', () => {
  begin([commandStep('free'), blockStep('one'), commandStep('middle'), groupStep('g', [blockStep('two'), commandStep('inner')]), waitStep(), commandStep('behind')])
  agent.sync()
  expect(unblocker('free')).toBeNull()
  end('free')
  letPass('one', 'ada')
  expect(unblocker('middle')).toBe('ada')
  letPass('two', 'bob')
  expect(unblocker('inner')).toBe('bob')
  end('middle')
  end('inner')
  expect(unblocker('behind')).toBe('bob')
})

it('whoever stands beside the block knows nothing of it', () => {
  begin([blockStep('ask'), commandStep('beside', { dependsOn: [] }), commandStep('behind')])
  letPass('ask', 'ada')
  expect([unblocker('beside'), unblocker('behind')]).toEqual([null, 'ada'])
})

it('what a job behind it uploads knows it too, and so does what depends on a block of before', () => {
  begin([blockStep('ask'), commandStep('behind'), commandStep('beside', { dependsOn: [] })])
  letPass('ask', 'ada')
  valueOf(c.upload(jobOf('behind').attempt, [commandStep('more')]))
  valueOf(c.upload(jobOf('beside').attempt, [commandStep('free'), commandStep('named', { dependsOn: on('ask') })]))
  agent.sync()
  expect([unblocker('more'), unblocker('free'), unblocker('named')]).toEqual(['ada', null, 'ada'])
})

it('a job that is tried again is told it again, also when it had not begun', () => {
  begin([blockStep('ask'), commandStep('behind'), waitStep(), commandStep('last')])
  letPass('ask', 'ada')
  end('behind', 'failed')
  agent.finish(first, 'passed')
  agent.sync()
  valueOf(c.retry(1, 'failed'))
  agent.sync()
  expect(unblocker('behind')).toBe('ada')
  end('behind')
  expect(unblocker('last')).toBe('ada')
})
