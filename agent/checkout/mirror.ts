/**
 * One bare mirror per repository, kept warm in the agent's cache, from which every work tree borrows its objects. It is
 * fetched with the least that gives the commit. What one would get wrong: nothing may ever be pruned from it, as a work
 * tree may hold what no ref reaches any more; it only goes as a whole, when it is damaged or the cache is full.
 */
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { branchMissing, commitMissing, GitFailed, isAbsent, isOtherObjectFormat, isRefConflict, isRefusedById, notGit, type Wanted } from './failure.ts'
import type { Git, GitPlace } from './git.ts'
import { isSha256 } from './git-config.ts'
import { readersOf } from './readers.ts'
import type { Source } from './source.ts'
import { inTurn, type Machine, type Turn } from './turn.ts'

export interface Mirror {
  readonly folder: string
  /** It is there, and its server has let these credentials read before: what it holds may be used without asking anybody. */
  isOpen(): Promise<boolean>
  /** Fetches unless it has the commit; then it still asks whether these credentials may have it. */
  fetchCommit(commit: string): Promise<void>
  /** Asks the remote where the wanted branch is now (null: its HEAD), and fetches that. */
  fetchTip(): Promise<string>
  /** Looks through all that its refs reach; slow, so only asked when something went wrong. */
  isDamaged(): Promise<boolean>
  discard(): Promise<void>
  /** Notes that it was used, for `boundCache`. */
  stamp(): Promise<void>
}

export interface MirrorOptions {
  readonly cache: string
  readonly source: Source
  readonly wanted: Wanted
  readonly git: Git
  readonly machine: Machine
  readonly signal: AbortSignal
  readonly log: (text: string) => void
}

/** Its modification time says when a mirror was used last. */
export const STAMP = 'kedge-used'

const BRANCHES = '+refs/heads/*:refs/remotes/origin/*'
const TAGS = '+refs/tags/*:refs/tags/*'

/** More packs than this slow every command down; they are put together then. */
const PACKS = 40

