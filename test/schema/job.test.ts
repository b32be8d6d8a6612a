import { describe, expect, it } from 'vitest'
import { attemptId, jobId, parseAttemptId, parseJobId } from '../../schema/job.ts'
import { branchName, createBuildRequest, createProjectRequest, repositoryUrl } from '../../schema/api.ts'
import { VERSION } from '../../schema/version.ts'
import manifest from '../../package.json' with { type: 'json' }

describe('ids', () => {
  it('spell their keys, and are read back', () => {
    const key = { project: 1, build: 82, n: 3, fence: 7 }
    expect(parseAttemptId(attemptId(key))).toEqual(key)
    expect(parseJobId(jobId(key))).toEqual({ project: 1, build: 82, n: 3 })
  })

  it.each(['', 'J1', 'J0-1-1', 'J1-1-1.0', 'J01-1-1', 'J1-1-1.1 ', 'J1-1-1/../x', 'J1-1-1.1\n'])('refuse %j', (text) => {
    expect(parseAttemptId(text)).toBeNull()
  })
})

describe('what people send', () => {
  it.each(['-x', '--upload-pack=x', 'a..b', 'a b', 'a~1', '/a', 'a/', 'a.lock', 'x@{1}', 'a\u0000'])('a branch is not called %j', (name) => {
    expect(branchName.safeParse(name).success).toBe(false)
  })

  it.each(['main', 'feature/a-b.c', 'v1.2', 'ünï'])('a branch may be called %j', (name) => {
    expect(branchName.safeParse(name).success).toBe(true)
  })

  it.each(['--upload-pack=x', 'ext::sh -c x', 'a\nb', ''])('a repository is not at %j', (url) => {
    expect(repositoryUrl.safeParse(url).success).toBe(false)
  })

  it('an empty, a NUL or an over-long command is refused with the reason', () => {
    const why = (command: string) => createBuildRequest.safeParse({ command }).error?.issues[0]?.message
    expect(why('  ')).toBe('must not be empty')
    expect(why('a\0b')).toBe('must not hold a NUL character')
    expect(why('x'.repeat(1024 * 1024))).toBe('must be at most 256 KiB')
  })

  it.each(['A=B', 'A\0', '', '1A'])('an environment name is not %j', (name) => {
    expect(createBuildRequest.safeParse({ env: { [name]: 'x' } }).success).toBe(false)
  })

  it('a project that checks out needs a repository', () => {
    expect(createProjectRequest.safeParse({ slug: 'a' }).error?.issues[0]?.path).toEqual(['repository'])
    expect(createProjectRequest.safeParse({ slug: 'a', checkout: false }).success).toBe(true)
  })
})

it('the version is the package’s', () => {
  expect(VERSION).toBe(manifest.version)
})
