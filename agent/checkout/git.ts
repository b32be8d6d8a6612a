/**
 * Runs git, and decides in one place with what environment: never a prompt, never a hook, never a protocol that runs
 * commands, and credentials by an askpass program, so that they are in no argument, log or configuration file. What one
 * would get wrong is to trust the settings of the agent's user: many of them change what a work tree holds.
 */
import { spawn } from 'node:child_process'
import { access, chmod, constants, mkdir, rename, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Clock } from '../platform.ts'
import { CheckoutError, GitFailed } from './failure.ts'
import type { Source } from './source.ts'

/** Where a command of git works. Never found by looking around: a build could have laid a repository anywhere. */
export interface GitPlace {
  readonly cwd: string
  readonly gitFolder?: string
  readonly tree?: string
  /** Absolute path of a file to which the packets of the protocol are noted; they hold no credentials. */
  readonly packets?: string
}

export type Git = (place: GitPlace, args: readonly string[]) => Promise<string>

/** Runs a fixed script of `sh` with git's environment. What varies is given as "$1" and so on, never as a part of the script. */
export type Shell = (place: GitPlace, script: string, parameters: readonly string[]) => Promise<Buffer>

export interface GitOptions {
  /** The agent's own: SSH keys, proxies and git's configuration come from it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** A fetch that says nothing for so long is ended. */
  readonly stallMs: number
  /** Path of the program that `writeAskpass` made. */
  readonly askpass: string
  readonly endGroup: EndGroup
}

/** Signals a process group: git, and whatever it started (`git-remote-https`). */
export type EndGroup = (leader: number, signal: 'SIGTERM' | 'SIGKILL') => void

export interface SourceGitOptions extends GitOptions {
  readonly source: Source
  /** Whether large files are fetched; without git-lfs their pointers stay. */
  readonly hasLargeFiles: boolean
  /** Where large files are kept, for all slots. */
  readonly largeFiles: string
}

/** Given by the environment, so that it also reaches the gits that git starts, and goes before the user's own. */
const CONFIG: readonly (readonly [string, string])[] = [
  ['safe.directory', '*'], // a repository on this machine may belong to somebody else
  ['protocol.ext.allow', 'never'],
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.untrackedCache', 'false'],
  ['core.splitIndex', 'false'], // the index is copied, so it must be one file
  ['index.version', '2'], // `index-file.ts` reads it
  ['index.sparse', 'false'],
  ['core.checkStat', 'default'],
  ['core.trustctime', 'true'], // the one time of a file that a build cannot set back
  ['core.logAllRefUpdates', 'false'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['fetch.prune', 'false'],
  ['fetch.pruneTags', 'false'],
  ['fetch.showForcedUpdates', 'false'],
  ['fetch.unpackLimit', '1'], // a pack arrives whole or not at all; loose objects would be there in part after a kill
  ['transfer.unpackLimit', '1'],
  ['gc.auto', '0'], // work trees borrow the mirror's objects, also those that no ref of it holds any more
  ['maintenance.auto', 'false'],
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '60'],
]

export function gitFor({ source, hasLargeFiles, largeFiles, ...options }: SourceGitOptions): { readonly git: Git; readonly shell: Shell } {
  const config = [
    ...CONFIG,
    // A submodule of a repository elsewhere has no business with paths of this machine; git refuses it by itself then.
    ...(source.isLocal ? [['protocol.file.allow', 'always'] as const] : []),
    ['lfs.storage', largeFiles] as const,
    ['filter.lfs.process', hasLargeFiles ? 'git-lfs filter-process' : ''] as const,
    ['filter.lfs.smudge', hasLargeFiles ? 'git-lfs smudge -- %f' : ''] as const,
    ['filter.lfs.clean', hasLargeFiles ? 'git-lfs clean -- %f' : ''] as const,
    ['filter.lfs.required', String(hasLargeFiles)] as const,
    // Given credentials go to nobody's keychain, and no keychain's go before them.
    ...(source.credentials === null ? [] : [[`credential.${source.credentials.origin}.helper`, ''] as const, [`credential.${source.credentials.origin}.useHttpPath`, 'false'] as const]),
  ]
  const environment = gitEnvironment(options.environment, config, options.askpass)
  if (source.credentials !== null) {
    environment['KEDGE_GIT_ORIGIN'] = source.credentials.origin
    environment['KEDGE_GIT_USERNAME'] = source.credentials.username
    environment['KEDGE_GIT_PASSWORD'] = source.credentials.password
    environment['GIT_ASKPASS'] = options.askpass
  }
  const at = ({ cwd, gitFolder, tree, packets }: GitPlace) => {
    const place = { ...(gitFolder === undefined ? {} : { GIT_DIR: gitFolder }), ...(tree === undefined ? {} : { GIT_WORK_TREE: tree }), ...(packets === undefined ? {} : { GIT_TRACE_PACKET: packets }) }
    return { ...options, cwd, environment: { ...environment, ...place } }
  }
  return {
    git: async (place, args) => (await run('git', args, at(place))).toString('utf8'),
    shell: (place, script, parameters) => run('sh', ['-c', script, 'kedge', ...parameters], at(place)),
  }
}

