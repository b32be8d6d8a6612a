/** What a person may have tried again, by what its step says of that. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId } from '../../schema/job.ts'
import type { CommandStep, Step } from '../../schema/pipeline/steps.ts'
import { ORIGIN, clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const attempt = (n: number) => attemptId({ project: 1, build: 1, n, fence: 1 })
const manual = (over: Partial<CommandStep['retry']['manual']>): Partial<CommandStep> => ({ retry: { automatic: [], manual: { allowed: true, reason: null, permitOnPassed: true, ...over } } })

/** A build of these steps, whose first job has passed. */
function begin(steps: readonly Step[]): void {
  c.build()
  agent.sync()
  valueOf(c.upload(attempt(1), steps))
  end(1)
}

function end(n: number, exitStatus = 0): void {
  agent.finish(attempt(n), exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus })
  agent.join()
}

const retryJob = (n: number) => c.retryJob(`J1-1-${n}`)
const states = () => Object.fromEntries(c.view(1).jobs.map(({ id, state }) => [Number(id.split('-')[2]), state]))

it('a build that was tried again too often is full, and can still be looked at', () => {
  begin([commandStep('a', { command: 'x'.repeat(200_000), parallelism: 39, queue: 'of-nobody' })])
  c.cancel(1)
  expect(c.retry(1, 'failed').ok).toBe(true)
  c.cancel(1)
  const rows = c.sql.rowsWritten()
  expect(c.retry(1, 'failed')).toMatchObject({ ok: false, problem: { code: 'build-full', detail: expect.stringContaining('Start a new build') } })
  expect([c.sql.rowsWritten(), c.view(1).jobs.length]).toEqual([rows, 79])
})

