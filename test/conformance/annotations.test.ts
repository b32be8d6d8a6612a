/** Annotations of a build, against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { ANNOTATION_LIMITS } from '../../schema/annotations.ts'
import { attemptId } from '../../schema/job.ts'
import { clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
  c.build()
  agent.sync()
  agent.sync()
})

const own = (fence = 1, build = 1) => attemptId({ project: 1, build, n: 1, fence })
const shown = () => c.annotations(1).map(({ context, body }) => `${context}: ${body}`)

describe('an annotation', () => {
  it('is written, written again in its own place, and survives that memory is forgotten', () => {
    expect(c.annotate(own(), { body: 'one' })).toEqual({ ok: true, value: 3 })
    c.pass(1000)
    c.annotate(own(), { body: '**two**', style: 'error', priority: 7 })
    c.restart()
    expect(c.annotations(1)).toEqual([{ job: null, context: 'default', style: 'error', priority: 7, created_at: new Date(c.now - 1000).toISOString(), updated_at: new Date(c.now).toISOString(), bytes: 7, body: '**two**' }])
  })

  it('keeps what is left out, and needs a body at first', () => {
    expect(c.annotate(own(), { style: 'info' })).toMatchObject({ ok: false, problem: { status: 422, code: 'annotation-empty', detail: expect.stringContaining('needs a body') } })
    c.annotate(own(), { body: 'text', style: 'warning', priority: 9 })
    c.annotate(own(), { style: 'success' })
    expect(c.annotations(1)).toMatchObject([{ body: 'text', style: 'success', priority: 9 }])
    c.annotate(own(), { body: 'other' })
    expect(c.annotations(1)).toMatchObject([{ body: 'other', style: 'success', priority: 9 }])
  })

  it('the same again writes nothing', () => {
    c.annotate(own(), { body: 'text', style: 'info' })
    const before = c.sql.rowsWritten()
    expect(c.annotate(own(), { body: 'text', style: 'info' })).toEqual({ ok: true, value: 4 })
    expect(c.annotate(own(), { style: 'info' }).ok).toBe(true)
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('grows by what is appended, once for each key', () => {
    for (const [body, key] of [['a', '1'], ['b', '2'], ['b', '2'], ['a', '1'], ['b', '3']] as const) expect(c.annotate(own(), { body, append: true }, { key }).ok).toBe(true)
    expect(shown()).toEqual(['default: abb'])
    expect(c.annotate(own(), { body: 'c', append: true }, { key: '2' })).toMatchObject({ ok: false, problem: { status: 422, code: 'idempotency-key-reused' } })
    expect(shown()).toEqual(['default: abb'])
  })

  it('is not longer than it may be, also by appending', () => {
    c.annotate(own(), { body: 'x'.repeat(ANNOTATION_LIMITS.bodyBytes - 1) })
    expect(c.annotate(own(), { body: 'é', append: true }, { key: '1' })).toMatchObject({ ok: false, problem: { code: 'annotation-too-long', detail: expect.stringContaining('1048577 bytes') } })
    expect(c.annotate(own(), { body: 'y', append: true }, { key: '1' })).toEqual({ ok: true, value: ANNOTATION_LIMITS.bodyBytes })
  })

  it('of a job is apart from that of its build, and contexts of every kind are apart', () => {
    const contexts = ['__proto__', 'a', 'A', 'a ', "'; drop table annotation; --", '日本', 'a\nb']
    for (const context of contexts) c.annotate(own(), { context, body: `of ${context}` })
    c.annotate(own(), { context: 'a', body: 'of the job', scope: 'job' })
    expect(c.annotations(1).filter(({ job }) => job === null).map(({ context, body }) => body === `of ${context}`)).toEqual(contexts.map(() => true))
    expect(c.annotations(1).filter(({ job }) => job !== null)).toMatchObject([{ job: 'J1-1-1', context: 'a', body: 'of the job' }])
  })

  it('is removed, and a second time there is none', () => {
    c.annotate(own(), { body: 'of the build' })
    c.annotate(own(), { body: 'of the job', scope: 'job' })
    expect(c.removeAnnotation(own(), { context: 'other' })).toEqual({ ok: true, value: false })
    expect(c.removeAnnotation(own())).toEqual({ ok: true, value: true })
    expect(c.removeAnnotation(own())).toEqual({ ok: true, value: false })
    expect(shown()).toEqual(['default: of the job'])
  })

  it('is written and removed only by a current attempt of a job that has not ended', () => {
    c.annotate(own(), { body: 'first' })
    agent.restart()
    agent.join()
    agent.sync()
    for (const refused of [c.annotate(own(1), { body: 'late' }), c.removeAnnotation(own(1))]) expect(refused).toMatchObject({ ok: false, problem: { status: 409, code: 'attempt_superseded' } })
    agent.finish(own(2))
    agent.sync()
    for (const refused of [c.annotate(own(2), { body: 'late' }), c.removeAnnotation(own(2))]) expect(refused).toMatchObject({ ok: false, problem: { status: 409, code: 'attempt_final' } })
    expect(shown()).toEqual(['default: first'])
  })
})

describe('annotations of a build', () => {
  it('are shown by priority, then age; a view of the build has them without their bodies', () => {
    for (const [context, priority] of [['old', 3], ['urgent', 10], ['new', 3], ['least', 1]] as const) {
      c.annotate(own(), { context, priority, body: context })
      c.pass(10)
    }
    c.annotate(own(), { context: 'old', body: 'again' })
    expect(shown()).toEqual(['urgent: urgent', 'old: again', 'new: new', 'least: least'])
    expect(c.view(1).annotations.map(({ context }) => context)).toEqual(['urgent', 'old', 'new', 'least'])
    expect(c.view(1).annotations[0]).not.toHaveProperty('body')
  })

  it('are a hundred at most; what is there can still be changed', () => {
    for (let n = 0; n < ANNOTATION_LIMITS.annotations; n++) valueOf(c.annotate(own(), { context: `c${n}`, body: 'x' }))
    expect(c.annotate(own(), { context: 'one more', body: 'x' })).toMatchObject({ ok: false, problem: { status: 422, code: 'annotations-full', detail: expect.stringContaining('100 annotations') } })
    expect(c.annotate(own(), { context: 'c7', body: 'y' }).ok).toBe(true)
  })

  it('are four mebibytes at most together; less in the place of more makes room', () => {
    const large = 'x'.repeat(ANNOTATION_LIMITS.bodyBytes)
    for (let n = 0; n < 4; n++) valueOf(c.annotate(own(), { context: `c${n}`, body: large }))
    expect(c.annotate(own(), { context: 'c4', body: 'x' })).toMatchObject({ ok: false, problem: { code: 'annotations-full', detail: expect.stringContaining('bytes') } })
    expect(c.annotate(own(), { context: 'c0', body: 'y' }).ok).toBe(true)
    expect(c.annotate(own(), { context: 'c4', body: 'x' }).ok).toBe(true)
  })

  it('are of one build only', () => {
    c.annotate(own(), { body: 'x' })
    c.build()
    expect(c.annotations(2)).toEqual([])
    expect(c.cluster.annotations('app', 9)).toMatchObject({ ok: false, problem: { status: 404, code: 'build-unknown' } })
  })
})
