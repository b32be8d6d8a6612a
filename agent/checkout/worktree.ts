/**
 * A work tree that is kept from build to build and before each is exactly what a fresh clone would hold. Git's own
 * folder for it lies beside it, out of the build's way, and is all that is believed: the `.git` inside is laid anew each
 * time, from nothing, so that no hook, setting, ref or flag in the index that a former build left can matter. The kept
 * index is what makes it fast: git reads only files again whose size, times or inode changed.
 */
import { copyFile, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { amend, drifted, makeWritable, removeWhole } from './drift.ts'
import { GitFailed, isNotFetched } from './failure.ts'
import type { Git } from './git.ts'
import { buildsConfig, keptConfig, type SubmoduleEntry } from './git-config.ts'

export interface Worktree {
  /** Where the files are. */
  readonly folder: string
  /** The agent's git folder for it. */
  readonly gitFolder: string
  /** The git folder that the build gets. */
  readonly buildsGitFolder: string
}

export interface Placing {
  readonly mirror: string
  readonly url: string
  readonly commit: string
  readonly git: Git
  readonly find: (folder: string, expression: readonly string[]) => Promise<Buffer>
  readonly hasLargeFiles: boolean
}

export interface Placed {
  readonly commit: string
  /** Files that name attributes, below `folder`. */
  readonly attributes: readonly string[]
  /** Nothing of a former build could be used. */
  readonly isNew: boolean
}

/** The work tree of a slot for the repository called `name`. */
export function worktreeAt(parent: string, name: string): Worktree {
  const folder = join(parent, name)
  return { folder, gitFolder: `${folder}.git`, buildsGitFolder: join(folder, '.git') }
}

/** The work tree of a submodule, which git puts inside its parent's. */
export function submoduleWorktree(parent: Worktree, { name, path }: SubmoduleEntry): Worktree {
  return { folder: join(parent.folder, path), gitFolder: join(parent.gitFolder, 'modules', name), buildsGitFolder: join(parent.buildsGitFolder, 'modules', name) }
}

/** Written last and removed first: the tree is whole, and so it was written. */
const WHOLE = 'kedge-whole'

/** What a tree was written with; where any of it differs, git would not notice that files must be written again. */
interface Whole {
  readonly commit: string
  /** As `ls-files --stage` lists them. */
  readonly attributes: string
  readonly hasLargeFiles: boolean
}

/** Brings the tree to the commit, clean. Throws `GitFailed` when the mirror has not all of it, or something is damaged. */
export async function place(tree: Worktree, { mirror, url, commit, git, find, hasLargeFiles }: Placing): Promise<Placed> {
  const { folder, gitFolder } = tree
  const here = { cwd: folder, gitFolder, tree: folder }
  const kept = await readKept(tree)
  const was = kept?.whole ?? null
  if (kept === null) await removeFiles(tree)
  const config = kept === null ? await layKeptFolder(tree, { mirror, url }) : kept.config
  await Promise.all([mkdir(folder, { recursive: true }), rm(join(gitFolder, WHOLE), { force: true }), copyOrRemove(join(mirror, 'shallow'), join(gitFolder, 'shallow'))])
  const clean = () => git(here, ['clean', '-ffdx', '--quiet'])
  const reset = () => withRights(folder, () => git(here, ['reset', '--hard', '--quiet', commit]))

  // What the last build left goes first, by the index that it could not touch: a folder that became a link must be gone
  // before the reset, which would look through it and find its files unchanged. What git does not see is looked for beside
  // both, as there rarely is any; then the reset is made once more.
  const cleaned = was === null ? Promise.resolve('') : withRights(folder, clean) // started first: the reset waits for it
  const laid = layBuildsFolder(tree, { mirror, commit, config })
  const compared = was === null ? Promise.resolve(false) : sameAttributes(git, here, was.commit, commit)
  const looked = was === null ? Promise.resolve([]) : drifted(folder, find).catch(() => null) // a file went while it looked
  const failure = await together([cleaned, laid]).then(reset).then(() => null, (error: unknown) => error)
  const [hasSameAttributes, found] = await together([compared, looked]) // also before a throw: nothing may run in what is thrown away then
  if (was !== null && isNotFetched(failure)) {
    // Nothing was touched yet: the tree is as it was, for the time when the commit is there.
    await writeFile(join(gitFolder, WHOLE), JSON.stringify(was))
    throw failure
  }
  const offences = found ?? (await withRights(folder, () => drifted(folder, find)))
  if (offences.length > 0) {
    await amend(offences)
    await clean()
    await reset()
  } else if (failure !== null) throw failure
  // A submodule that is no more leaves its folder behind.
  if (was !== null && (await lstat(join(gitFolder, 'modules')).catch(() => null)) !== null) await clean()
  const attributes = was !== null && hasSameAttributes ? was.attributes : await git(here, ['ls-files', '--stage', '-z', '--', ATTRIBUTES])
  if (was !== null && (was.attributes !== attributes || was.hasLargeFiles !== hasLargeFiles)) {
    await rm(join(gitFolder, 'index'), { force: true })
    await reset()
  }
  await copyFile(join(gitFolder, 'index'), join(tree.buildsGitFolder, 'index'))
  await writeFile(join(gitFolder, WHOLE), JSON.stringify({ commit, attributes, hasLargeFiles } satisfies Whole))
  return { commit, attributes: attributes.split('\0').flatMap((line) => line.split('\t')[1] ?? []), isNew: was === null }
}

const ATTRIBUTES = ':(glob)**/.gitattributes'

/** Asked of the commits, so that it need not wait for the index. When one of them is not there, the index is asked. */
async function sameAttributes(git: Git, here: Parameters<Git>[0], was: string, commit: string): Promise<boolean> {
  if (was === commit) return true
  return git(here, ['diff-tree', '-r', '-z', '--name-only', was, commit, '--', ATTRIBUTES]).then((names) => names === '', () => false)
}

/** Null when nothing there can be used. Where the mark is, the last checkout came to its end: all is laid, and no lock is left. */
async function readKept({ folder, gitFolder }: Worktree): Promise<{ readonly whole: Whole; readonly config: string } | null> {
  const texts = Promise.all([WHOLE, 'config'].map((name) => readFile(join(gitFolder, name), 'utf8').catch(() => null)))
  const isFolder = await lstat(folder).then((found) => found.isDirectory(), () => false)
  const [whole = null, config = null] = await texts
  if (!isFolder || whole === null || config === null) return null
  try {
    return { whole: wholeText.parse(JSON.parse(whole)), config }
  } catch {
    return null // torn, as by a power failure
  }
}

const wholeText = z.object({ commit: z.string(), attributes: z.string(), hasLargeFiles: z.boolean() })

/** All of them; when one fails, the others have ended too, so that nothing writes into what is thrown away next. */
async function together<T extends readonly unknown[]>(works: readonly [...{ [K in keyof T]: Promise<T[K]> }]): Promise<readonly [...{ [K in keyof T]: Awaited<T[K]> }]> {
  await Promise.allSettled(works)
  return Promise.all(works)
}

/** Once more after taking back the folders that a build made read-only. */
async function withRights<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof GitFailed) || !/Permission denied/i.test(error.stderr)) throw error
    await makeWritable(folder)
    return await work()
  }
}

