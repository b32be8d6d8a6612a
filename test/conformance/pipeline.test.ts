/** Builds of steps: what waits, what is let go, what breaks, what a person may do [I28]. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Dependency, Step } from '../../schema/pipeline/steps.ts'
import { clusterAtWork, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const uploader = (fence = 1) => attemptId({ project: 1, build: 1, n: 1, fence })
const on = (...keys: readonly string[]): readonly Dependency[] => keys.map((key) => ({ step: key.replace('?', ''), allowFailure: key.endsWith('?') }))

/** A build whose first job brings these steps and goes on running. */
function begin(steps: readonly Step[]): void {
  c.build()
  agent.sync()
  const answer = c.upload(uploader(), steps)
  if (!answer.ok) throw new Error(answer.problem.detail)
  agent.sync()
  agent.sync()
}

/** States of the jobs by the names of their steps; those that were retried left out. */
function jobs(): Readonly<Record<string, string>> {
  const { jobs: all, steps } = c.view(1)
  const names = new Map(steps.map(({ step, key, label }) => [step, key ?? label ?? '']))
  return Object.fromEntries(all.filter(({ retried_by }) => retried_by === null).map(({ step, state, parallel }) => [`${names.get(step ?? 0) ?? ''}${parallel === null ? '' : parallel.index}`, state]))
}

function outcomes(): Readonly<Record<string, string | null>> {
  return Object.fromEntries(c.view(1).steps.map(({ key, label, kind, outcome, state }) => [key ?? label ?? kind, outcome ?? state]))
}

function attemptOf(key: string, nth = 0): AttemptId {
  const { jobs: all, steps } = c.view(1)
  const step = steps.find((one) => one.key === key || one.label === key)?.step
  const job = all.filter((one) => one.step === step && one.retried_by === null)[nth]
  const attempt = job?.attempts.at(-1)?.id
  if (attempt === undefined) throw new Error(`${key} has no attempt`)
  return attempt as AttemptId // a view spells it so
}

function end(key: string, exitStatus = 0, nth = 0): void {
  agent.finish(attemptOf(key, nth), exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus })
  agent.sync()
  agent.sync()
}

const UPLOAD = 'Pipeline upload'

