/** Builds of steps: what waits, what is let go, what breaks, what ends with it [I28]. Against the real steps of the Scheduler. */
import { describe, expect, it } from 'vitest'
import { type AttemptId } from '../../schema/job.ts'
import type { AttemptResult } from '../../schema/sync.ts'
import { buildOfSteps, on, UPLOAD, uploader } from '../support/build-of-steps.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

const at = buildOfSteps()
const { begin, jobs, outcomes, attemptOf, end } = at

describe('steps of a build', () => {
  it('run when nothing holds them, behind a wait when all before it are done', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c')])
    expect(jobs()).toEqual({ [UPLOAD]: 'running', a: 'running', b: 'running', c: 'waiting' })
    expect(at.c.view(1).jobs.find(({ state }) => state === 'waiting')?.waiting).toEqual({ code: 'dependency', reason: 'waits for "a", "b"' })
    end('a')
    expect(jobs()).toMatchObject({ b: 'running', c: 'waiting' })
    end('b')
    expect(jobs()).toMatchObject({ a: 'passed', b: 'passed', c: 'running' })
    expect(at.c.view(1).state).toBe('running')
    end(UPLOAD)
    end('c')
    expect(at.c.view(1)).toMatchObject({ state: 'passed' })
  })

  it('a failure breaks what waits for it, and the build fails; what does not wait for it goes on', () => {
    begin([commandStep('a'), commandStep('b', { dependsOn: on('a') }), commandStep('c', { dependsOn: [] }), waitStep('w'), commandStep('d')])
    end('a', 1)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'broken', c: 'running', d: 'waiting' })
    end('c')
    expect(jobs()).toMatchObject({ c: 'passed', d: 'broken' })
    expect(at.c.view(1).state).toBe('running')
    end(UPLOAD)
    expect(at.c.view(1)).toMatchObject({ state: 'failed' })
    expect(at.c.view(1).jobs.find(({ state }) => state === 'broken')).toMatchObject({ reason: { code: 'dependency_failed' }, finished_at: new Date(at.c.now).toISOString() })
  })

  it('a wait that lets failures pass runs what is behind it, and the next wait does not', () => {
    begin([commandStep('a'), waitStep('w', { continueOnFailure: true }), commandStep('b'), waitStep('x'), commandStep('c')])
    end('a', 1)
    expect(jobs()).toMatchObject({ b: 'running', c: 'waiting' })
    end('b')
    expect(jobs()).toMatchObject({ b: 'passed', c: 'broken' })
  })

  it('a soft failure stops nothing, and the build passes', () => {
    begin([commandStep('a', { softFail: [3] }), waitStep('w'), commandStep('b')])
    end('a', 3)
    expect(outcomes()).toMatchObject({ a: 'soft_failed' })
    end('b')
    end(UPLOAD)
    expect(at.c.view(1).state).toBe('passed')
  })

  it('what did not run says which steps failed, through waits, groups and what broke before it', () => {
    begin([commandStep('a', { label: 'Lint' }), groupStep('g', [commandStep('b'), commandStep('c', { dependsOn: on('b') })]), waitStep('w'), commandStep('d'), groupStep('h', [commandStep('e')]), blockStep('f')])
    end('a', 1)
    end('b', 1)
    const { steps, jobs: all } = at.c.view(1)
    expect(Object.fromEntries(steps.flatMap(({ key, broken }) => (broken === null ? [] : [[key, broken]])))).toEqual({ c: '"b" failed', d: '"Lint" failed, "b" failed', e: '"Lint" failed, "b" failed', f: '"Lint" failed, "b" failed' })
    const d = steps.find(({ key }) => key === 'd')?.step
    expect(all.find(({ step }) => step === d)?.reason).toEqual({ code: 'dependency_failed', message: 'not run, because "Lint" failed, "b" failed' })
  })

  it('of many that failed some are named', () => {
    begin([...['a', 'b', 'c', 'd', 'e'].map((key) => commandStep(key)), waitStep('w'), commandStep('z')])
    for (const key of ['e', 'd', 'c', 'b', 'a']) end(key, 1)
    expect(at.c.view(1).steps.at(-1)?.broken).toBe('"a" failed, "b" failed, "c" failed, and others')
  })

  it('a job that may fail so says that of itself, and not of how else it failed', () => {
    begin([commandStep('a', { softFail: [3] }), commandStep('b', { softFail: [3] }), commandStep('c', { softFail: 'any' }), commandStep('d')])
    for (const [key, status] of [['a', 3], ['b', 4], ['c', 4], ['d', 0]] as const) end(key, status)
    expect(at.c.view(1).jobs.map(({ state, soft_failed }) => [state, soft_failed])).toEqual([['running', false], ['failed', true], ['failed', false], ['failed', true], ['passed', false]])
  })

  it('a status that was not named is a failure', () => {
    begin([commandStep('a', { softFail: [3] }), waitStep('w'), commandStep('b')])
    end('a', 4)
    expect(outcomes()).toMatchObject({ a: 'failed', w: 'broken', b: 'broken' })
  })

  it('parallel jobs are one step: it is done with the last of them', () => {
    begin([commandStep('a', { parallelism: 3 }), waitStep('w'), commandStep('b')])
    expect(jobs()).toMatchObject({ a0: 'running', a1: 'running', a2: 'running', b: 'waiting' })
    end('a', 0, 0)
    end('a', 0, 1)
    expect(jobs()).toMatchObject({ b: 'waiting' })
    end('a', 0, 2)
    expect(jobs()).toMatchObject({ b: 'running' })
  })

  it('a skipped step lets pass at once, and a build of nothing else is as its upload', () => {
    begin([commandStep('a', { skip: 'not today' }), waitStep('w'), commandStep('b', { skip: '' })])
    expect(jobs()).toEqual({ [UPLOAD]: 'running', a: 'skipped', b: 'skipped' })
    expect(at.c.view(1).steps.find(({ key }) => key === 'a')).toMatchObject({ outcome: 'skipped', skipped: 'not today' })
    end(UPLOAD)
    expect(at.c.view(1).state).toBe('passed')
  })

  it('steps of a group run behind their own wait, and what waits for the group behind all of them', () => {
    begin([groupStep('g', [commandStep('a'), waitStep(null), commandStep('b')]), commandStep('c', { dependsOn: on('g') })])
    end('a')
    expect(jobs()).toMatchObject({ b: 'running', c: 'waiting' })
    end('b')
    expect(jobs()).toMatchObject({ c: 'running' })
    expect(outcomes()).toMatchObject({ g: 'passed' })
  })

  it('a job is told the group of its step, also of one that its uploader stands in', () => {
    begin([groupStep('g', [commandStep('a')]), commandStep('b')])
    const spec = (attempt: AttemptId) => JSON.parse((at.c.cluster.spec(attempt) as { readonly value: string }).value) as { readonly step: object }
    const group = { id: 'S1-1-2', key: 'g', label: null }
    expect(spec(attemptOf('a')).step).toMatchObject({ key: 'a', group })
    expect(spec(attemptOf('b')).step).not.toHaveProperty('group')
    at.c.upload(attemptOf('a'), [commandStep('inner')])
    at.agent.sync()
    expect(spec(attemptOf('inner')).step).toMatchObject({ key: 'inner', group })
  })

  it('environment: the step before the build before the pipeline', () => {
    at.c.build({ env: { A: 'build', B: 'build' } })
    at.agent.sync()
    at.c.upload(uploader(), [commandStep('a', { env: { A: 'step' } })], { over: { env: { A: 'pipeline', B: 'pipeline', C: 'pipeline' } } })
    const { assignments } = at.agent.sync()
    expect(assignments[0]?.spec?.env).toEqual({ A: 'step', B: 'build', C: 'pipeline' })
  })

  it('tells the agent how the step wants its files', () => {
    at.c.build()
    at.agent.sync()
    at.c.upload(uploader(), [commandStep('a', { checkout: { skip: false, submodules: false, lfs: true, fresh: true } }), commandStep('b')])
    const { assignments } = at.agent.sync()
    const of = (key: string) => assignments.find(({ spec }) => spec?.step?.key === key)?.spec?.checkout
    expect(of('a')).toMatchObject({ fresh: true, submodules: false, lfs: true })
    expect(of('b')).toEqual({ repository: 'https://example.com/app.git', commit: null, branch: null, fresh: false })
  })

  it('tells the agent what else it needs: how the build was asked for, plugins, and what to keep', () => {
    at.c.build({ on_partition: 'stop', timeout_s: 77 })
    at.agent.sync()
    const plugins = [{ source: 'github.com/buildkite-plugins/docker-buildkite-plugin#v5.9.0', configuration: { image: 'node' } }]
    at.c.upload(uploader(), [commandStep('a', { plugins, artifactPaths: ['out/*'], timeoutMinutes: 2 }), commandStep('b')])
    const { assignments } = at.agent.sync()
    const of = (key: string) => assignments.find(({ spec }) => spec?.step?.key === key)?.spec
    expect(of('a')).toMatchObject({ on_partition: 'stop', plugins, artifact_paths: ['out/*'], timeout_s: 120 })
    expect(of('b')).toMatchObject({ on_partition: 'stop' })
    for (const absent of ['plugins', 'artifact_paths']) expect(of('b')).not.toHaveProperty(absent)
  })

  it('the build began when its first job did, however late that brings them', () => {
    at.c.build()
    at.agent.sync()
    const began = new Date(at.c.now).toISOString()
    for (const key of ['a', 'b']) {
      at.c.pass(1000)
      at.c.upload(uploader(), [commandStep(key)])
      expect(at.c.view(1).started_at).toBe(began)
    }
  })
})