/** Its standard output; a `GitFailed` when it fails, a `CheckoutError` when the signal aborted it. */
export function run(program: string, args: readonly string[], { cwd, environment, clock, signal, stallMs, endGroup }: Pick<GitOptions, 'clock' | 'signal' | 'stallMs' | 'endGroup'> & { readonly cwd: string; readonly environment: Readonly<Record<string, string>> }): Promise<Buffer> {
  const canceled = () => new CheckoutError('canceled', 'the checkout was stopped')
  if (signal.aborted) return Promise.reject(canceled())
  return new Promise((resolve, reject) => {
    // A session of its own: it has no terminal to ask on, and a group to be ended as one.
    const child = spawn(program, args, { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const command = `${program} ${args.find((arg) => /^[a-z][a-z-]+$/.test(arg)) ?? ''}`.trim()
    const stdout: Buffer[] = []
    let stderr = ''
    let ended: 'stalled' | 'aborted' | null = null
    let kill = (): void => undefined
    let takeBack = (): void => undefined
    const end = (why: 'stalled' | 'aborted'): void => {
      if (ended !== null) return
      ended = why
      takeBack()
      send('SIGTERM') // git takes its temporary files away on it
      kill = clock.after(KILL_AFTER_MS, () => send('SIGKILL'))
    }
    const send = (how: 'SIGTERM' | 'SIGKILL'): void => {
      // Only while the leader is not reaped is the group surely its own.
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) endGroup(child.pid, how)
    }
    const abort = () => end('aborted')
    const heard = (): void => {
      takeBack()
      if (ended === null) takeBack = clock.after(stallMs, () => end('stalled'))
    }
    const settle = (outcome: () => void): void => {
      takeBack()
      kill()
      signal.removeEventListener('abort', abort)
      outcome()
    }
    heard()
    signal.addEventListener('abort', abort, { once: true })
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk)
      heard()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_CHARACTERS)
      heard()
    })
    child.on('error', (error) => settle(() => reject('code' in error && error.code === 'ENOENT' ? new GitFailed('not_installed', command, error.message) : error)))
    child.on('exit', () => {
      // Ended by us: a grandchild that still holds the pipes is not waited for.
      if (ended === null) return
      child.stdout.destroy()
      child.stderr.destroy()
    })
    child.on('close', (status) =>
      settle(() => {
        if (ended === 'aborted') reject(canceled())
        else if (ended === 'stalled') reject(new GitFailed('stalled', command, stderr))
        else if (status === 0) resolve(Buffer.concat(stdout))
        else reject(new GitFailed('status', command, stderr))
      }),
    )
  })
}

const KILL_AFTER_MS = 2000
const STDERR_CHARACTERS = 32 * 1024

/** Git's own variables that a user may set for the agent; all others could point git somewhere else. */
const KEPT = /^GIT_(?:SSH|SSH_COMMAND|SSH_VARIANT|SSL_.*|PROXY_.*|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|CONFIG_COUNT|CONFIG_(?:KEY|VALUE)_\d+|EXEC_PATH|ASKPASS|HTTP_USER_AGENT|TRACE.*|CURL_VERBOSE|LFS_.*)$/

function gitEnvironment(own: GitOptions['environment'], config: readonly (readonly [string, string])[], askpass: string): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(own)) {
    // The agent's own secrets are no concern of git's.
    if (value !== undefined && !name.startsWith('KEDGE_') && (!name.startsWith('GIT_') || KEPT.test(name))) environment[name] = value
  }
  const count = Number(environment['GIT_CONFIG_COUNT'] ?? 0) || 0
  config.forEach(([key, value], at) => {
    environment[`GIT_CONFIG_KEY_${count + at}`] = key
    environment[`GIT_CONFIG_VALUE_${count + at}`] = value
  })
  environment['GIT_CONFIG_COUNT'] = String(count + config.length)
  environment['GIT_TERMINAL_PROMPT'] = '0'
  environment['GIT_ASKPASS'] ??= askpass
  // SSH would ask on a terminal that nobody reads; this makes it ask a program, which has no answer.
  environment['SSH_ASKPASS'] ??= askpass
  environment['SSH_ASKPASS_REQUIRE'] ??= 'force'
  environment['LC_ALL'] = 'C'
  return environment
}

/** Answers git from the environment, for the one origin that the credentials belong to; fails for any other, which is an error then and not a hang. */
const ASKPASS = `#!/bin/sh
[ -n "$KEDGE_GIT_ORIGIN" ] || exit 1
scheme=\${KEDGE_GIT_ORIGIN%%://*}
host=\${KEDGE_GIT_ORIGIN#*://}
case "$1" in
"Username for '$scheme://$host': ") printf '%s\\n' "$KEDGE_GIT_USERNAME" ;;
"Password for '$scheme://$host': " | "Password for '$scheme://"*"@$host': ") printf '%s\\n' "$KEDGE_GIT_PASSWORD" ;;
*) exit 1 ;;
esac
`

/** Writes the askpass program below `folder` and returns its path; `nonce` keeps two that do so at once apart. */
export async function writeAskpass(folder: string, nonce: string): Promise<string> {
  const path = join(folder, 'askpass')
  const fresh = `${path}.${nonce}`
  await mkdir(folder, { recursive: true })
  // Renamed into place: a program that is still open for writing cannot be started.
  await writeFile(fresh, ASKPASS)
  await chmod(fresh, 0o700)
  await rename(fresh, path)
  return path
}

/** Whether git would find git-lfs. */
export async function hasLfs(environment: GitOptions['environment']): Promise<boolean> {
  const folders = (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  const found = await Promise.all(folders.map((folder) => access(join(folder, 'git-lfs'), constants.X_OK).then(() => true, () => false)))
  return found.includes(true)
}