describe('steps of a build', () => {
  it('run when nothing holds them, behind a wait when all before it are done', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c')])
    expect(jobs()).toEqual({ [UPLOAD]: 'running', a: 'running', b: 'running', c: 'waiting' })
    expect(c.view(1).jobs.find(({ state }) => state === 'waiting')?.waiting).toEqual({ code: 'dependency', reason: 'waits for "a", "b"' })
    end('a')
    expect(jobs()).toMatchObject({ b: 'running', c: 'waiting' })
    end('b')
    expect(jobs()).toMatchObject({ a: 'passed', b: 'passed', c: 'running' })
    expect(c.view(1).state).toBe('running')
    end(UPLOAD)
    end('c')
    expect(c.view(1)).toMatchObject({ state: 'passed' })
  })

  it('a failure breaks what waits for it, and the build fails; what does not wait for it goes on', () => {
    begin([commandStep('a'), commandStep('b', { dependsOn: on('a') }), commandStep('c', { dependsOn: [] }), waitStep('w'), commandStep('d')])
    end('a', 1)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'broken', c: 'running', d: 'waiting' })
    end('c')
    expect(jobs()).toMatchObject({ c: 'passed', d: 'broken' })
    expect(c.view(1).state).toBe('running')
    end(UPLOAD)
    expect(c.view(1)).toMatchObject({ state: 'failed' })
    expect(c.view(1).jobs.find(({ state }) => state === 'broken')?.reason?.code).toBe('dependency_failed')
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
    expect(c.view(1).state).toBe('passed')
  })

  it('what did not run says which steps failed, through waits, groups and what broke before it', () => {
    begin([commandStep('a', { label: 'Lint' }), groupStep('g', [commandStep('b'), commandStep('c', { dependsOn: on('b') })]), waitStep('w'), commandStep('d'), groupStep('h', [commandStep('e')]), blockStep('f')])
    end('a', 1)
    end('b', 1)
    const { steps, jobs: all } = c.view(1)
    expect(Object.fromEntries(steps.flatMap(({ key, broken }) => (broken === null ? [] : [[key, broken]])))).toEqual({ c: '"b" failed', d: '"Lint" failed, "b" failed', e: '"Lint" failed, "b" failed', f: '"Lint" failed, "b" failed' })
    const d = steps.find(({ key }) => key === 'd')?.step
    expect(all.find(({ step }) => step === d)?.reason).toEqual({ code: 'dependency_failed', message: 'not run, because "Lint" failed, "b" failed' })
  })

  it('of many that failed some are named', () => {
    begin([...['a', 'b', 'c', 'd', 'e'].map((key) => commandStep(key)), waitStep('w'), commandStep('z')])
    for (const key of ['e', 'd', 'c', 'b', 'a']) end(key, 1)
    expect(c.view(1).steps.at(-1)?.broken).toBe('"a" failed, "b" failed, "c" failed, and others')
  })

  it('a job that may fail so says that of itself, and not of how else it failed', () => {
    begin([commandStep('a', { softFail: [3] }), commandStep('b', { softFail: [3] }), commandStep('c', { softFail: 'any' }), commandStep('d')])
    for (const [key, status] of [['a', 3], ['b', 4], ['c', 4], ['d', 0]] as const) end(key, status)
    expect(c.view(1).jobs.map(({ state, soft_failed }) => [state, soft_failed])).toEqual([['running', false], ['failed', true], ['failed', false], ['failed', true], ['passed', false]])
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
    expect(c.view(1).steps.find(({ key }) => key === 'a')).toMatchObject({ outcome: 'skipped', skipped: 'not today' })
    end(UPLOAD)
    expect(c.view(1).state).toBe('passed')
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
    const spec = (attempt: AttemptId) => JSON.parse((c.cluster.spec(attempt) as { readonly value: string }).value) as { readonly step: object }
    const group = { id: 'S1-1-2', key: 'g', label: null }
    expect(spec(attemptOf('a')).step).toMatchObject({ key: 'a', group })
    expect(spec(attemptOf('b')).step).not.toHaveProperty('group')
    c.upload(attemptOf('a'), [commandStep('inner')])
    agent.sync()
    expect(spec(attemptOf('inner')).step).toMatchObject({ key: 'inner', group })
  })

  it('environment: the step before the build before the pipeline', () => {
    c.build({ env: { A: 'build', B: 'build' } })
    agent.sync()
    c.upload(uploader(), [commandStep('a', { env: { A: 'step' } })], { over: { env: { A: 'pipeline', B: 'pipeline', C: 'pipeline' } } })
    const { assignments } = agent.sync()
    expect(assignments[0]?.spec?.env).toEqual({ A: 'step', B: 'build', C: 'pipeline' })
  })

  it('tells the agent how the step wants its files', () => {
    c.build()
    agent.sync()
    c.upload(uploader(), [commandStep('a', { checkout: { skip: false, submodules: false, lfs: true, fresh: true } }), commandStep('b')])
    const { assignments } = agent.sync()
    const of = (key: string) => assignments.find(({ spec }) => spec?.step?.key === key)?.spec?.checkout
    expect(of('a')).toMatchObject({ fresh: true, submodules: false, lfs: true })
    expect(of('b')).toEqual({ repository: 'https://example.com/app.git', commit: null, branch: null, fresh: false })
  })
})

describe('a block', () => {
  it('holds what is behind it until a person lets it pass; the build is blocked meanwhile', () => {
    begin([commandStep('a'), blockStep('ok', { label: 'Release?' }), commandStep('b')])
    end(UPLOAD)
    expect(c.unblock(1, 'ok')).toMatchObject({ ok: false, problem: { code: 'step-not-blocked' } })
    end('a')
    expect(c.view(1)).toMatchObject({ state: 'blocked' })
    expect(c.view(1).jobs.at(-1)?.waiting).toEqual({ code: 'block', reason: 'waits until somebody lets it pass "Release?"' })
    expect(c.unblock(1, 'okay')).toMatchObject({ ok: false, problem: { code: 'step-unknown', detail: 'Build 1 of app has no step okay. Its blocks are: ok.' } })
    expect(c.unblock(1, 'ok').ok).toBe(true)
    agent.sync()
    agent.sync()
    expect(jobs()).toMatchObject({ b: 'running' })
    expect(c.unblock(1, 'ok').ok).toBe(true)
    end('b')
    expect(c.view(1).state).toBe('passed')
    expect(c.view(1).steps.find(({ key }) => key === 'ok')?.unblocked?.by).toBe('somebody')
  })

  it('behind a failure is never asked about', () => {
    begin([commandStep('a'), blockStep('ok'), commandStep('b')])
    end('a', 1)
    end(UPLOAD)
    expect(outcomes()).toMatchObject({ ok: 'broken', b: 'broken' })
    expect(c.view(1).state).toBe('failed')
  })
})