describe('a retry by a rule', () => {
  it('is a new job of the same step, until its limit', () => {
    begin([commandStep('a', { retry: { automatic: [{ exitStatus: [5], signal: 'any', signalReason: 'any', limit: 1 }], manual: { allowed: true, reason: null, permitOnPassed: true } } }), waitStep('w'), commandStep('b')])
    end('a', 5)
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting' })
    end('a', 5)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'broken' })
    expect(at.c.view(1).jobs.filter(({ retry_of }) => retry_of !== null)).toHaveLength(1)
  })
})

describe('what a rule has tried again', () => {
  const AGAIN = { automatic: [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 9 }], manual: { allowed: true, reason: null, permitOnPassed: true } } as const
  const only = (over: { readonly exitStatus?: readonly number[]; readonly signal?: string; readonly signalReason?: string }) => ({ retry: { ...AGAIN, automatic: [{ ...AGAIN.automatic[0], ...over }] } })

  it('goes by what the agent says of the end: status, signal and reason', () => {
    begin([commandStep('status', only({ exitStatus: [-1] })), commandStep('signal', only({ signal: 'KILL' })), commandStep('reason', only({ signalReason: 'agent_stop' })), commandStep('none', only({ signal: 'none', signalReason: 'none' }))])
    const fail = (key: string, how: Partial<AttemptResult>) => {
      at.agent.finish(attemptOf(key), 'failed', how)
      at.agent.join()
    }
    const numbers = () => at.c.view(1).jobs.filter(({ retry_of }) => retry_of !== null).map(({ retry_of }) => retry_of)
    for (const key of ['status', 'signal', 'reason']) fail(key, { exit_status: 1 })
    fail('none', { exit_status: null, signal: 'SIGKILL', reason: { code: 'agent_stop', message: 'stopped' } })
    expect(numbers()).toEqual([])
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    fail('status', { exit_status: null })
    fail('signal', { exit_status: null, signal: 'SIGKILL' })
    fail('reason', { exit_status: 1, reason: { code: 'agent_stop', message: 'stopped' } })
    fail('none', { exit_status: 1 })
    expect(jobs()).toMatchObject({ status: 'running', signal: 'running', reason: 'running', none: 'running' })
  })

  it.each(['failed', 'timed_out', 'errored'] as const)('is what %s', (outcome) => {
    begin([commandStep('a', { retry: AGAIN })])
    at.agent.finish(attemptOf('a'), outcome)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running' })
  })

  it('is nothing that was cancelled, whatever the agent says of its end', () => {
    begin([commandStep('a', { retry: AGAIN }), commandStep('b', { retry: AGAIN }), waitStep('w'), commandStep('c', { retry: AGAIN })])
    at.c.cancel(1)
    at.agent.finish(attemptOf('a'), 'canceled')
    at.agent.finish(attemptOf('b'), 'failed')
    end(UPLOAD)
    expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'canceled', b: 'failed', c: 'canceled' })
    expect(at.c.view(1).jobs).toHaveLength(4)
  })
})

