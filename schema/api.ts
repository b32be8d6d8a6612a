/**
 * What people and scripts send and get: the bodies of `/api/v1`. The pages render these same views, so a person and a
 * script never see two truths. Unknown fields from people are refused (a typo in a field name must not be ignored);
 * times are RFC 3339 UTC.
 */
import { z } from 'zod'
import type { AnnotationStyle } from './job-calls.ts'
import type { Field } from './pipeline/steps.ts'
import { queueName, tag } from './sync.ts'
import { utf8Bytes } from './utf8.ts'
import type { AttemptState, BuildState, JobState } from './job.ts'

/** Bounds on what people may send; each is named in the refusal that it causes. */
export const LIMITS = {
  commandBytes: 256 * 1024,
  messageCharacters: 4096,
  envNames: 256,
  envValueBytes: 64 * 1024,
  envBytes: 256 * 1024,
  repositoryCharacters: 2048,
  bodyBytes: 1024 * 1024,
  priority: 1000,
  timeoutSeconds: 7 * 24 * 3600,
  pageOfBuilds: 100,
} as const

const noNul = (text: string) => !text.includes('\0')

export const projectSlug = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'must be 1 to 64 lower-case letters, digits or "-", and begin and end with a letter or digit')
export const commitSha = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i, 'must be a full commit id: 40 (or 64) hex digits').transform((sha) => sha.toLowerCase())
export const branchName = z
  .string()
  .min(1)
  .max(255)
  // The rules of git-check-ref-format(1) that a branch name can break; a leading "-" would read as an option.
  .refine((name) => !/^[-/.]|[\u0000-\u0020~^:?*[\\\u007f]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[/.]$/.test(name), 'is not a branch name that git accepts')
export const repositoryUrl = z
  .string()
  .min(1)
  .max(LIMITS.repositoryCharacters)
  // A leading "-" would read as an option, and `ext::` runs a command on the agent.
  .refine((url) => noNul(url) && !/^-|^ext::|[\r\n]/.test(url), 'must be a URL or path that git can fetch')
const command = z
  .string()
  .refine((text) => text.trim() !== '', 'must not be empty')
  .refine((text) => utf8Bytes(text) <= LIMITS.commandBytes, `must be at most ${LIMITS.commandBytes / 1024} KiB`)
  .refine(noNul, 'must not hold a NUL character')
const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/, 'is not an environment name: letters, digits and "_", not beginning with a digit')
const envValue = z
  .string()
  .refine(noNul, 'must not hold a NUL character')
  .refine((text) => utf8Bytes(text) <= LIMITS.envValueBytes, `must be at most ${LIMITS.envValueBytes / 1024} KiB`)
export const env = z
  .record(envName, envValue)
  .refine((all) => Object.keys(all).length <= LIMITS.envNames, `must have at most ${LIMITS.envNames} names`)
  .refine((all) => utf8Bytes(JSON.stringify(all)) <= LIMITS.envBytes, `must be at most ${LIMITS.envBytes / 1024} KiB altogether`)

/** What a job asks for. Tags must all be offered by the agent; the queue must be its queue. */
const requirement = z.strictObject({ queue: queueName.default('default'), tags: z.array(tag).max(32).default([]) })
export type Requirement = z.infer<typeof requirement>

export const createProjectRequest = z
  .strictObject({
    slug: projectSlug,
    repository: repositoryUrl.optional(),
    default_branch: branchName.optional(),
    command: command.optional(),
    /** False: builds run in an empty folder and need no repository. */
    checkout: z.boolean().default(true),
    timeout_s: z.number().int().positive().max(LIMITS.timeoutSeconds).default(3600),
  })
  .refine((project) => !project.checkout || project.repository !== undefined, { path: ['repository'], message: 'is needed to check commits out; give one, or set "checkout" to false' })
export type CreateProjectRequest = z.infer<typeof createProjectRequest>

export const createBuildRequest = z.strictObject({
  commit: commitSha.optional(),
  branch: branchName.optional(),
  command: command.optional(),
  env: env.default({}),
  message: z.string().max(LIMITS.messageCharacters).refine(noNul, 'must not hold a NUL character').optional(), // jobs have it as a variable
  priority: z.number().int().min(-LIMITS.priority).max(LIMITS.priority).default(0),
  agents: requirement.prefault({}),
  timeout_s: z.number().int().positive().max(LIMITS.timeoutSeconds).optional(),
  on_partition: z.enum(['continue', 'stop']).default('continue'),
  /** Throw the kept work tree away first. */
  fresh_checkout: z.boolean().default(false),
})
export type CreateBuildRequest = z.infer<typeof createBuildRequest>

export const retryRequest = z.strictObject({ only: z.enum(['failed']).optional() })
export type RetryRequest = z.infer<typeof retryRequest>

