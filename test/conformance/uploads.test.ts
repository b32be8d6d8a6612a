/** Uploads: which counts once, where their steps stand, what is left out or multiplied, and which wait for one another. Against the real steps of the Scheduler. */
import { describe, expect, it } from 'vitest'
import { buildOfSteps, on, UPLOAD, uploader } from '../support/build-of-steps.ts'
import { commandStep, groupStep, waitStep } from '../support/steps.ts'

const at = buildOfSteps()
const { begin, jobs, outcomes, attemptOf, end } = at

describe('an upload', () => {
  it('again by the same key is the same upload, with other steps a mistake', () => {
    at.c.build()
    at.agent.sync()
    expect(at.c.upload(uploader(), [commandStep('a')], { key: 'k' })).toEqual({ ok: true, value: { steps: 1, jobs: 1 } })
    expect(at.c.upload(uploader(), [commandStep('a')], { key: 'k' })).toEqual({ ok: true, value: { steps: 1, jobs: 1 } })
    expect(at.c.upload(uploader(), [commandStep('b')], { key: 'k' })).toMatchObject({ ok: false, problem: { code: 'idempotency-key-reused' } })
    expect(at.c.view(1).jobs).toHaveLength(2)
  })

  it('is refused where the build would come to more steps than one may have', () => {
    at.c.build()
    at.agent.sync()
    const waits = Array.from({ length: 2000 }, () => waitStep(null, { dependsOn: [] }))
    for (const key of ['1', '2', '3']) expect(at.c.upload(uploader(), waits, { key, over: { env: { KEY: key } } })).toMatchObject({ ok: true })
    const rows = at.c.sql.rowsWritten()
    expect(at.c.upload(uploader(), waits, { key: '4' })).toMatchObject({ ok: false, problem: { code: 'too-many-steps', detail: expect.stringContaining('6001 steps, and these are 2000 more') } })
    expect(at.c.sql.rowsWritten()).toBe(rows)
  })

  it('of the next attempt brings nothing twice', () => {
    begin([commandStep('a')])
    at.agent.restart()
    at.agent.join()
    at.agent.sync()
    expect(at.c.upload(uploader(2), [commandStep('a')])).toEqual({ ok: true, value: { steps: 1, jobs: 1 } })
    expect(at.c.view(1).steps).toHaveLength(2)
    expect(at.c.upload(uploader(1), [commandStep('b')])).toMatchObject({ ok: false, problem: { code: 'attempt_superseded' } })
  })

  it('stands behind its uploader, a later one before an earlier one, and what waits for the uploader waits for it', () => {
    begin([commandStep('more'), waitStep('w'), commandStep('last')])
    at.c.upload(attemptOf('more'), [commandStep('first')])
    at.c.upload(attemptOf('more'), [commandStep('second')])
    at.agent.sync()
    at.agent.sync()
    expect(at.c.view(1).steps.map(({ key, label }) => key ?? label)).toEqual([UPLOAD, 'more', 'second', 'first', 'w', 'last'])
    end('more')
    expect(jobs()).toMatchObject({ first: 'running', second: 'running', last: 'waiting' })
    end('first')
    end('second')
    expect(jobs()).toMatchObject({ last: 'running' })
  })

  it('may wait for a step that the build has for its own sake and for its group\'s', () => {
    begin([commandStep('known'), commandStep('more')])
    at.agent.sync()
    expect(at.c.upload(attemptOf('more'), [groupStep('g', [commandStep('both', { dependsOn: on('known') })], { dependsOn: on('known') })])).toMatchObject({ ok: true })
    end('known')
    end('more')
    expect(jobs()).toMatchObject({ both: 'running' })
  })

  it('with a mistake is refused whole, with each of them', () => {
    at.c.build()
    at.agent.sync()
    const answer = at.c.upload(uploader(), [commandStep('a'), commandStep('b', { dependsOn: on('aa', 'c') }), commandStep('d', { if: 'true' })])
    expect(answer).toMatchObject({ ok: false, problem: { status: 422, code: 'pipeline-invalid', errors: [{ path: 'steps[1].depends_on', message: 'no step has the key "aa"; did you mean "a"?' }, { path: 'steps[1].depends_on' }] } })
    expect(at.c.view(1).steps).toEqual([])
    uploadOnce()
    expect(at.c.upload(uploader(), [commandStep('a')])).toMatchObject({ ok: false, problem: { errors: [{ path: 'steps[0].key', message: 'the build has a step with the key "a" already: each key is there once.' }] } })
  })

  it('survives that the object forgets its memory between any two', () => {
    begin([commandStep('a'), waitStep('w'), commandStep('b')])
    at.c.restart()
    end('a')
    at.c.restart()
    end(UPLOAD)
    at.c.restart()
    end('b')
    expect(at.c.view(1).state).toBe('passed')
  })
})

