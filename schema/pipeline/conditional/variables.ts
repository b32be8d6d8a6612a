/**
 * The names that a condition may use, what kind of value each has, and where it comes from. A name that is not here is a
 * mistake, even where it would never be asked for: `false && biuld.branch == "x"` is refused.
 */
import type { Context } from './context.ts'

export type VariableValue = string | number | boolean | readonly string[] | null | undefined

export interface KnownVariable {
  readonly kind: 'text' | 'integer' | 'boolean' | 'list'
  /** All that the value may be. */
  readonly choices?: readonly string[]
  readonly of: (context: Context) => VariableValue
}

const text = (of: KnownVariable['of']): KnownVariable => ({ kind: 'text', of })
/** Of which nothing but blanks is as good as nothing. */
const filled = (of: (context: Context) => string | null | undefined): KnownVariable => ({ kind: 'text', of: (context) => (of(context)?.trim() === '' ? null : of(context)) })
const choice = (choices: readonly string[], of: KnownVariable['of']): KnownVariable => ({ kind: 'text', choices, of })
const boolean = (of: KnownVariable['of']): KnownVariable => ({ kind: 'boolean', of })
const list = (of: KnownVariable['of']): KnownVariable => ({ kind: 'list', of })

export const VARIABLES: ReadonlyMap<string, KnownVariable> = new Map(
  Object.entries({
    'build.id': text(({ build }) => build.id),
    'build.number': { kind: 'integer', of: ({ build }) => build.number },
    'build.state': choice(['creating', 'scheduled', 'started', 'running', 'blocked', 'passed', 'failing', 'failed', 'canceling', 'canceled', 'skipped', 'not_run'], ({ build }) => build.state),
    'build.fixed': boolean(({ build }) => build.fixed),
    'build.blocked_state': choice(['failed', 'passed', 'running'], ({ build }) => build.blockedState),
    'build.source': choice(['ui', 'api', 'webhook', 'trigger_job', 'schedule', 'pipeline_trigger'], ({ build }) => build.source),
    'build.source_event': text(sourceEvent),
    'build.source_action': text((context) => fromWebhook(context, context.build.sourceAction, 'BUILDKITE_GITHUB_ACTION')),
    'build.branch': text(({ build }) => build.branch),
    'build.tag': filled(({ build }) => build.tag),
    'build.message': filled(({ build }) => build.message),
    'build.commit': text(({ build }) => build.commit),
    'build.creator.id': text(({ build }) => build.creator?.id),
    'build.creator.name': text(({ build }) => build.creator?.name),
    'build.creator.email': text(({ build }) => build.creator?.email),
    'build.creator.teams': list(({ build }) => build.creator?.teams),
    'build.creator.verified': boolean(({ build }) => build.creator?.verified),
    'build.author.id': text(({ build }) => build.author?.id),
    'build.author.name': filled(({ build }) => build.author?.name),
    'build.author.email': filled(({ build }) => build.author?.email),
    'build.author.teams': list(({ build }) => build.author?.teams),
    'build.scm.author.name': text(({ build }) => build.scm?.authorName),
    'build.scm.author.email': text(({ build }) => build.scm?.authorEmail),
    'build.scm.committer.name': text(({ build }) => build.scm?.committerName),
    'build.scm.committer.email': text(({ build }) => build.scm?.committerEmail),
    'build.pull_request.id': text(({ build }) => build.pullRequest?.id),
    'build.pull_request.base_branch': text(({ build }) => build.pullRequest?.baseBranch),
    'build.pull_request.draft': boolean(({ build }) => build.pullRequest?.isDraft),
    'build.pull_request.label': text((context) => (sourceEvent(context) === 'pull_request' ? context.build.pullRequest?.label : null)),
    'build.pull_request.labels': list(({ build }) => build.pullRequest?.labels),
    'build.pull_request.repository': text(({ build }) => build.pullRequest?.repository),
    'build.pull_request.repository.fork': boolean(({ build }) => build.pullRequest?.isFork),
    'build.merge_queue.base_branch': text(({ build }) => build.mergeQueue?.baseBranch),
    'build.merge_queue.base_commit': text(({ build }) => build.mergeQueue?.baseCommit),
    'pipeline.id': text(({ pipeline }) => pipeline?.id),
    'pipeline.slug': text(({ pipeline }) => pipeline?.slug),
    'pipeline.default_branch': filled(({ pipeline }) => pipeline?.defaultBranch),
    'pipeline.repository': filled(({ pipeline }) => pipeline?.repository),
    'pipeline.started_passing': boolean(({ pipeline }) => pipeline?.startedPassing),
    'pipeline.started_failing': boolean(({ pipeline }) => pipeline?.startedFailing),
    'pipeline.next_finished_build_exists': boolean(({ pipeline }) => pipeline?.nextFinishedBuildExists),
    'organization.id': text(({ organization }) => organization?.id),
    'organization.slug': text(({ organization }) => organization?.slug),
  } satisfies Readonly<Record<string, KnownVariable>>),
)

/** Beside those, in a notification of a step. */
export const STEP_VARIABLES: ReadonlyMap<string, KnownVariable> = new Map(
  Object.entries({
    'step.id': text(({ step }) => step?.id),
    'step.key': text(({ step }) => step?.key),
    'step.type': choice(['command', 'wait', 'input', 'trigger', 'group'], ({ step }) => step?.type),
    'step.label': text(({ step }) => step?.label),
    'step.state': choice(['ignored', 'waiting_for_dependencies', 'ready', 'waiting_for_input', 'running', 'failing', 'canceled', 'finished'], ({ step }) => step?.state),
    'step.outcome': choice(['neutral', 'passed', 'soft_failed', 'hard_failed', 'errored'], ({ step }) => step?.outcome),
  } satisfies Readonly<Record<string, KnownVariable>>),
)

function sourceEvent(context: Context): string | null {
  return fromWebhook(context, context.build.sourceEvent, 'BUILDKITE_GITHUB_EVENT')
}

/** Any other source has no event, whatever a variable says. */
function fromWebhook({ build, env }: Context, value: string | null | undefined, name: string): string | null {
  return build.source === 'webhook' ? (value ?? env(name)) : null
}