/** An answer by the key of its field: a text, or those that were selected. */
export type FieldAnswer = readonly [key: string, answer: string | readonly string[]]

/** Becomes entries, since a field may be called as what every object has, `__proto__` too. */
const fieldAnswers = z.unknown().transform((given, context): readonly FieldAnswer[] => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    context.addIssue({ code: 'custom', message: 'must be an object: answers by the keys of the fields' })
    return z.NEVER
  }
  return Object.entries(given).flatMap(([key, answer]: readonly [string, unknown]): readonly FieldAnswer[] => {
    if (typeof answer === 'string') return [[key, answer]]
    if (Array.isArray(answer) && answer.every((one) => typeof one === 'string')) return [[key, answer]]
    context.addIssue({ code: 'custom', path: [key], message: 'must be a text, or a list of texts' })
    return []
  })
})

export const unblockRequest = z.strictObject({ fields: fieldAnswers.prefault({}) })
export type UnblockRequest = z.infer<typeof unblockRequest>

export const TOKEN_KINDS = ['registration', 'api'] as const
export const createTokenRequest = z.strictObject({
  kind: z.enum(TOKEN_KINDS),
  // Jobs have the name of whoever let their block pass as a variable, and pages show it.
  name: z.string().min(1).max(128).refine((name) => !/\p{Cc}/u.test(name), 'must not hold control characters'),
  /** Seconds until it ends; absent: 24 h for a registration token, no end for an API token. */
  life_s: z.number().int().positive().max(365 * 24 * 3600).optional(),
  /** Registration only: how many agents may join with it; null: any number. */
  max_uses: z.number().int().positive().nullable().optional(),
  /** API only. `read` sees, `build` also starts, cancels and retries, `admin` does all. */
  scope: z.enum(['read', 'build', 'admin']).optional(),
})
export type CreateTokenRequest = z.infer<typeof createTokenRequest>
export type Scope = 'read' | 'build' | 'admin'

/** A coded reason and its sentence, shown wherever a job that does not run is shown. */
export interface Waiting {
  readonly code: 'no_agent' | 'no_agent_online' | 'agents_busy' | 'agents_held_back' | 'next_in_line' | 'assigned' | 'canceling' | 'dependency' | 'block' | 'concurrency' | 'trigger'
  readonly reason: string
}

export interface AttemptView {
  readonly id: string
  readonly fence: number
  /** Name of the agent. */
  readonly agent: string
  readonly agent_id: string
  readonly state: AttemptState
  readonly exit_status: number | null
  readonly signal: string | null
  /** Why it ended so, where the state alone does not say. */
  readonly reason: { readonly code: string; readonly message: string } | null
  readonly commit: string | null
  readonly started_at: string | null
  readonly finished_at: string | null
  /** As the agent announced it with its result; null while it runs or when it was lost. */
  readonly log_bytes: number | null
}

export interface JobView {
  readonly id: string
  readonly state: JobState
  readonly command: string
  readonly queue: string
  readonly tags: readonly string[]
  readonly priority: number
  readonly waiting?: Waiting
  readonly cancel_requested: boolean
  readonly exit_status: number | null
  readonly signal: string | null
  /** It failed in a way that its step allows. */
  readonly soft_failed: boolean
  readonly reason: { readonly code: string; readonly message: string } | null
  /** The job that succeeded this one by a person's retry, and the one that this one succeeded. */
  readonly retried_by: string | null
  readonly retry_of: string | null
  /** Number of the step that it is a job of; null in a build without steps. */
  readonly step: number | null
  /** What people call it. */
  readonly label: string | null
  /** Which of the jobs of its step it is, from 0, and of how many; null when it is the only one. */
  readonly parallel: { readonly index: number; readonly count: number } | null
  readonly created_at: string
  readonly started_at: string | null
  readonly finished_at: string | null
  /** Oldest first; the last one is the current one. */
  readonly attempts: readonly AttemptView[]
}

export interface BuildSummary {
  readonly project: string
  readonly number: number
  readonly state: BuildState
  readonly commit: string | null
  readonly branch: string | null
  readonly message: string | null
  readonly created_at: string
  readonly started_at: string | null
  readonly finished_at: string | null
  /** Names of the agents that work or worked on it, newest attempt of each job. */
  readonly agents: readonly string[]
  /** Absolute URL of the build's page. */
  readonly url: string
  /** The build whose trigger started it; null: a person did. */
  readonly triggered_from: { readonly project: string; readonly number: number; readonly url: string } | null
}

/** Another build, as far as one names it. */
export interface BuildLink {
  readonly project: string
  readonly number: number
  readonly state: BuildState
  readonly url: string
}

