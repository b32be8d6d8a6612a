import { expect, it } from 'vitest'
import { jobId } from '../../schema/job.ts'
import { jobIdOfUuid, jobUuid } from '../../schema/job-uuid.ts'

const HEX = '0123456789abcdef'.repeat(4)

it.each([{ project: 1, build: 82, n: 3 }, { project: 999_999_999, build: 999_999_999, n: 999_999 }])('a job is found again by its UUID: %j', (key) => {
  const uuid = jobUuid(key, HEX)
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(jobIdOfUuid(uuid)).toBe(jobId(key))
  expect(jobUuid(key, 'f'.repeat(64))).not.toBe(uuid)
})

it('any other text is left as it is', () => {
  for (const text of ['', 'J1-82-3', 'tests', '01234567-89ab-4def-a123-456789abcdef', jobUuid({ project: 1, build: 2, n: 3 }, HEX).toUpperCase()]) expect(jobIdOfUuid(text)).toBe(text)
})
