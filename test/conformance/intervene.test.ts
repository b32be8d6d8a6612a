/** What a person does to a build of steps: cancel it, retry what failed, and what waits again then [I28]. Against the real steps of the Scheduler. */
import { describe, expect, it } from 'vitest'
import { jobId, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import { buildOfSteps, on, UPLOAD, uploader } from '../support/build-of-steps.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

const at = buildOfSteps()
const { begin, jobs, outcomes, attemptOf, end } = at
const NO_RETRY = { retry: { automatic: [], manual: { allowed: false, reason: null, permitOnPassed: true } } } as const

describe('a person', () => {
  it('cancels a build of steps: what waits ends at once, what runs is told, nothing is let go by that', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b'), blockStep('ok'), commandStep('d')])
    at.c.cancel(1)
    expect(jobs()).toMatchObject({ b: 'canceled', d: 'canceled' })
    expect(at.c.view(1).state).toBe('canceling')
    at.agent.finish(attemptOf('a'), 'canceled')
    at.agent.finish(uploader(), 'canceled')
    at.agent.sync()
    expect(at.c.view(1).state).toBe('canceled')
    expect(at.c.upload(uploader(), [commandStep('late')])).toMatchObject({ ok: false, problem: { code: 'attempt_final' } })
  })

  it('retries what failed while other steps go on, and what waits for both waits for both again', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w', { continueOnFailure: true }), commandStep('c')])
    end('a', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.sync()
    at.agent.sync()
    end('b')
    expect(jobs()).toMatchObject({ a: 'running', b: 'passed', c: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ a: 'passed', c: 'running' })
  })

  it('retries a failed step after the failed ones that it depends on, and not at all when they fail again', () => {
    begin([commandStep('a', { softFail: [7] }), commandStep('b', { dependsOn: on('a') }), commandStep('c', { dependsOn: on('b') })])
    end(UPLOAD)
    end('a', 7)
    end('b', 1)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'failed', c: 'broken' })
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.sync()
    at.agent.sync()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'waiting' })
    expect(at.c.view(1).jobs.find(({ state }) => state === 'waiting')?.waiting).toEqual({ code: 'dependency', reason: 'waits for "a"' })
    end('a')
    expect(jobs()).toMatchObject({ a: 'passed', b: 'running', c: 'waiting' })
    end('b', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.sync()
    at.agent.sync()
    end('b')
    end('c')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('retries what failed, and what was broken by it waits again', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c'), groupStep('g', [commandStep('d')]), blockStep('ok'), commandStep('e')])
    end('b')
    end('a', 1)
    end(UPLOAD)
    expect(at.c.view(1).state).toBe('failed')
    expect(at.c.retry(1)).toMatchObject({ ok: false, problem: { code: 'retry-only-failed' } })
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.sync()
    at.agent.sync()
    expect(at.c.view(1).state).toBe('running')
    expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'running', b: 'passed', c: 'waiting', d: 'waiting', e: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ c: 'running', d: 'running', e: 'waiting' })
    end('c')
    end('d')
    at.c.unblock(1, 'ok')
    at.agent.sync()
    at.agent.sync()
    end('e')
    expect(at.c.view(1).state).toBe('passed')
  })
})

