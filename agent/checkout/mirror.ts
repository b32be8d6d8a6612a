/**
 * One bare mirror per repository, kept warm, from which every work tree borrows its objects. It is fetched with the
 * least that gives the commit, one fetch at a time, and thrown away when git says that it is broken.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ASKPASS, git, GitFailed, splitCredentials, type Credentials, type GitCall } from './git.ts'

export interface Wanted {
  readonly commit: string | null
  readonly branch: string | null
}

export interface Mirror {
  /** Where the bare repository lies. */
  readonly folder: string
  /** Without credentials. */
  readonly url: string
  readonly credentials: Credentials | null
}

export interface MirrorCall extends Omit<GitCall, 'folder' | 'credentials'> {
  readonly log: (text: string) => void
}

/** Fetches of one mirror, one after the other. */
const queues = new Map<string, Promise<unknown>>()

export function mirrorOf(cache: string, repository: string): Mirror {
  const { url, username, password } = splitCredentials(repository)
  const name = url.replace(/[/\\]+$/, '').split(/[/\\:]/).at(-1)?.replace(/\.git$/, '').replace(/[^\w.-]/g, '').slice(0, 40) || 'repository'
  const folder = join(cache, `${name}-${createHash('sha256').update(url).digest('hex').slice(0, 12)}.git`)
  return { folder, url, credentials: password === null ? null : { username, password, askpass: join(cache, 'askpass') } }
}

/** The commit that is wanted, fetched; throws a `GitFailed` with what git said. */
export async function fetchCommit(mirror: Mirror, wanted: Wanted, call: MirrorCall): Promise<string> {
  const turn = (queues.get(mirror.folder) ?? Promise.resolve()).then(() => fetchNow(mirror, wanted, call))
  queues.set(mirror.folder, turn.catch(() => undefined))
  return turn
}

async function fetchNow(mirror: Mirror, wanted: Wanted, call: MirrorCall): Promise<string> {
  await prepare(mirror, call)
  const run = (...args: string[]) => git(args, { ...call, folder: mirror.folder, credentials: mirror.credentials })
  if (wanted.commit !== null && (await has(run, wanted.commit))) return wanted.commit // another slot fetched it meanwhile
  const fetch = (refspec: string) => run('fetch', '--quiet', '--force', ...uploadPack(mirror.url), mirror.url, refspec)
  const resolve = async (ref: string) => (await run('rev-parse', '--verify', `${ref}^{commit}`)).trim()
  await utimes(mirror.folder, new Date(), new Date())
  if (wanted.commit === null) {
    const from = wanted.branch === null ? 'HEAD' : `refs/heads/${wanted.branch}`
    const to = wanted.branch === null ? 'refs/kedge/HEAD' : `refs/kedge/heads/${wanted.branch}`
    call.log(`fetching ${wanted.branch ?? 'the default branch'} of ${mirror.url}`)
    await fetch(`+${from}:${to}`)
    const commit = await resolve(to)
    await run('update-ref', `refs/kedge/commits/${commit}`, commit)
    return commit
  }
  const { commit } = wanted
  call.log(`fetching ${commit.slice(0, 7)} of ${mirror.url}`)
  // The commit alone first; a server that only gives what its branches hold is then asked for the branch, then for all.
  const attempts = [`+${commit}:refs/kedge/commits/${commit}`, ...(wanted.branch === null ? [] : [`+refs/heads/${wanted.branch}:refs/kedge/heads/${wanted.branch}`]), '+refs/*:refs/kedge/all/*']
  let first: unknown = null
  for (const refspec of attempts) {
    try {
      await fetch(refspec)
    } catch (error) {
      if (!(error instanceof GitFailed) || !isAboutTheCommit(error)) throw error
      first ??= error
      continue
    }
    if (await has(run, commit)) {
      await run('update-ref', `refs/kedge/commits/${commit}`, commit)
      return commit
    }
  }
  throw first ?? new GitFailed(['fetch'], `not our ref ${commit}`, null)
}

/** A repository on this machine gives any commit it holds, also one that no branch reaches. */
function uploadPack(url: string): readonly string[] {
  return url.startsWith('/') || url.startsWith('file://') ? ['--upload-pack=git -c uploadpack.allowAnySHA1InWant=true -c safe.directory=* upload-pack'] : []
}

export function isAboutTheCommit({ stderr }: GitFailed): boolean {
  return /not our ref|couldn't find remote ref|unadvertised object|no such remote ref|did not send all necessary objects|upload-pack: not our|Server does not allow request/i.test(stderr)
}

async function has(run: (...args: string[]) => Promise<string>, commit: string): Promise<boolean> {
  return run('cat-file', '-e', `${commit}^{commit}`).then(
    () => true,
    (error: unknown) => {
      if (error instanceof GitFailed) return false
      throw error
    },
  )
}

async function prepare(mirror: Mirror, call: MirrorCall): Promise<void> {
  const cache = join(mirror.folder, '..')
  if (mirror.credentials && !existsSync(mirror.credentials.askpass)) {
    await mkdir(cache, { recursive: true })
    await writeFile(mirror.credentials.askpass, ASKPASS, { mode: 0o700 })
  }
  if (existsSync(join(mirror.folder, 'HEAD'))) return
  await rm(mirror.folder, { recursive: true, force: true })
  await mkdir(cache, { recursive: true })
  await git(['init', '--quiet', '--bare', mirror.folder], { ...call, folder: cache })
}

/** Throws the mirror away; the next fetch makes a new one. */
export async function discard(mirror: Mirror): Promise<void> {
  const turn = (queues.get(mirror.folder) ?? Promise.resolve()).then(() => rm(mirror.folder, { recursive: true, force: true }))
  queues.set(mirror.folder, turn.catch(() => undefined))
  await turn
}

/** Removes the least recently used mirrors until the rest fit; those of `inUse` stay. Returns what was removed. */
export async function boundCache(cache: string, limitBytes: number, inUse: ReadonlySet<string>): Promise<readonly string[]> {
  const names = (await readdir(cache).catch(() => [])).filter((name) => name.endsWith('.git'))
  const mirrors = await Promise.all(names.map(async (name) => ({ folder: join(cache, name), usedAt: (await stat(join(cache, name))).mtimeMs, bytes: await sizeOf(join(cache, name)) })))
  let total = mirrors.reduce((sum, { bytes }) => sum + bytes, 0)
  const removed: string[] = []
  for (const { folder, bytes } of mirrors.sort((a, b) => a.usedAt - b.usedAt)) {
    if (total <= limitBytes) break
    if (inUse.has(folder)) continue
    await rm(folder, { recursive: true, force: true })
    removed.push(folder)
    total -= bytes
  }
  return removed
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => ({ size: 0 }))).size
  }
  return bytes
}
