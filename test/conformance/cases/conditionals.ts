/** One condition and what it is decided by: whether it holds, or the kind of error. Real ones need only be read. */
import { z } from 'zod'
import { evaluate, parseConditional, type Context } from '../../../schema/pipeline/conditional/conditional.ts'
import type { Case, Judge, Outcome } from './case.ts'

const text = z.string().nullish()
const flag = z.boolean().nullish()
const person = z.object({ ID: text, Name: text, Email: text, Teams: z.array(z.string()).nullish(), Verified: flag }).partial()

/** As the Go library names what it is given. */
const GIVEN = z.object({
  EntryPoint: z.string().optional(),
  Build: z.object({
    ID: text, Number: z.number().nullish(), State: text, Fixed: flag, BlockedState: text, Source: text, SourceEvent: text, SourceAction: text, Branch: text, Tag: text, Message: text, Commit: text,
    Creator: person, Author: person,
    SCM: z.object({ AuthorName: text, AuthorEmail: text, CommitterName: text, CommitterEmail: text }).partial(),
    PullRequest: z.object({ ID: text, BaseBranch: text, Draft: flag, Label: text, Labels: z.array(z.string()).nullish(), Repository: text, RepositoryFork: flag, UsingMergeRefspec: flag }).partial(),
    MergeQueue: z.object({ Active: z.boolean(), BaseBranch: text, BaseCommit: text }).partial(),
    TriggeredFrom: z.object({ BuildID: text, BuildNumber: z.number().nullish(), PipelineSlug: text, JobID: text }).partial(),
    RebuiltFrom: z.object({ BuildID: text, BuildNumber: z.number().nullish() }).partial(),
  }).partial().default({}),
  Pipeline: z.object({ ID: text, Name: text, Slug: text, DefaultBranch: text, Repository: text, StartedPassing: flag, StartedFailing: flag, NextFinishedBuildExists: flag, UseMergeQueueBaseCommitForGitDiffBase: flag }).partial().default({}),
  Organization: z.object({ ID: text, Slug: text }).partial().default({}),
  Step: z.object({ ID: text, Key: text, Type: text, Label: text, State: text, Outcome: text }).partial().optional(),
  ProjectEnv: z.record(z.string(), z.string()).nullish(),
  BuildEnv: z.record(z.string(), z.string()).nullish(),
})

const CASE = z.object({ expression: z.string(), ctx: GIVEN, mode: z.enum(['validate', 'evaluate']), want: z.boolean().nullish(), want_error: z.string().nullish() })

export const CONDITIONALS: Readonly<Record<string, Judge>> = { conditional: judge, 'conditional-real': judgeReal }

function judgeReal(one: Case): Outcome {
  const read = parseConditional(one.read())
  return read.ok ? { right: true } : { right: false, got: read.error.message, wanted: 'a condition that can be read' }
}

const STEP_POINTS = ['build_condition_with_step', 'step_notification']
const POINTS = ['build_condition', 'build_notification', ...STEP_POINTS]

interface Decided {
  readonly holds: boolean | null
  readonly error: string | null
}

function judge(one: Case): Outcome {
  const { expression, ctx, mode, want, want_error: wantError } = one.wanted(CASE)
  const wanted: Decided = { holds: want ?? null, error: wantError === '' ? null : (wantError ?? null) }
  const got = decide(expression, ctx, mode)
  if (got.holds === wanted.holds && got.error === wanted.error) return { right: true }
  const asked = /env\("(\w+)"\) == ""/.exec(expression)?.[1]
  const isLost = asked !== undefined && ctx.BuildEnv?.[asked] === undefined && ctx.ProjectEnv?.[asked] === undefined
  return { right: false, got: JSON.stringify(got), wanted: `${JSON.stringify(wanted)} of ${expression}`, ...(isLost ? { reason: `the case does not say that ${asked} is set to an empty text` } : {}) }
}

