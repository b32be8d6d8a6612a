/**
 * The environment of a job's command. It is built from nothing: of the agent's own environment only what is on the list
 * below goes in, so that a variable with a secret in it (the agent's tokens first of all) has no way to a build.
 *
 * Order: the machine's, then what people asked for, then what says which attempt this is. People may change `PATH` or
 * unset `CI`; they cannot speak for another attempt, and the marker by which leftovers are found stays true.
 */
import { jobId, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import type { JobSpec } from '../../schema/sync.ts'
import { VARIABLE_BYTES } from './env-changes.ts'
import { buildkiteEnvironment, type BuildkiteEnvironmentRequest } from './buildkite-environment.ts'

/** What a build needs of the machine that it runs on. `LC_*` are added by prefix. */
const FROM_THE_AGENT: ReadonlySet<string> = new Set(
  [
    'PATH HOME USER LOGNAME SHELL LANG LANGUAGE TERM TMPDIR TZ SSH_AUTH_SOCK',
    // Behind a company's proxy nothing works without these.
    'HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy',
    'SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS',
  ].flatMap((line) => line.split(' ')),
)

/** A service manager may start the agent without any. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface JobEnvironmentRequest extends BuildkiteEnvironmentRequest {
  readonly attempt: AttemptId
  /** What this machine keeps for the job: the files of `kedge env` and `kedge redactor`, and of the names that a container is to get (`envFileText`), the folders of `kedge lock` and of the project's cache. */
  readonly local: { readonly envChanges: string; readonly envFile: string; readonly redactions: string; readonly locks: string; readonly cache: string }
  /** The agent process's own, handed in by the entry file. */
  readonly ownEnvironment: Readonly<Record<string, string | undefined>>
}

/** A variable that no process can be given; `code` goes into the attempt's result. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
  readonly code = 'environment_invalid'
}

/** Throws an `EnvironmentError` for a name or value that an operating system cannot hold. */
export function jobEnvironment(request: JobEnvironmentRequest): Record<string, string> {
  const { spec, attempt, agent, folders, local, commit, access, ownEnvironment } = request
  checkNames(spec.env)
  const key = parseAttemptId(attempt)
  if (key === null) throw new EnvironmentError(`cannot name the attempt: "${attempt}" is not an attempt id.`)
  const asked = { PATH, ...inherited(ownEnvironment), ...spec.env }
  return possible(spec, {
    ...inherited(ownEnvironment),
    CI: 'true',
    KEDGE: 'true',
    // A question for a password would wait for ever; git is to fail and say so.
    GIT_TERMINAL_PROMPT: '0',
    ...spec.env,
    PATH: `${folders.tools}:${asked.PATH}`,
    ...buildkiteEnvironment(request),
    BUILDKITE_ENV_FILE: local.envFile,
    KEDGE_URL: access.url,
    KEDGE_JOB_TOKEN: access.token,
    KEDGE_ATTEMPT: attempt,
    KEDGE_AGENT_ID: agent.id,
    KEDGE_AGENT_NAME: agent.name,
    KEDGE_JOB_ID: jobId(key),
    KEDGE_FENCE: String(key.fence),
    KEDGE_PROJECT: spec.project,
    KEDGE_BUILD_NUMBER: String(spec.build),
    KEDGE_BUILD_URL: spec.url,
    // Empty rather than absent, so that `set -u` does not trip over a build without a checkout.
    KEDGE_COMMIT: commit ?? spec.checkout?.commit ?? '',
    KEDGE_BRANCH: spec.checkout?.branch ?? '',
    KEDGE_DEFAULT_BRANCH: spec.default_branch ?? '',
    KEDGE_WORKSPACE: folders.workspace,
    KEDGE_ENV_CHANGES: local.envChanges,
    KEDGE_REDACTIONS: local.redactions,
    KEDGE_LOCKS: local.locks,
    KEDGE_CACHE_DIR: local.cache,
  })
}

/**
 * Without those of ours that are longer than the kernel takes: they only repeat what the job is, such as a command of two
 * hundred kilobytes, and a job may do without. What a person set is never left out.
 */
function possible({ env: asked }: JobSpec, env: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(env).filter(([name, value]) => Object.hasOwn(asked, name) || Buffer.byteLength(`${name}=${value}`) <= VARIABLE_BYTES)
  for (const [name, value] of kept) checkValue(name, value)
  return Object.fromEntries(kept)
}

/**
 * BUILDKITE_ENV_FILE: the variables that are the job's and not the machine's, one a line, by which plugins know what a
 * container is to be given. Without the job's token: those that hand it on do so by its name.
 */
export function envFileText({ env: asked }: JobSpec, env: Readonly<Record<string, string>>): string {
  const isTheJobs = (name: string) => name === 'CI' || (name.startsWith('BUILDKITE') && name !== 'BUILDKITE_AGENT_ACCESS_TOKEN' && name !== 'BUILDKITE_ENV_FILE') || Object.hasOwn(asked, name)
  return Object.entries(env).flatMap(([name, value]) => (isTheJobs(name) ? [`${name}=${JSON.stringify(value)}\n`] : [])).join('')
}

function inherited(own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(own)) if (value !== undefined && (FROM_THE_AGENT.has(name) || name.startsWith('LC_'))) kept[name] = value
  return kept
}

function checkNames(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name)) throw new EnvironmentError(`cannot set the variable ${JSON.stringify(name)}: a name is not empty and holds no "=" and no zero byte. Rename it where the build was asked for.`)
    checkValue(name, value)
  }
}

function checkValue(name: string, value: string): void {
  if (value.includes('\0')) throw new EnvironmentError(`cannot set the variable ${name}: its value holds a zero byte. Encode it, for example as base64.`)
  if (Buffer.byteLength(`${name}=${value}`) > VARIABLE_BYTES) throw new EnvironmentError(`cannot set the variable ${name}: with its value it is larger than a process can be given (128 KiB). Put large values into files.`)
}
