/** The ids that become keys of rows, names of folders and of objects. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { attemptId, jobId, parseAttemptId, parseJobId } from '../../schema/job.ts'
import { damaged } from './hostile.ts'
import { runs } from './seed.ts'

const key = fc.record({ project: fc.integer({ min: 1, max: 999_999_999 }), build: fc.integer({ min: 1, max: 999_999_999 }), n: fc.integer({ min: 1, max: 999_999 }), fence: fc.integer({ min: 1, max: 999_999 }) })

it('every key is read back from the id that spells it', () => {
  fc.assert(
    fc.property(key, ({ fence, ...job }) => {
      expect(parseAttemptId(attemptId({ ...job, fence }))).toEqual({ ...job, fence })
      expect(parseJobId(jobId(job))).toEqual(job)
    }),
  )
})

it('a text is an id only if it is spelled as the key that it names, so that no two texts name one', () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), key.map(attemptId).chain((id) => fc.oneof(fc.constant<string>(id), damaged(id))), key.map(jobId).chain((id) => fc.oneof(fc.constant<string>(id), damaged(id))))
  fc.assert(
    fc.property(text, (id) => {
      const [attempt, job] = [parseAttemptId(id), parseJobId(id)]
      if (attempt !== null) expect(attemptId(attempt)).toBe(id)
      if (job !== null) expect(jobId(job)).toBe(id)
    }),
    runs(1000),
  )
})