describe('a retry of a build that was cancelled', () => {
  it('lets go on what was broken by steps of which the cancel said more than came of it', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    end(UPLOAD)
    at.c.cancel(1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    end('a') // it was told to end, and had passed before it heard
    expect(at.c.view(1).state).toBe('failed')
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.sync()
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('has what waited wait again, in its order', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b'), commandStep('c', { dependsOn: on('b') })])
    end(UPLOAD)
    at.c.cancel(1)
    at.agent.finish(attemptOf('a'), 'canceled')
    at.agent.sync()
    expect(at.c.view(1).state).toBe('canceled')
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ b: 'running', c: 'waiting' })
    end('b')
    end('c')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('has also what allows no retry wait again, as it never ran', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b', NO_RETRY)])
    end(UPLOAD)
    at.c.cancel(1)
    at.agent.finish(attemptOf('a'), 'canceled')
    at.agent.sync()
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting' })
    end('a')
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('goes by the last of the jobs that a rule had tried again', () => {
    begin([commandStep('a', { retry: { ...NO_RETRY.retry, automatic: [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 1 }] } }), waitStep('w'), commandStep('b')])
    end(UPLOAD)
    end('a', 1)
    at.c.cancel(1)
    end('a') // it had passed before it heard of the cancel
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    end('b')
    expect(at.c.view(1).state).toBe('passed')
    expect(outcomes()).toMatchObject({ a: 'passed', b: 'passed' })
  })

  it('goes on at once behind several waits that are over by then', () => {
    begin([commandStep('a'), waitStep('v', { dependsOn: on('a') }), waitStep('w', { dependsOn: on('a') }), commandStep('b', { dependsOn: on('v', 'w') })])
    end(UPLOAD)
    at.c.cancel(1)
    end('a') // it had passed before it heard of the cancel
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'passed', b: 'running' })
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('says of a job why that was cancelled, and not why one before it was', () => {
    begin([commandStep('a'), commandStep('b', { cancelOnBuildFailing: true })])
    end(UPLOAD)
    end('a', 1)
    at.agent.finish(attemptOf('b'), 'canceled')
    at.agent.join()
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    at.c.cancel(1)
    const job = at.c.view(1).jobs.find(({ id }) => id === jobIdOf(attemptOf('b')))
    expect(job).toMatchObject({ state: 'running', cancel_requested: true, reason: null })
  })

  it('asks again what nobody had answered', () => {
    begin([commandStep('a'), blockStep('ok'), commandStep('deploy')])
    end('a')
    end(UPLOAD)
    at.c.cancel(1)
    expect(at.c.view(1).state).toBe('canceled')
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    expect(outcomes()).toMatchObject({ ok: 'blocked', deploy: 'waiting' })
    expect(at.c.unblock(1, 'ok').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ deploy: 'running' })
  })

  it('goes on behind what passed after all', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    end(UPLOAD)
    at.c.cancel(1)
    at.agent.finish(attemptOf('a'), 'passed')
    at.agent.sync()
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'passed', b: 'running' })
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })
})

