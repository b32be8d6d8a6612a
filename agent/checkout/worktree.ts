/**
 * A work tree that is kept from build to build and before each is exactly what a fresh clone would hold. Git's own
 * folder for it lies beside it, out of the build's way, and is all that is believed: the `.git` inside is laid anew each
 * time, from nothing, so that no hook, setting, ref or flag in the index that a former build left can matter. The kept
 * index is what makes it fast: git reads only files again whose size, times or inode changed, and only folders that
 * changed are looked into for what to clean away.
 */
import { lstat, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { moveAside } from './aside.ts'
import { amend, driftedFiles, driftExpression, makeWritable, offencesFrom, removeWhole, type Offence } from './drift.ts'
import { GitFailed, isNotFetched } from './failure.ts'
import { addedTo, folderStamp, stampFolders } from './folder-stamps.ts'
import type { Git, GitPlace, Shell } from './git.ts'
import { buildsConfig, isSha256, keptConfig, type SubmoduleEntry } from './git-config.ts'
import { readIndex, type IndexSummary } from './index-file.ts'

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
  readonly shell: Shell
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

/** What a tree was written with; where `attributes` or `hasLargeFiles` differ, git would not notice that files must be written again. */
const wholeText = z.object({
  /** As `ls-files --stage -z` lists them. */
  attributes: z.string(),
  hasLargeFiles: z.boolean(),
  /** Whose permissions must be looked at, as git would not notice a change (`index-file.ts`); `latin1`, one character a byte. Null: all. */
  young: z.array(z.string()).nullable(),
  /** By which can be told that there is nothing to clean away (`folder-stamps.ts`). Null: git has to look. */
  folders: z.array(folderStamp).readonly().nullable(),
  /** The index that they go with: what the tree holds is a leftover to another. */
  index: z.string(),
})
type Whole = z.infer<typeof wholeText>

/** With more young files than that, `find` looks at all. */
const MOST_YOUNG = 200

/** Brings the tree to the commit, clean. Throws `GitFailed` when the mirror has not all of it, or something is damaged. */
export async function place(tree: Worktree, { mirror, url, commit, git, shell, find, hasLargeFiles }: Placing): Promise<Placed> {
  const { folder, gitFolder } = tree
  const here = { cwd: folder, gitFolder, tree: folder }
  const kept = await takeKept(tree)
  const was = kept?.whole ?? null
  if (kept === null) await removeFiles(tree)
  const config = kept === null ? await layKeptFolder(tree, { mirror, url, commit }) : kept.config
  await copyOrRemove(join(mirror, 'shallow'), join(gitFolder, 'shallow'))
  const clean = () => git(here, ['clean', '-ffdx', '--quiet'])
  const reset = () => withRights(folder, () => git(here, checkoutOf(commit)))
  const look = async () => offencesFrom(folder, await find(folder, driftExpression({ withFiles: true })))

  const placing = was === null ? reset().then(() => NONE) : placeSwiftly(tree, { git, shell, here, commit, kept: { whole: was, config } })
  const laying = layBuildsFolder(tree, { mirror, commit, config })
  const looking = lstat(join(gitFolder, 'modules')).then(() => was !== null, () => false)
  try {
    // When the swift way fails, for whatever reason, each step is taken by itself, and what it stumbles over put right.
    let [offences] = await together([placing, laying])
    if (offences === null) {
      const failure = await withRights(folder, clean).then(reset).then(() => null, (error: unknown) => error)
      if (isNotFetched(failure)) throw failure
      offences = await withRights(folder, look)
      if (offences.length === 0 && failure !== null) throw failure
    }
    if (offences.length > 0) {
      await amend(offences)
      await clean()
      await reset()
    }
  } catch (error) {
    // Nothing was touched yet: the tree is as it was, for the time when the commit is there.
    if (was !== null && isNotFetched(error)) await writeFile(join(gitFolder, WHOLE), JSON.stringify(was))
    throw error
  }
  // A submodule that is no more leaves its folder behind.
  if (await looking) await clean()
  let index = await readKeptIndex(tree, config)
  if (was !== null && (was.attributes !== index.attributes || was.hasLargeFiles !== hasLargeFiles)) {
    await rm(indexOf(tree), { force: true })
    await reset()
    index = await readKeptIndex(tree, config)
  }
  const { attributes } = index
  const young = index.young.length > MOST_YOUNG ? null : index.young.map((name) => name.toString('latin1'))
  const folders = index.folders === null ? null : stampFolders(folder, index.folders, kept?.takenAt ?? 0n)
  await writeFile(join(tree.buildsGitFolder, 'index'), index.bytes)
  await writeFile(join(gitFolder, WHOLE), JSON.stringify({ attributes, hasLargeFiles, young, folders, index: index.identity } satisfies Whole))
  return { commit, attributes: attributes.split('\0').flatMap((line) => line.split('\t')[1] ?? []), isNew: was === null }
}

const NONE: readonly Offence[] = []

const checkoutOf = (commit: string) => ['checkout', '--quiet', '--force', '--detach', commit, '--']

/**
 * What the last build left goes first, by the index that it could not touch: a folder that became a link must be gone
 * before git compares files, as it would look through the link and find them unchanged. `checkout` and not `reset`: the
 * same to the tree, but it looks at many files at once. What git does not see is looked for beside it, as there rarely
 * is any. One shell starts all three, as starting a program costs this large process more than it costs git to clean.
 * It is there until `clean` has ended, also when both are told to end, and then becomes the second git.
 */
const SWIFT = `
trap 'exit 143' TERM
commit=$1
shift
git clean -ffdx --quiet || exit
{ find "$@" 2>/dev/null && printf looked; } &
exec git checkout --quiet --force --detach "$commit" --
`

/** Null when any of it failed, or `find` could not look everywhere. The commit not being there is thrown. */
async function placeSwiftly(tree: Worktree, { git, shell, here, commit, kept }: Pick<Placing, 'git' | 'shell' | 'commit'> & { readonly here: GitPlace & { readonly cwd: string }; readonly kept: Pick<Kept, 'whole' | 'config'> }): Promise<readonly Offence[] | null> {
  const { young } = kept.whole
  const isTidy = young !== null && (await isTidied(tree, kept))
  const looking = young === null ? Promise.resolve(NONE) : driftedFiles(here.cwd, young.map((name) => Buffer.from(name, 'latin1')))
  try {
    if (isTidy) return (await together([git(here, checkoutOf(commit)), looking]))[1]
    const [output, files] = await together([shell(here, SWIFT, [commit, ...driftExpression({ withFiles: young === null })]), looking])
    const end = output.lastIndexOf(0) + 1 // what comes after the last name is the shell's
    return output.toString('latin1', end) === 'looked' ? [...offencesFrom(here.cwd, output.subarray(0, end)), ...files] : null
  } catch (error) {
    if (!(error instanceof GitFailed) || error.why === 'stalled' || isNotFetched(error)) throw error
    return null
  }
}

/** Whether only files can still be other than the index says, as the folders' stamps tell what was added. */
async function isTidied(tree: Worktree, { whole: { folders, index }, config }: Pick<Kept, 'whole' | 'config'>): Promise<boolean> {
  if (folders === null || index !== (await indexStamp(tree).catch(() => null))?.identity) return false
  const added = await addedTo(tree.folder, folders, async () => (await readKeptIndex(tree, config)).folders)
  return added !== null && (await moveAside(tree.gitFolder, added))
}

/** The index that git just wrote. */
async function readKeptIndex(tree: Worktree, config: string): Promise<IndexSummary & { readonly bytes: Buffer; readonly identity: string }> {
  const [bytes, { identity, writtenAt }] = await Promise.all([readFile(indexOf(tree)), indexStamp(tree)])
  return { bytes, identity, ...readIndex(bytes, { idBytes: isSha256(config) ? 32 : 20, since: writtenAt }) }
}

/** `writtenAt` in whole seconds. */
async function indexStamp(tree: Worktree): Promise<{ readonly identity: string; readonly writtenAt: number }> {
  const { ino, size, ctimeNs, mtimeMs } = await stat(indexOf(tree), { bigint: true })
  return { identity: `${ino} ${size} ${ctimeNs}`, writtenAt: Math.floor(Number(mtimeMs) / 1000) }
}

const indexOf = ({ gitFolder }: Worktree) => join(gitFolder, 'index')

interface Kept {
  readonly whole: Whole
  readonly config: string
  /** By the file system's clock; nothing had been looked at then. */
  readonly takenAt: bigint
}

/** Null when nothing there can be used. Where the mark was, the last checkout came to its end: all is laid, and no lock is left. It is gone now. */
async function takeKept({ folder, gitFolder }: Worktree): Promise<Kept | null> {
  const read = (name: string) => readFile(join(gitFolder, name), 'utf8').catch(() => null)
  const taken = read(WHOLE).then(async (text) => {
    if (text === null) return null
    await rm(join(gitFolder, WHOLE))
    return { text, at: (await lstat(gitFolder, { bigint: true })).mtimeNs }
  })
  const [whole, config, isFolder] = await Promise.all([taken, read('config'), lstat(folder).then((found) => found.isDirectory(), () => false)])
  if (!isFolder || whole === null || config === null) return null
  try {
    return { whole: wholeText.parse(JSON.parse(whole.text)), config, takenAt: whole.at }
  } catch {
    return null // torn, as by a power failure
  }
}

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
async function layKeptFolder({ folder, gitFolder }: Worktree, { mirror, url, commit }: { readonly mirror: string; readonly url: string; readonly commit: string }): Promise<string> {
  await Promise.all([folder, join(gitFolder, 'objects', 'info'), join(gitFolder, 'refs')].map((path) => mkdir(path, { recursive: true })))
  const config = keptConfig(await readFile(join(mirror, 'config'), 'utf8'), url)
  await Promise.all([
    writeFile(join(gitFolder, 'HEAD'), `${commit}\n`),
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