export interface StepView {
  /** Its number within the build. */
  readonly step: number
  readonly kind: 'command' | 'wait' | 'block' | 'group' | 'trigger'
  readonly key: string | null
  readonly label: string | null
  /** Number of the group that it is in. */
  readonly group: number | null
  readonly state: 'waiting' | 'running' | 'blocked' | 'done'
  /** What it came to, once it is done. */
  readonly outcome: 'passed' | 'soft_failed' | 'failed' | 'broken' | 'canceled' | 'skipped' | null
  /** Numbers of the steps that it still waits for. */
  readonly waits_for: readonly number[]
  /** Why it is skipped, where it is. */
  readonly skipped: string | null
  /** What kept it from being run or asked about, where something did, as the end of a sentence: `"Lint" failed`. */
  readonly broken: string | null
  /** Of a block: what it asks, and what the button says that lets it pass. */
  readonly prompt: string | null
  readonly submit: string | null
  readonly fields: readonly Field[]
  /** Of a trigger: the builds that it started last, and why none were where they could not be. */
  readonly trigger: { readonly project: string; readonly async: boolean; readonly builds: readonly BuildLink[]; readonly refused: string | null } | null
  /** Who let it pass, and what was answered, by the keys of the fields. */
  readonly unblocked: { readonly by: string; readonly at: string; readonly answers: Readonly<Record<string, string>> } | null
}

/** What jobs wrote onto the page of their build; the text of all of them is under `…/builds/{number}/annotations`. */
export interface AnnotationSummary {
  /** The job that it is about; null: the whole build. */
  readonly job: string | null
  readonly context: string
  readonly style: AnnotationStyle
  /** From 1 to 10; the greatest is shown first. */
  readonly priority: number
  readonly created_at: string
  readonly updated_at: string
  /** Of the body. */
  readonly bytes: number
}

export interface AnnotationView extends AnnotationSummary {
  /** Markdown. */
  readonly body: string
}

/** Of a build: values by their keys, in the order of those. */
export interface MetaDataView {
  readonly meta_data: Readonly<Record<string, string>>
}

/** One who is told how a build or one of its steps goes. */
export interface NotificationView {
  readonly kind: 'commit_status' | 'webhook'
  /** The context of the status, or the host of the webhook. */
  readonly name: string
  /** Number of the step that it is about; null: the whole build. */
  readonly step: number | null
  /** What the other side has confirmed; null: nothing yet. */
  readonly told: string | null
  /** What it is to be told next; null: nothing, for now or for good. */
  readonly to_tell: string | null
  /** Why the last try to tell it failed, as the end of a sentence (`untold.ts`); null: nothing is wrong. */
  readonly problem: string | null
}

export interface BuildView extends BuildSummary {
  readonly jobs: readonly JobView[]
  /** In the order of the pipeline; empty for a build without one. */
  readonly steps: readonly StepView[]
  /** In the order in which they are shown. */
  readonly annotations: readonly AnnotationSummary[]
  /** Whom its pipeline has told. */
  readonly notifications: readonly NotificationView[]
}

export interface BuildPage {
  readonly builds: readonly BuildSummary[]
  /** Pass it as `cursor` for the next, older page; null at the end. */
  readonly next_cursor: string | null
}

export interface ProjectView {
  readonly slug: string
  readonly repository: string | null
  readonly default_branch: string | null
  readonly command: string | null
  readonly checkout: boolean
  readonly timeout_s: number
  readonly created_at: string
}

export const AGENT_STATES = ['ready', 'busy', 'draining', 'unhealthy', 'held_back', 'offline', 'revoked'] as const
export interface AgentView {
  readonly id: string
  readonly name: string
  readonly state: (typeof AGENT_STATES)[number]
  /** Why it takes no work, where it takes none. */
  readonly reason: string | null
  readonly queue: string
  readonly tags: readonly string[]
  readonly slots: number
  readonly running: readonly { readonly attempt: string; readonly project: string; readonly build: number }[]
  readonly last_seen: string | null
  readonly host: { readonly os: string; readonly arch: string; readonly hostname: string; readonly version: string }
}

export interface TokenView {
  readonly id: string
  readonly kind: string
  readonly name: string
  readonly scope: Scope | null
  readonly created_at: string
  readonly expires_at: string | null
  readonly max_uses: number | null
  readonly uses: number
  readonly last_used_at: string | null
  readonly revoked: boolean
}

/** RFC 9457, the shape of every refusal to a person: `title` names the kind, `detail` says what to do. */
export interface Problem {
  readonly type?: string
  readonly title: string
  readonly status: number
  readonly detail: string
  /** Stable name for scripts, such as `project-unknown`. */
  readonly code: string
  /** One entry per field that was wrong. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[]
}
