/** What a running job asks of the steps of its build: told, changed, cancelled. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Step } from '../../schema/pipeline/steps.ts'
import { TestCluster, valueOf, type TestAgent } from '../support/cluster.ts'
import { blockStep, commandStep, triggerStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  c = new TestCluster()
  c.project()
  c.project('deploy')
  agent = c.agent('a', { slots: 100 })
  agent.join()
})

const job = (n: number, fence = 1) => attemptId({ project: 1, build: 1, n, fence })

/** A build whose first job brings these steps and goes on running. */
function begin(steps: readonly Step[]): void {
  c.build()
  agent.sync()
  valueOf(c.upload(job(1), steps))
  agent.join()
}

function end(attempt: AttemptId, outcome: 'passed' | 'failed' | 'canceled' | 'timed_out' = 'passed'): void {
  agent.finish(attempt, outcome)
  agent.join()
}

const told = (key: string | null, attempt: AttemptId = job(1)) => valueOf(c.cluster.step(attempt, key))
const states = () => Object.fromEntries(c.view(1).jobs.filter(({ retried_by }) => retried_by === null).map(({ id, state }) => [Number(id.split('-')[2]), state]))
const outcomes = () => Object.fromEntries(c.view(1).steps.slice(1).map(({ key, kind, outcome, state }) => [key ?? kind, outcome ?? state]))
const update = (attribute: string, value: string, { append = false, step = null as string | null, key = `${attribute} ${value}` } = {}) => c.cluster.updateStep(c.now, job(2), { step, attribute, value, append, key }).value
const cancel = (step: string | null, attempt: AttemptId = job(1)) => {
  const { value } = c.cluster.cancelStep(c.now, attempt, step)
  agent.join()
  return value
}

describe('a job is told of a step', () => {
  it('by its key or id, and of its own without either', () => {
    begin([commandStep('a', { label: 'Test' }), waitStep('w'), commandStep('b')])
    const a = { id: 'S1-1-2', key: 'a', label: 'Test', type: 'command', state: 'running', outcome: 'neutral' }
    expect(told('a')).toEqual(a)
    expect(told('S1-1-2')).toEqual(a)
    expect(told(null, job(2))).toEqual(a)
    expect(told(null)).toMatchObject({ label: 'Pipeline upload' })
    expect(told('b')).toMatchObject({ state: 'waiting_for_dependencies', outcome: 'neutral' })
    expect(told('w')).toMatchObject({ type: 'wait', state: 'waiting_for_dependencies' })
  })

  it('in the words of Buildkite, however it ended', () => {
    begin([commandStep('passed'), commandStep('hard'), commandStep('soft', { softFail: 'any' }), commandStep('late'), commandStep('broken', { dependsOn: [{ step: 'hard', allowFailure: false }] }), commandStep('skipped', { skip: 'no' }), commandStep('many', { parallelism: 2 })])
    end(job(2))
    end(job(3), 'failed')
    end(job(4), 'failed')
    end(job(5), 'timed_out')
    end(job(8), 'failed')
    const all = ['passed', 'hard', 'soft', 'late', 'broken', 'skipped', 'many'].map((key) => [told(key).state, told(key).outcome])
    expect(all).toEqual([['finished', 'passed'], ['finished', 'hard_failed'], ['finished', 'soft_failed'], ['finished', 'errored'], ['finished', 'errored'], ['ignored', 'neutral'], ['failing', 'neutral']])
  })

  it('that there is not, with the nearest', () => {
    begin([commandStep('build')])
    expect(c.cluster.step(job(1), 'biuld')).toMatchObject({ ok: false, problem: { status: 404, detail: 'This build has no step with the key or id "biuld". Did you mean "build"?' } })
  })

  it('in a build without steps, that there is none', () => {
    c.build()
    agent.sync()
    expect(c.cluster.step(job(1), null)).toMatchObject({ ok: false, problem: { code: 'step-unknown' } })
  })
})

