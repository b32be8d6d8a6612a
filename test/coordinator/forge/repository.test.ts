import { expect, it } from 'vitest'
import { github } from '../../../coordinator/forge/github.ts'
import { bitbucket } from '../../../coordinator/forge/bitbucket.ts'
import { addressOf } from '../../../coordinator/forge/repository.ts'

it.each([
  ['https://github.com/team/app.git', 'github.com', 'team/app'],
  ['https://user:secret@GitHub.com/team/app/', 'github.com', 'team/app'],
  ['http://127.0.0.1:3000/team/app', '127.0.0.1', 'team/app'],
  ['ssh://git@git.example.com:2222/group/sub/app.git', 'git.example.com', 'group/sub/app'],
  ['git@github.com:team/app.git', 'github.com', 'team/app'],
  ['github.com:team/app', 'github.com', 'team/app'],
])('%s is on %s', (url, host, path) => {
  expect(addressOf(url)).toMatchObject({ host, path })
})

it.each(['/srv/git/app.git', './app', 'C:/git/app', 'file:///srv/git/app.git', 'https://github.com/', 'git@github.com:'])('%s is on no forge', (url) => {
  expect(addressOf(url)).toBeNull()
})

it('the clouds have an address of their own for programs', () => {
  const status = { path: 'team/app', sha: 'c0ffee', branch: null, state: 'error', context: 'ci', description: '', url: '' } as const
  expect(github.request({ url: 'https://github.com', kind: 'github', token: 't' }, status).url).toBe('https://api.github.com/repos/team/app/statuses/c0ffee')
  expect(github.request({ url: 'https://git.example.com', kind: 'github', token: 't' }, status).url).toBe('https://git.example.com/api/v3/repos/team/app/statuses/c0ffee')
  expect(bitbucket.request({ url: 'https://bitbucket.org', kind: 'bitbucket', token: 't' }, status).url).toBe('https://api.bitbucket.org/2.0/repositories/team/app/commit/c0ffee/statuses/build')
})
