/** What was added to folders is found, however it was hidden, and where that cannot be told nothing is said. */
import { chmod, lstat, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addedTo, stampFolders, type FolderStamp } from '../../../agent/checkout/folder-stamps.ts'
import { ownFolder } from '../../support/folder.ts'

const HELD = new Map([
  ['', ['file', 'src']],
  ['src', ['a', 'deep']],
  ['src/deep', ['b']],
])
/** Of the file system's clock: all folders are older, all are younger. */
const LATER = 2n ** 62n
const BEFORE = 0n

async function madeTree() {
  const tree = await ownFolder()
  await mkdir(join(tree, 'src', 'deep'), { recursive: true })
  for (const name of ['file', 'src/a', 'src/deep/b']) await writeFile(join(tree, name), name)
  return tree
}

/** Once the clock of folders has ticked, so that whatever changes them gives them another time. */
async function tick(tree: string): Promise<bigint> {
  const probe = await ownFolder()
  const changedAt = async (folder: string) => (await lstat(folder, { bigint: true })).ctimeNs
  const latest = (await Promise.all([...HELD.keys()].map((path) => changedAt(join(tree, path))))).reduce((a, b) => (a > b ? a : b))
  for (;;) {
    // Leaves: the probe got a later time.
    await writeFile(join(probe, 'x'), '')
    await rm(join(probe, 'x'))
    const now = await changedAt(probe)
    if (now > latest) return now
  }
}

const added = async (tree: string, stamps: readonly FolderStamp[] | null) => (await addedTo(tree, stamps ?? [], () => Promise.resolve(HELD)))?.map((path) => path.toString().slice(tree.length + 1)) ?? null

/** Each with what it adds; null where only a look through all can say. */
const CHANGES: readonly (readonly [string, readonly string[] | null, (tree: string) => Promise<unknown>])[] = [
  ['a new file', ['src/new'], (tree) => writeFile(join(tree, 'src', 'new'), '')],
  ['a new file, and the times of its folder set back', ['src/new'], async (tree) => {
    const { atime, mtime } = await lstat(join(tree, 'src'))
    await writeFile(join(tree, 'src', 'new'), '')
    await utimes(join(tree, 'src'), atime, mtime)
  }],
  ['a file exchanged for another name', ['src/deep/c'], (tree) => rename(join(tree, 'src', 'deep', 'b'), join(tree, 'src', 'deep', 'c'))],
  ['new folders, a repository and a link', ['link', 'new', 'src/.git'], async (tree) => {
    await mkdir(join(tree, 'new', 'below'), { recursive: true })
    await mkdir(join(tree, 'src', '.git'))
    await symlink('src', join(tree, 'link'))
  }],
  ['a file gone', [], (tree) => rm(join(tree, 'src', 'a'))],
  ['a folder gone', null, (tree) => rm(join(tree, 'src', 'deep'), { recursive: true })],
  ['a folder with other rights', null, (tree) => chmod(join(tree, 'src', 'deep'), 0o700)],
  ['a folder made anew with the same names', null, async (tree) => {
    await rename(join(tree, 'src', 'deep'), join(tree, 'aside'))
    await mkdir(join(tree, 'src', 'deep'))
    await writeFile(join(tree, 'src', 'deep', 'b'), '')
    await rm(join(tree, 'aside'), { recursive: true })
  }],
  ['a link in place of a folder, to what the folder held', null, async (tree) => {
    await rename(join(tree, 'src'), `${tree}-aside`)
    await symlink(`${tree}-aside`, join(tree, 'src'))
  }],
  ['more than is worth to be moved', null, async (tree) => {
    for (let at = 0; at <= 200; at += 1) await writeFile(join(tree, `new-${at}`), '')
  }],
]

describe.each([
  ['young', () => Promise.resolve(BEFORE)],
  ['old, but for the top', tick],
] as const)('folders that are %s', (_, sinceOf) => {
  async function stamped() {
    const tree = await madeTree()
    const since = await sinceOf(tree)
    await mkdir(join(tree, '.git')) // as each checkout lays it
    const stamps = stampFolders(tree, HELD, since)
    expect(stamps?.map(({ path }) => path)).toEqual([...HELD.keys()])
    return { tree, stamps }
  }

  it('have nothing added when nothing was done to them, and when .git or the contents of files changed', async () => {
    const { tree, stamps } = await stamped()
    expect(await added(tree, stamps)).toEqual([])
    await rm(join(tree, '.git'), { recursive: true })
    await writeFile(join(tree, 'src', 'a'), 'changed')
    expect(await added(tree, stamps)).toEqual([])
  })

  it.each(CHANGES)('tell of %s', async (_what, expected, change) => {
    const { tree, stamps } = await stamped()
    await change(tree)
    const found = await added(tree, stamps)
    expect(found === null ? null : [...found].sort()).toEqual(expected)
  })
})

it('what was added to a young folder before it was stamped is found', async () => {
  const tree = await madeTree()
  await writeFile(join(tree, 'src', 'new'), '')
  expect(await added(tree, stampFolders(tree, HELD, BEFORE))).toEqual(['src/new'])
})

it('nothing is said when it is not known what an old folder is to hold', async () => {
  const tree = await madeTree()
  const stamps = stampFolders(tree, HELD, await tick(tree).then(async (since) => (await mkdir(join(tree, '.git')), since))) ?? []
  await writeFile(join(tree, 'src', 'new'), '')
  expect(await addedTo(tree, stamps, () => Promise.resolve(null))).toBe(null)
  expect(await addedTo(tree, stamps, () => Promise.reject(new Error('damaged')))).toBe(null)
})

it('names that are no text are compared byte by byte', async () => {
  const tree = await ownFolder()
  const path = (byte: number) => Buffer.concat([Buffer.from(`${tree}/f`), Buffer.from([byte, 0xc3, 0xbc])])
  await writeFile(path(0xff), '')
  const stamps = stampFolders(tree, new Map([['', [Buffer.from([0x66, 0xff, 0xc3, 0xbc]).toString('latin1')]]]), BEFORE) ?? []
  expect(await addedTo(tree, stamps, () => Promise.resolve(null))).toEqual([])
  await rename(path(0xff), path(0xfe))
  expect(await addedTo(tree, stamps, () => Promise.resolve(null))).toEqual([path(0xfe)])
})

it('no stamps are given where the file system does not note that .git was laid in the top folder', async () => {
  expect(stampFolders(await madeTree(), HELD, LATER)).toBe(null)
})

it('no stamps are given to more young folders than are worth to be read', async () => {
  const tree = await ownFolder()
  const names = Array.from({ length: 200 }, (_, at) => `folder-${at}`)
  for (const name of names) await mkdir(join(tree, name))
  expect(stampFolders(tree, new Map<string, readonly string[]>([['', names], ...names.map((name) => [name, []] as const)]), BEFORE)).toBe(null)
})
