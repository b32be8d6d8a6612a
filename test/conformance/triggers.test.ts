/** Builds that steps start: what they are asked for with, how their ends come back, and what stops a chain of them. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { Step } from '../../schema/pipeline/steps.ts'
import { TestCluster, valueOf, type TestAgent } from '../support/cluster.ts'
import { blockStep, commandStep, triggerStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  c = new TestCluster()
  c.project() // 1
  c.project('deploy', { default_branch: 'main' }) // 2
  c.project('bare', { checkout: false, repository: undefined }) // 3
  agent = c.agent('a', { slots: 200 })
  agent.join()
})

const first = (project: number, build = 1) => attemptId({ project, build, n: 1, fence: 1 })

/** A build of `app` whose first job brings these steps and passes. */
function begin(steps: readonly Step[], request: Record<string, unknown> = {}): number {
  const { number } = c.build(request)
  agent.sync()
  const answer = c.upload(first(1, number), steps)
  if (!answer.ok) throw new Error(`${answer.problem.detail} ${JSON.stringify(answer.problem.errors)}`)
  end(first(1, number))
  return number
}

function end(attempt: AttemptId, exitStatus = 0): void {
  agent.finish(attempt, exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus })
  agent.sync()
  agent.sync()
}

const spec = (attempt: AttemptId) => JSON.parse((c.cluster.spec(attempt) as { readonly value: string }).value) as Record<string, unknown>
const outcomes = (number = 1) => Object.fromEntries(c.view(number).steps.slice(1).map(({ key, kind, outcome, state }) => [key ?? kind, outcome ?? state]))
const errorsOf = (steps: readonly Step[]) => {
  const { number } = c.build()
  agent.sync()
  const answer = c.upload(first(1, number), steps)
  return answer.ok ? [] : (answer.problem.errors ?? []).map(({ path, message }) => `${path}: ${message}`)
}
const deploy = (over: Partial<Parameters<typeof triggerStep>[1]> = {}) => triggerStep('deploy', { key: 't', ...over })
const SHA = 'c0ffee'.padEnd(40, '0')