describe('a job changes a step', () => {
  it('its label, and that of its jobs; what is appended is appended once', () => {
    begin([commandStep('a', { label: 'Test' })])
    expect(update('label', ' (1 of 2)', { append: true, key: 'one' })).toEqual({ ok: true, value: null })
    update('label', ' (1 of 2)', { append: true, key: 'one' })
    expect(c.view(1).steps[1]?.label).toBe('Test (1 of 2)')
    expect(c.view(1).jobs[1]?.label).toBe('Test (1 of 2)')
    update('label', 'Other')
    expect(told('a').label).toBe('Other')
  })

  it('the priority of its jobs that wait', () => {
    c.build()
    agent.sync()
    valueOf(c.upload(job(1), [commandStep('a'), waitStep(), commandStep('b'), commandStep('c')]))
    agent.join()
    update('priority', '7', { step: 'c' })
    expect(c.view(1).jobs.map(({ priority }) => priority)).toEqual([0, 0, 0, 7])
  })

  it.each([
    ['notify', '[]', 'changes label and priority of a step, and not "notify"'],
    ['priority', 'high', 'whole number from -1000 to 1000, not "high"'],
    ['priority', '1001', 'whole number'],
    ['label', 'x'.repeat(1001), 'at most 1000 characters'],
    ['label', 'a\0', 'NUL'],
  ])('not its %s to what it cannot be', (attribute, value, sentence) => {
    begin([commandStep('a')])
    const before = c.sql.rowsWritten()
    expect(update(attribute, value)).toMatchObject({ ok: false, problem: { status: 422, detail: expect.stringContaining(sentence) } })
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('only while it runs', () => {
    begin([commandStep('a')])
    end(job(2))
    expect(update('label', 'x')).toMatchObject({ ok: false, problem: { code: 'attempt_final' } })
  })
})

describe('a job cancels a step', () => {
  it('what is queued ends at once, what runs is told, and what waits for it goes on by its rules', () => {
    agent = c.agent('b', { slots: 3 })
    agent.join()
    begin([commandStep('a', { parallelism: 100 }), commandStep('b', { dependsOn: [{ step: 'a', allowFailure: true }] }), commandStep('c', { dependsOn: [{ step: 'a', allowFailure: false }] })])
    const running = c.view(1).jobs.filter(({ step, state }) => step === 2 && state !== 'queued')
    expect(cancel('a')).toEqual({ ok: true, value: 'S1-1-2' })
    expect(outcomes()).toEqual({ a: 'running', b: 'waiting', c: 'waiting' })
    expect(c.view(1).jobs.filter(({ step, state }) => step === 2 && state === 'canceled')).toHaveLength(100 - running.length)
    expect(c.view(1).jobs.find(({ step, state }) => step === 2 && state === 'canceled')?.reason).toEqual({ code: 'canceled', message: 'cancelled by "Pipeline upload"' })
    for (const one of running) end(one.attempts[0]?.id as AttemptId, 'canceled')
    expect(outcomes()).toMatchObject({ a: 'canceled', c: 'broken' })
    expect(c.view(1).jobs.find(({ step }) => step === 3)?.state).toMatch(/assigned|running|queued/)
    expect(told('a')).toMatchObject({ state: 'finished', outcome: 'errored' })
  })

  it('that runs, with the directive, and twice is once', () => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    cancel('a')
    expect(agent.sync().directives).toMatchObject([{ attempt: job(2), directive: 'cancel' }])
    const before = c.sql.rowsWritten()
    expect(c.cluster.cancelStep(c.now, job(1), 'a').value.ok).toBe(true)
    expect(c.sql.rowsWritten()).toBe(before)
    end(job(2), 'canceled')
    expect(states()).toMatchObject({ 2: 'canceled', 3: 'broken' })
    expect(c.view(1).jobs[1]?.reason?.message).toBe('cancelled by "Pipeline upload"')
  })

  it('that waits, which ends it', () => {
    begin([commandStep('a'), waitStep(), commandStep('b'), commandStep('c', { dependsOn: [{ step: 'b', allowFailure: false }] })])
    cancel('b')
    expect(outcomes()).toMatchObject({ b: 'canceled', c: 'broken' })
    expect(c.view(1).steps.at(-1)?.broken).toBe('"b" was cancelled')
    end(job(2))
    end(job(1))
    expect(c.view(1).state).toBe('failed')
  })

  it('that is a trigger, and the build that it waits for', () => {
    begin([triggerStep('deploy', { key: 't' })])
    cancel('t')
    expect(outcomes()).toEqual({ t: 'canceled' })
    expect(c.view(1, 'deploy').state).toMatch(/cancel/)
  })

  it('and a person who retries the build has it run again', () => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    cancel('b')
    end(job(2))
    end(job(1))
    expect(c.view(1).state).toBe('canceled')
    valueOf(c.retry(1, 'failed'))
    agent.join()
    expect(outcomes()).toMatchObject({ b: 'running' })
  })

  it('and once it is tried again it waits for what was uploaded meanwhile, too', () => {
    begin([commandStep('generate'), commandStep('b', { dependsOn: [{ step: 'generate', allowFailure: false }] })])
    cancel('b')
    valueOf(c.upload(job(2), [commandStep('late')]))
    agent.join()
    end(job(2))
    valueOf(c.retry(1, 'failed'))
    agent.join()
    expect(outcomes()).toEqual({ generate: 'passed', late: 'running', b: 'waiting' })
    end(job(4))
    expect(outcomes()).toMatchObject({ late: 'passed', b: 'running' })
  })

  it('and no step can wait for it that it would wait for once it is tried again', () => {
    begin([commandStep('generate'), commandStep('b', { dependsOn: [{ step: 'generate', allowFailure: false }] })])
    cancel('b')
    const answer = c.upload(job(2), [commandStep('late', { dependsOn: [{ step: 'b', allowFailure: true }] })])
    expect(answer).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid', detail: expect.stringContaining('"b" waits for the step that uploads this') } })
  })

  it.each([['a wait', 'w'], ['a block', 'ok']])('but not %s', (_what, key) => {
    begin([commandStep('a'), waitStep('w'), blockStep('ok')])
    expect(cancel(key)).toMatchObject({ ok: false, problem: { code: 'step-without-jobs' } })
  })
})

describe('a job cancels its build', () => {
  it('and so itself', () => {
    begin([commandStep('a'), waitStep(), commandStep('b')])
    expect(c.cluster.cancelOwnBuild(c.now, job(2)).value).toEqual({ ok: true, value: 1 })
    expect(agent.sync().directives.map(({ directive }) => directive)).toEqual(['cancel', 'cancel'])
    end(job(1), 'canceled')
    end(job(2), 'canceled')
    expect(c.view(1).state).toBe('canceled')
  })

  it('only while it runs', () => {
    begin([commandStep('a')])
    end(job(2))
    expect(c.cluster.cancelOwnBuild(c.now, job(2)).value).toMatchObject({ ok: false, problem: { code: 'attempt_final' } })
    expect(c.view(1).state).toBe('running')
  })
})
