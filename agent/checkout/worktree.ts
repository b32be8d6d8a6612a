/**
 * A work tree that is kept from build to build, and before each is exactly what a fresh clone would hold. It borrows its
 * objects from the mirror. Nothing of `.git` is trusted after a build had it: hooks, configuration, refs and even the
 * index (flags in it could hide changed files) are laid anew; the index comes from a copy that no build can reach, so
 * that git need not read files again that did not change.
 */
import { existsSync } from 'node:fs'
import { copyFile, lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { git, type GitCall } from './git.ts'
import type { Mirror } from './mirror.ts'

export interface Worktree {
  readonly folder: string
  /** Copy of the index as `makeClean` left it. */
  readonly index: string
}

export function worktreeOf(root: string, slot: number, mirror: Mirror): Worktree {
  const name = mirror.folder.split('/').at(-1)?.replace(/\.git$/, '') ?? 'repository'
  return { folder: join(root, `slot-${slot}`, name), index: join(root, `slot-${slot}`, `${name}.index`) }
}

export async function remove({ folder, index }: Worktree): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await rm(index, { force: true })
}

/** Brings the tree to the commit, clean. Fails when the mirror has not all of its objects. */
export async function makeClean(tree: Worktree, mirror: Mirror, commit: string, call: Omit<GitCall, 'folder'>): Promise<void> {
  await layGitFolder(tree, mirror, commit)
  const run = (...args: string[]) => git(args, { ...call, folder: tree.folder })
  await run('reset', '--hard', '--quiet', commit)
  await run('clean', '-ffdx', '--quiet')
  await copyFile(join(tree.folder, '.git', 'index'), tree.index)
}

async function layGitFolder({ folder, index }: Worktree, mirror: Mirror, commit: string): Promise<void> {
  const dotGit = join(folder, '.git')
  const isFolder = await lstat(dotGit).then((found) => found.isDirectory(), () => false)
  if (!isFolder) await rm(dotGit, { recursive: true, force: true })
  else await Promise.all((await readdir(dotGit)).map((name) => rm(join(dotGit, name), { recursive: true, force: true })))
  await mkdir(join(dotGit, 'objects', 'info'), { recursive: true })
  await mkdir(join(dotGit, 'refs', 'heads'), { recursive: true })
  await Promise.all([
    writeFile(join(dotGit, 'objects', 'info', 'alternates'), `${join(mirror.folder, 'objects')}\n`),
    writeFile(join(dotGit, 'config'), `[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n[remote "origin"]\n\turl = ${quoted(mirror.url)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`),
    writeFile(join(dotGit, 'HEAD'), `${commit}\n`),
    existsSync(index) ? copyFile(index, join(dotGit, 'index')) : Promise.resolve(),
  ])
}

function quoted(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&')}"`
}