function uploadOnce(): void {
  const answer = at.c.upload(uploader(), [commandStep('a')])
  if (!answer.ok) throw new Error(answer.problem.detail)
}

describe('what is left out or multiplied', () => {
  it('a step whose condition does not hold is skipped, and lets pass what depends on it', () => {
    begin([commandStep('a', { if: 'build.branch == "dev"' }), commandStep('b', { dependsOn: on('a') }), commandStep('c', { branches: ['!dev'] })])
    expect(jobs()).toMatchObject({ a: 'skipped', b: 'running', c: 'running' })
    expect(at.c.view(1).steps.find(({ key }) => key === 'a')).toMatchObject({ outcome: 'skipped', skipped: 'its condition does not hold: build.branch == "dev"' })
  })

  it('a wait that is left out does not let anything overtake the one before it', () => {
    begin([commandStep('a'), waitStep(), commandStep('b'), waitStep('x', { if: 'false' }), commandStep('c')])
    expect(jobs()).toMatchObject({ a: 'running', b: 'waiting', c: 'waiting' })
  })

  it('conditions see what the build was asked for with, over what the pipeline says', () => {
    at.c.build({ env: { DEPLOY: 'yes' } })
    at.agent.sync()
    const answer = at.c.upload(uploader(), [commandStep('a', { if: 'build.env("DEPLOY") == "yes" && env("MODE") == "fast"' })], { over: { env: { DEPLOY: 'no', MODE: 'fast' } } })
    expect(answer.ok).toBe(true)
    expect(outcomes()).toMatchObject({ a: 'running' })
  })

  it('a matrix is one job for each combination, on its own agents and with its own softness', () => {
    begin([commandStep('t', { label: 'Test {{matrix.os}}', command: 'make {{matrix.os}}', matrix: { setup: { os: ['linux', 'mac'] }, adjustments: [{ with: { os: 'mac' }, skip: null, softFail: 'any' }] } }), waitStep(), commandStep('after')])
    const all = at.c.view(1).jobs.filter(({ label }) => label?.startsWith('Test'))
    expect(all.map(({ label, command }) => [label, command])).toEqual([['Test linux', 'make linux'], ['Test mac', 'make mac']])
    end('t', 0, 0)
    end('t', 1, 1)
    expect(jobs()).toMatchObject({ after: 'running' })
  })
})

describe('an upload whose step depends on one of the build', () => {
  it('is refused when that waits for the upload, be it through others', () => {
    begin([commandStep('generate', { dependsOn: [] }), commandStep('test', { dependsOn: on('generate') }), waitStep('w', { dependsOn: on('test') }), commandStep('deploy', { dependsOn: on('w') })])
    const generate = attemptOf('generate')
    for (const key of ['test', 'deploy']) {
      expect(at.c.upload(generate, [commandStep('a'), commandStep('b', { dependsOn: on(key) })])).toMatchObject({ ok: false, problem: { code: 'pipeline-invalid', detail: expect.stringMatching(new RegExp(`^steps\\[1\\]\\.depends_on: "${key}" waits for the step that uploads this`)) } })
    }
    expect(at.c.view(1).steps.filter(({ key }) => key === 'a')).toEqual([])
    expect(at.c.upload(generate, [commandStep('a', { dependsOn: on('deploy'), if: 'false' })]).ok).toBe(true)
  })

  it('waits for that when it does not', () => {
    begin([commandStep('generate', { dependsOn: [] }), commandStep('lint', { dependsOn: [] }), commandStep('test', { dependsOn: on('generate') })])
    expect(at.c.upload(attemptOf('generate'), [commandStep('a', { dependsOn: on('lint') })]).ok).toBe(true)
    end('generate')
    expect(jobs()).toMatchObject({ a: 'waiting', test: 'waiting' })
    end('lint')
    end('a')
    expect(jobs()).toMatchObject({ test: 'running' })
  })
})
