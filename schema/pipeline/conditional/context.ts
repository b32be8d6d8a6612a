/**
 * What a condition may ask about. Whatever is left out is not known and reads as null. The names of the language are
 * those of `variables.ts`; some of what is here has none and only becomes an environment variable (`environment.ts`).
 */

type Maybe<T> = T | null

export interface Context {
  readonly build: BuildContext
  readonly pipeline?: PipelineContext
  readonly organization?: { readonly id?: Maybe<string>; readonly slug?: Maybe<string> }
  /** Of the step that a notification is about. */
  readonly step?: StepContext
  /** Variables that the pipeline and the build set, null when they do not. Those that say what build this is need not be among them and are not asked for. */
  readonly env: (name: string) => string | null
}

export interface BuildContext {
  readonly id?: Maybe<string>
  readonly number?: Maybe<number>
  readonly state?: Maybe<string>
  readonly fixed?: Maybe<boolean>
  readonly blockedState?: Maybe<string>
  readonly source?: Maybe<string>
  readonly sourceEvent?: Maybe<string>
  readonly sourceAction?: Maybe<string>
  readonly branch?: Maybe<string>
  readonly tag?: Maybe<string>
  readonly message?: Maybe<string>
  readonly commit?: Maybe<string>
  readonly creator?: PersonContext & { readonly verified?: Maybe<boolean> }
  readonly author?: PersonContext
  /** What the commit itself says. */
  readonly scm?: { readonly authorName?: Maybe<string>; readonly authorEmail?: Maybe<string>; readonly committerName?: Maybe<string>; readonly committerEmail?: Maybe<string> }
  readonly pullRequest?: PullRequestContext
  /** `isActive`: this build is one of the queue's. */
  readonly mergeQueue?: { readonly isActive?: boolean; readonly baseBranch?: Maybe<string>; readonly baseCommit?: Maybe<string> }
  readonly triggeredFrom?: { readonly buildId?: Maybe<string>; readonly buildNumber?: Maybe<number>; readonly pipelineSlug?: Maybe<string>; readonly jobId?: Maybe<string> }
  readonly rebuiltFrom?: { readonly buildId?: Maybe<string>; readonly buildNumber?: Maybe<number> }
}

export interface PersonContext {
  readonly id?: Maybe<string>
  readonly name?: Maybe<string>
  readonly email?: Maybe<string>
  readonly teams?: Maybe<readonly string[]>
}

export interface PullRequestContext {
  readonly id?: Maybe<string>
  readonly baseBranch?: Maybe<string>
  readonly isDraft?: Maybe<boolean>
  /** The one whose coming or going is why there is a build. */
  readonly label?: Maybe<string>
  readonly labels?: Maybe<readonly string[]>
  readonly repository?: Maybe<string>
  readonly isFork?: Maybe<boolean>
  readonly usesMergeRefspec?: Maybe<boolean>
}

export interface PipelineContext {
  readonly id?: Maybe<string>
  readonly name?: Maybe<string>
  readonly slug?: Maybe<string>
  readonly defaultBranch?: Maybe<string>
  readonly repository?: Maybe<string>
  readonly startedPassing?: Maybe<boolean>
  readonly startedFailing?: Maybe<boolean>
  readonly nextFinishedBuildExists?: Maybe<boolean>
  /** Whether what changed is told from the commit that a merge queue builds upon, and not from its branch. */
  readonly diffsFromMergeQueueCommit?: Maybe<boolean>
}

export interface StepContext {
  readonly id?: Maybe<string>
  readonly key?: Maybe<string>
  readonly type?: Maybe<string>
  readonly label?: Maybe<string>
  readonly state?: Maybe<string>
  readonly outcome?: Maybe<string>
}