/** What the library makes of an error depends on where the condition stands: a notification that cannot be decided is not sent. */
function decide(expression: string, given: z.infer<typeof GIVEN>, mode: 'validate' | 'evaluate'): Decided {
  const point = given.EntryPoint ?? 'build_condition'
  const isNotification = point.endsWith('_notification')
  if (!POINTS.includes(point)) return { holds: false, error: 'validation' }
  if (mode === 'evaluate' && isNotification && expression.trim() === '') return { holds: true, error: null }
  const read = parseConditional(expression, { stepVariables: STEP_POINTS.includes(point) })
  if (mode === 'validate') return { holds: null, error: read.ok ? null : read.error.kind }
  const verdict = read.ok ? evaluate(read.conditional, contextOf(given)) : read
  return verdict.ok ? { holds: verdict.holds, error: null } : { holds: false, error: isNotification ? null : verdict.error.kind }
}

type Maybe<T> = T | null

function contextOf({ Build: build, Pipeline: pipeline, Organization: organization, Step: step, ProjectEnv, BuildEnv }: z.infer<typeof GIVEN>): Context {
  const or = <T>(value: T | null | undefined): Maybe<T> => value ?? null
  const personOf = (one: z.infer<typeof person> = {}) => ({ id: or(one.ID), name: or(one.Name), email: or(one.Email), teams: or(one.Teams), verified: or(one.Verified) })
  const { SCM: scm = {}, PullRequest: request = {}, MergeQueue: queue = {}, TriggeredFrom: trigger = {}, RebuiltFrom: rebuilt = {} } = build
  const env: Readonly<Record<string, string>> = { ...ProjectEnv, ...BuildEnv }
  return {
    build: {
      id: or(build.ID), number: or(build.Number), state: or(build.State), fixed: or(build.Fixed), blockedState: or(build.BlockedState), source: or(build.Source), sourceEvent: or(build.SourceEvent), sourceAction: or(build.SourceAction),
      branch: or(build.Branch), tag: or(build.Tag), message: or(build.Message), commit: or(build.Commit), creator: personOf(build.Creator), author: personOf(build.Author),
      scm: { authorName: or(scm.AuthorName), authorEmail: or(scm.AuthorEmail), committerName: or(scm.CommitterName), committerEmail: or(scm.CommitterEmail) },
      pullRequest: { id: or(request.ID), baseBranch: or(request.BaseBranch), isDraft: or(request.Draft), label: or(request.Label), labels: or(request.Labels), repository: or(request.Repository), isFork: or(request.RepositoryFork), usesMergeRefspec: or(request.UsingMergeRefspec) },
      mergeQueue: { isActive: queue.Active ?? false, baseBranch: or(queue.BaseBranch), baseCommit: or(queue.BaseCommit) },
      triggeredFrom: { buildId: or(trigger.BuildID), buildNumber: or(trigger.BuildNumber), pipelineSlug: or(trigger.PipelineSlug), jobId: or(trigger.JobID) },
      rebuiltFrom: { buildId: or(rebuilt.BuildID), buildNumber: or(rebuilt.BuildNumber) },
    },
    pipeline: { id: or(pipeline.ID), name: or(pipeline.Name), slug: or(pipeline.Slug), defaultBranch: or(pipeline.DefaultBranch), repository: or(pipeline.Repository), startedPassing: or(pipeline.StartedPassing), startedFailing: or(pipeline.StartedFailing), nextFinishedBuildExists: or(pipeline.NextFinishedBuildExists), diffsFromMergeQueueCommit: or(pipeline.UseMergeQueueBaseCommitForGitDiffBase) },
    organization: { id: or(organization.ID), slug: or(organization.Slug) },
    ...(step === undefined ? {} : { step: { id: or(step.ID), key: or(step.Key), type: or(step.Type), label: or(step.Label), state: or(step.State), outcome: or(step.Outcome) } }),
    env: (name) => env[name] ?? null,
  }
}
