/**
 * Steps as Kedge runs them: every short form and old spelling of a pipeline file has become one shape, and every default
 * stands in it. `read-steps.ts` makes them of a canonical pipeline and refuses what it does not know; nothing else may
 * build one by hand.
 *
 * A step is as written: `matrix` and `parallelism` make several jobs of it, and an `if` may make none.
 */
import type { Json } from './json.ts'

export interface Pipeline {
  /** For every job; weaker than a step's own. */
  readonly env: Readonly<Record<string, string>>
  readonly steps: readonly Step[]
  readonly notify: readonly Notification[]
}

export type Step = CommandStep | WaitStep | BlockStep | InputStep | TriggerStep | GroupStep

/** What every step has. */
interface Common {
  /** Where it stands: indexes into `steps`, of the pipeline and then of its group. */
  readonly path: readonly number[]
  readonly key: string | null
  readonly label: string | null
  /** A conditional that parses; `conditional/` evaluates it when the pipeline is uploaded. */
  readonly if: string | null
  /** Null: what stands before the last wait. Empty: nothing at all, so it may start at once. */
  readonly dependsOn: readonly Dependency[] | null
  readonly allowDependencyFailure: boolean
}

export interface Dependency {
  /** Key of a step. */
  readonly step: string
  readonly allowFailure: boolean
}

/** Patterns of branch names, with `*` and a leading `!`; null: every branch. */
export type Branches = readonly string[] | null
/** Null: it runs. Else why not; empty when nobody said why. */
export type Skip = string | null
/** Globs of paths whose change makes a step run, and those of paths that do not count. */
export interface IfChanged {
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}
/** Which exit statuses do not fail the build; -1 is that of a job whose agent was lost. A failed build that a trigger step started counts as 1. */
export type SoftFail = 'none' | 'any' | readonly number[]

export interface CommandStep extends Common {
  readonly kind: 'command'
  /** Lines of a script; null when only its plugins and hooks act. */
  readonly command: string | null
  readonly branches: Branches
  /** Null: the default queue. */
  readonly queue: string | null
  /** `key=value`, sorted and once each; a value `*` asks for any. */
  readonly tags: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly plugins: readonly Plugin[]
  /** Globs, relative to the checkout. */
  readonly artifactPaths: readonly string[]
  readonly timeoutMinutes: number | null
  readonly priority: number
  readonly concurrency: Concurrency | null
  readonly parallelism: number | null
  readonly matrix: Matrix | null
  readonly retry: Retry
  readonly softFail: SoftFail
  readonly skip: Skip
  readonly cancelOnBuildFailing: boolean
  /** Null: it always runs. */
  readonly ifChanged: IfChanged | null
  readonly notify: readonly Notification[]
  /** Environment name to the name of a secret. */
  readonly secrets: Readonly<Record<string, string>>
  readonly checkout: CheckoutOptions
}

export interface Plugin {
  /** In full: `github.com/buildkite-plugins/docker-buildkite-plugin#v5.9.0`. */
  readonly source: string
  readonly configuration: Json
}

export interface Concurrency {
  /** At most so many of the group's jobs at once, over all builds of the cluster. */
  readonly limit: number
  readonly group: string
  /** `ordered`: in the order of their creation. `eager`: whichever is ready. */
  readonly method: 'ordered' | 'eager'
}

/** Dimension name to its values; a matrix without names has the one dimension `''`. */
export interface Matrix {
  readonly setup: Readonly<Record<string, readonly MatrixValue[]>>
  readonly adjustments: readonly MatrixAdjustment[]
}
export type MatrixValue = string | number | boolean
export interface MatrixAdjustment {
  readonly with: Readonly<Record<string, MatrixValue>>
  readonly skip: Skip
  readonly softFail: SoftFail
}

