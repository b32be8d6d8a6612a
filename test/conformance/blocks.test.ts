/** Blocks, and the waits before them: whom they hold, and when nobody is asked [I28]. Against the real steps of the Scheduler. */
import { describe, expect, it } from 'vitest'
import { buildOfSteps, on, UPLOAD } from '../support/build-of-steps.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

const at = buildOfSteps()
const { begin, jobs, outcomes, end } = at

describe('a block', () => {
  it('holds what is behind it until a person lets it pass; the build is blocked meanwhile', () => {
    begin([commandStep('a'), blockStep('ok', { label: 'Release?' }), commandStep('b')])
    end(UPLOAD)
    expect(at.c.unblock(1, 'ok')).toMatchObject({ ok: false, problem: { code: 'step-not-blocked' } })
    end('a')
    expect(at.c.view(1)).toMatchObject({ state: 'blocked' })
    expect(at.c.view(1).jobs.at(-1)?.waiting).toEqual({ code: 'block', reason: 'waits until somebody lets "Release?" pass' })
    expect(at.c.unblock(1, 'okay')).toMatchObject({ ok: false, problem: { code: 'step-unknown', detail: 'Build 1 of app has no step okay. Its blocks are: ok.' } })
    expect(at.c.unblock(1, 'ok').ok).toBe(true)
    at.agent.sync()
    at.agent.sync()
    expect(jobs()).toMatchObject({ b: 'running' })
    expect(at.c.unblock(1, 'ok').ok).toBe(true)
    end('b')
    expect(at.c.view(1).state).toBe('passed')
    expect(at.c.view(1).steps.find(({ key }) => key === 'ok')?.unblocked?.by).toBe('somebody')
  })

  it('behind a failure is never asked about', () => {
    begin([commandStep('a'), blockStep('ok'), commandStep('b')])
    end('a', 1)
    end(UPLOAD)
    expect(outcomes()).toMatchObject({ ok: 'broken', b: 'broken' })
    expect(at.c.view(1).state).toBe('failed')
  })
})

it('a block that depends on a wait by its key asks, whatever that let pass', () => {
  begin([commandStep('a'), waitStep('w', { key: 'w', continueOnFailure: true }), blockStep('ask', { dependsOn: on('w') }), commandStep('report', { dependsOn: on('ask') })])
  end('a', 1)
  expect(outcomes()).toMatchObject({ w: 'passed', ask: 'blocked' })
  at.c.unblock(1, 'ask')
  at.agent.sync()
  expect(jobs()).toMatchObject({ report: 'assigned' })
})

it('a block in a group that depends on such a wait asks too, but not when a wait of its own group let something pass', () => {
  const release = groupStep('release', [blockStep('ask'), commandStep('build'), waitStep('own', { key: 'own', continueOnFailure: true }), blockStep('sure')], { dependsOn: on('w') })
  begin([commandStep('a'), waitStep('w', { key: 'w', continueOnFailure: true }), release])
  end('a', 1)
  expect(outcomes()).toMatchObject({ w: 'passed', ask: 'blocked' })
  at.c.unblock(1, 'ask')
  at.agent.sync()
  end('build', 1)
  expect(outcomes()).toMatchObject({ own: 'passed', sure: 'broken' })
})

it('a block in a group that only stands behind such a wait does not ask', () => {
  begin([commandStep('a'), waitStep('w', { key: 'w', continueOnFailure: true }), groupStep('release', [blockStep('ask')])])
  end('a', 1)
  expect(outcomes()).toMatchObject({ w: 'passed', ask: 'broken' })
})

it('a block behind a wait that lets failures pass does not open when something has failed', () => {
  begin([commandStep('a'), waitStep('w', { continueOnFailure: true }), commandStep('report'), blockStep('ask'), commandStep('deploy')])
  end('a', 1)
  end('report')
  end(UPLOAD)
  expect(outcomes()).toMatchObject({ a: 'failed', report: 'passed', ask: 'broken', deploy: 'broken' })
  expect(at.c.view(1).state).toBe('failed')
})

it('a block that asks is not asked any more while what stands before it is tried again', () => {
  begin([commandStep('a', { softFail: 'any' }), blockStep('ok'), commandStep('deploy')])
  end(UPLOAD)
  end('a', 1)
  expect(outcomes()).toMatchObject({ a: 'soft_failed', ok: 'blocked' })
  expect(at.c.retry(1, 'failed').ok).toBe(true)
  at.agent.sync()
  at.agent.sync()
  expect(outcomes()).toMatchObject({ a: 'running', ok: 'waiting' })
  expect(at.c.unblock(1, 'ok')).toMatchObject({ ok: false, problem: { code: 'step-not-blocked' } })
  end('a')
  expect(at.c.unblock(1, 'ok').ok).toBe(true)
  at.agent.sync()
  expect(jobs()).toMatchObject({ deploy: 'assigned' })
})
