/** Meta-data of a build, and the answers to blocks that become it. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import { META_DATA_LIMITS } from '../../schema/meta-data.ts'
import type { Field, Step } from '../../schema/pipeline/steps.ts'
import { clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, inputStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const first = (fence = 1) => attemptId({ project: 1, build: 1, n: 1, fence })

function begin(steps: readonly Step[] = []): void {
  c.build()
  agent.sync()
  if (steps.length > 0) valueOf(c.upload(first(), steps))
  agent.sync()
}

const get = (key: string, attempt: AttemptId = first()) => valueOf(c.cluster.metaData(attempt, key))
const keys = () => valueOf(c.cluster.metaDataKeys(first()))
const states = () => Object.fromEntries(c.view(1).steps.map(({ key, label, state }) => [key ?? label ?? '', state]))

describe('meta-data', () => {
  it('is what was set last, by whichever job of the build, and survives that memory is forgotten', () => {
    begin([commandStep('a')])
    expect(get('version')).toBeNull()
    expect(c.setMetaData(first(), 'version', '1')).toEqual({ ok: true, value: '1' })
    c.setMetaData(attemptId({ project: 1, build: 1, n: 2, fence: 1 }), 'version', '2')
    c.setMetaData(first(), 'another', 'x')
    c.restart()
    expect(get('version')).toBe('2')
    expect(keys()).toEqual(['another', 'version'])
    expect(c.cluster.metaDataOfBuild('app', 1)).toEqual({ ok: true, value: { meta_data: { another: 'x', version: '2' } } })
  })

  it('the same again writes nothing', () => {
    begin()
    c.setMetaData(first(), 'a', '1')
    const before = c.sql.rowsWritten()
    expect(c.setMetaData(first(), 'a', '1').ok).toBe(true)
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('is of one build only', () => {
    begin()
    c.setMetaData(first(), 'a', '1')
    c.build()
    agent.sync()
    expect(get('a', attemptId({ project: 1, build: 2, n: 1, fence: 1 }))).toBeNull()
    expect(c.cluster.metaData(attemptId({ project: 1, build: 9, n: 1, fence: 1 }), 'a')).toMatchObject({ ok: false, problem: { status: 404, code: 'attempt_unknown' } })
  })

  it('is set only by a current attempt of a job that has not ended; who was superseded may still read', () => {
    begin()
    c.setMetaData(first(1), 'a', '1')
    agent.restart()
    agent.join()
    agent.sync()
    expect(c.setMetaData(first(1), 'a', '2')).toMatchObject({ ok: false, problem: { status: 409, code: 'attempt_superseded' } })
    expect(get('a', first(1))).toBe('1')
    expect(c.setMetaData(first(2), 'a', '3').ok).toBe(true)
    agent.finish(first(2))
    agent.sync()
    expect(c.setMetaData(first(2), 'a', '4')).toMatchObject({ ok: false, problem: { status: 409, code: 'attempt_final' } })
    expect(get('a')).toBe('3')
  })

  it('keeps keys of every kind apart', () => {
    begin()
    const hostile = ['__proto__', 'constructor', "'; drop table metadata; --", 'a', 'A', 'a ', 'é', 'e\u0301', 'a\nb', '%', '日本']
    for (const key of hostile) c.setMetaData(first(), key, `of ${key}`)
    for (const key of hostile) expect(get(key)).toBe(`of ${key}`)
    expect(keys().toSorted()).toEqual(hostile.toSorted())
  })

  it('of a thousand keys is full; what is there can still be changed', () => {
    begin()
    for (let n = 0; n < META_DATA_LIMITS.keys; n++) valueOf(c.setMetaData(first(), `k${n}`, 'x'))
    expect(c.setMetaData(first(), 'one more', 'x')).toMatchObject({ ok: false, problem: { status: 422, code: 'meta-data-full', detail: expect.stringContaining('1001 keys, and a build may have 1000') } })
    expect(c.setMetaData(first(), 'k7', 'y').ok).toBe(true)
    expect(get('one more')).toBeNull()
  })

  it('of a mebibyte is full; smaller in the place of larger makes room', () => {
    begin()
    const large = 'x'.repeat(META_DATA_LIMITS.valueBytes)
    for (let n = 0; n < 10; n++) valueOf(c.setMetaData(first(), `k${n}`, large))
    expect(c.setMetaData(first(), 'k10', large)).toMatchObject({ ok: false, problem: { code: 'meta-data-full', detail: expect.stringContaining('bytes of keys and values') } })
    expect(c.setMetaData(first(), 'k0', 'y').ok).toBe(true)
    expect(c.setMetaData(first(), 'k10', large).ok).toBe(true)
  })
})

const version: Field = { kind: 'text', key: 'version', label: 'Version', hint: null, required: true, default: null, format: '\\d+\\.\\d+' }
const where: Field = { kind: 'select', key: 'where', label: 'Where', hint: null, required: true, options: ['eu', 'us'].map((value) => ({ label: value, value, hint: null, required: null })), multiple: true, default: ['eu'] }

describe('a block with fields', () => {
  it('says what it asks, and its answers become meta-data of the build', () => {
    begin([blockStep('ask', { fields: [version, where] }), commandStep('release')])
    expect(c.view(1).steps.find(({ key }) => key === 'ask')).toMatchObject({ state: 'blocked', fields: [version, where] })
    expect(valueOf(c.unblock(1, 'ask', { given: [['version', '1.2']], by: 'ada' })).steps.find(({ key }) => key === 'ask')?.unblocked).toMatchObject({ by: 'ada', answers: { version: '1.2', where: 'eu' } })
    agent.sync()
    expect(states()).toMatchObject({ ask: 'done', release: 'running' })
    expect([get('version'), get('where')]).toEqual(['1.2', 'eu'])
  })

  it('is not let pass by answers with mistakes, which are told all at once', () => {
    begin([blockStep('ask', { fields: [version, where] }), commandStep('release')])
    expect(c.unblock(1, 'ask', { given: [['version', 'one'], ['where', ['mars']]] })).toMatchObject({ ok: false, problem: { status: 422, code: 'answers-invalid', errors: [{ path: 'fields.version' }, { path: 'fields.where' }] } })
    expect(c.unblock(1, 'ask')).toMatchObject({ ok: false, problem: { errors: [{ path: 'fields.version', message: 'needs an answer' }] } })
    expect(states()).toMatchObject({ ask: 'blocked', release: 'waiting' })
    expect(keys()).toEqual([])
  })

  it('is answered once: the same again changes nothing, another answer is too late', () => {
    begin([blockStep('ask', { fields: [version, where] })])
    const given = [['version', '1.2'], ['where', ['us', 'eu']]] as const
    expect(c.unblock(1, 'ask', { given, by: 'ada' }).ok).toBe(true)
    c.setMetaData(first(), 'version', 'changed by a job')
    expect(c.unblock(1, 'ask', { given, by: 'bob' }).ok).toBe(true)
    expect(c.unblock(1, 'ask').ok).toBe(true)
    expect(get('version')).toBe('changed by a job')
    expect(c.unblock(1, 'ask', { given: [['version', '1.3']], by: 'bob' })).toMatchObject({ ok: false, problem: { status: 409, code: 'step-unblocked', detail: expect.stringContaining('by ada before') } })
    expect(c.view(1).steps.find(({ key }) => key === 'ask')?.unblocked).toMatchObject({ by: 'ada' })
  })

  it('whose answers do not fit into the build stays as it is', () => {
    begin([blockStep('ask', { fields: [version] })])
    for (let n = 0; n < META_DATA_LIMITS.keys; n++) valueOf(c.setMetaData(first(), `k${n}`, 'x'))
    expect(c.unblock(1, 'ask', { given: [['version', '1.2']] })).toMatchObject({ ok: false, problem: { code: 'meta-data-full' } })
    expect(states()).toMatchObject({ ask: 'blocked' })
  })

  it('of names that every object has keeps its answers', () => {
    begin([blockStep('ask', { fields: [{ ...version, key: '__proto__', format: null }] })])
    expect(c.unblock(1, 'ask', { given: [['__proto__', 'x']] }).ok).toBe(true)
    expect(c.unblock(1, 'ask', { given: [['__proto__', 'x']] }).ok).toBe(true)
    expect(c.unblock(1, 'ask', { given: [['__proto__', 'y']] }).ok).toBe(false)
    expect(get('__proto__')).toBe('x')
  })
})

describe('an input', () => {
  it('holds up what depends on it, and nothing else', () => {
    begin([inputStep('ask', { fields: [version] }), commandStep('free'), commandStep('held', { dependsOn: [{ step: 'ask', allowFailure: false }] })])
    agent.sync()
    expect(states()).toMatchObject({ ask: 'blocked', free: 'running', held: 'waiting' })
    c.unblock(1, 'ask', { given: [['version', '2.0']] })
    agent.sync()
    expect(states()).toMatchObject({ ask: 'done', held: 'running' })
  })
})