describe('a trigger', () => {
  it('starts a build when it is ready, and passes when that passes', () => {
    begin([commandStep('a'), waitStep('w'), deploy(), commandStep('b', { dependsOn: [{ step: 't', allowFailure: false }] })])
    expect(() => c.view(1, 'deploy')).toThrow('no builds yet')
    end(attemptId({ project: 1, build: 1, n: 2, fence: 1 }))
    expect(c.view(1, 'deploy')).toMatchObject({ state: 'running', triggered_from: { project: 'app', number: 1 } })
    expect(c.view(1)).toMatchObject({ state: 'running' })
    expect(c.view(1).steps.find(({ key }) => key === 't')).toMatchObject({ kind: 'trigger', state: 'running', trigger: { project: 'deploy', async: false, builds: [{ project: 'deploy', number: 1 }] } })
    expect(c.view(1).jobs.find(({ state }) => state === 'waiting')?.waiting).toEqual({ code: 'trigger', reason: 'waits for "t" (deploy #1)' })
    agent.sync()
    expect(spec(first(2))['env']).toEqual({}) // it is told of no parallel builds where there are none
    end(first(2))
    expect(outcomes()).toEqual({ a: 'passed', w: 'passed', t: 'passed', b: 'running' })
    expect(c.view(1).steps.find(({ key }) => key === 't')?.trigger?.builds).toMatchObject([{ state: 'passed' }])
    agent.sync()
    end(attemptId({ project: 1, build: 1, n: 3, fence: 1 }))
    expect(c.view(1).state).toBe('passed')
  })

  it('fails when the build fails, and breaks what waits for it', () => {
    begin([deploy(), waitStep('w'), commandStep('b')])
    agent.sync()
    end(first(2), 7)
    expect(outcomes()).toEqual({ t: 'failed', w: 'broken', b: 'broken' })
    expect(c.view(1).state).toBe('failed')
  })

  it('fails softly where a failed build, which counts as exit status 1, is allowed', () => {
    begin([deploy({ softFail: [1] }), waitStep('w'), commandStep('b')])
    agent.sync()
    end(first(2), 7)
    expect(outcomes()).toMatchObject({ t: 'soft_failed', b: 'running' })
    begin([deploy({ softFail: [2] })])
    agent.sync()
    end(first(2, 2), 2)
    expect(c.view(2).state).toBe('failed')
  })

  it('that is async passes at once, also when the upload itself lets it go', () => {
    begin([deploy({ async: true }), waitStep('w'), commandStep('b')])
    expect(outcomes()).toEqual({ t: 'passed', w: 'passed', b: 'running' })
    expect(c.view(1, 'deploy').state).toMatch(/scheduled|running/)
    end(attemptId({ project: 1, build: 1, n: 2, fence: 1 }))
    expect(c.view(1).state).toBe('passed')
    agent.sync()
    end(first(2), 1)
    expect(c.view(1)).toMatchObject({ state: 'passed' })
    expect(c.view(1).steps.find(({ key }) => key === 't')?.trigger?.builds).toMatchObject([{ state: 'failed' }])
  })

  it('with parallelism starts several builds that know which they are, and is done with the last', () => {
    begin([deploy({ parallelism: 3 })])
    agent.sync()
    expect([1, 2, 3].map((build) => spec(first(2, build))['env'])).toEqual([0, 1, 2].map((nth) => ({ BUILDKITE_PARALLEL_JOB: String(nth), BUILDKITE_PARALLEL_JOB_COUNT: '3' })))
    end(first(2, 1))
    end(first(2, 3), 1)
    expect(outcomes()).toEqual({ t: 'running' })
    end(first(2, 2))
    expect(outcomes()).toEqual({ t: 'failed' })
  })

  it('that is skipped or left out starts nothing, whatever it names', () => {
    begin([triggerStep('gone', { key: 't', skip: 'not today' }), deploy({ key: 'u', if: 'false' })])
    expect(outcomes()).toEqual({ t: 'skipped', u: 'skipped' })
    expect(() => c.view(1, 'deploy')).toThrow('no builds yet')
  })

  it('that waits for a failed step is broken and starts nothing', () => {
    begin([commandStep('a'), waitStep('w'), deploy()])
    end(attemptId({ project: 1, build: 1, n: 2, fence: 1 }), 1)
    expect(outcomes()).toEqual({ a: 'failed', w: 'broken', t: 'broken' })
    expect(() => c.view(1, 'deploy')).toThrow('no builds yet')
  })

  it('behind a block waits for a person', () => {
    begin([blockStep('ok'), deploy()])
    expect(c.view(1).state).toBe('blocked')
    valueOf(c.unblock(1, 'ok'))
    expect(c.view(1)).toMatchObject({ state: 'running' })
    expect(c.view(1, 'deploy').state).toBe('scheduled')
  })

  it('a build that waits for one that it started is running, in the list too', () => {
    begin([deploy()])
    expect(c.view(1).state).toBe('running')
    const page = c.cluster.builds(c.now, { project: 'app', limit: 10 }, 'x')
    expect(page).toMatchObject({ value: { builds: [{ state: 'running' }] } })
  })
})

describe('the build that is started', () => {
  it('is of the head of the default branch and has the label for its message, unless the step says otherwise', () => {
    begin([deploy({ label: 'Ship it' })])
    expect(c.view(1, 'deploy')).toMatchObject({ commit: null, branch: 'main', message: 'Ship it' })
    begin([deploy({ build: { message: 'Release 1', commit: SHA.toUpperCase(), branch: 'next', metaData: { version: '1' }, env: { REGION: 'eu' } } })])
    expect(c.view(2, 'deploy')).toMatchObject({ commit: SHA, branch: 'next', message: 'Release 1' })
    agent.sync()
    expect(spec(first(2, 2))).toMatchObject({ env: { REGION: 'eu' }, triggered_from: { project: 'app', build: 2, url: 'https://ci.example/projects/app/builds/2' }, url: 'https://ci.example/projects/deploy/builds/2' })
    expect(c.cluster.metaData(first(2, 2), 'version')).toEqual({ ok: true, value: '1' })
  })

  it('does not get the environment of the build that started it, but its queue, priority and manner', () => {
    const other = c.agent('b', { queue: 'big', slots: 9 })
    other.join()
    c.build({ env: { SECRET: 'x' }, agents: { queue: 'big', tags: [] }, priority: 3, on_partition: 'stop' })
    other.sync()
    valueOf(c.upload(first(1), [deploy()]))
    const { assignments } = other.sync()
    expect(assignments[0]?.spec).toMatchObject({ project: 'deploy', env: {}, on_partition: 'stop' })
    expect(c.view(1, 'deploy').jobs[0]).toMatchObject({ queue: 'big', priority: 3 })
  })

  it('knows in its conditions who started it, and so do the jobs of its steps', () => {
    begin([deploy()])
    agent.sync()
    valueOf(c.upload(first(2), [commandStep('yes', { if: 'build.source == "trigger_job" && build.env("BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG") == "app" && build.env("BUILDKITE_TRIGGERED_FROM_BUILD_NUMBER") == "1"' })]))
    const { assignments } = agent.sync()
    expect(assignments[0]?.spec).toMatchObject({ step: { key: 'yes' }, triggered_from: { project: 'app', build: 1 } })
  })
})