/** Throws away the files and what is known of them. Its place stays: for a submodule that is a folder of its parent. */
export async function removeFiles({ folder, gitFolder }: Worktree): Promise<void> {
  await Promise.all([removeWhole(folder), removeWhole(gitFolder)])
}

/** The agent's own git folder. Returns the configuration that its mirror was made with, which fits this file system. */
async function layKeptFolder({ gitFolder }: Worktree, { mirror, url }: { readonly mirror: string; readonly url: string }): Promise<string> {
  await Promise.all([mkdir(join(gitFolder, 'objects', 'info'), { recursive: true }), mkdir(join(gitFolder, 'refs', 'heads'), { recursive: true })])
  const config = keptConfig(await readFile(join(mirror, 'config'), 'utf8'), url)
  await Promise.all([
    writeFile(join(gitFolder, 'HEAD'), 'ref: refs/heads/checkout\n'),
    writeFile(join(gitFolder, 'config'), config),
    writeFile(join(gitFolder, 'objects', 'info', 'alternates'), `${join(mirror, 'objects')}\n`),
  ])
  return config
}

/** The `.git` of the build: its own, borrowing objects; with the branches and tags that are known. */
async function layBuildsFolder({ folder, buildsGitFolder }: Worktree, { mirror, commit, config }: { readonly mirror: string; readonly commit: string; readonly config: string }): Promise<void> {
  const isSubmodule = buildsGitFolder !== join(folder, '.git')
  await removeWhole(join(folder, '.git'))
  await Promise.all(['objects/info', 'refs/heads', 'refs/tags', 'info'].map((name) => mkdir(join(buildsGitFolder, name), { recursive: true })))
  await Promise.all([
    writeFile(join(buildsGitFolder, 'HEAD'), `${commit}\n`),
    writeFile(join(buildsGitFolder, 'config'), buildsConfig(config, isSubmodule ? relative(buildsGitFolder, folder) : null)),
    writeFile(join(buildsGitFolder, 'objects', 'info', 'alternates'), `${join(mirror, 'objects')}\n`),
    writeFile(join(buildsGitFolder, 'packed-refs'), buildsRefs(await readFile(join(mirror, 'packed-refs'), 'utf8').catch(() => ''))),
    copyOrRemove(join(mirror, 'shallow'), join(buildsGitFolder, 'shallow')),
    isSubmodule ? writeFile(join(folder, '.git'), `gitdir: ${relative(folder, buildsGitFolder)}\n`) : null,
  ])
}

/** The mirror's refs but its own marks; a line with "^" belongs to the one before it. */
function buildsRefs(packed: string): string {
  let isKept = true
  return packed
    .split('\n')
    .filter((line) => {
      if (!line.startsWith('^')) isKept = !/^[0-9a-f]+ refs\/kedge\//.test(line)
      return isKept
    })
    .join('\n')
}

async function copyOrRemove(from: string, to: string): Promise<void> {
  const text = await readFile(from, 'utf8').catch(() => null)
  if (text === null) await rm(to, { force: true })
  else await writeFile(to, text)
}
