/** What the address of a repository says, and that its credentials go nowhere they do not belong. */
import { expect, it } from 'vitest'
import { readSource, readSubmoduleSource } from '../../../agent/checkout/source.ts'

it.each([
  ['https://ada:s%40crt@host:8443/team/app.git', 'https://host:8443/team/app.git', { origin: 'https://host:8443', username: 'ada', password: 's@crt' }],
  ['https://token@host/app', 'https://host/app', { origin: 'https://host', username: 'token', password: '' }],
  ['https://host/app@2', 'https://host/app@2', null],
  ['ssh://git:secret@host:22/app', 'ssh://git@host:22/app', null],
  ['git@host:team/app', 'git@host:team/app', null],
  ['/srv/app', '/srv/app', null],
  ['file:///srv/app', 'file:///srv/app', null],
])('of %s the address is %s', (repository, url, credentials) => {
  expect(readSource(repository)).toMatchObject({ url, credentials })
})

it('a mirror is named for its address, whoever asks for it', () => {
  expect(readSource('https://a:b@host/team/app.git').name).toBe(readSource('https://host/team/app.git').name)
  expect(readSource('https://host/team/app.git').name).toMatch(/^app-[0-9a-f]{12}$/)
  expect(readSource('https://host/team/app').name).not.toBe(readSource('https://host/other/app').name)
  expect(readSource('/').name).toMatch(/^repository-[0-9a-f]{12}$/)
})

it('credentials given beside an address go before those in it', () => {
  expect(readSource('https://a:b@host/app', { username: 'x', password: 'y' }).credentials).toEqual({ origin: 'https://host', username: 'x', password: 'y' })
})

it.each([
  ['https://host/team/app.git', '../lib.git', 'https://host/team/lib.git'],
  ['https://host/team/app.git', '../../other/lib', 'https://host/other/lib'],
  ['https://host/team/app/', './lib', 'https://host/team/app/lib'],
  ['git@host:team/app', '../lib', 'git@host:team/lib'],
  ['git@host:app', '../lib', 'git@host:lib'],
  ['/srv/app', '../lib', '/srv/lib'],
  ['/srv/app', '/other/lib', '/other/lib'],
  ['https://host/app', 'https://elsewhere/lib', 'https://elsewhere/lib'],
])('a submodule of %s at %s is at %s', (parent, address, url) => {
  expect(readSubmoduleSource(address, readSource(parent)).url).toBe(url)
})

it('a submodule gets its parent\'s credentials only within their origin', () => {
  const parent = readSource('https://ada:secret@host/app')
  expect(readSubmoduleSource('../lib', parent).credentials).toEqual(parent.credentials)
  expect(readSubmoduleSource('https://host/lib', parent).credentials).toEqual(parent.credentials)
  for (const foreign of ['https://host.evil/lib', 'https://host:444/lib', 'http://host/lib', 'https://elsewhere/host/lib']) expect(readSubmoduleSource(foreign, parent).credentials).toBeNull()
})