describe('a retry by a rule', () => {
  it('is a new job of the same step, until its limit', () => {
    begin([commandStep('a', { retry: { automatic: [{ exitStatus: [5], signal: 'any', signalReason: 'any', limit: 1 }], manual: { allowed: true, reason: null, permitOnPassed: true } } }), waitStep('w'), commandStep('b')])
    end('a', 5)
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting' })
    end('a', 5)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'broken' })
    expect(c.view(1).jobs.filter(({ retry_of }) => retry_of !== null)).toHaveLength(1)
  })
})

describe('a person', () => {
  it('cancels a build of steps: what waits ends at once, what runs is told, nothing is let go by that', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b'), blockStep('ok'), commandStep('d')])
    c.cancel(1)
    expect(jobs()).toMatchObject({ b: 'canceled', d: 'canceled' })
    expect(c.view(1).state).toBe('canceling')
    agent.finish(attemptOf('a'), 'canceled')
    agent.finish(uploader(), 'canceled')
    agent.sync()
    expect(c.view(1).state).toBe('canceled')
    expect(c.upload(uploader(), [commandStep('late')])).toMatchObject({ ok: false, problem: { code: 'attempt_final' } })
  })

  it('retries what failed while other steps go on, and what waits for both waits for both again', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w', { continueOnFailure: true }), commandStep('c')])
    end('a', 1)
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.sync()
    agent.sync()
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
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.sync()
    agent.sync()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'waiting' })
    expect(c.view(1).jobs.find(({ state }) => state === 'waiting')?.waiting).toEqual({ code: 'dependency', reason: 'waits for "a"' })
    end('a')
    expect(jobs()).toMatchObject({ a: 'passed', b: 'running', c: 'waiting' })
    end('b', 1)
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.sync()
    agent.sync()
    end('b')
    end('c')
    expect(c.view(1).state).toBe('passed')
  })

  it('retries what failed, and what was broken by it waits again', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c'), groupStep('g', [commandStep('d')]), blockStep('ok'), commandStep('e')])
    end('b')
    end('a', 1)
    end(UPLOAD)
    expect(c.view(1).state).toBe('failed')
    expect(c.retry(1)).toMatchObject({ ok: false, problem: { code: 'retry-only-failed' } })
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.sync()
    agent.sync()
    expect(c.view(1).state).toBe('running')
    expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'running', b: 'passed', c: 'waiting', d: 'waiting', e: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ c: 'running', d: 'running', e: 'waiting' })
    end('c')
    end('d')
    c.unblock(1, 'ok')
    agent.sync()
    agent.sync()
    end('e')
    expect(c.view(1).state).toBe('passed')
  })
})

describe('an upload', () => {
  it('again by the same key is the same upload, with other steps a mistake', () => {
    c.build()
    agent.sync()
    expect(c.upload(uploader(), [commandStep('a')], { key: 'k' })).toEqual({ ok: true, value: { steps: 1, jobs: 1 } })
    expect(c.upload(uploader(), [commandStep('a')], { key: 'k' })).toEqual({ ok: true, value: { steps: 1, jobs: 1 } })
    expect(c.upload(uploader(), [commandStep('b')], { key: 'k' })).toMatchObject({ ok: false, problem: { code: 'idempotency-key-reused' } })
    expect(c.view(1).jobs).toHaveLength(2)
  })

  it('of the next attempt brings nothing twice', () => {
    begin([commandStep('a')])
    agent.restart()
    agent.join()
    agent.sync()
    expect(c.upload(uploader(2), [commandStep('a')])).toEqual({ ok: true, value: { steps: 1, jobs: 1 } })
    expect(c.view(1).steps).toHaveLength(2)
    expect(c.upload(uploader(1), [commandStep('b')])).toMatchObject({ ok: false, problem: { code: 'attempt_superseded' } })
  })

  it('stands behind its uploader, a later one before an earlier one, and what waits for the uploader waits for it', () => {
    begin([commandStep('more'), waitStep('w'), commandStep('last')])
    c.upload(attemptOf('more'), [commandStep('first')])
    c.upload(attemptOf('more'), [commandStep('second')])
    agent.sync()
    agent.sync()
    expect(c.view(1).steps.map(({ key, label }) => key ?? label)).toEqual([UPLOAD, 'more', 'second', 'first', 'w', 'last'])
    end('more')
    expect(jobs()).toMatchObject({ first: 'running', second: 'running', last: 'waiting' })
    end('first')
    end('second')
    expect(jobs()).toMatchObject({ last: 'running' })
  })

  it('with a mistake is refused whole, with each of them', () => {
    c.build()
    agent.sync()
    const answer = c.upload(uploader(), [commandStep('a'), commandStep('b', { dependsOn: on('aa', 'c') }), commandStep('d', { if: 'true' })])
    expect(answer).toMatchObject({ ok: false, problem: { status: 422, code: 'pipeline-invalid', errors: [{ path: 'steps[1].depends_on', message: 'no step has the key "aa"; did you mean "a"?' }, { path: 'steps[1].depends_on' }] } })
    expect(c.view(1).steps).toEqual([])
    begin2()
    expect(c.upload(uploader(), [commandStep('a')])).toMatchObject({ ok: false, problem: { errors: [{ path: 'steps[0].key', message: 'the build has a step with the key "a" already: each key is there once.' }] } })
  })

  it('survives that the object forgets its memory between any two', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    c.restart()
    end('a')
    c.restart()
    end(UPLOAD)
    c.restart()
    end('b')
    expect(c.view(1).state).toBe('passed')
  })
})

