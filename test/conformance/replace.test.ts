/** An upload that takes the place of what has not begun: what goes, what stays, and what the build comes to. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Dependency, Step } from '../../schema/pipeline/steps.ts'
import { clusterAtWork, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, groupStep, inputStep, triggerStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const UPLOAD = 'Pipeline upload'
const uploader = (build = 1) => attemptId({ project: 1, build, n: 1, fence: 1 })
const on = (...keys: readonly string[]): readonly Dependency[] => keys.map((step) => ({ step, allowFailure: false }))
/** Nobody has such a tag, so its job stays in the queue. */
const unwanted = (key: string, over = {}) => commandStep(key, { tags: ['gpu=true'], ...over })

function upload(steps: readonly Step[], { by = uploader(), ...options }: { readonly by?: AttemptId; readonly replace?: boolean; readonly key?: string } = {}): void {
  const answer = c.upload(by, steps, options)
  if (!answer.ok) throw new Error(answer.problem.detail)
  agent.sync()
  agent.sync()
}

const replace = (steps: readonly Step[], options: { readonly by?: AttemptId; readonly key?: string } = {}) => upload(steps, { ...options, replace: true })

/** A build whose first job brings these steps and goes on running. */
function begin(steps: readonly Step[]): void {
  const { number } = c.build()
  agent.sync()
  upload(steps, { by: uploader(number) })
}

/** What each step came to or is, by its name. */
function steps(build = 1): Readonly<Record<string, string>> {
  return Object.fromEntries(c.view(build).steps.map(({ key, label, kind, outcome, state }) => [key ?? label ?? kind, outcome ?? state]))
}

function attemptOf(name: string, build = 1): AttemptId {
  const { jobs, steps: all } = c.view(build)
  const step = (all.find(({ key }) => key === name) ?? all.find(({ label }) => label === name))?.step
  const attempt = jobs.findLast((job) => job.step === step)?.attempts.at(-1)?.id
  if (attempt === undefined) throw new Error(`${name} has no attempt`)
  return attempt as AttemptId // a view spells it so
}

function end(name: string, outcome: 'passed' | 'failed' = 'passed', build = 1): void {
  agent.finish(attemptOf(name, build), outcome)
  agent.sync()
  agent.sync()
}

