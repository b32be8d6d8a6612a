/**
 * Runs git. One place decides its environment: never a prompt, never a hook of a former build, never a protocol that
 * runs commands, and credentials by an askpass program, so that they are in no argument, log or configuration file.
 */
import { spawn } from 'node:child_process'

export interface GitCall {
  readonly folder: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly credentials?: Credentials | null
  readonly signal: AbortSignal
}

/** From the repository's URL; handed over by `askpass`. */
export interface Credentials {
  readonly username: string
  readonly password: string
  /** Path of the program that `writeAskpass` made. */
  readonly askpass: string
}

export class GitFailed extends Error {
  readonly stderr: string

  constructor(args: readonly string[], stderr: string, exitStatus: number | null) {
    super(`git ${args[0]} failed (${exitStatus ?? 'killed'}): ${lastLine(stderr)}`)
    this.name = 'GitFailed'
    this.stderr = stderr
  }
}

/** Answers git's two questions from the environment. */
export const ASKPASS = '#!/bin/sh\ncase "$1" in\n[Uu]sername*) printf "%s\\n" "$KEDGE_GIT_USERNAME" ;;\n*) printf "%s\\n" "$KEDGE_GIT_PASSWORD" ;;\nesac\n'

/** Given by environment, so that it also reaches the gits that git starts. */
const CONFIG: Readonly<Record<string, string>> = {
  'safe.directory': '*', // a repository on this machine may belong to somebody else
  'protocol.ext.allow': 'never',
  'protocol.file.allow': 'always', // submodules at a path: the command of the job may read that path anyway
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'advice.detachedHead': 'false',
  'gc.auto': '0', // the mirror is shared by work trees that borrow its objects
  'maintenance.auto': 'false',
  'http.lowSpeedLimit': '1000',
  'http.lowSpeedTime': '60',
}

/** Output of git; a `GitFailed` when it fails or is aborted. Messages are in English, to be understood. */
export function git(args: readonly string[], { folder, environment, credentials, signal }: GitCall): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: folder, env: gitEnvironment(environment, credentials ?? null), stdio: ['ignore', 'pipe', 'pipe'], signal })
    const stdout: Buffer[] = []
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString('utf8')).slice(-16 * 1024)))
    child.on('error', (error) => {
      if (!signal.aborted) reject(new GitFailed(args, error.message, null))
      else reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'))
    })
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(stdout).toString('utf8'))
      else reject(new GitFailed(args, stderr, code))
    })
  })
}

function gitEnvironment(own: GitCall['environment'], credentials: Credentials | null): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(own)) {
    // Our own secrets are no concern of git's; its own variables could point it elsewhere.
    if (value !== undefined && !/^(?:KEDGE_|GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|CONFIG_(?:COUNT|KEY|VALUE|PARAMETERS).*)$)/.test(name)) environment[name] = value
  }
  Object.entries(CONFIG).forEach(([key, value], at) => {
    environment[`GIT_CONFIG_KEY_${at}`] = key
    environment[`GIT_CONFIG_VALUE_${at}`] = value
  })
  environment['GIT_CONFIG_COUNT'] = String(Object.keys(CONFIG).length)
  environment['GIT_TERMINAL_PROMPT'] = '0'
  environment['LC_ALL'] = 'C'
  environment['GIT_LFS_SKIP_SMUDGE'] = '1' // fetched in one go afterwards, see `checkout.ts`
  if (environment['GIT_SSH_COMMAND'] === undefined) environment['GIT_SSH_COMMAND'] = 'ssh -o BatchMode=yes'
  if (credentials) {
    environment['GIT_ASKPASS'] = credentials.askpass
    environment['KEDGE_GIT_USERNAME'] = credentials.username
    environment['KEDGE_GIT_PASSWORD'] = credentials.password
  } else if (environment['GIT_ASKPASS'] === undefined) environment['GIT_ASKPASS'] = 'true' // says nothing: a needed password is an error, not a hang
  return environment
}

/** The repository without the credentials in its URL, and these. Paths and `host:path` have none. */
export function splitCredentials(repository: string): { readonly url: string; readonly username: string; readonly password: string | null } {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/@]*)@(.*)$/is.exec(repository)
  if (!match || !/^https?:/i.test(repository)) return { url: repository, username: '', password: null }
  const [user = '', ...password] = (match[2] ?? '').split(':')
  return { url: `${match[1]}${match[3]}`, username: decode(user), password: decode(password.join(':')) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').findLast((line) => line.trim() !== '') ?? 'it said nothing'
}