function begin2(): void {
  const answer = c.upload(uploader(), [commandStep('a')])
  if (!answer.ok) throw new Error(answer.problem.detail)
}

describe('what is left out or multiplied', () => {
  it('a step whose condition does not hold is skipped, and lets pass what depends on it', () => {
    begin([commandStep('a', { if: 'build.branch == "dev"' }), commandStep('b', { dependsOn: on('a') }), commandStep('c', { branches: ['!dev'] })])
    expect(jobs()).toMatchObject({ a: 'skipped', b: 'running', c: 'running' })
    expect(c.view(1).steps.find(({ key }) => key === 'a')).toMatchObject({ outcome: 'skipped', skipped: 'its condition does not hold: build.branch == "dev"' })
  })

  it('a wait that is left out does not let anything overtake the one before it', () => {
    begin([commandStep('a'), waitStep(), commandStep('b'), waitStep('x', { if: 'false' }), commandStep('c')])
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'waiting' })
  })

  it('conditions see what the build was asked for with, over what the pipeline says', () => {
    c.build({ env: { DEPLOY: 'yes' } })
    agent.sync()
    const answer = c.upload(uploader(), [commandStep('a', { if: 'build.env("DEPLOY") == "yes" && env("MODE") == "fast"' })], { over: { env: { DEPLOY: 'no', MODE: 'fast' } } })
    expect(answer.ok).toBe(true)
    expect(outcomes()).toMatchObject({ a: 'running' })
  })

  it('a matrix is one job for each combination, on its own agents and with its own softness', () => {
    begin([commandStep('t', { label: 'Test {{matrix.os}}', command: 'make {{matrix.os}}', matrix: { setup: { os: ['linux', 'mac'] }, adjustments: [{ with: { os: 'mac' }, skip: null, softFail: 'any' }] } }), waitStep(), commandStep('after')])
    const all = c.view(1).jobs.filter(({ label }) => label?.startsWith('Test'))
    expect(all.map(({ label, command }) => [label, command])).toEqual([['Test linux', 'make linux'], ['Test mac', 'make mac']])
    end('t', 0, 0)
    end('t', 1, 1)
    expect(jobs()).toMatchObject({ after: 'running' })
  })
})

it('a block that depends on a wait by its key asks, whatever that let pass', () => {
  begin([commandStep('a'), waitStep('w', { key: 'w', continueOnFailure: true }), blockStep('ask', { dependsOn: on('w') }), commandStep('report', { dependsOn: on('ask') })])
  end('a', 1)
  expect(outcomes()).toMatchObject({ w: 'passed', ask: 'blocked' })
  c.unblock(1, 'ask')
  agent.sync()
  expect(jobs()).toMatchObject({ report: 'assigned' })
})

it('a block behind a wait that lets failures pass does not open when something has failed', () => {
  begin([commandStep('a'), waitStep('w', { continueOnFailure: true }), commandStep('report'), blockStep('ask'), commandStep('deploy')])
  end('a', 1)
  end('report')
  end(UPLOAD)
  expect(outcomes()).toMatchObject({ a: 'failed', report: 'passed', ask: 'broken', deploy: 'broken' })
  expect(c.view(1).state).toBe('failed')
})