describe('one job', () => {
  it('that failed runs again alone, and what it broke waits again', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c')])
    end(2, 1)
    end(3, 1)
    expect(states()).toMatchObject({ 4: 'broken' })
    expect(valueOf(retryJob(2)).state).toBe('running')
    agent.join()
    expect(states()).toMatchObject({ 3: 'failed', 5: 'running', 6: 'waiting' })
    end(5)
    expect(c.view(1)).toMatchObject({ state: 'failed' }) // the other has failed still
  })

  it('that failed and passes then makes its step good', () => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    end(2, 1)
    valueOf(retryJob(2))
    agent.join()
    end(4)
    end(5)
    expect(states()).toMatchObject({ 2: 'failed', 4: 'passed', 5: 'passed' })
    expect(c.view(1)).toMatchObject({ state: 'passed' })
  })

  it('of several that failed before their build was cancelled fails it, until it is tried again', () => {
    begin([commandStep('a', { parallelism: 2 })])
    end(2, 1)
    valueOf(c.cluster.cancelBuild(c.now, 'app', 1, ORIGIN).value)
    agent.join()
    agent.finish(attempt(3), 'canceled')
    agent.join()
    expect(c.view(1)).toMatchObject({ state: 'failed' })
    valueOf(retryJob(2))
    agent.join()
    end(4)
    expect(c.view(1)).toMatchObject({ state: 'canceled' })
  })

  it('that was cancelled while it waited is not retried past what it waits for', () => {
    begin([blockStep('ok'), commandStep('deploy')])
    valueOf(c.cluster.cancelBuild(c.now, 'app', 1, ORIGIN).value)
    expect(retryJob(2)).toMatchObject({ ok: false, problem: { status: 409, detail: expect.stringContaining('while it still waited for other steps') } })
    expect(valueOf(c.cluster.retryBuild(c.now, 'app', 1, { only: 'failed' }, ORIGIN).value).steps).toMatchObject([{}, { key: 'ok', state: 'blocked' }, { key: 'deploy', state: 'waiting' }])
  })

  it('of several leaves the others as soft as they failed', () => {
    begin([
      commandStep('m', { command: 'make {{matrix}}', matrix: { setup: { '': ['a', 'b'] }, adjustments: [{ with: { '': 'b' }, skip: null, softFail: 'any' }] } }),
      commandStep('p', { parallelism: 2, softFail: [-1] }),
      waitStep(),
      commandStep('last'),
    ])
    end(2, 1)
    end(3, 1)
    end(4, 1)
    agent.finish(attempt(5), 'failed', { exit_status: null, signal: 'SIGKILL' })
    agent.join()
    expect(states()).toMatchObject({ 6: 'broken' })
    valueOf(retryJob(2))
    valueOf(retryJob(4))
    agent.join()
    end(7)
    end(9)
    expect(c.view(1).steps.map(({ outcome }) => outcome)).toEqual(['passed', 'soft_failed', 'soft_failed', 'passed', null])
    expect(states()).toMatchObject({ 8: 'running' })
  })

  it('waits for what runs again before it', () => {
    begin([commandStep('a'), waitStep('w', { continueOnFailure: true }), commandStep('b')])
    end(2, 1)
    end(3, 1)
    valueOf(retryJob(2))
    valueOf(retryJob(3))
    agent.join()
    expect(states()).toMatchObject({ 4: 'running', 5: 'waiting' })
    end(4)
    expect(states()).toMatchObject({ 4: 'passed', 5: 'running' })
  })

  it('that passed may run again too, and what ran behind it stays as it is', () => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    end(2)
    end(3)
    expect(valueOf(retryJob(2)).state).toBe('running')
    agent.join()
    end(4, 1)
    expect(states()).toMatchObject({ 3: 'passed', 4: 'failed' })
    expect(c.view(1).state).toBe('failed')
  })

  it('of a cancelled build does not bring back the others', () => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    c.cancel(1)
    agent.finish(attempt(2), 'canceled')
    agent.sync()
    valueOf(retryJob(2))
    agent.join()
    end(4)
    expect(states()).toMatchObject({ 3: 'canceled', 4: 'passed' })
    expect(c.view(1).state).toBe('canceled')
  })

  it('of a build without steps', () => {
    c.build()
    agent.sync()
    end(1, 1)
    expect(valueOf(retryJob(1))).toMatchObject({ state: 'scheduled', finished_at: null })
    agent.join()
    end(2)
    expect(c.view(1).state).toBe('passed')
  })

  it.each<[string, () => number, string]>([
    ['runs', () => 2, 'it is not finished'],
    ['did not run', () => (end(2, 1), 3), 'it did not run, it is broken'],
    ['was retried', () => (end(2, 1), valueOf(retryJob(2)), 2), 'it was already, as J1-1-4'],
  ])('that %s is refused', (_what, prepare, why) => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    expect(retryJob(prepare())).toMatchObject({ ok: false, problem: { status: 409, code: 'job-retry-refused', detail: expect.stringContaining(why) } })
  })

  it('that there is not is refused', () => {
    expect(retryJob(1)).toMatchObject({ ok: false, problem: { status: 404, code: 'job-unknown' } })
  })
})

describe('a step that allows no retry', () => {
  it('says why, for one job and for all that failed', () => {
    begin([commandStep('a', manual({ allowed: false, reason: 'It takes an hour' })), waitStep(), commandStep('b')])
    end(2, 1)
    const problem = { status: 409, code: 'job-retry-refused', detail: 'Job J1-1-2 cannot be retried: its step does not allow it: It takes an hour.' }
    expect(retryJob(2)).toMatchObject({ ok: false, problem })
    const before = c.sql.rowsWritten()
    expect(c.retry(1, 'failed')).toMatchObject({ ok: false, problem })
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('stays as it is when others run again', () => {
    begin([commandStep('a', manual({ allowed: false })), commandStep('b')])
    end(2, 1)
    end(3, 1)
    valueOf(c.retry(1, 'failed'))
    agent.join()
    expect(states()).toMatchObject({ 2: 'failed', 4: 'running' })
    end(4)
    expect(c.view(1).state).toBe('failed')
  })

  it('of what passed may still be retried when it fails', () => {
    begin([commandStep('a', manual({ permitOnPassed: false })), commandStep('b', manual({ permitOnPassed: false }))])
    end(2)
    end(3, 1)
    expect(retryJob(2)).toMatchObject({ ok: false, problem: { detail: 'Job J1-1-2 cannot be retried: it passed, and its step allows no retry of what passed.' } })
    expect(retryJob(3).ok).toBe(true)
  })
})
