/** Who let a block pass is known to the jobs behind it, and to no other. Against the real steps of the Scheduler. */
import { expect, it } from 'vitest'
import { buildOfSteps, on, UPLOAD } from '../support/build-of-steps.ts'
import { valueOf } from '../support/cluster.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

const at = buildOfSteps()
const { attemptOf, begin, end } = at

function letPass(step: string, by: string): void {
  valueOf(at.c.unblock(1, step, { by }))
  at.agent.sync()
}

/** What the agent of the step's job is told; null: nothing. */
function unblocker(key: string): string | null {
  const spec = at.c.cluster.spec(attemptOf(key))
  if (!spec.ok) throw new Error(spec.message)
  return (JSON.parse(spec.value) as { readonly unblocker?: string }).unblocker ?? null
}

it('of several the last is known, through waits and groups', () => {
  begin([commandStep('free'), blockStep('one'), commandStep('middle'), groupStep('g', [blockStep('two'), commandStep('inner')]), waitStep(), commandStep('behind')])
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
  valueOf(at.c.upload(attemptOf('behind'), [commandStep('more')]))
  valueOf(at.c.upload(attemptOf('beside'), [commandStep('free'), commandStep('named', { dependsOn: on('ask') })]))
  at.agent.sync()
  expect([unblocker('more'), unblocker('free'), unblocker('named')]).toEqual(['ada', null, 'ada'])
})

it('a job that is tried again is told it again, also when it had not begun', () => {
  begin([blockStep('ask'), commandStep('behind'), waitStep(), commandStep('last')])
  letPass('ask', 'ada')
  end(UPLOAD)
  end('behind', 1)
  valueOf(at.c.retry(1, 'failed'))
  at.agent.sync()
  expect(unblocker('behind')).toBe('ada')
  end('behind')
  expect(unblocker('last')).toBe('ada')
})
