/**
 * What `env()`, `build.env()` and `$NAME` see: variables of the pipeline and the build, and over them those that say what
 * build this is, so that nobody can make a build of `main` by setting a variable. Of other `BUILDKITE_*` names, which only
 * a running job has, nothing is seen.
 */
import type { Context } from './context.ts'
import type { Lookup } from './expand.ts'

/** What a condition may ask for by name. */
export const BUILDKITE_NAMES: ReadonlySet<string> = new Set(
  [
    'BRANCH', 'TAG', 'MESSAGE', 'COMMIT', 'REPO', 'PIPELINE_SLUG', 'PIPELINE_NAME', 'PIPELINE_ID', 'ORGANIZATION_SLUG', 'GIT_DIFF_BASE',
    'PULL_REQUEST', 'PULL_REQUEST_BASE_BRANCH', 'PULL_REQUEST_REPO', 'PULL_REQUEST_USING_MERGE_REFSPEC', 'MERGE_QUEUE_BASE_BRANCH', 'MERGE_QUEUE_BASE_COMMIT',
    'TRIGGERED_FROM_BUILD_ID', 'TRIGGERED_FROM_BUILD_NUMBER', 'TRIGGERED_FROM_BUILD_PIPELINE_SLUG', 'TRIGGERED_FROM_BUILD_JOB_ID', 'REBUILT_FROM_BUILD_ID', 'REBUILT_FROM_BUILD_NUMBER',
    'GITHUB_ACTION', 'GITHUB_EVENT', 'GITHUB_COMMENT_ID', 'GITHUB_CHECK_RUN_CONCLUSION', 'GITHUB_CHECK_RUN_NAME', 'GITHUB_REVIEW_ID', 'GITHUB_REVIEW_STATE',
    'GITHUB_DEPLOYMENT_ID', 'GITHUB_DEPLOYMENT_TASK', 'GITHUB_DEPLOYMENT_ENVIRONMENT', 'GITHUB_DEPLOYMENT_PAYLOAD', 'GITHUB_DEPLOYMENT_STATUS_ENVIRONMENT', 'GITHUB_DEPLOYMENT_STATUS_STATE',
    'GITHUB_RELEASE_DRAFT', 'GITHUB_RELEASE_PRERELEASE', 'GITHUB_RELEASE_TAG',
  ].map((name) => `BUILDKITE_${name}`),
)

/** Seen, but refused where it is written out: a name that is put together reaches it. */
const LABELS = 'BUILDKITE_PULL_REQUEST_LABELS'

/** Whether it is one of Buildkite's of which a condition sees nothing. `isWritten`: it stands in the condition itself. */
export function isHidden(name: string, { isWritten }: { readonly isWritten: boolean }): boolean {
  return name.startsWith('BUILDKITE_') && !BUILDKITE_NAMES.has(name) && (isWritten || name !== LABELS)
}

export function environmentOf(context: Context): Lookup {
  const derived = derivedFrom(context)
  return (name) => derived.get(name) ?? (isHidden(name, { isWritten: true }) ? null : context.env(name))
}

function derivedFrom({ build, pipeline, organization }: Context): ReadonlyMap<string, string> {
  const { pullRequest, mergeQueue, triggeredFrom, rebuiltFrom } = build
  const known: Readonly<Record<string, string | null | undefined>> = {
    BRANCH: build.branch,
    TAG: build.tag ?? '',
    MESSAGE: build.message ?? '',
    COMMIT: build.commit,
    REPO: pipeline?.repository,
    PIPELINE_SLUG: pipeline?.slug,
    PIPELINE_NAME: pipeline?.name,
    PIPELINE_ID: pipeline?.id,
    ORGANIZATION_SLUG: organization?.slug,
    PULL_REQUEST: pullRequest?.id || 'false',
    PULL_REQUEST_BASE_BRANCH: pullRequest?.baseBranch ?? '',
    PULL_REQUEST_REPO: pullRequest?.repository ?? '',
    PULL_REQUEST_LABELS: (pullRequest?.labels ?? []).join(','),
    PULL_REQUEST_USING_MERGE_REFSPEC: pullRequest?.usesMergeRefspec === true ? 'true' : '',
    MERGE_QUEUE_BASE_BRANCH: mergeQueue?.baseBranch ?? '',
    MERGE_QUEUE_BASE_COMMIT: mergeQueue?.baseCommit ?? '',
    TRIGGERED_FROM_BUILD_ID: triggeredFrom?.buildId ?? '',
    TRIGGERED_FROM_BUILD_NUMBER: `${triggeredFrom?.buildNumber ?? ''}`,
    TRIGGERED_FROM_BUILD_PIPELINE_SLUG: triggeredFrom?.pipelineSlug ?? '',
    TRIGGERED_FROM_BUILD_JOB_ID: triggeredFrom?.jobId ?? '',
    REBUILT_FROM_BUILD_ID: rebuiltFrom?.buildId ?? '',
    REBUILT_FROM_BUILD_NUMBER: `${rebuiltFrom?.buildNumber ?? ''}`,
    GIT_DIFF_BASE: mergeQueue?.isActive === true ? ((pipeline?.diffsFromMergeQueueCommit === true ? mergeQueue.baseCommit : mergeQueue.baseBranch) ?? '') : '',
  }
  return new Map(Object.entries(known).flatMap(([name, value]) => (typeof value === 'string' ? [[`BUILDKITE_${name}`, value]] : [])))
}
