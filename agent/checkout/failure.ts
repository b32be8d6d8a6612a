/**
 * Why a commit could not be checked out, for a person: what happened, to what, and what to do. Git has no codes, only
 * sentences; they are read here and nowhere else, in English, as `git.ts` sets the language. What one would get wrong is
 * whose fault it is: only codes that begin with `agent_` blame this machine, and three of those in a row hold the agent
 * back [C15.3].
 */

export class CheckoutError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CheckoutError'
    this.code = code
  }
}

/** A program that ended badly, or did not end and was ended. */
export class GitFailed extends Error {
  readonly why: 'status' | 'stalled' | 'not_installed'
  readonly stderr: string

  constructor(why: GitFailed['why'], command: string, stderr: string) {
    super(`${command}: ${why === 'stalled' ? 'nothing was heard for too long' : lastWords(stderr)}`)
    this.name = 'GitFailed'
    this.why = why
    this.stderr = stderr
  }
}

/** What was wanted, as its sentences name it. */
export interface Wanted {
  readonly commit: string | null
  readonly branch: string | null
  /** Without credentials. */
  readonly url: string
  readonly isLocal: boolean
  /** `, submodule lib of https://…`, or nothing. */
  readonly where: string
}

/** The remote has no such commit or ref, or does not give it out. Another way of asking may still help. */
export function isAbsent(error: unknown): error is GitFailed {
  return error instanceof GitFailed && /not our ref|unadvertised object|couldn't find remote ref|not a valid ref|want [0-9a-f]+ not valid|no such remote ref|no matching remote head|unable to find [0-9a-f]+ under http/i.test(error.stderr)
}

/** The server would have to be asked differently: it gives only what its refs name. */
export function isRefusedById(error: unknown): boolean {
  return error instanceof GitFailed && /unadvertised object/i.test(error.stderr)
}

/** A branch `a` became a branch `a/b`, or the other way round, since the last fetch. */
export function isRefConflict(error: unknown): boolean {
  return error instanceof GitFailed && /cannot lock ref|unable to update local ref|some local refs could not be updated|refname conflict/i.test(error.stderr)
}

export function isOtherObjectFormat(error: unknown): boolean {
  return error instanceof GitFailed && /mismatched algorithms|mismatched object format/i.test(error.stderr)
}

/** The mirror lacks the commit: no damage, only not fetched yet. */
export function isNotFetched(error: unknown): boolean {
  return error instanceof GitFailed && /reference is not a tree|Could not parse object|unknown revision|not a valid object name|ambiguous argument/i.test(error.stderr)
}

/** Git says so itself; what it does not notice at once, only `git fsck` may. */
export function isDamage(error: GitFailed): boolean {
  return /corrupt|inflate|unable to read|is empty|bad object|does not match index|bad signature|not a git repository|missing (?:blob|tree|commit)/i.test(error.stderr)
}

/** No other try on this machine would end differently, so nothing is thrown away for it. */
export function isFinal(error: unknown): boolean {
  return !(error instanceof GitFailed) || error.why !== 'status' || kindOf(error.stderr) !== null
}

type Kind = 'disk' | 'forbidden' | 'missing' | 'unreachable' | 'failed' | 'not_git' | 'large_files'

