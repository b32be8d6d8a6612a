/** What is said of a group as a whole. */
import { describe, expect, it } from 'vitest'
import { groupState, span, tally, whyOpen } from '../../../coordinator/pages/group.ts'
import type { JobView, StepView } from '../../../schema/api.ts'
import { jobView, stepView } from '../../support/views.ts'

const group = (over: Partial<StepView> = {}) => stepView({ step: 99, kind: 'group', state: 'waiting', ...over })
const over = group({ state: 'done', outcome: 'passed' })
const of = (outcome: StepView['outcome']) => stepView({ state: outcome === null ? 'running' : 'done', outcome })

describe('the state of a group', () => {
  it('is what its steps came to, the gravest first', () => {
    const ended = (outcome: StepView['outcome'], ...steps: readonly StepView['outcome'][]) => groupState(group({ state: 'done', outcome }), { steps: steps.map(of), jobs: [] })
    expect([ended('passed', 'passed', 'soft_failed'), ended('failed', 'canceled', 'failed', 'broken'), ended('failed', 'canceled', 'broken'), ended('failed', 'passed', 'canceled'), ended('passed', 'skipped'), ended('skipped', 'skipped'), ended('passed')]).toEqual(['passed', 'failed', 'broken', 'canceled', 'skipped', 'skipped', 'passed'])
  })

  it('is, until it is done, what goes on in it', () => {
    const going = (step: Partial<StepView>, job: JobView['state']) => groupState(group(), { steps: [stepView(step)], jobs: [jobView({ state: job })] })
    expect([going({}, 'running'), going({}, 'queued'), going({ state: 'waiting' }, 'waiting'), going({ kind: 'block', state: 'blocked' }, 'waiting'), going({ kind: 'trigger', state: 'running' }, 'passed')]).toEqual(['running', 'queued', 'waiting', 'blocked', 'running'])
  })
})

describe('the tally of a group', () => {
  it('says how many jobs it has, and how far it is once one is done', () => {
    const steps = [stepView({ step: 1 }), stepView({ kind: 'wait', step: 2 })]
    const jobs = (...states: readonly JobView['state'][]) => ({ steps, jobs: states.map((state) => jobView({ step: 1, state })) })
    expect(tally(group(), jobs('waiting', 'waiting'))).toBe('2 jobs')
    expect(tally(group(), jobs('passed', 'running', 'queued'))).toBe('1 of 3 done')
    expect(tally(over, jobs('passed'))).toBe('1 job')
  })

  it('says what did not pass, and leaves out what was retried', () => {
    const jobs = [jobView({ step: 1, state: 'failed', retried_by: 'J1-7-2' }), jobView({ step: 1, id: 'J1-7-2' }), jobView({ step: 2, state: 'failed' }), jobView({ step: 2, state: 'timed_out', soft_failed: true }), jobView({ step: 2, state: 'broken' })]
    expect(tally(over, { steps: [stepView({ step: 1 }), stepView({ step: 2 })], jobs })).toBe('4 jobs, 1 failed, 1 failed (allowed), 1 not run')
  })

  it('says why none of it was run', () => {
    const steps = [stepView({ step: 1, state: 'done', outcome: 'broken', broken: '"Lint" failed' }), stepView({ step: 2, kind: 'block', state: 'done', outcome: 'broken', broken: '"Lint" failed' })]
    expect(tally(over, { steps, jobs: [jobView({ step: 1, state: 'broken' })] })).toBe('not run, because "Lint" failed')
    expect(tally(over, { steps, jobs: [jobView({ step: 1, state: 'passed' })] })).toBe('2 steps, 1 not run')
  })

  it('counts steps that have no job, and calls them so', () => {
    const steps = [stepView({ step: 1 }), stepView({ step: 2, kind: 'block', state: 'blocked' }), stepView({ step: 3, state: 'done', outcome: 'skipped' }), group({ step: 4 })]
    expect(tally(group(), { steps, jobs: [jobView({ step: 1 })] })).toBe('2 of 3 done, 1 skipped')
    expect(tally(over, { steps, jobs: [jobView({ step: 1 })] })).toBe('3 steps, 1 skipped')
    expect(tally(over, { steps: [], jobs: [] })).toBe('')
  })
})

describe('how long a group took', () => {
  const job = (from: string | null, to: string | null) => jobView({ started_at: from, finished_at: to })

  it('is from the first start to the last end, once it is done', () => {
    const content = { steps: [], jobs: [job('2026-11-24T10:02:00.000Z', '2026-11-24T10:03:00.000Z'), job('2026-11-24T10:01:00.000Z', '2026-11-24T10:02:00.000Z'), job(null, '2026-11-24T11:00:00.000Z')] }
    expect(span(over, content)).toEqual({ from: '2026-11-24T10:01:00.000Z', to: '2026-11-24T10:03:00.000Z' })
    expect(span(group(), content).to).toBeNull()
    expect(span(group(), { steps: [], jobs: [] })).toEqual({ from: null, to: null })
  })
})

it('a group in which something failed is open before it is over', () => {
  const content = { steps: [stepView()], jobs: [jobView({ step: 1, state: 'failed' })] }
  expect(whyOpen('waiting', content, null)).toBe('failed')
  expect(whyOpen('waiting', { ...content, jobs: [jobView({ state: 'failed', soft_failed: true })] }, null)).toBe('')
})
