/**
 * Gives a build its commit in a folder: as clean as a fresh clone, and much faster. The usual case, a commit that the
 * mirror has and a tree that is kept, is one or two short commands of git and no network; everything else begins when that
 * fails. What one would get wrong is to ask first and act then: the act itself says what is missing.
 */
import { appendFile, lstat, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobSpec } from '../../schema/sync.ts'
import { boundCache } from './cache.ts'
import { CheckoutError, explained, GitFailed, isDamage, isFinal, isNotFetched, sentenceFor, type Wanted } from './failure.ts'
import { gitFor, hasLfs, run, writeAskpass, type EndGroup, type Git, type GitOptions } from './git.ts'
import { submoduleConfig, submodulesOf } from './git-config.ts'
import { openMirror, type Mirror } from './mirror.ts'
import { readSource, readSubmoduleSource, type Source } from './source.ts'
import type { Machine } from './turn.ts'
import { place, removeFiles, submoduleWorktree, worktreeAt, type Placed, type Worktree } from './worktree.ts'

export { CheckoutError } from './failure.ts'

export interface CheckoutRequest {
  readonly checkout: NonNullable<JobSpec['checkout']>
  /** One build at a time in each. */
  readonly slot: number
  readonly project: string
  /** Lines for the build's log. */
  readonly log: (text: string) => void
  readonly signal: AbortSignal
  /** Beside those that the URL may hold. */
  readonly credentials?: { readonly username: string; readonly password: string }
}

export interface CheckoutOptions {
  readonly folders: { readonly cache: string; readonly worktrees: string }
  /** The agent's own; git's configuration, SSH keys and proxies come from it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly machine: Machine
  /** Of mirrors and work trees together; what is in use stays even above it. */
  readonly cacheBytes?: number
  /** A fetch that says nothing for so long is ended. */
  readonly stallMs?: number
  readonly endGroup: EndGroup
}

export type PrepareCheckout = (request: CheckoutRequest) => Promise<{ readonly folder: string; readonly commit: string }>

const CACHE_BYTES = 50 * 1024 ** 3
/** Git prints its progress, but may think about a very large repository for a while. */
const STALL_MS = 5 * 60_000

/** The mirrors that each slot used last, by the slot's folder: their builds may still run. */
const lastUsed = new Map<string, ReadonlySet<string>>()

export function createCheckout({ folders, environment, machine, cacheBytes = CACHE_BYTES, stallMs = STALL_MS, endGroup }: CheckoutOptions): PrepareCheckout {
  let askpass: Promise<string> | null = null
  let bounding: Promise<unknown> | null = null

  /** Off the build's way; what goes wrong there goes wrong again, or not, after the next checkout. */
  function bound(): void {
    const isInUse = (name: string) => [...lastUsed.values()].some((names) => names.has(name))
    bounding ??= boundCache({ cache: folders.cache, worktrees: folders.worktrees, limitBytes: cacheBytes, isInUse, machine, signal: new AbortController().signal })
      .catch(() => undefined)
      .finally(() => (bounding = null))
  }

  return async ({ checkout, slot, log, signal, credentials }) => {
    const source = readSource(checkout.repository, credentials ?? null)
    const wanted: Wanted = { commit: checkout.commit, branch: checkout.branch, url: source.url, isLocal: source.isLocal, where: '' }
    const slotFolder = join(folders.worktrees, String(slot))
    const used = new Set<string>()
    lastUsed.set(slotFolder, used)
    try {
      askpass ??= writeAskpass(folders.cache, Buffer.from(machine.chance.bytes(8)).toString('hex')).catch((error: unknown) => {
        askpass = null // the next checkout tries again
        throw error
      })
      const [canFetchLargeFiles] = await Promise.all([checkout.lfs === false ? false : hasLfs(environment), mkdir(slotFolder, { recursive: true })])
      if (checkout.lfs === true && !canFetchLargeFiles) throw new CheckoutError('large_files_missing', sentenceFor(wanted, 'its step asks for "lfs: true", and git-lfs is not on the PATH of this agent. Install it there, or let the step run where it is by a tag.'))
      const options: GitOptions = { environment, clock: machine.clock, signal, stallMs, askpass: await askpass, endGroup }
      const site: Site = { cache: folders.cache, options, machine, log, hasLargeFiles: canFetchLargeFiles, wantsPointers: checkout.lfs === false, withSubmodules: checkout.submodules !== false, used, isNew: false }
      const tree = worktreeAt(slotFolder, source.name)
      const commit = await bring(site, { source, wanted, tree, isFresh: checkout.fresh })
      if (site.isNew) bound()
      return { folder: tree.folder, commit }
    } catch (error) {
      throw explained(error, wanted)
    }
  }
}

/** What one checkout works with, its submodules included. */
interface Site {
  readonly cache: string
  readonly options: GitOptions
  readonly machine: Machine
  readonly log: (text: string) => void
  readonly hasLargeFiles: boolean
  /** Nobody need be told that large files are pointers only. */
  readonly wantsPointers: boolean
  readonly withSubmodules: boolean
  readonly used: Set<string>
  /** Something was fetched or laid anew, so the cache may have grown. */
  isNew: boolean
}

interface Target {
  readonly source: Source
  readonly wanted: Wanted
  readonly tree: Worktree
  readonly isFresh: boolean
}