describe('a retry of a step', () => {
  it('is waited for again by what had not begun when the step failed', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c')])
    end(UPLOAD)
    end('a', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    end('b')
    expect(jobs()).toMatchObject({ a: 'running', c: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ c: 'running' })
  })

  it('is waited for behind waits and blocks that had passed, by what runs again too; nobody is asked twice', () => {
    begin([commandStep('a', { softFail: 'any' }), blockStep('ok'), commandStep('b'), commandStep('c')])
    end(UPLOAD)
    end('a', 1)
    expect(at.c.unblock(1, 'ok').ok).toBe(true)
    at.agent.join()
    end('b', 1)
    end('c')
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'passed' })
    end('a')
    expect(jobs()).toMatchObject({ b: 'running' })
    expect(outcomes()).toMatchObject({ ok: 'passed' })
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('is waited for by a step behind it that runs again too', () => {
    begin([commandStep('a'), commandStep('b', { dependsOn: on('a?') })])
    end(UPLOAD)
    end('a', 1)
    end('b', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting' })
    end('a')
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })
})

describe('what stands behind a step that is tried again', () => {
  /** The job of the step of this key that no other has succeeded. */
  const retryOne = (key: string) => at.c.retryJob(jobIdOf(attemptOf(key)))

  it('goes on to the end of the build when it still waited for another', () => {
    begin([commandStep('a'), commandStep('b'), commandStep('c', { dependsOn: on('a?', 'b') }), waitStep('w'), commandStep('d')])
    end(UPLOAD)
    end('a', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    for (const key of ['a', 'b', 'c', 'd']) end(key)
    expect(at.c.view(1).state).toBe('passed')
  })

  it('waits for it also when it had passed', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c')])
    end(UPLOAD)
    end('a')
    expect(retryOne('a').ok).toBe(true)
    at.agent.join()
    end('b')
    expect(jobs()).toMatchObject({ a: 'running', b: 'passed', c: 'waiting' })
    end('a')
    end('c')
    expect(at.c.view(1).state).toBe('passed')
  })

  it.each<[string, () => { readonly ok: boolean }]>([['alone', () => retryOne('a')], ['with all that failed', () => at.c.retry(1, 'failed')]])('waits again as one job, however often it was broken, when that is tried again %s', (_, again) => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    end(UPLOAD)
    for (let tries = 0; tries < 3; tries += 1) {
      end('a', 1)
      expect(jobs()).toMatchObject({ a: 'failed', b: 'broken' })
      expect(again().ok).toBe(true)
      at.agent.join()
    }
    end('a')
    end('b')
    expect(at.c.view(1)).toMatchObject({ state: 'passed', jobs: { length: 1 + 4 + 4 } })
  })

  it('has only the jobs run again that failed, and moves none of another step', () => {
    begin([commandStep('a', { softFail: 'any' }), commandStep('many', { parallelism: 2, dependsOn: on('a') }), commandStep('slow', { softFail: 'any' }), commandStep('other', { dependsOn: on('a', 'slow') })])
    end(UPLOAD)
    end('a', 1)
    end('slow', 1)
    end('many', 0, 0)
    end('many', 1, 1)
    end('other', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running', slow: 'running', many0: 'passed', many1: 'waiting', other: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ many0: 'passed', many1: 'running', other: 'waiting' })
    for (const [key, nth] of [['slow', 0], ['many', 1], ['other', 0]] as const) end(key, 0, nth)
    expect(at.c.view(1).state).toBe('passed')
  })

  it('stays broken by what is not tried again', () => {
    begin([commandStep('a', NO_RETRY), commandStep('b', { dependsOn: on('a') }), commandStep('c')])
    end(UPLOAD)
    end('a', 1)
    end('c', 1)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'failed', b: 'broken', c: 'running' })
    end('c')
    expect(at.c.view(1).state).toBe('failed')
  })

  it('waits for all jobs of a parallel step of which one is tried again while the others run', () => {
    begin([commandStep('many', { parallelism: 2 }), waitStep('w'), commandStep('c')])
    end(UPLOAD)
    end('many', 1, 0)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    end('many', 0, 0)
    expect(jobs()).toMatchObject({ many0: 'running', many1: 'passed', c: 'waiting' })
    end('many', 0, 1)
    end('c')
    expect(at.c.view(1).state).toBe('passed')
  })

  it('ends at once when something else still keeps it from running', () => {
    begin([commandStep('a', NO_RETRY), commandStep('b'), waitStep('w'), commandStep('c')])
    end(UPLOAD)
    end('a', 1)
    at.c.cancel(1)
    end('b') // it had passed before it heard of the cancel
    expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'failed', b: 'passed', c: 'canceled' })
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    expect(outcomes()).toMatchObject({ a: 'failed', b: 'passed', c: 'broken' })
    expect(at.c.view(1).state).toBe('failed')
  })
})

it('a first job that is retried by a person uploads the same steps again, and they count once', () => {
  const steps = [commandStep('a'), commandStep('b')]
  begin(steps)
  end(UPLOAD, 1)
  end('a')
  end('b')
  expect(at.c.retry(1, 'failed').ok).toBe(true)
  at.agent.sync()
  const retried = attemptOf(UPLOAD)
  expect(at.c.upload(retried, steps)).toEqual({ ok: true, value: { steps: 2, jobs: 2 } })
  expect(at.c.upload(retried, steps)).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid' } }) // more of the same is meant, and their keys are taken
  end(UPLOAD)
  expect(at.c.view(1).state).toBe('passed')
})

function jobIdOf(attempt: AttemptId): string {
  const key = parseAttemptId(attempt)
  if (key === null) throw new Error(`${attempt} is no attempt`)
  return jobId(key)
}
