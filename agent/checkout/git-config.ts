/**
 * The configuration files that work trees get, and what `.gitmodules` says. Nothing is copied from a build's `.git`: all
 * comes from what git itself wrote when the mirror was made, which knows this file system and the object format.
 */
import type { Git, GitPlace } from './git.ts'

export interface SubmoduleEntry {
  readonly name: string
  /** Below its parent's folder. */
  readonly path: string
  /** As written, maybe relative to the parent's. */
  readonly address: string
  readonly commit: string
}

/** The object format that git wrote into a configuration. */
export function isSha256(config: string): boolean {
  return /objectformat = sha256/i.test(config)
}

/** For the agent's git folder. */
export function keptConfig(mirrorsConfig: string, url: string): string {
  return `${mirrorsConfig.replace(/bare = true/, 'bare = false').trimEnd()}\n[remote "origin"]\n\turl = ${quoted(url)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`
}

/** For the build's; `workTree` where it is not the folder above. */
export function buildsConfig(keptText: string, workTree: string | null): string {
  return keptText.replace(/bare = false/, `bare = false\n\tlogallrefupdates = true${workTree === null ? '' : `\n\tworktree = ${quoted(workTree)}`}`)
}

/** What `git submodule init` would have written, for the build's own use of it. */
export function submoduleConfig(entries: readonly { readonly name: string; readonly url: string }[]): string {
  return entries.map(({ name, url }) => `[submodule ${quoted(name)}]\n\tactive = true\n\turl = ${quoted(url)}\n`).join('')
}

function quoted(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&')}"`
}

/** The submodules of a commit, in the order of `.gitmodules`; those that are not to be checked out (`update = none`) left out. */
export async function submodulesOf(git: Git, here: GitPlace, commit: string): Promise<readonly SubmoduleEntry[]> {
  // From the object and not the file: that could be a link to anything.
  const text = await git(here, ['config', '-z', '--list', `--blob=${commit}:.gitmodules`])
  const named = new Map<string, Map<string, string>>()
  for (const line of text.split('\0')) {
    const [, name, key] = /^submodule\.(.+)\.([^.\n]+)\n/s.exec(line) ?? []
    if (name === undefined || key === undefined) continue
    named.set(name, (named.get(name) ?? new Map<string, string>()).set(key, line.slice(line.indexOf('\n') + 1)))
  }
  const found = [...named].flatMap(([name, values]) => {
    const path = values.get('path')
    const address = values.get('url')
    return path === undefined || address === undefined || values.get('update') === 'none' || isUnsafe(name) || isUnsafe(path) ? [] : [{ name, path: path.replace(/\/+$/, ''), address }]
  })
  if (found.length === 0) return []
  const links = await git(here, ['--literal-pathspecs', 'ls-tree', '-z', commit, '--', ...found.map(({ path }) => path)])
  const commits = new Map(links.split('\0').flatMap((line) => {
    const [, sha, path] = /^160000 commit ([0-9a-f]+)\t(.*)$/s.exec(line) ?? []
    return sha === undefined || path === undefined ? [] : [[path, sha] as const]
  }))
  return found.flatMap((entry) => {
    const sha = commits.get(entry.path)
    return sha === undefined ? [] : [{ ...entry, commit: sha }]
  })
}

/** Would leave the folder that it belongs into. */
function isUnsafe(path: string): boolean {
  return path === '' || path.startsWith('/') || path.startsWith('-') || path.split(/[/\\]/).some((step) => step === '..' || step === '.' || step.toLowerCase() === '.git')
}