export interface Retry {
  readonly automatic: readonly AutomaticRetry[]
  readonly manual: { readonly allowed: boolean; readonly reason: string | null; readonly permitOnPassed: boolean }
}
/** The first rule that matches decides. */
export interface AutomaticRetry {
  /** -1 is that of a job whose agent was lost; `any` is each but 0. */
  readonly exitStatus: 'any' | readonly number[]
  /** Without `SIG`, in capitals, such as `KILL`; or `any`, which also matches none, or `none`. */
  readonly signal: string
  /** One of Buildkite's, such as `agent_stop`; or `any`, or `none`. */
  readonly signalReason: string
  readonly limit: number
}

export interface CheckoutOptions {
  /** No checkout at all. */
  readonly skip: boolean
  /** Null: as the agent does without being asked. */
  readonly submodules: boolean | null
  readonly lfs: boolean | null
  /** Throw the kept work tree away first; ours alone. */
  readonly fresh: boolean
}

export interface WaitStep extends Common {
  readonly kind: 'wait'
  readonly branches: Branches
  readonly continueOnFailure: boolean
}

interface Asking extends Common {
  readonly branches: Branches
  readonly prompt: string | null
  readonly submit: string | null
  readonly fields: readonly Field[]
  /** What the build's state is while it waits here. */
  readonly blockedState: 'passed' | 'failed' | 'running'
}
/** What stands after it waits for a person. */
export interface BlockStep extends Asking {
  readonly kind: 'block'
}
/** Asks a person, and only steps that depend on it wait. */
export interface InputStep extends Asking {
  readonly kind: 'input'
}

/** Its answer becomes the build's meta-data under `key`. */
export type Field = TextField | SelectField
interface FieldCommon {
  readonly key: string
  readonly label: string | null
  readonly hint: string | null
  readonly required: boolean
}
export interface TextField extends FieldCommon {
  readonly kind: 'text'
  readonly default: string | null
  /** A regular expression that the whole answer must match. */
  readonly format: string | null
}
export interface SelectField extends FieldCommon {
  readonly kind: 'select'
  readonly options: readonly { readonly label: string; readonly value: string; readonly hint: string | null; readonly required: boolean | null }[]
  readonly multiple: boolean
  readonly default: readonly string[]
}

export interface TriggerStep extends Common {
  readonly kind: 'trigger'
  readonly branches: Branches
  /** Slug of the project whose build it starts. */
  readonly trigger: string
  /** It does not wait for that build's verdict. */
  readonly async: boolean
  readonly build: {
    readonly message: string | null
    /** `HEAD` unless said. */
    readonly commit: string
    /** Null: that project's default branch. */
    readonly branch: string | null
    readonly metaData: Readonly<Record<string, string>>
    readonly env: Readonly<Record<string, string>>
  }
  readonly parallelism: number | null
  readonly softFail: SoftFail
  readonly skip: Skip
  readonly ifChanged: IfChanged | null
}

/** Steps under one name; they do not nest, and a wait in it is local. Its `if`, `skip` and `ifChanged` hold for each of its steps beside their own. */
export interface GroupStep extends Common {
  readonly kind: 'group'
  readonly steps: readonly Exclude<Step, GroupStep>[]
  readonly skip: Skip
  readonly ifChanged: IfChanged | null
  readonly notify: readonly Notification[]
}

/** Whom to tell. Other services are refused by name. */
export type Notification =
  /** `blockedAsPending`: a build that waits for a person is told as pending; else as success. */
  | { readonly kind: 'commit_status'; readonly context: string | null; readonly blockedAsPending: boolean; readonly if: string | null }
  | { readonly kind: 'webhook'; readonly url: string; readonly if: string | null }

/** Something wrong in a pipeline, and where: `path` is into the canonical document. */
export interface Mistake {
  readonly path: readonly (string | number)[]
  /** One sentence with what to do. */
  readonly message: string
  /** The last name of the path is what is wrong, and not its value. */
  readonly isOfName?: true
  /** Nobody wrote it wrongly: it is right in Buildkite's dialect, and Kedge cannot do it. */
  readonly unsupported?: true
}
