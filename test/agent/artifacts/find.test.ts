/** What the paths of an upload find in a real folder. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findFiles, type FindOptions } from '../../../agent/artifacts/find.ts'
import { ownFolder } from '../../support/folder.ts'

async function folderWith(...files: readonly string[]): Promise<string> {
  const folder = join(realpathSync(await ownFolder()), 'work')
  mkdirSync(folder)
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), file)
  }
  return folder
}

function find(folder: string, paths: string | readonly string[], options: Partial<FindOptions> = {}) {
  return findFiles(typeof paths === 'string' ? paths.split(';') : paths, { folder, root: folder, home: folder, as: 'patterns', links: { toFolders: 'left', toFiles: 'found' }, ...options })
}

const pathsOf = (...asked: Parameters<typeof find>) => find(...asked).files.map(({ path }) => path)
const FILES = ['a.log', 'log/b.log', 'log/deep/c.log', 'log/deep/d.txt', '.hidden/e.log', '.f.log', 'hello??.html', 'helloXX.html', 'g,h.txt', '[i].txt']

describe('patterns', () => {
  it.each([
    ['a.log', ['a.log']],
    ['*.log', ['.f.log', 'a.log']],
    ['log/*.log', ['log/b.log']],
    ['log/**', ['log/b.log', 'log/deep/c.log', 'log/deep/d.txt']],
    ['log/**/*', ['log/b.log', 'log/deep/c.log', 'log/deep/d.txt']],
    ['**/*.log', ['.f.log', '.hidden/e.log', 'a.log', 'log/b.log', 'log/deep/c.log']],
    ['./log/*.log', ['log/b.log']],
    ['log//b.log', ['log/b.log']],
    ['{a,log/b}.log', ['a.log', 'log/b.log']],
    ['{log/deep/c.log,log/deep/d.txt}', ['log/deep/c.log', 'log/deep/d.txt']],
    ['log/*/*.{log,txt}', ['log/deep/c.log', 'log/deep/d.txt']],
    ['?.log', ['a.log']],
    ['[ab].log', ['a.log']],
    ['[^b].log', ['a.log']],
    ['hello\\?\\?.html', ['hello??.html']],
    ['hello??.html', ['hello??.html', 'helloXX.html']],
    ['\\[i\\].txt', ['[i].txt']],
    ['~/log/*.log', ['log/b.log']],
    [' a.log ; log/*.log;', ['a.log', 'log/b.log']],
    ['a.log;*.log;a.log', ['.f.log', 'a.log']],
    ['nothing/**/*', []],
    ['nothing', []],
    ['a.log/**/*', []],
    ['{../other,a}.log', ['a.log']],
  ])('%j find %j', async (pattern, found) => {
    expect(pathsOf(await folderWith(...FILES), pattern)).toEqual(found)
  })

  it('are plain paths where that is asked for', async () => {
    const folder = await folderWith(...FILES, '*.log')
    expect(pathsOf(folder, ['*.log'], { as: 'literal' })).toEqual(['*.log'])
    expect(pathsOf(folder, ['hello??.html'], { as: 'literal' })).toEqual(['hello??.html'])
  })

  it('that are absolute find what lies elsewhere, stored without the slash; what lies here is stored as from here', async () => {
    const [folder, other] = [await folderWith('a.log'), await folderWith('x/b.log')]
    expect(pathsOf(folder, `${other}/**/*.log;${folder}/*.log`)).toEqual(['a.log', `${other.slice(1)}/x/b.log`])
    expect(pathsOf(folder, `${other}/x/b.log`)).toEqual([`${other.slice(1)}/x/b.log`])
  })

  it('that name a folder say how its files are named', async () => {
    expect(find(await folderWith('log/a'), 'log/')).toEqual({ files: [], notes: [expect.stringContaining('"log/**/*" means its files')] })
  })

  it('leave pipes alone, and say so', async () => {
    const folder = await folderWith('a')
    execFileSync('mkfifo', [join(folder, 'pipe')])
    const { files, notes } = find(folder, '*')
    expect(files.map(({ path }) => path)).toEqual(['a'])
    expect(notes).toEqual([expect.stringContaining('is no file that can be read to its end')])
  })
})

describe('what leads out of the folder is refused', () => {
  it.each(['../other', '../*', 'log/../../other', './../x'])('by "..": %s', async (pattern) => {
    expect(() => find('/nowhere/at/all', pattern)).toThrow(/".." leads out of/)
  })

  it('by a link to a file', async () => {
    const [folder, secret] = [await folderWith('log/a'), await folderWith('id_rsa')]
    symlinkSync(join(secret, 'id_rsa'), join(folder, 'log/notes.txt'))
    for (const pattern of ['log/*', 'log/notes.txt', '**/*']) expect(() => find(folder, pattern)).toThrow(`it is a link to ${secret}/id_rsa, outside of ${folder}`)
    expect(pathsOf(folder, 'log/*', { links: { toFolders: 'left', toFiles: 'left' } })).toEqual(['log/a'])
  })

  it('by a link to a folder, where those are entered', async () => {
    const [folder, secret] = [await folderWith('a'), await folderWith('id_rsa')]
    symlinkSync(secret, join(folder, 'docs'))
    expect(pathsOf(folder, '**/*')).toEqual(['a'])
    expect(() => find(folder, '**/*', { links: { toFolders: 'entered', toFiles: 'found' } })).toThrow(`docs/id_rsa: it is a link to ${secret}/id_rsa`)
    expect(() => find(folder, 'docs/*')).toThrow('outside of')
    expect(() => find(folder, 'docs/id_rsa')).toThrow('outside of')
  })

  it.each(['a\nb', 'a\u001b[2Jb', 'a\u202Ebc'])('by the name %j', async (name) => {
    const folder = await folderWith(name)
    expect(() => find(folder, '*')).toThrow('control characters')
    expect(() => find(folder, [name], { as: 'literal' })).toThrow('control characters')
  })
})

describe('links that stay within', () => {
  it('to each other end where one has been', async () => {
    const folder = await folderWith('one/a', 'two/b')
    symlinkSync('../two', join(folder, 'one/to'))
    symlinkSync('../one', join(folder, 'two/to'))
    expect(pathsOf(folder, 'one/**/*', { links: { toFolders: 'entered', toFiles: 'found' } })).toEqual(['one/a', 'one/to/b', 'one/to/to/a'])
  })

  it('to files are followed, and links to folders where that is asked for, also in a circle', async () => {
    const folder = await folderWith('real/a')
    symlinkSync('real/a', join(folder, 'b'))
    symlinkSync('real', join(folder, 'linked'))
    symlinkSync('..', join(folder, 'real/up'))
    symlinkSync('nothing', join(folder, 'broken'))
    symlinkSync('itself', join(folder, 'itself'))
    expect(pathsOf(folder, '**/*')).toEqual(['b', 'real/a'])
    expect(find(folder, '*').notes).toEqual([expect.stringContaining('itself (ELOOP)')])
    expect(pathsOf(folder, '**/*', { links: { toFolders: 'entered', toFiles: 'found' } })).toEqual(['b', 'linked/a', 'real/a'])
  })

  it('may lead to anywhere in the checkout, from a folder in it', async () => {
    const folder = await folderWith('top', 'sub/a')
    symlinkSync('../top', join(folder, 'sub/b'))
    expect(pathsOf(join(folder, 'sub'), '*', { root: folder })).toEqual(['a', 'b'])
  })
})
