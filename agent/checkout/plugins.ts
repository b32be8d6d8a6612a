/**
 * The folders of a step's plugins: in the checkout (`./path`), or fetched by git and kept for all slots. What a tag or a
 * commit names is fetched once, ever; a branch moves, so it is asked for at each job, and each of its commits has a
 * folder of its own, because jobs that began before may still run from the last one. Folders appear by one rename.
 */
import { createHash } from 'node:crypto'
import { access, mkdir, rename, rm, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { branchMissing, CheckoutError, explained, isAbsent, type Wanted } from './failure.ts'
import { gitFor, writeAskpass, type EndGroup, type Git } from './git.ts'
import { readSource } from './source.ts'
import { inTurn, type Machine } from './turn.ts'

export interface PluginsRequest {
  /** In full, as in the spec. */
  readonly sources: readonly string[]
  /** Null: the job has none. */
  readonly checkout: string | null
  readonly log: (text: string) => void
  readonly signal: AbortSignal
}

export interface PluginsOptions {
  /** Where fetched ones are kept. */
  readonly folder: string
  /** The agent's own; git's configuration, SSH keys and proxies come from it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly machine: Machine
  readonly endGroup: EndGroup
}

/** A folder for each source, in their order. Throws a `CheckoutError`. */
export type PreparePlugins = (request: PluginsRequest) => Promise<readonly string[]>

const STALL_MS = 2 * 60_000
/** Hosts whose repositories have two names; what follows is a folder in the repository. */
const TWO_NAMES = /^((?:github\.com|gitlab\.com|bitbucket\.org)\/[^/]+\/[^/]+)(?:\/(.*))?$/

export function createPlugins({ folder, environment, machine, endGroup }: PluginsOptions): PreparePlugins {
  return async ({ sources, checkout, log, signal }) => {
    const found: string[] = []
    for (const source of sources) found.push(/^\.\.?\//.test(source) ? await vendored(source, checkout) : await fetched(source, { log, signal }))
    return found
  }

  async function fetched(source: string, { log, signal }: Pick<PluginsRequest, 'log' | 'signal'>): Promise<string> {
    const { address, ref, below } = pluginAddress(source)
    const from = readSource(address)
    const shown = `${from.url}${below === '' ? '' : `/${below}`}${ref === null ? '' : `#${ref}`}` // without credentials
    const wanted: Wanted = { commit: null, branch: ref, url: from.url, isLocal: from.isLocal, where: ', a plugin of this step' }
    const kept = join(folder, `${from.name}-${createHash('sha256').update(ref ?? '').digest('hex').slice(0, 12)}`)
    try {
      if (await isThere(kept)) return await inRepository(kept, below, shown)
      await mkdir(folder, { recursive: true })
      return await inTurn(kept, machine, { signal }, async () => {
        if (await isThere(kept)) return await inRepository(kept, below, shown) // another slot was first
        log(`fetching the plugin ${shown}`)
        const fresh = `${kept}.new`
        await rm(fresh, { recursive: true, force: true }) // of a fetch that was killed; it is our turn
        await mkdir(fresh)
        try {
          const askpass = await writeAskpass(folder, Buffer.from(machine.chance.bytes(8)).toString('hex'))
          const { git } = gitFor({ source: from, hasLargeFiles: false, largeFiles: join(folder, 'large-files'), environment, clock: machine.clock, signal, stallMs: STALL_MS, askpass, endGroup })
          const { commit, moves } = await fetchInto(fresh, from.url, { ref, wanted, git })
          const place = moves ? `${kept}-${commit}` : kept
          if (!(await isThere(place))) await rename(fresh, place)
          return await inRepository(place, below, shown)
        } finally {
          await rm(fresh, { recursive: true, force: true })
        }
      })
    } catch (error) {
      throw explained(error, wanted)
    }
  }
}

async function fetchInto(tree: string, url: string, { ref, wanted, git }: { readonly ref: string | null; readonly wanted: Wanted; readonly git: Git }): Promise<{ readonly commit: string; readonly moves: boolean }> {
  const here = { cwd: tree, gitFolder: join(tree, '.git'), tree }
  await git({ cwd: tree }, ['init', '--quiet', '--template=', tree])
  const checkOut = async (name: string, moves: boolean) => {
    await git(here, ['checkout', '--quiet', '--detach', '--force', name])
    return { commit: (await git(here, ['rev-parse', 'HEAD'])).trim(), moves }
  }
  const isCommit = ref !== null && /^[0-9a-f]{7,64}$/.test(ref)
  const tries = ref === null ? ['HEAD'] : [`refs/tags/${ref}`, `refs/heads/${ref}`, ...(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(ref) ? [ref] : [])]
  for (const name of tries) {
    try {
      await git(here, ['fetch', '--quiet', '--depth=1', '--no-tags', '--', url, name])
    } catch (error) {
      if (isAbsent(error)) continue
      throw error
    }
    return await checkOut('FETCH_HEAD', name === 'HEAD' || name.startsWith('refs/heads/'))
  }
  if (!isCommit) throw branchMissing(wanted, { isEmpty: false, head: null })
  // A short id, or a server that gives nothing out by id.
  await git(here, ['fetch', '--quiet', '--', url, '+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'])
  return await checkOut(ref, false)
}

/** Where git finds a plugin: its repository, what comes after `#`, and the folder in the repository. */
export function pluginAddress(source: string): { readonly address: string; readonly ref: string | null; readonly below: string } {
  const at = source.indexOf('#')
  const whole = at === -1 ? source : source.slice(0, at)
  const ref = at === -1 || at === source.length - 1 ? null : source.slice(at + 1)
  if (ref !== null && (/^[-+/]|[\s:^~?*[\\]|\.\./.test(ref))) throw new CheckoutError('plugin_invalid', `cannot fetch a plugin: "${ref}" is no name of a tag, branch or commit.`)
  if (/^[/\\]|^[^/]*:/.test(whole)) return { address: whole, ref, below: '' } // a path, a URL, or host:path
  const [, repository, below] = TWO_NAMES.exec(whole) ?? /^(.+?\.git)(?:\/(.*))?$/.exec(whole) ?? [whole, whole, '']
  return { address: `https://${repository ?? whole}`, ref, below: below ?? '' }
}

async function vendored(source: string, checkout: string | null): Promise<string> {
  const path = source.split('#', 1)[0] ?? ''
  if (checkout === null) throw new CheckoutError('plugin_missing', `cannot use the plugin ${source}: it is in the repository, and this step has no checkout.`)
  return await inRepository(checkout, path, source)
}

async function inRepository(repository: string, below: string, shown: string): Promise<string> {
  const folder = resolve(repository, below)
  const isFolder = !relative(repository, folder).startsWith('..') && (await stat(folder).then((one) => one.isDirectory(), () => false))
  if (!isFolder) throw new CheckoutError('plugin_missing', `cannot use the plugin ${shown}: there is no such folder in the repository.`)
  return folder
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false)
}