describe('the end of a build reaches the step that started it', () => {
  it('when a person cancels it before anything of it ran', () => {
    c.build()
    agent.sync()
    valueOf(c.upload(first(1), [deploy(), waitStep('w'), commandStep('b')]))
    c.cancel(1, 'deploy')
    expect(outcomes()).toEqual({ t: 'failed', w: 'broken', b: 'broken' })
  })

  it('when a person cancels it: the step fails', () => {
    begin([deploy(), waitStep('w'), commandStep('b')])
    c.cancel(1, 'deploy')
    agent.finish(first(2), 'canceled')
    agent.sync()
    expect(outcomes()).toEqual({ t: 'failed', w: 'broken', b: 'broken' })
    expect(c.view(1).state).toBe('failed')
  })

  it('when it is cancelled while its job runs, with the result of that', () => {
    begin([deploy()])
    agent.sync()
    c.cancel(1, 'deploy')
    expect(outcomes()).toEqual({ t: 'running' })
    agent.finish(first(2), 'canceled')
    agent.sync()
    expect(outcomes()).toEqual({ t: 'failed' })
  })

  it('when its agent is lost for good', () => {
    begin([deploy()])
    for (let lost = 0; lost < 3; lost += 1) {
      agent.sync()
      agent.sync()
      agent.restart()
      agent.join()
    }
    expect(c.view(1, 'deploy').state).toBe('failed')
    expect(c.view(1).state).toBe('failed')
  })

  it('when a person lets its last block pass', () => {
    begin([deploy()])
    agent.sync()
    valueOf(c.upload(first(2), [blockStep('ok')]))
    end(first(2))
    expect(c.view(1).state).toBe('running')
    valueOf(c.cluster.unblock(c.now, 'deploy', 1, 'ok', { by: 'ada', given: [] }, 'x').value)
    expect(c.view(1).state).toBe('passed')
  })

  it('through builds that were started by builds that were started', () => {
    begin([deploy()])
    agent.sync()
    valueOf(c.upload(first(2), [triggerStep('bare', { key: 'u' })]))
    end(first(2))
    agent.sync()
    expect(c.view(1).state).toBe('running')
    end(first(3), 1)
    expect([c.view(1, 'deploy').state, c.view(1).state]).toEqual(['failed', 'failed'])
  })

  it('once: a parent that a person cancelled stays as it is', () => {
    begin([deploy()])
    agent.sync()
    c.cancel(1)
    expect(c.view(1).state).toBe('canceled')
    agent.finish(first(2), 'canceled')
    agent.sync()
    expect(c.view(1, 'deploy').state).toBe('canceled')
    valueOf(c.retry(1, undefined, 'deploy'))
    agent.sync()
    end(attemptId({ project: 2, build: 1, n: 2, fence: 1 }))
    expect(c.view(1, 'deploy').state).toBe('passed')
    expect(c.view(1).state).toBe('canceled')
  })
})

describe('a cancel', () => {
  it('of a build cancels the builds that it waits for, however deep, and not those that it does not', () => {
    begin([deploy(), triggerStep('bare', { key: 'u', async: true })])
    agent.sync()
    valueOf(c.upload(first(2), [triggerStep('bare', { key: 'v' })]))
    end(first(2))
    c.cancel(1)
    expect(c.view(1).state).toBe('canceled')
    expect(c.view(1, 'deploy').state).toBe('canceled')
    expect(c.view(2, 'bare').state).toMatch(/cancel/)
    expect(c.view(1, 'bare').state).toMatch(/scheduled|running/)
  })
})