function kindOf(said: string): Kind | null {
  if (/No space left on device|Disk quota exceeded|Read-only file system/i.test(said.replace(/^(?:remote:|fatal: remote error:).*$/gm, ''))) return 'disk' // the server's disk is not ours
  if (/smudge filter lfs failed|git-lfs|Smudge error/i.test(said)) return 'large_files'
  if (/could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|Permission denied \(|Host key verification failed|invalid credentials|Access denied|returned error: 40[13]/i.test(said)) return 'forbidden'
  if (/Repository not found|does not appear to be a git repository|repository '.*' (?:not found|does not exist)|returned error: 404|does not exist/i.test(said)) return 'missing'
  if (/info\/refs not valid|unable to update url base from redirection|invalid (?:server|ls-refs) response|protocol error|bad line length character|expected flush after|expected '.*', received|fetch-pack: expected|server doesn't support|unable to find [0-9a-f]+ under http/i.test(said)) return 'not_git'
  if (/Could not resolve host|unable to access|unable to connect|Connection (?:refused|timed out|reset)|Operation too slow|Could not read from remote|remote end hung up|early EOF|transport '.*' not allowed|unable to find remote helper/i.test(said)) return 'unreachable'
  if (/remote error:/i.test(said)) return 'failed'
  return null
}

export function sentenceFor({ commit, branch, url, where }: Wanted, why: string): string {
  return `cannot check out ${commit === null ? (branch === null ? 'the default branch' : `branch ${branch}`) : commit.slice(0, 7)} of ${url}${where}: ${why}`
}

export function commitMissing(wanted: Wanted, { isRefused }: { readonly isRefused: boolean }): CheckoutError {
  if (wanted.isLocal) return new CheckoutError('commit_missing', sentenceFor(wanted, 'the commit is not in that repository. Commit it there, or name another.'))
  if (isRefused) return new CheckoutError('commit_missing', sentenceFor(wanted, 'no branch or tag of the remote holds the commit, and the server gives nothing else out. Push a branch that holds it, or build it from its path.'))
  return new CheckoutError('commit_missing', sentenceFor(wanted, 'the commit is not on the remote. Push it, or build it from its path.'))
}

/** `refs` and `head` as the remote lists them, to say what there is instead. */
export function branchMissing(wanted: Wanted, remote: { readonly isEmpty: boolean; readonly head: string | null }): CheckoutError {
  if (remote.isEmpty) return new CheckoutError('repository_empty', sentenceFor(wanted, 'the repository has no commit yet. Push one.'))
  if (wanted.branch === null) return new CheckoutError('branch_missing', sentenceFor(wanted, 'its HEAD names a branch that does not exist. Name a branch, or set the default branch of the repository.'))
  const instead = remote.head === null ? '' : `; its default branch is ${remote.head}`
  return new CheckoutError('branch_missing', sentenceFor(wanted, `there is no branch or tag of that name${instead}. Push it, or name another.`))
}

/** A sign-in page, a proxy, a wrong address: git itself may take what they answer for a repository without a commit. */
export function notGit(wanted: Wanted, options?: ErrorOptions): CheckoutError {
  return new CheckoutError('repository_not_git', sentenceFor(wanted, 'something else than a git server answers there. Is the URL right, or does a proxy or sign-in page stand in between?'), options)
}

/** Whatever ended a checkout, as the error that its build shows. */
export function explained(error: unknown, wanted: Wanted): CheckoutError {
  if (error instanceof CheckoutError) return error
  const options = { cause: error }
  const failure = (code: string, why: string) => new CheckoutError(code, sentenceFor(wanted, why), options)
  if (!(error instanceof GitFailed)) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
    const message = error instanceof Error ? error.message : String(error)
    return code === null ? failure('agent_checkout', message) : failure('agent_disk', `the agent cannot use its disk: ${message}.`)
  }
  if (error.why === 'not_installed') return failure('agent_git_missing', 'git is not installed on the agent\'s machine, or not in its PATH. Install it.')
  if (error.why === 'stalled') return failure('repository_stalled', 'the server stopped answering in the middle. Try again, or look after the server.')
  const said = lastWords(error.stderr)
  const kind = kindOf(error.stderr)
  switch (kind) {
    case 'disk':
      return failure('agent_disk', `the agent cannot write to its disk (${said}). Free some space there.`)
    case 'large_files':
      return failure('large_files_missing', `its large files (git-lfs) cannot be had (${said}). Push them with "git lfs push", or give the agent access to them.`)
    case 'forbidden':
      return failure('repository_forbidden', `the server wants credentials, and the agent's are missing or refused (${said}). Give the agent's user an SSH key or a git credential for it.`)
    case 'missing':
      return failure('repository_missing', `there is no repository there, or the agent may not see it (${said}). Correct its address, or give the agent access.`)
    case 'unreachable':
      return failure('repository_unreachable', `the agent cannot reach it (${said}). Try again, or look after the server and the agent's network.`)
    case 'failed':
      return failure('repository_failed', `the server failed (${said}). Try again, or look after the server.`)
    case 'not_git':
      return notGit(wanted, options)
    case null:
      return failure('agent_checkout', `git failed on the agent (${error.message}).`)
    default:
      return kind satisfies never
  }
}

/** The line that says most: git's last `fatal:` or `error:`, else the last at all. */
function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== '')
  const line = lines.find((line) => /^(?:ssh: |\S+: Permission denied \(|Host key verification failed|fatal: remote error|ERROR|remote: error|fatal: (?!the remote end hung up|Could not read from remote))/.test(line)) ?? lines.findLast((line) => /^(?:fatal|error)/.test(line)) ?? lines.at(-1)
  return (line ?? 'it said nothing').replace(/^(?:fatal|error|ERROR): /, '').replace(/\.$/, '').slice(0, 500)
}
