/** Annotations under any order of calls: what is kept is what a simple model keeps, and whatever is refused changes nothing. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ANNOTATION_LIMITS } from '../../schema/annotations.ts'
import { ANNOTATION_STYLES, annotate, removeAnnotation } from '../../schema/job-calls.ts'
import { attemptId } from '../../schema/job.ts'
import { TestCluster } from '../support/cluster.ts'
import { runs } from './seed.ts'

const place = { context: fc.constantFrom('a', 'b', '__proto__', ' ', 'c'.repeat(101), '\0'), scope: fc.constantFrom('build', 'job', 'all') }
const body = fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('', 'x', '\ud800', 'y'.repeat(ANNOTATION_LIMITS.bodyBytes - 1)))
const call = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), key: fc.constantFrom('1', '2', '3'), asked: fc.record({ ...place, body, append: fc.boolean(), style: fc.constantFrom(...ANNOTATION_STYLES, 'bold'), priority: fc.integer({ min: 0, max: 11 }) }, { requiredKeys: [] }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), asked: fc.record(place, { requiredKeys: [] }) }) },
)

it('annotations are as a simple model keeps them', () => {
  fc.assert(
    fc.property(fc.array(call, { maxLength: 20 }), (calls) => {
      const c = new TestCluster()
      c.project()
      const agent = c.agent('a')
      agent.join()
      c.build()
      agent.sync()
      agent.sync()
      const attempt = attemptId({ project: 1, build: 1, n: 1, fence: 1 })
      const model = new Map<string, { body: string; style: string; priority: number }>()
      const keys = new Map<string, string>()
      for (const one of calls) {
        if (one.kind === 'remove') {
          const asked = removeAnnotation.safeParse(one.asked)
          if (!asked.success) continue
          const name = `${asked.data.scope} ${asked.data.context}`
          expect(c.removeAnnotation(attempt, asked.data)).toEqual({ ok: true, value: model.delete(name) })
          continue
        }
        const parsed = annotate.safeParse(one.asked)
        if (!parsed.success) continue
        const asked = parsed.data
        const name = `${asked.scope} ${asked.context}`
        const before = model.get(name)
        const rows = c.sql.rowsWritten()
        const answer = c.annotate(attempt, asked, { key: one.key })
        if (!answer.ok) {
          expect(c.sql.rowsWritten()).toBe(rows)
          expect(answer.problem.detail).toMatch(/\w.*\.$/)
          continue
        }
        const digest = JSON.stringify(asked)
        if (asked.append && keys.has(one.key)) {
          expect(keys.get(one.key)).toBe(digest)
          continue
        }
        if (asked.append) keys.set(one.key, digest)
        model.set(name, {
          body: asked.body === undefined ? (before?.body ?? '') : asked.append ? `${before?.body ?? ''}${asked.body}` : asked.body,
          style: asked.style ?? before?.style ?? 'default',
          priority: asked.priority ?? before?.priority ?? 3,
        })
      }
      expect(new Map(c.annotations(1).map(({ job, context, body: text, style, priority }) => [`${job === null ? 'build' : 'job'} ${context}`, { body: text, style, priority }]))).toEqual(model)
    }),
    runs(150),
  )
})
