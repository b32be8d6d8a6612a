/** Folders are told to hold what they held only when they surely do. */
import { chmod, lstat, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { areUntouched, stampFolders } from '../../../agent/checkout/folder-stamps.ts'
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

const CHANGES: Readonly<Record<string, (tree: string) => Promise<unknown>>> = {
  'a new file': (tree) => writeFile(join(tree, 'src', 'new'), ''),
  'a new file, and the times of its folder set back': async (tree) => {
    const { atime, mtime } = await lstat(join(tree, 'src'))
    await writeFile(join(tree, 'src', 'new'), '')
    await utimes(join(tree, 'src'), atime, mtime)
  },
  'a file exchanged for another name': (tree) => rename(join(tree, 'src', 'deep', 'b'), join(tree, 'src', 'deep', 'c')),
  'a file gone': (tree) => rm(join(tree, 'src', 'a')),
  'a folder gone': (tree) => rm(join(tree, 'src', 'deep'), { recursive: true }),
  'a folder with other rights': (tree) => chmod(join(tree, 'src', 'deep'), 0o700),
  'a repository inside': (tree) => mkdir(join(tree, 'src', '.git')),
  'a folder made anew with the same names': async (tree) => {
    await rename(join(tree, 'src', 'deep'), join(tree, 'aside'))
    await mkdir(join(tree, 'src', 'deep'))
    await writeFile(join(tree, 'src', 'deep', 'b'), '')
    await rm(join(tree, 'aside'), { recursive: true })
  },
  'a link in place of a folder, to what the folder held': async (tree) => {
    await rename(join(tree, 'src'), `${tree}-aside`)
    await symlink(`${tree}-aside`, join(tree, 'src'))
  },
}

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
    return { tree, stamps: stamps ?? [] }
  }

  it('are untouched when nothing was done to them, and when .git or the contents of files changed', async () => {
    const { tree, stamps } = await stamped()
    expect(areUntouched(tree, stamps)).toBe(true)
    await rm(join(tree, '.git'), { recursive: true })
    await writeFile(join(tree, 'src', 'a'), 'changed')
    expect(areUntouched(tree, stamps)).toBe(true)
  })

  it.each(Object.entries(CHANGES))('are not after %s', async (_what, change) => {
    const { tree, stamps } = await stamped()
    await change(tree)
    expect(areUntouched(tree, stamps)).toBe(false)
  })
})

it('a young folder that already holds more than it should is not untouched', async () => {
  const tree = await madeTree()
  await writeFile(join(tree, 'src', 'new'), '')
  expect(areUntouched(tree, stampFolders(tree, HELD, BEFORE) ?? [])).toBe(false)
})

it('names that are no text are compared byte by byte', async () => {
  const tree = await ownFolder()
  const name = Buffer.from([0x66, 0xff, 0xc3, 0xbc])
  await writeFile(Buffer.concat([Buffer.from(`${tree}/`), name]), '')
  const stamps = stampFolders(tree, new Map([['', [name.toString('latin1')]]]), BEFORE) ?? []
  expect(areUntouched(tree, stamps)).toBe(true)
  await rename(Buffer.concat([Buffer.from(`${tree}/`), name]), Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0x66, 0xfe, 0xc3, 0xbc])]))
  expect(areUntouched(tree, stamps)).toBe(false)
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