describe('a step that ends with a failing build', () => {
  const ends = { cancelOnBuildFailing: true } as const

  it('is cancelled when another has failed, whether it runs or waits, and says why', () => {
    begin([commandStep('a'), commandStep('b', ends), commandStep('c'), waitStep('w'), commandStep('d', { ...ends, allowDependencyFailure: true })])
    end('a', 1)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'running', c: 'running', d: 'canceled' })
    const job = at.c.view(1).jobs.find(({ id }) => id === 'J1-1-3')
    expect(job).toMatchObject({ cancel_requested: true, reason: { code: 'canceled', message: 'cancelled, because the build is failing: "a" failed' } })
    expect(at.agent.sync().directives).toMatchObject([{ directive: 'cancel' }])
    at.agent.finish(attemptOf('b'), 'canceled')
    at.agent.join()
    end('c')
    end(UPLOAD)
    expect(at.c.view(1).state).toBe('failed')
    expect(outcomes()).toMatchObject({ b: 'canceled', c: 'passed', d: 'canceled' })
  })

  it('is cancelled by the first of several jobs that fails, and by no failure that is soft or tried again', () => {
    begin([commandStep('soft', { softFail: 'any' }), commandStep('again', { retry: { automatic: [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 1 }], manual: { allowed: true, reason: null, permitOnPassed: true } } }), commandStep('many', { parallelism: 2 }), commandStep('b', ends)])
    end('soft', 1)
    end('again', 1)
    expect(at.agent.sync().directives).toEqual([])
    end('many', 1, 0)
    expect(jobs()).toMatchObject({ many1: 'running' })
    expect(at.agent.sync().directives).toMatchObject([{ directive: 'cancel' }])
    expect(at.c.view(1).steps.find(({ key }) => key === 'b')).toMatchObject({ state: 'running' })
  })

  it('does not begin in a build that is failing when it is uploaded, and begins again with a retry', () => {
    begin([commandStep('a')])
    end('a', 1)
    expect(at.c.upload(uploader(), [commandStep('late', ends)]).ok).toBe(true)
    expect(jobs()).toMatchObject({ late: 'canceled' })
    end(UPLOAD)
    expect(at.c.retry(1, 'failed').ok).toBe(true)
    at.agent.join()
    expect(jobs()).toMatchObject({ a: 'running', late: 'running' })
    end('a', 1)
    expect(at.agent.sync().directives).toMatchObject([{ directive: 'cancel' }])
  })
})

it('of two jobs that are lost at once, the end of one may cancel the other', () => {
  begin([commandStep('a'), commandStep('b', { cancelOnBuildFailing: true })])
  end(UPLOAD)
  for (let lost = 0; lost < 3; lost += 1) {
    expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'running', b: 'running' })
    at.agent.restart()
    at.agent.sync()
    at.agent.sync()
    at.agent.sync()
  }
  expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'errored', b: 'canceled' })
  expect(at.c.view(1).state).toBe('failed')
})