describe('a retry', () => {
  it('of the failed build takes the step that started it along: what broke waits again', () => {
    begin([deploy(), waitStep('w'), commandStep('b')])
    agent.sync()
    end(first(2), 1)
    expect(c.view(1).state).toBe('failed')
    valueOf(c.retry(1, 'failed', 'deploy'))
    expect(outcomes()).toEqual({ t: 'running', w: 'waiting', b: 'waiting' })
    expect(c.view(1).state).toBe('running')
    agent.sync()
    end(attemptId({ project: 2, build: 1, n: 2, fence: 1 }))
    expect(outcomes()).toEqual({ t: 'passed', w: 'passed', b: 'running' })
    agent.sync()
    end(attemptId({ project: 1, build: 1, n: 3, fence: 1 }))
    expect(c.view(1).state).toBe('passed')
  })

  it('of a build whose chain is deeper takes all of it along', () => {
    begin([deploy()])
    agent.sync()
    valueOf(c.upload(first(2), [triggerStep('bare', { key: 'u' })]))
    end(first(2))
    agent.sync()
    end(first(3), 1)
    expect(c.view(1).state).toBe('failed')
    valueOf(c.retry(1, 'failed', 'bare'))
    expect([c.view(1, 'deploy').state, c.view(1).state]).toEqual(['running', 'running'])
    agent.sync()
    end(attemptId({ project: 3, build: 1, n: 2, fence: 1 }))
    expect([c.view(1, 'deploy').state, c.view(1).state]).toEqual(['passed', 'passed'])
  })

  it('of a build that passed is nothing to the step that went on', () => {
    begin([deploy(), waitStep('w'), commandStep('b')])
    agent.sync()
    end(first(2))
    valueOf(c.retry(1, undefined, 'deploy'))
    expect(outcomes()).toMatchObject({ t: 'passed' })
    agent.sync()
    end(attemptId({ project: 2, build: 1, n: 2, fence: 1 }), 1)
    expect(c.view(1, 'deploy').state).toBe('failed')
    expect(outcomes()).toMatchObject({ t: 'passed' })
  })

  it('of the build with the step starts a new build in the place of each that did not pass', () => {
    begin([deploy({ parallelism: 2 })])
    agent.sync()
    end(first(2, 1))
    end(first(2, 2), 1)
    expect(c.view(1).state).toBe('failed')
    valueOf(c.retry(1, 'failed'))
    expect(c.view(1).steps.find(({ key }) => key === 't')?.trigger?.builds.map(({ number }) => number)).toEqual([1, 3])
    agent.sync()
    expect(spec(first(2, 3))['env']).toMatchObject({ BUILDKITE_PARALLEL_JOB: '1' })
    valueOf(c.retry(2, 'failed', 'deploy')) // the one that was replaced
    expect(outcomes()).toEqual({ t: 'running' })
    end(first(2, 3))
    expect(c.view(1).state).toBe('passed')
  })

  it('of a step behind one that an earlier retry began again waits for that', () => {
    begin([deploy(), waitStep('w', { continueOnFailure: true }), triggerStep('bare', { key: 'u' })])
    agent.sync()
    end(first(2), 1)
    agent.sync()
    end(first(3), 1)
    expect(outcomes()).toEqual({ t: 'failed', w: 'passed', u: 'failed' })
    valueOf(c.retry(1, 'failed', 'deploy'))
    valueOf(c.retry(1, 'failed'))
    expect(outcomes()).toEqual({ t: 'running', w: 'waiting', u: 'waiting' })
    agent.sync()
    end(attemptId({ project: 2, build: 1, n: 2, fence: 1 }))
    expect(outcomes()).toEqual({ t: 'passed', w: 'passed', u: 'running' })
    agent.sync()
    end(first(3, 2))
    expect(c.view(1).state).toBe('passed')
  })

  it('of a cancelled build starts what waits for nothing any more, and waits for that', () => {
    begin([commandStep('a'), waitStep('w'), deploy({ parallelism: 2 })])
    c.cancel(1)
    end(attemptId({ project: 1, build: 1, n: 2, fence: 1 })) // it had passed before it heard of the cancel
    expect(c.view(1).state).toBe('canceled')
    valueOf(c.retry(1, 'failed'))
    agent.sync()
    expect(outcomes()).toEqual({ a: 'passed', w: 'passed', t: 'running' })
    end(first(2, 1))
    expect(c.view(1).state).toBe('running')
    end(first(2, 2))
    expect(c.view(1).state).toBe('passed')
  })

  it('of a cancelled build waits where it waited', () => {
    begin([commandStep('a'), waitStep('w'), deploy()])
    c.cancel(1)
    agent.finish(attemptId({ project: 1, build: 1, n: 2, fence: 1 }), 'canceled')
    agent.sync()
    valueOf(c.retry(1, 'failed'))
    agent.sync()
    expect(() => c.view(1, 'deploy')).toThrow('no builds yet')
    end(attemptId({ project: 1, build: 1, n: 3, fence: 1 }))
    expect(c.view(1, 'deploy').state).toBe('running')
  })
})

