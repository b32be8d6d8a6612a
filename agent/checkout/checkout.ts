/**
 * Gives a build its commit in a folder: as clean as a fresh clone, and much faster. The usual case, a commit that the
 * mirror has and a tree that is kept, is two calls of git and no network.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobSpec } from '../../schema/sync.ts'
import { git, GitFailed, type GitCall } from './git.ts'
import { boundCache, discard, fetchCommit, isAboutTheCommit, mirrorOf, type Mirror } from './mirror.ts'
import { makeClean, remove, worktreeOf, type Worktree } from './worktree.ts'

/** `code` is the reason shown with the build; only those that begin with `agent_` are the machine's fault [C15.3]. */
export class CheckoutError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CheckoutError'
    this.code = code
  }
}

export interface CheckoutRequest {
  readonly checkout: NonNullable<JobSpec['checkout']>
  readonly slot: number
  readonly project: string
  /** Lines for the build's log. */
  readonly log: (text: string) => void
  readonly signal: AbortSignal
}

export interface CheckoutOptions {
  /** Below it: `mirrors/` and `trees/`. */
  readonly folder: string
  /** The agent's own; git's configuration, SSH keys and proxies come from it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** All mirrors together. */
  readonly cacheBytes?: number
}

const CACHE_BYTES = 20 * 1024 ** 3

export type PrepareCheckout = (request: CheckoutRequest) => Promise<{ readonly folder: string; readonly commit: string }>

export function createCheckout({ folder, environment, cacheBytes = CACHE_BYTES }: CheckoutOptions): PrepareCheckout {
  const cache = join(folder, 'mirrors')
  const inUse = new Map<string, number>()
  return async ({ checkout, slot, log, signal }) => {
    const mirror = mirrorOf(cache, checkout.repository)
    const tree = worktreeOf(join(folder, 'trees'), slot, mirror)
    const call = { environment, signal, credentials: mirror.credentials }
    inUse.set(mirror.folder, (inUse.get(mirror.folder) ?? 0) + 1)
    try {
      if (checkout.fresh) await remove(tree)
      const commit = await bring(tree, mirror, checkout, { environment, signal, log })
      await withSubmodules(tree, call)
      await withLargeFiles(tree, call, log)
      return { folder: tree.folder, commit }
    } catch (error) {
      if (signal.aborted) throw error
      throw explained(error, checkout, mirror)
    } finally {
      const uses = (inUse.get(mirror.folder) ?? 1) - 1
      if (uses === 0) inUse.delete(mirror.folder)
      else inUse.set(mirror.folder, uses)
      void boundCache(cache, cacheBytes, new Set([...inUse.keys(), mirror.folder])).catch(() => undefined) // the next checkout tries again
    }
  }
}

async function bring(tree: Worktree, mirror: Mirror, { commit, branch }: CheckoutRequest['checkout'], call: Pick<CheckoutRequest, 'signal' | 'log'> & Pick<CheckoutOptions, 'environment'>): Promise<string> {
  const clean = (sha: string) => makeClean(tree, mirror, sha, { ...call, credentials: mirror.credentials })
  if (commit !== null && existsSync(mirror.folder)) {
    try {
      await clean(commit)
      return commit
    } catch (error) {
      // The usual reason: the mirror has not got the commit yet. What else it may be shows below.
      if (!(error instanceof GitFailed)) throw error
    }
  }
  for (const isLast of [false, true]) {
    try {
      const fetched = await fetchCommit(mirror, { commit, branch }, call)
      await clean(fetched)
      return fetched
    } catch (error) {
      if (isLast || !(error instanceof GitFailed) || !looksBroken(error)) throw error
      call.log(`the cached copy of ${mirror.url} is broken (${error.message}); making a new one`)
      await discard(mirror)
      await remove(tree)
    }
  }
  throw new Error('not reached')
}

/** Git does not say "corrupt" with one voice. A refusal of the other side is none of these. */
function looksBroken(error: GitFailed): boolean {
  return !isAboutTheCommit(error) && /corrupt|bad object|unable to read|loose object|packfile|missing blob|missing tree|not a git repository|invalid index|index file|bad signature|object file .* is empty|unable to parse|unresolved deltas|bad pack|inflate|Could not parse object|unknown revision|fatal: Failed to resolve/i.test(error.stderr) && !/does not appear to be a git repository/i.test(error.stderr)
}

async function withSubmodules(tree: Worktree, call: Omit<GitCall, 'folder'>): Promise<void> {
  if (!existsSync(join(tree.folder, '.gitmodules'))) return
  await git(['submodule', '--quiet', 'update', '--init', '--recursive', '--force'], { ...call, folder: tree.folder })
}

/** Large files are fetched when the tree uses them; without git-lfs their pointers stay, and the log says so. */
async function withLargeFiles(tree: Worktree, call: Omit<GitCall, 'folder'>, log: (text: string) => void): Promise<void> {
  const attributes = await readFile(join(tree.folder, '.gitattributes'), 'utf8').catch(() => '')
  if (!/filter=lfs/.test(attributes)) return
  const run = (...args: string[]) => git(args, { ...call, folder: tree.folder })
  try {
    await run('lfs', 'version')
  } catch {
    log('this repository uses git-lfs, which is not installed on this machine: its large files are pointers only')
    return
  }
  await run('lfs', 'pull')
}

function explained(error: unknown, { commit, branch, repository }: CheckoutRequest['checkout'], mirror: Mirror): Error {
  const what = `cannot check out ${commit?.slice(0, 7) ?? branch ?? 'the default branch'} of ${mirror.url}`
  const options = { cause: error }
  if (error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EROFS' || error.code === 'EACCES')) {
    return new CheckoutError('agent_disk', `${what}: the agent cannot write to its disk (${error.code}). Free some space there.`, options)
  }
  if (!(error instanceof GitFailed)) return new CheckoutError('checkout_failed', `${what}: ${error instanceof Error ? error.message : String(error)}`, options)
  const said = error.stderr
  if (/No space left on device/i.test(said)) return new CheckoutError('agent_disk', `${what}: the agent's disk is full.`, options)
  if (/ENOENT|spawn git/.test(said)) return new CheckoutError('agent_git_missing', `${what}: git is not installed on the agent's machine.`, options)
  if (isAboutTheCommit(error)) {
    const isPath = repository.startsWith('/')
    if (commit === null) return new CheckoutError('branch_missing', branch === null ? `${what}: the repository has no commit yet. Push one.` : `${what}: there is no such branch. Push it, or name another.`, options)
    return new CheckoutError('commit_missing', `${what}: the commit is not ${isPath ? 'in that repository' : 'on the remote. Push it, or build it from its path'}.`, options)
  }
  if (/could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|Permission denied \(|invalid credentials|HTTP Basic: Access denied|error: 40[13]/i.test(said)) return new CheckoutError('repository_forbidden', `${what}: the server wants credentials, and the agent's are missing or refused. Give the agent's user an SSH key or a git credential for it.`, options)
  if (/Repository not found|does not appear to be a git repository|does not exist|not found/i.test(said)) return new CheckoutError('repository_missing', `${what}: there is no repository there, or the agent may not see it.`, options)
  if (/Could not resolve host|unable to access|Connection (?:refused|timed out|reset)|Operation too slow|Could not read from remote|unable to connect/i.test(said)) return new CheckoutError('repository_unreachable', `${what}: the server cannot be reached from the agent (${error.message}).`, options)
  return new CheckoutError('checkout_failed', `${what}: ${error.message}`, options)
}