it('a first job that is retried by a person uploads the same steps again, and they count once', () => {
  const steps = [commandStep('a'), commandStep('b')]
  begin(steps)
  end(UPLOAD, 1)
  end('a')
  end('b')
  expect(c.retry(1, 'failed').ok).toBe(true)
  agent.sync()
  const retried = attemptOf(UPLOAD)
  expect(c.upload(retried, steps)).toEqual({ ok: true, value: { steps: 2, jobs: 2 } })
  expect(c.upload(retried, steps)).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid' } }) // more of the same is meant, and their keys are taken
  end(UPLOAD)
  expect(c.view(1).state).toBe('passed')
})

describe('an upload whose step depends on one of the build', () => {
  it('is refused when that waits for the upload, be it through others', () => {
    begin([commandStep('generate', { dependsOn: [] }), commandStep('test', { dependsOn: on('generate') }), waitStep('w', { dependsOn: on('test') }), commandStep('deploy', { dependsOn: on('w') })])
    const generate = attemptOf('generate')
    for (const key of ['test', 'deploy']) {
      expect(c.upload(generate, [commandStep('a'), commandStep('b', { dependsOn: on(key) })])).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid', detail: expect.stringMatching(new RegExp(`^steps\\[1\\]\\.depends_on: "${key}" waits for the step that uploads this`)) } })
    }
    expect(c.view(1).steps.filter(({ key }) => key === 'a')).toEqual([])
    expect(c.upload(generate, [commandStep('a', { dependsOn: on('deploy'), if: 'false' })]).ok).toBe(true)
  })

  it('waits for that when it does not', () => {
    begin([commandStep('generate', { dependsOn: [] }), commandStep('lint', { dependsOn: [] }), commandStep('test', { dependsOn: on('generate') })])
    expect(c.upload(attemptOf('generate'), [commandStep('a', { dependsOn: on('lint') })]).ok).toBe(true)
    end('generate')
    expect(jobs()).toMatchObject({ a: 'waiting', test: 'waiting' })
    end('lint')
    end('a')
    expect(jobs()).toMatchObject({ test: 'running' })
  })
})

describe('a retry of a build that was cancelled', () => {
  it('lets go on what was broken by steps of which the cancel said more than came of it', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    end(UPLOAD)
    c.cancel(1)
    expect(c.retry(1, 'failed').ok).toBe(true)
    end('a') // it was told to end, and had passed before it heard
    expect(c.view(1).state).toBe('failed')
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.sync()
    end('b')
    expect(c.view(1).state).toBe('passed')
  })

  it('has what waited wait again, in its order', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b'), commandStep('c', { dependsOn: on('b') })])
    end(UPLOAD)
    c.cancel(1)
    agent.finish(attemptOf('a'), 'canceled')
    agent.sync()
    expect(c.view(1).state).toBe('canceled')
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ b: 'running', c: 'waiting' })
    end('b')
    end('c')
    expect(c.view(1).state).toBe('passed')
  })

  it('asks again what nobody had answered', () => {
    begin([commandStep('a'), blockStep('ok'), commandStep('deploy')])
    end('a')
    end(UPLOAD)
    c.cancel(1)
    expect(c.view(1).state).toBe('canceled')
    expect(c.retry(1, 'failed').ok).toBe(true)
    expect(outcomes()).toMatchObject({ ok: 'blocked', deploy: 'waiting' })
    expect(c.unblock(1, 'ok').ok).toBe(true)
    agent.join()
    expect(jobs()).toMatchObject({ deploy: 'running' })
  })

  it('goes on behind what passed after all', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    end(UPLOAD)
    c.cancel(1)
    agent.finish(attemptOf('a'), 'passed')
    agent.sync()
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.join()
    expect(jobs()).toMatchObject({ a: 'passed', b: 'running' })
    end('b')
    expect(c.view(1).state).toBe('passed')
  })
})