async function bring(site: Site, target: Target): Promise<string> {
  const { source, wanted, tree } = target
  const { log, machine, options, hasLargeFiles } = site
  const { signal, environment } = options
  const { git, shell } = gitFor({ ...options, source, hasLargeFiles, largeFiles: join(site.cache, source.name, 'lfs') })
  const mirror = openMirror({ cache: site.cache, source, wanted, git, machine, signal, log })
  const find = (folder: string, expression: readonly string[]) => run('find', expression, { ...options, cwd: folder, environment: { PATH: environment['PATH'] ?? '', LC_ALL: 'C' } })
  site.used.add(source.name)
  // What an earlier build has of submodules is its own to git, which would leave it.
  if (target.isFresh || (!site.withSubmodules && (await isThere(join(tree.gitFolder, 'modules'))))) await removeFiles(tree)
  const placed = await placeWithRepair(mirror, {
    ...target,
    log,
    fetch: async () => {
      site.isNew = true
      if (wanted.commit === null) return mirror.fetchTip()
      await mirror.fetchCommit(wanted.commit)
      return wanted.commit
    },
    place: (commit) => place(tree, { mirror: mirror.folder, url: source.url, commit, git, shell, find, hasLargeFiles }),
  })
  if (placed.isNew) site.isNew = true
  const [isPointersOnly] = await Promise.all([!hasLargeFiles && !site.wantsPointers && usesLargeFiles(tree, placed), mirror.stamp()])
  if (isPointersOnly) log('this repository keeps large files with git-lfs, which is not installed on this agent: they are pointers only')
  await withSubmodules(site, target, { placed, git })
  return placed.commit
}

interface Steps extends Target {
  readonly log: (text: string) => void
  readonly fetch: () => Promise<string>
  readonly place: (commit: string) => Promise<Placed>
}

/** Places the commit, fetching it when it is not there, or not for these credentials; what turns out to be damaged is thrown away and made again, once. */
async function placeWithRepair(mirror: Mirror, { source, wanted, tree, log, fetch, place }: Steps): Promise<Placed> {
  let commit = wanted.commit !== null && (await mirror.isOpen()) ? wanted.commit : null
  let thrownAway: 'nothing' | 'work tree' | 'mirror' = 'nothing'
  let hasFetched = false
  for (;;) {
    // Leaves: it is placed, or another try would end the same. Each further round fetched, or threw one more thing away.
    let isPlacing = false
    try {
      if (commit === null) {
        commit = await fetch()
        hasFetched = true
      }
      isPlacing = true
      return await place(commit)
    } catch (error) {
      // Also for a tree that was just made anew: it may have been damaged and its commit not be here yet.
      if (isPlacing && !hasFetched && isNotFetched(error)) {
        commit = null
        continue
      }
      if (!(error instanceof GitFailed) || isFinal(error) || thrownAway === 'mirror') throw error
      if (isPlacing && thrownAway === 'nothing') {
        log(`the kept work tree is damaged and made anew (${error.message})`)
        thrownAway = 'work tree'
      } else if (isDamage(error) || (await mirror.isDamaged())) {
        log(`the cached mirror of ${source.url} is damaged and made anew (${error.message})`)
        await mirror.discard()
        thrownAway = 'mirror'
        commit = null
      } else throw error
      await removeFiles(tree)
    }
  }
}

async function usesLargeFiles({ folder }: Worktree, { attributes }: Placed): Promise<boolean> {
  for (const name of attributes) if (/\bfilter=lfs\b/.test(await readFile(join(folder, name), 'utf8').catch(() => ''))) return true
  return false
}

/** Each submodule is a checkout of its own: its own mirror, which all slots share, and its own kept tree. */
async function withSubmodules(site: Site, { source, wanted, tree, isFresh }: Target, { placed, git }: { readonly placed: Placed; readonly git: Git }): Promise<void> {
  if (!site.withSubmodules) return
  if (!(await isThere(join(tree.folder, '.gitmodules')))) return
  const entries = (await submodulesOf(git, { cwd: tree.folder, gitFolder: tree.gitFolder }, placed.commit)).map((entry) => ({ ...entry, source: readSubmoduleSource(entry.address, source) }))
  for (const entry of entries) {
    const child: Target = {
      source: entry.source,
      wanted: { commit: entry.commit, branch: null, url: entry.source.url, isLocal: entry.source.isLocal, where: `, submodule ${entry.path} of ${wanted.url}` },
      tree: submoduleWorktree(tree, entry),
      isFresh,
    }
    try {
      // Else whoever may push could read what is on the agent's disk.
      if (entry.source.isLocal && !source.isLocal) throw new CheckoutError('repository_refused', sentenceFor(child.wanted, 'its address is a path of the agent\'s machine. Give it a URL.'))
      await refuseLinks(tree.folder, entry.path)
      await bring(site, child)
    } catch (error) {
      throw explained(error, child.wanted)
    }
  }
  await appendFile(join(tree.buildsGitFolder, 'config'), submoduleConfig(entries.map(({ name, source: { url } }) => ({ name, url }))))
}

/** A submodule is laid where the tree has a folder for it, and never through a link to somewhere else. */
async function refuseLinks(top: string, path: string): Promise<void> {
  let folder = top
  for (const step of path.split('/')) {
    folder = join(folder, step)
    if (!(await lstat(folder)).isDirectory()) throw new Error(`${path} leads out of the work tree`)
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
