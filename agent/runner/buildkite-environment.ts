/**
 * The variables that scripts written for Buildkite's agent read, each right or absent; docs/from-buildkite.md lists
 * them. Ids are Kedge's own, but for those of the project, the build and the job, which such scripts take for UUIDs.
 */
import { createHash } from 'node:crypto'
import { buildUuid } from '../../schema/build-uuid.ts'
import { parseJobId } from '../../schema/job.ts'
import { jobUuid } from '../../schema/job-uuid.ts'
import type { JobSpec } from '../../schema/sync.ts'
import type { AgentIdentity } from '../machine.ts'
import { pluginList } from './plugin-environment.ts'

export interface BuildkiteEnvironmentRequest {
  readonly spec: JobSpec
  readonly agent: AgentIdentity
  /** `workspace`: the checkout, where the command starts. `tools` holds the command `kedge` (`job-tools.ts`). */
  readonly folders: { readonly workspace: string; readonly tools: string }
  /** As checked out; null without a checkout. */
  readonly commit: string | null
  /** As it will be run. */
  readonly command: string
  /** What the agent's owner decides: the folder of their hooks, null without any, and whether steps may have plugins. */
  readonly owner: { readonly hooks: string | null; readonly plugins: boolean }
  /** How the job reaches the coordinator, and the token that is its own (`job-token.ts`). */
  readonly access: { readonly url: string; readonly token: string }
}

export function buildkiteEnvironment({ spec, agent, folders, commit, command, owner, access }: BuildkiteEnvironmentRequest): Record<string, string> {
  const { step, checkout } = spec
  return {
    BUILDKITE: 'true',
    BUILDKITE_BUILD_ID: uuidOf(spec.url),
    BUILDKITE_BUILD_NUMBER: String(spec.build),
    BUILDKITE_BUILD_URL: spec.url,
    BUILDKITE_PIPELINE_ID: uuidOf(spec.url.replace(/\/builds\/\d+$/, '')),
    BUILDKITE_PIPELINE_SLUG: spec.project,
    BUILDKITE_PIPELINE_NAME: spec.project,
    ...(spec.default_branch === undefined ? {} : { BUILDKITE_PIPELINE_DEFAULT_BRANCH: spec.default_branch }),
    BUILDKITE_BRANCH: checkout?.branch ?? '',
    BUILDKITE_COMMIT: commit ?? checkout?.commit ?? '',
    BUILDKITE_COMMIT_RESOLVED: String(commit !== null),
    BUILDKITE_MESSAGE: spec.message ?? '',
    BUILDKITE_TAG: '',
    BUILDKITE_SOURCE: spec.triggered_from === undefined ? 'api' : 'trigger_job',
    ...triggeredFrom(spec),
    BUILDKITE_PULL_REQUEST: 'false',
    BUILDKITE_PULL_REQUEST_BASE_BRANCH: '',
    BUILDKITE_PULL_REQUEST_REPO: '',
    ...checkedOut(checkout),
    BUILDKITE_BUILD_CHECKOUT_PATH: folders.workspace,
    BUILDKITE_JOB_ID: jobUuidOf(spec),
    ...(step?.id === undefined ? {} : { BUILDKITE_STEP_ID: step.id }),
    BUILDKITE_STEP_KEY: step?.key ?? '',
    BUILDKITE_LABEL: step?.label ?? '',
    ...(step?.group === undefined ? {} : { BUILDKITE_GROUP_ID: step.group.id, BUILDKITE_GROUP_KEY: step.group.key ?? '', BUILDKITE_GROUP_LABEL: step.group.label ?? '' }),
    BUILDKITE_COMMAND: command,
    BUILDKITE_ARTIFACT_PATHS: (spec.artifact_paths ?? []).join(';'),
    BUILDKITE_TIMEOUT: spec.timeout_s % 60 === 0 ? String(spec.timeout_s / 60) : (spec.timeout_s / 60).toFixed(2),
    BUILDKITE_CANCEL_GRACE_PERIOD: String(spec.cancel_grace_s),
    BUILDKITE_CANCEL_SIGNAL: 'SIGTERM',
    ...(spec.unblocker === undefined ? {} : { BUILDKITE_UNBLOCKER: spec.unblocker }),
    BUILDKITE_RETRY_COUNT: String(spec.retries ?? 0),
    ...(step?.parallel ? { BUILDKITE_PARALLEL_JOB: String(step.parallel.index), BUILDKITE_PARALLEL_JOB_COUNT: String(step.parallel.count) } : {}),
    ...(spec.plugins === undefined ? {} : { BUILDKITE_PLUGINS: pluginList(spec.plugins) }),
    BUILDKITE_AGENT_ID: agent.id,
    BUILDKITE_AGENT_NAME: agent.name,
    ...metaDataOf(agent),
    BUILDKITE_COMPUTE_TYPE: 'self-hosted',
    ...(owner.hooks === null ? {} : { BUILDKITE_HOOKS_PATH: owner.hooks }),
    BUILDKITE_PLUGINS_ENABLED: String(owner.plugins),
    // Nobody can forbid these to a repository.
    BUILDKITE_LOCAL_HOOKS_ENABLED: 'true',
    BUILDKITE_COMMAND_EVAL: 'true',
    BUILDKITE_AGENT_ENDPOINT: access.url,
    BUILDKITE_AGENT_ACCESS_TOKEN: access.token,
    BUILDKITE_BIN_PATH: folders.tools,
  }
}

/** A job without a checkout has no repository to speak of. Whether files of git-lfs come is said where the step decides it, not where the agent does. */
function checkedOut(checkout: JobSpec['checkout']): Record<string, string> {
  if (checkout === null) return { BUILDKITE_SKIP_CHECKOUT: 'true' }
  const { repository, fresh, submodules = true, lfs } = checkout
  return { BUILDKITE_REPO: repository, BUILDKITE_CLEAN_CHECKOUT: String(fresh), BUILDKITE_GIT_SUBMODULES: String(submodules), ...(lfs === undefined ? {} : { BUILDKITE_GIT_LFS_ENABLED: String(lfs) }) }
}

/** A variable for each tag: upper case, with all but letters and digits as `_`. Of two that would be called the same, the first is told; the queue is always the agent's. */
function metaDataOf({ queue, tags }: AgentIdentity): Record<string, string> {
  const pairs = [`queue=${queue}`, ...tags].map((tag) => {
    const at = tag.indexOf('=')
    return [`BUILDKITE_AGENT_META_DATA_${tag.slice(0, at).toUpperCase().replace(/[^A-Z0-9]/g, '_')}`, tag.slice(at + 1)] as const
  })
  return Object.fromEntries(pairs.reverse())
}

/** The build whose trigger started this one, as that build's own jobs know it. */
function triggeredFrom({ triggered_from: from }: JobSpec): Record<string, string> {
  if (from === undefined) return {}
  return { BUILDKITE_TRIGGERED_FROM_BUILD_ID: uuidOf(from.url), BUILDKITE_TRIGGERED_FROM_BUILD_NUMBER: String(from.build), BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG: from.project }
}

/** The same for the same text, on every agent. */
function uuidOf(text: string): string {
  return buildUuid(sha256Of(text))
}

function jobUuidOf({ job, url }: JobSpec): string {
  const key = parseJobId(job)
  return key === null ? job : jobUuid(key, sha256Of(URL.parse(url)?.origin ?? ''))
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