export function openMirror({ cache, source, wanted, git, machine, signal, log }: MirrorOptions): Mirror {
  const folder = join(cache, source.name)
  const here = { cwd: folder, gitFolder: folder }
  const readers = readersOf(folder, source)
  // A repository on this machine gives any commit that it holds, also one that no branch reaches, whoever owns it.
  const uploadPack = source.isLocal ? ['--upload-pack=git -c safe.directory=* -c uploadpack.allowAnySHA1InWant=true upload-pack'] : []
  const isHttp = /^https?:/i.test(source.url)
  const turn: Turn = { signal, waiting: (pid) => log(`waiting for process ${pid}, which fetches ${source.url}`) }
  const exists = () => Promise.all(['HEAD', 'config'].map((name) => access(join(folder, name)))).then(() => true, () => false)
  const has = (commit: string) => succeeds(git(here, ['cat-file', '-e', `${commit}^{commit}`]))
  const resolved = async (name: string) => (await git(here, ['rev-parse', '--verify', '--quiet', `${name}^{commit}`])).trim()

  async function make(format: ObjectFormat): Promise<void> {
    const fresh = `${folder}.new`
    await rm(fresh, { recursive: true, force: true })
    await mkdir(cache, { recursive: true })
    await git({ cwd: cache }, ['-c', 'init.defaultRefFormat=files', 'init', '--quiet', '--bare', '--template=', `--object-format=${format}`, fresh])
    await rm(folder, { recursive: true, force: true })
    await rename(fresh, folder)
  }

  async function fetch(...refspecs: readonly string[]): Promise<void> {
    const command = ['fetch', '--progress', '--force', '--update-shallow', '--no-recurse-submodules', ...uploadPack, '--', source.url, ...refspecs]
    try {
      await git(here, command)
    } catch (error) {
      if (isOtherObjectFormat(error)) await make((await formatOf(folder)) === 'sha1' ? 'sha256' : 'sha1')
      else if (isRefConflict(error)) await fetchAll()
      else throw error
      await git(here, command)
    }
  }

  /** Every branch and tag as the remote has them now; what it has no more goes from our refs, never from our objects. */
  async function fetchAll(): Promise<void> {
    await git(here, ['fetch', '--prune', '--progress', '--force', '--update-shallow', '--no-recurse-submodules', ...uploadPack, '--', source.url, BRANCHES, TAGS])
  }

  /** Fetches what is there of it; false when the remote has no such thing. */
  async function isFetched(...refspecs: readonly string[]): Promise<boolean> {
    try {
      await fetch(...refspecs)
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      throw error
    }
  }

  /** Packed, so that a work tree gets its branches and tags by one copied file. */
  async function tidy(): Promise<void> {
    await git(here, ['pack-refs', '--all'])
    const packs = (await readdir(join(folder, 'objects', 'pack')).catch(() => [])).filter((name) => name.endsWith('.pack'))
    if (packs.length > PACKS) await git(here, ['repack', '--geometric=2', '-d', '-q', '--no-write-bitmap-index'])
  }

  /** Whether it was made just now, and is empty. */
  async function prepare(format: ObjectFormat): Promise<boolean> {
    const isNew = !(await exists())
    if (isNew) {
      if (await access(folder).then(() => true, () => false)) log(`the cached mirror of ${source.url} is damaged and made anew (it is not whole)`)
      await make(format)
    }
    // Left by a fetch that was killed; it is our turn, so nobody holds them.
    const left = [...(await filesBelow(folder, 'refs')), ...['packed-refs', 'shallow', 'config', 'HEAD'].map((name) => `${name}.lock`), ...(await filesBelow(folder, 'objects/pack'))]
    await Promise.all(left.filter((name) => /\.lock$|\/tmp_[^/]+$/.test(name)).map((name) => rm(join(folder, name), { force: true })))
    return isNew
  }

  const fetchCommit = (commit: string) =>
    inTurn(folder, machine, turn, async () => {
      const isNew = await prepare(commit.length === 64 ? 'sha256' : 'sha1')
      if (await has(commit)) {
        if (!(await readers.has())) await askWhetherReadable() // else another slot fetched it meanwhile
        return await readers.add()
      }
      log(`fetching ${commit.slice(0, 7)} from ${source.url}`)
      let isRefused = false
      try {
        // At most 256 of these refs: they tell the next fetch what is here already, no more.
        // The first fetch is a clone's: scripts compare with origin/main and find it, maybe not of today.
        await fetch(`+${commit}:refs/kedge/${commit.slice(0, 2)}`, ...(isNew ? [BRANCHES] : []))
      } catch (error) {
        if (!isAbsent(error)) throw error
        isRefused = isRefusedById(error)
      }
      const { branch } = wanted
      if (!(await has(commit)) && branch !== null) for (const refspec of refspecsOf(branch)) if (await isFetched(refspec)) break
      if (!(await has(commit))) {
        log(`${commit.slice(0, 7)} is not given by its id${branch === null ? '' : ` or by ${branch}`}; fetching all branches and tags`)
        if (isHttp) await listed([], 'HEAD') // else what answers in a server's place would empty our refs
        await fetchAll()
      }
      await tidy()
      if (!(await has(commit))) throw commitMissing(wanted, { isRefused })
      await readers.add() // the commit came by a fetch that the server allowed
    })

  async function askWhetherReadable(): Promise<void> {
    log(`asking ${source.url} whether this build may read it`)
    await listed([], 'HEAD')
  }

  /** What the remote lists; of a web page git would say that it is a repository which has nothing. */
  async function listed(options: readonly string[], ...names: readonly string[]): Promise<string> {
    const list = async (place: GitPlace) => await git(place, ['ls-remote', ...options, ...uploadPack, '--', source.url, ...names])
    const first = await list(here)
    if (first !== '' || !isHttp) return first
    const packets = join(folder, 'kedge-packets')
    await writeFile(packets, '')
    try {
      const again = await list({ ...here, packets })
      if (again === '' && (await readFile(packets)).byteLength === 0) throw notGit(wanted) // a git server without a commit sends packets too
      return again
    } finally {
      await rm(packets, { force: true })
    }
  }

  const fetchTip = () =>
    inTurn(folder, machine, turn, async () => {
      const isNew = await prepare('sha1')
      const { branch } = wanted
      log(`fetching ${branch ?? 'the default branch'} from ${source.url}`)
      for (const refspec of branch === null ? ['+HEAD:refs/remotes/origin/HEAD'] : refspecsOf(branch)) {
        if (!(await isFetched(refspec))) continue
        const tip = await resolved('FETCH_HEAD')
        if (isNew) await fetch(BRANCHES)
        await tidy()
        await readers.add()
        return tip
      }
      throw branchMissing(wanted, await remoteHead())
    })

  /** What the remote has instead, for the sentence that says so. */
  async function remoteHead(): Promise<{ readonly isEmpty: boolean; readonly head: string | null }> {
    const lines = (await listed(['--symref'])).split('\n').filter((line) => line !== '')
    const head = lines.map((line) => /^ref: refs\/heads\/(\S+)\tHEAD$/.exec(line)?.[1]).find((name) => name !== undefined)
    return { isEmpty: lines.every((line) => line.startsWith('ref: ')), head: head ?? null }
  }

  return {
    folder,
    isOpen: async () => (await Promise.all([exists(), readers.has()])).every((holds) => holds),
    fetchCommit,
    fetchTip,
    isDamaged: async () => !(await exists()) || !(await succeeds(git(here, ['fsck', '--connectivity-only', '--no-dangling', '--no-progress']))),
    discard: () =>
      inTurn(folder, machine, turn, async () => {
        const aside = `${folder}.damaged`
        await rm(aside, { recursive: true, force: true })
        await rename(folder, aside).catch(() => undefined) // was not there
        await rm(aside, { recursive: true, force: true })
      }),
    stamp: () => writeFile(join(folder, STAMP), ''),
  }
}

type ObjectFormat = 'sha1' | 'sha256'

async function formatOf(folder: string): Promise<ObjectFormat> {
  return isSha256(await readFile(join(folder, 'config'), 'utf8')) ? 'sha256' : 'sha1'
}

/** A person's "branch" may be a tag, or a whole ref such as `refs/pull/7/head`. */
function refspecsOf(branch: string): readonly string[] {
  if (!branch.startsWith('refs/')) return [`+refs/heads/${branch}:refs/remotes/origin/${branch}`, `+refs/tags/${branch}:refs/tags/${branch}`]
  return [`+${branch}:refs/kedge/ref-${createHash('sha256').update(branch).digest('hex').slice(0, 2)}`]
}

async function filesBelow(folder: string, below: string): Promise<readonly string[]> {
  return (await readdir(join(folder, below), { recursive: true }).catch(() => [])).map((name) => join(below, name))
}

async function succeeds(running: Promise<unknown>): Promise<boolean> {
  try {
    await running
    return true
  } catch (error) {
    if (error instanceof GitFailed && error.why === 'status') return false
    throw error
  }
}

/** Tells a mirror in the cache from what lies beside it: locks, the askpass program. */
export function isMirrorName(name: string): boolean {
  return /-[0-9a-f]{12}$/.test(name)
}