describe('an upload is refused', () => {
  it('for a project that there is not, with the nearest', () => {
    expect(errorsOf([triggerStep('deplyo')])).toEqual(['steps[0].trigger: there is no project "deplyo"; did you mean "deploy"?'])
    expect(errorsOf([commandStep('a'), triggerStep('something-else')])).toEqual(['steps[1].trigger: there is no project "something-else"; there are: app, bare, deploy.'])
  })

  it('for a project of which no build can start', () => {
    c.project('empty', { checkout: false, repository: undefined, command: undefined })
    expect(errorsOf([triggerStep('empty')])).toEqual(['steps[0].trigger: Project empty has no command of its own, and no checkout that could hold a pipeline. Give the project one of them, or trigger another.'])
  })

  it('for a commit that is none, and for what a build cannot hold', () => {
    const build = (over: Partial<Parameters<typeof triggerStep>[1] & object>['build'] | object) => ({ build: { message: null, commit: 'HEAD', branch: null, metaData: {}, env: {}, ...over } })
    expect(errorsOf([triggerStep('deploy', build({ commit: 'v1.0' }))])).toEqual(['steps[0].build.commit: "v1.0" is not a commit: give HEAD, or all 40 (or 64) digits of its id, as BUILDKITE_COMMIT has them.'])
    expect(errorsOf([triggerStep('bare', build({ branch: 'main' }))])).toEqual(['steps[0].build.branch: project bare runs without a checkout, so it cannot build a commit or branch: leave both away.'])
    expect(errorsOf([triggerStep('deploy', build({ metaData: { a: ' ' } }))])).toEqual(['steps[0].build.meta_data: "a" must not be empty or white space only.'])
    expect(errorsOf([triggerStep('deploy', build({ env: { A: 'x'.repeat(65 * 1024) } }))])).toEqual(['steps[0].build.env: "A" must be at most 64 KiB.'])
  })

  it('and changes nothing', () => {
    c.build()
    agent.sync()
    const before = c.sql.rowsWritten()
    expect(c.upload(first(1), [deploy(), triggerStep('nobody')])).toMatchObject({ ok: false })
    expect(c.sql.rowsWritten()).toBe(before)
  })
})

describe('projects that start each other for ever', () => {
  it('are stopped at a depth', () => {
    c.build()
    let depth = 0
    for (;;) {
      agent.sync()
      agent.sync()
      const answer = c.upload(first(1, depth + 1), [triggerStep('app')])
      if (!answer.ok) {
        expect(answer.problem.errors?.[0]?.message).toContain('was itself started by a trigger, 16 deep')
        break
      }
      depth += 1
    }
    expect(depth).toBe(PIPELINE_LIMITS.triggerDepth)
  })

  it('count together, however deep they are started', () => {
    const all = PIPELINE_LIMITS.triggeredBuilds
    begin([deploy()])
    agent.sync()
    valueOf(c.upload(first(2), Array.from({ length: all / PIPELINE_LIMITS.buildsPerTrigger }, (_, at) => triggerStep('app', { key: `t${at}`, parallelism: PIPELINE_LIMITS.buildsPerTrigger, async: true }))))
    expect(c.view(1, 'deploy').steps.at(-1)).toMatchObject({ outcome: 'failed', trigger: { refused: expect.stringContaining(`have started ${all - PIPELINE_LIMITS.buildsPerTrigger + 1} builds for the one that a person started`) } })
  })

  it('are stopped when they have started too many, and the step says so', () => {
    const refused = PIPELINE_LIMITS.triggeredBuilds / PIPELINE_LIMITS.buildsPerTrigger
    begin(Array.from({ length: refused + 1 }, (_, at) => deploy({ key: `t${at}`, parallelism: PIPELINE_LIMITS.buildsPerTrigger, async: true })))
    expect(c.view(1)).toMatchObject({ state: 'failed' })
    expect(c.view(1).steps.at(-1)).toMatchObject({ outcome: 'failed', trigger: { builds: [], refused: `not started: triggers have started 1000 builds for the one that a person started, and may start 1000. Do these projects start each other for ever?` } })
  })
})
