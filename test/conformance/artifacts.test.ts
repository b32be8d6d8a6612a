/** Artifacts of builds. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { ARTIFACT_LIMITS, type SearchArtifacts, type UploadedFile } from '../../schema/artifacts.ts'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Step } from '../../schema/pipeline/steps.ts'
import { ORIGIN, clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { commandStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const at = (n: number, fence = 1, build = 1) => attemptId({ project: 1, build, n, fence })
const file = (path: string, bytes = 5): UploadedFile => ({ path, bytes, sha256: 'a'.repeat(64), sha1: 'b'.repeat(40), content_type: 'text/plain' })
const add = (attempt: AttemptId, ...files: readonly UploadedFile[]) => c.addArtifacts(attempt, files)
const search = (query: string, more: Partial<SearchArtifacts> = {}, attempt = at(1)) => c.cluster.searchArtifacts(attempt, { query, with_retried: false, ...more }, ORIGIN)
const found = (...asked: Parameters<typeof search>) => valueOf(search(...asked)).artifacts.map(({ id }) => id)

/** A build whose steps run. */
function begin(steps: readonly Step[] = []): void {
  c.build()
  agent.sync()
  if (steps.length > 0) valueOf(c.upload(at(1), steps))
  agent.sync()
}

describe('artifacts', () => {
  it('are found by every job of the build, and survive that memory is forgotten', () => {
    begin([commandStep('a'), commandStep('b')])
    expect(add(at(2), file('dist/x'), file('dist/y'))).toEqual({ ok: true, value: 2 })
    add(at(3), file('dist/x'))
    c.restart()
    expect(found('dist/*', {}, at(3))).toEqual(['J1-1-2.1/dist/x', 'J1-1-2.1/dist/y', 'J1-1-3.1/dist/x'])
    expect(valueOf(search('*y')).artifacts).toEqual([{ id: 'J1-1-2.1/dist/y', job: 'J1-1-2', attempt: 'J1-1-2.1', path: 'dist/y', bytes: 5, sha256: 'a'.repeat(64), sha1: 'b'.repeat(40), content_type: 'text/plain', created_at: expect.stringMatching(/Z$/), url: `${ORIGIN}/api/v1/projects/app/builds/1/artifacts/J1-1-2.1/dist/y` }])
  })

  it('of the same again write nothing', () => {
    begin()
    add(at(1), file('a'))
    const before = c.sql.rowsWritten()
    expect(add(at(1), file('a'))).toEqual({ ok: true, value: 1 })
    expect(c.sql.rowsWritten()).toBe(before)
  })

  it('cost one row each', () => {
    begin()
    const before = c.sql.rowsWritten()
    add(at(1), file('a'), file('b'), file('c'))
    expect(c.sql.rowsWritten() - before).toBe(3)
  })

  it('are taken only from a current attempt of a job that has not ended; who was superseded may still look', () => {
    begin()
    add(at(1, 1), file('a'))
    agent.restart()
    agent.join()
    agent.sync()
    expect(add(at(1, 1), file('b'))).toMatchObject({ ok: false, problem: { status: 409, code: 'attempt_superseded' } })
    expect(add(at(1, 2), file('c')).ok).toBe(true)
    expect(found('*', {}, at(1, 1))).toEqual(['J1-1-1.2/c'])
    expect(found('*', { with_retried: true })).toEqual(['J1-1-1.1/a', 'J1-1-1.2/c'])
    agent.finish(at(1, 2))
    agent.sync()
    expect(add(at(1, 2), file('d'))).toMatchObject({ ok: false, problem: { status: 409, code: 'attempt_final' } })
    expect(found('*')).toEqual(['J1-1-1.2/c'])
  })

  it('of a job that was tried again are left out, unless they are asked for or the job is named', () => {
    begin()
    add(at(1), file('a'))
    agent.finish(at(1), 'failed')
    agent.sync()
    c.retry(1)
    agent.sync()
    add(at(2), file('a'))
    expect(found('*')).toEqual(['J1-1-2.1/a'])
    expect(found('*', { with_retried: true })).toEqual(['J1-1-1.1/a', 'J1-1-2.1/a'])
    expect(found('*', { step: 'J1-1-1' })).toEqual(['J1-1-1.1/a'])
  })

  it('are of the steps that are asked for, by key or label, all jobs of them', () => {
    begin([commandStep('one', { label: 'The first', parallelism: 2 }), commandStep('two')])
    for (const n of [2, 3, 4]) add(at(n), file('a'))
    expect(found('a', { step: 'one' })).toEqual(['J1-1-2.1/a', 'J1-1-3.1/a'])
    expect(found('a', { step: 'The first' })).toEqual(['J1-1-2.1/a', 'J1-1-3.1/a'])
    expect(found('a', { step: 'J1-1-3' })).toEqual(['J1-1-3.1/a'])
    expect(found('a', { step: 'two' })).toEqual(['J1-1-4.1/a'])
    expect(search('a', { step: 'three' })).toMatchObject({ ok: false, problem: { status: 404, code: 'step-unknown' } })
  })

  it('of another build of the project are found by its number', () => {
    begin()
    add(at(1), file('a'))
    begin()
    expect(found('*', {}, at(1, 1, 2))).toEqual([])
    expect(found('*', { build: 1 }, at(1, 1, 2))).toEqual(['J1-1-1.1/a'])
    expect(search('*', { build: 9 })).toMatchObject({ ok: false, problem: { status: 404, code: 'build-unknown' } })
    expect(search('*', {}, at(9))).toMatchObject({ ok: false, problem: { status: 404, code: 'attempt_unknown' } })
  })

  it('of a job are five thousand, and are listed by pages', () => {
    begin()
    for (let from = 0; from < ARTIFACT_LIMITS.files; from += ARTIFACT_LIMITS.batch) valueOf(add(at(1), ...Array.from({ length: ARTIFACT_LIMITS.batch }, (_, i) => file(String(from + i)))))
    expect(add(at(1), file('one more'))).toMatchObject({ ok: false, problem: { status: 422, code: 'artifacts-full' } })
    expect(add(at(1), file('7', 6)).ok).toBe(true)
    const pages: (readonly string[])[] = []
    for (let after: string | undefined; ; ) {
      const page = valueOf(c.cluster.artifacts('app', 1, { job: 'J1-1-1', after }, ORIGIN))
      pages.push(page.artifacts.map(({ path }) => path))
      if (page.next_cursor === null) break
      after = page.next_cursor
    }
    expect(new Set(pages.flat()).size).toBe(ARTIFACT_LIMITS.files)
    expect(Math.max(...pages.map((page) => page.length))).toBe(ARTIFACT_LIMITS.page)
    expect(search('*', { after: 'J2-1-1.1/a' })).toMatchObject({ ok: false, problem: { status: 400, code: 'cursor-invalid' } })
  })

  it('keep paths of every kind apart', () => {
    begin()
    const hostile = ['__proto__', 'constructor', "'; drop table artifact; --", 'a', 'A', 'a ', 'é', 'e\u0301', '%', '日本', '*', '?']
    for (const path of hostile) add(at(1), file(path))
    expect(new Set(valueOf(search('*')).artifacts.map(({ path }) => path))).toEqual(new Set(hostile))
    for (const path of hostile) expect(valueOf(c.cluster.artifact('app', 1, `J1-1-1.1/${path}`, ORIGIN)).path).toBe(path)
  })
})

it('artifact_paths of a step reach its agent, with the values of its matrix', () => {
  begin([commandStep('one', { artifactPaths: ['{{matrix}}/*', 'log'], matrix: { setup: { '': ['x', 'y'] }, adjustments: [] } })])
  expect([2, 3].map((n) => (JSON.parse(valueOfSpec(at(n))) as { artifact_paths?: unknown }).artifact_paths)).toEqual([['x/*', 'log'], ['y/*', 'log']])
  expect(JSON.parse(valueOfSpec(at(1)))).not.toHaveProperty('artifact_paths')
})

function valueOfSpec(attempt: AttemptId): string {
  const answer = c.cluster.spec(attempt)
  if (!answer.ok) throw new Error(answer.message)
  return answer.value
}