describe('a retry of a step', () => {
  it('is waited for again by what had not begun when the step failed', () => {
    begin([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c')])
    end(UPLOAD)
    end('a', 1)
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.join()
    end('b')
    expect(jobs()).toMatchObject({ a: 'running', c: 'waiting' })
    end('a')
    expect(jobs()).toMatchObject({ c: 'running' })
  })

  it('is waited for behind waits and blocks that had passed, by what runs again too; nobody is asked twice', () => {
    begin([commandStep('a', { softFail: 'any' }), blockStep('ok'), commandStep('b'), commandStep('c')])
    end(UPLOAD)
    end('a', 1)
    expect(c.unblock(1, 'ok').ok).toBe(true)
    agent.join()
    end('b', 1)
    end('c')
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'passed' })
    end('a')
    expect(jobs()).toMatchObject({ b: 'running' })
    end('b')
    expect(c.view(1).state).toBe('passed')
  })

  it('is waited for by a step behind it that runs again too', () => {
    begin([commandStep('a'), commandStep('b', { dependsOn: on('a?') })])
    end(UPLOAD)
    end('a', 1)
    end('b', 1)
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.join()
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting' })
    end('a')
    end('b')
    expect(c.view(1).state).toBe('passed')
  })
})

describe('a step that ends with a failing build', () => {
  const ends = { cancelOnBuildFailing: true } as const

  it('is cancelled when another has failed, whether it runs or waits, and says why', () => {
    begin([commandStep('a'), commandStep('b', ends), commandStep('c'), waitStep('w'), commandStep('d', { ...ends, allowDependencyFailure: true })])
    end('a', 1)
    expect(jobs()).toMatchObject({ a: 'failed', b: 'running', c: 'running', d: 'canceled' })
    const job = c.view(1).jobs.find(({ id }) => id === 'J1-1-3')
    expect(job).toMatchObject({ cancel_requested: true, reason: { code: 'canceled', message: 'cancelled, because the build is failing: "a" failed' } })
    expect(agent.sync().directives).toMatchObject([{ directive: 'cancel' }])
    agent.finish(attemptOf('b'), 'canceled')
    agent.join()
    end('c')
    end(UPLOAD)
    expect(c.view(1).state).toBe('failed')
    expect(outcomes()).toMatchObject({ b: 'canceled', c: 'passed', d: 'canceled' })
  })

  it('is cancelled by the first of several jobs that fails, and by no failure that is soft or tried again', () => {
    begin([commandStep('soft', { softFail: 'any' }), commandStep('again', { retry: { automatic: [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 1 }], manual: { allowed: true, reason: null, permitOnPassed: true } } }), commandStep('many', { parallelism: 2 }), commandStep('b', ends)])
    end('soft', 1)
    end('again', 1)
    expect(agent.sync().directives).toEqual([])
    end('many', 1, 0)
    expect(jobs()).toMatchObject({ many1: 'running' })
    expect(agent.sync().directives).toMatchObject([{ directive: 'cancel' }])
    expect(c.view(1).steps.find(({ key }) => key === 'b')).toMatchObject({ state: 'running' })
  })

  it('does not begin in a build that is failing when it is uploaded, and begins again with a retry', () => {
    begin([commandStep('a')])
    end('a', 1)
    expect(c.upload(uploader(), [commandStep('late', ends)]).ok).toBe(true)
    expect(jobs()).toMatchObject({ late: 'canceled' })
    end(UPLOAD)
    expect(c.retry(1, 'failed').ok).toBe(true)
    agent.join()
    expect(jobs()).toMatchObject({ a: 'running', late: 'running' })
    end('a', 1)
    expect(agent.sync().directives).toMatchObject([{ directive: 'cancel' }])
  })
})

it('a block that asks is not asked any more while what stands before it is tried again', () => {
  begin([commandStep('a', { softFail: 'any' }), blockStep('ok'), commandStep('deploy')])
  end(UPLOAD)
  end('a', 1)
  expect(outcomes()).toMatchObject({ a: 'soft_failed', ok: 'blocked' })
  expect(c.retry(1, 'failed').ok).toBe(true)
  agent.sync()
  agent.sync()
  expect(outcomes()).toMatchObject({ a: 'running', ok: 'waiting' })
  expect(c.unblock(1, 'ok')).toMatchObject({ ok: false, problem: { code: 'step-not-blocked' } })
  end('a')
  expect(c.unblock(1, 'ok').ok).toBe(true)
  agent.sync()
  expect(jobs()).toMatchObject({ deploy: 'assigned' })
})

it('of two jobs that are lost at once, the end of one may cancel the other', () => {
  begin([commandStep('a'), commandStep('b', { cancelOnBuildFailing: true })])
  end(UPLOAD)
  for (let lost = 0; lost < 3; lost += 1) {
    expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'running', b: 'running' })
    agent.restart()
    agent.sync()
    agent.sync()
    agent.sync()
  }
  expect(jobs()).toEqual({ [UPLOAD]: 'passed', a: 'errored', b: 'canceled' })
  expect(c.view(1).state).toBe('failed')
})
