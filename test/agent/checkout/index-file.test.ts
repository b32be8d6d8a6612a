/** Read from the index by the agent is what git would have said of it. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readIndex } from '../../../agent/checkout/index-file.ts'
import { ownFolder } from '../../support/folder.ts'
import { repositoryAt } from '../../support/repository.ts'

const FILES = {
  '.gitattributes': '* text\n',
  'a': 'a\n',
  'a.gitattributes': 'no attributes\n',
  'deep/er/.gitattributes': '* -text\n',
  'link': { link: 'a' },
  'with space and ü': 'odd\n',
  [`${'long/'.repeat(600)}name`]: 'a path of thousands of bytes\n',
  'run.sh': { program: '#!/bin/sh\n' },
  ...Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`names/${'x'.repeat(at + 1)}`, 'of every length\n'])),
} as const

const ALL = 0
const NONE = 2 ** 32

describe.each([
  ['sha1', 20],
  ['sha256', 32],
] as const)('of an index with ids of %s', (format, idBytes) => {
  async function made() {
    const work = await repositoryAt(join(await ownFolder(), 'work'), `--object-format=${format}`)
    await work.commit(FILES)
    return { work, path: join(work.path, '.git', 'index') }
  }

  it('the attributes are those that git lists', async () => {
    const { work, path } = await made()
    const { attributes } = readIndex(await readFile(path), { idBytes, since: NONE })
    // `git()` trims the end, which is a NUL and stays.
    expect(attributes).toBe(await work.git('ls-files', '--stage', '-z', '--', ':(glob)**/.gitattributes'))
    expect(attributes.split('\0').length).toBe(3)
  })

  it('young are all regular files that changed since, however they are named', async () => {
    const { work, path } = await made()
    const names = (await work.git('ls-files', '-z')).split('\0').filter((name) => name !== '' && name !== 'link')
    expect(readIndex(await readFile(path), { idBytes, since: ALL }).young.map(String)).toEqual(names)
    expect(readIndex(await readFile(path), { idBytes, since: NONE }).young).toEqual([])
    const changedAt = Math.floor((await stat(join(work.path, 'a'))).ctimeMs / 1000)
    expect(readIndex(await readFile(path), { idBytes, since: changedAt }).young.map(String)).toContain('a')
  })

  it('the folders hold what git lists, from the top', async () => {
    const { work, path } = await made()
    const names = (await work.git('-c', 'core.quotePath=false', 'ls-files', '-z')).split('\0').filter((name) => name !== '').map((name) => Buffer.from(name).toString('latin1'))
    const { folders } = readIndex(await readFile(path), { idBytes, since: NONE })
    const below = (folder: string): readonly string[] =>
      (folders?.get(folder) ?? []).flatMap((name) => {
        const inner = folder === '' ? name : `${folder}/${name}`
        return folders?.has(inner) === true ? below(inner) : [inner]
      })
    expect([...below('')].sort()).toEqual([...names].sort())
    expect(folders?.get('deep')).toEqual(['er'])
  })

  it('what a folder with a submodule holds is not said', async () => {
    const { work, path } = await made()
    await work.git('update-index', '--add', '--cacheinfo', `160000,${await work.git('rev-parse', 'HEAD')},lib`)
    expect(readIndex(await readFile(path), { idBytes, since: NONE }).folders).toBe(null)
  })

  it('flags of version 3 change nothing', async () => {
    const { work, path } = await made()
    const before = readIndex(await readFile(path), { idBytes, since: ALL })
    await work.git('update-index', '--skip-worktree', 'a', 'deep/er/.gitattributes')
    const bytes = await readFile(path)
    expect(bytes.readUInt32BE(4)).toBe(3)
    expect(readIndex(bytes, { idBytes, since: ALL })).toEqual(before)
  })
})

it('an index of another version is refused', async () => {
  const work = await repositoryAt(join(await ownFolder(), 'work'))
  await work.commit({ 'a': 'a\n' })
  await work.git('update-index', '--index-version', '4')
  const bytes = await readFile(join(work.path, '.git', 'index'))
  expect(() => readIndex(bytes, { idBytes: 20, since: ALL })).toThrow('version that this agent cannot read (4)')
  expect(() => readIndex(Buffer.alloc(0), { idBytes: 20, since: ALL })).toThrow('cannot read')
})