describe('an upload that replaces', () => {
  it('skips what waits, asks or is in the queue, says so, and leaves what has begun or ended', () => {
    begin([commandStep('over'), commandStep('runs'), unwanted('queued'), inputStep('asks'), waitStep('w'), commandStep('waits'), blockStep('b'), groupStep('g', [commandStep('in')])])
    end('over')
    replace([commandStep('new')])
    expect(steps()).toEqual({ [UPLOAD]: 'running', over: 'passed', runs: 'running', queued: 'skipped', asks: 'skipped', w: 'skipped', waits: 'skipped', b: 'skipped', g: 'skipped', in: 'skipped', new: 'running' })
    expect(c.view(1).steps.find(({ label }) => label === 'waits')).toMatchObject({ skipped: 'replaced by what "Pipeline upload" uploaded' })
    const replaced = c.view(1).jobs.filter(({ state }) => state === 'skipped')
    expect(replaced).toHaveLength(3)
    for (const { reason } of replaced) expect(reason).toEqual({ code: 'replaced', message: 'replaced by what "Pipeline upload" uploaded' })
  })

  it('the build comes to what the rest comes to, and asks for nothing that was replaced', () => {
    begin([commandStep('runs'), blockStep('b'), commandStep('c')])
    replace([commandStep('new')])
    for (const name of ['runs', 'new', UPLOAD]) end(name)
    expect(c.view(1).state).toBe('passed')
    expect(c.unblock(1, '3')).toMatchObject({ ok: false, problem: { code: 'step-not-blocked' } })
    expect(c.retry(1, 'failed')).toMatchObject({ ok: false, problem: { code: 'nothing-to-retry' } })
  })

  it('the keys of what it replaces are free, and nothing can wait for those steps any more', () => {
    begin([blockStep('ask'), commandStep('test'), blockStep('ok')])
    expect(c.upload(uploader(), [commandStep('late', { dependsOn: on('ok') })], { replace: true })).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid' } })
    expect(steps()).toMatchObject({ ask: 'blocked', test: 'waiting', ok: 'waiting' })
    replace([commandStep('test'), commandStep('late', { dependsOn: on('test') })])
    expect(c.view(1).steps.filter(({ key }) => key === 'test')).toHaveLength(1)
    end('test')
    expect(steps()).toMatchObject({ late: 'running' })
  })

  it('the key of a step that has begun stays taken', () => {
    begin([commandStep('test')])
    expect(c.upload(uploader(), [commandStep('test')], { replace: true })).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid' } })
  })

  it('replaces what its own job uploaded before, and what other jobs did', () => {
    begin([commandStep('other')])
    upload([blockStep('mine'), commandStep('a')])
    upload([blockStep('theirs'), commandStep('b')], { by: attemptOf('other') })
    replace([commandStep('new')])
    expect(steps()).toMatchObject({ other: 'running', mine: 'skipped', a: 'skipped', theirs: 'skipped', b: 'skipped', new: 'running' })
  })

  it('an upload that is repeated replaces once', () => {
    begin([commandStep('a')])
    replace([commandStep('new')], { key: 'once' })
    upload([blockStep('b'), commandStep('later')])
    replace([commandStep('new')], { key: 'once' })
    expect(steps()).toMatchObject({ b: 'blocked', later: 'waiting' })
    expect(c.view(1).steps.filter(({ key }) => key === 'new')).toHaveLength(1)
    expect(c.upload(uploader(), [commandStep('new')], { key: 'once' })).toMatchObject({ ok: false, problem: { code: 'idempotency-key-reused' } })
  })

  it('the first upload of a build has nothing to replace', () => {
    c.build()
    agent.sync()
    replace([commandStep('a'), waitStep('w')])
    expect(steps()).toEqual({ [UPLOAD]: 'running', a: 'running', w: 'waiting' })
  })

  it('a step stays whole when one of its jobs has begun, also when that came back to the queue', () => {
    const small = c.agent('small', { slots: 1, tags: ['gpu=true'] })
    small.join()
    begin([unwanted('both', { parallelism: 2 })])
    const states = () => c.view(1).jobs.slice(1).map(({ state }) => state).sort()
    small.sync()
    small.sync()
    expect(states()).toEqual(['queued', 'running'])
    small.restart()
    small.sync()
    expect(states()).toEqual(['queued', 'queued'])
    const before = steps()
    replace([commandStep('new')])
    expect(steps()).toEqual({ ...before, new: 'running' })
    expect(before).toMatchObject({ both: 'running' })
  })

  it('a group of which something runs goes on without the rest, and passes', () => {
    begin([groupStep('g', [commandStep('runs'), waitStep('w'), commandStep('rest')])])
    replace([commandStep('new')])
    expect(steps()).toMatchObject({ g: 'waiting', runs: 'running', rest: 'skipped' })
    end('runs')
    expect(steps()).toMatchObject({ g: 'passed' })
  })

  it('a group of which all that stays is done is done at once', () => {
    begin([groupStep('g', [commandStep('done'), unwanted('rest')])])
    end('done')
    replace([commandStep('new')])
    expect(steps()).toMatchObject({ g: 'passed' })
    for (const name of ['new', UPLOAD]) end(name)
    expect(c.view(1).state).toBe('passed')
  })

  it('the group of the uploader waits for what comes instead', () => {
    begin([groupStep('g', [commandStep('up'), waitStep('w'), commandStep('rest')])])
    replace([commandStep('new')], { by: attemptOf('up') })
    end('up')
    expect(steps()).toMatchObject({ g: 'waiting', new: 'running', rest: 'skipped' })
    end('new')
    expect(steps()).toMatchObject({ g: 'passed' })
  })

  it('a trigger that has started its build stays, one that waits goes', () => {
    c.project('deploy')
    begin([triggerStep('deploy', { label: 'now' }), waitStep('w'), triggerStep('deploy', { label: 'later' })])
    replace([commandStep('new')])
    expect(steps()).toMatchObject({ now: 'running', later: 'skipped', new: 'running' })
  })

  it('a job that is replaced holds nobody of its concurrency group any more', () => {
    const deploy = { concurrency: { limit: 1, group: 'prod', method: 'ordered' } } as const
    begin([commandStep('build'), commandStep('deploy', { ...deploy, dependsOn: on('build') })])
    begin([commandStep('deploy', deploy)])
    expect(steps(2)).toMatchObject({ deploy: 'running' })
    expect(c.view(2).jobs.find(({ label, state }) => label !== UPLOAD && state === 'waiting')).toBeDefined()
    replace([commandStep('new')])
    expect(c.view(2).jobs.map(({ state }) => state)).not.toContain('waiting')
  })

  it('what is replaced does not come back when a person retries what failed', () => {
    begin([blockStep('b'), commandStep('gone')])
    replace([commandStep('new'), waitStep('w2'), commandStep('next')])
    end(UPLOAD)
    end('new', 'failed')
    expect(steps()).toMatchObject({ next: 'broken' })
    c.retry(1, 'failed')
    expect(steps()).toMatchObject({ gone: 'skipped', b: 'skipped', new: 'running', next: 'waiting' })
  })

  it('a build that was cancelled is given nothing, and loses nothing', () => {
    begin([commandStep('runs'), waitStep('w')])
    c.cancel(1)
    const before = steps()
    expect(c.upload(uploader(), [commandStep('new')], { replace: true })).toMatchObject({ ok: false, problem: { code: 'build_canceled' } })
    expect(steps()).toEqual(before)
  })
})
