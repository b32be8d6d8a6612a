/**
 * What the Worker may ask of the Scheduler by RPC. The hot verb, sync, and the doorbell's upgrade go by `fetch` instead
 * (`POST /sync`, `GET /doorbell`), because RPC costs more per call than a request.
 *
 * Nothing here throws for a reason that a person or an agent can mend: such refusals are values, since an error loses
 * its class on the way through RPC.
 */
import type { AgentView, AnnotationView, BuildPage, BuildView, CreateBuildRequest, CreateProjectRequest, CreateTokenRequest, FieldAnswer, MetaDataView, Problem, ProjectView, RetryRequest, Scope, TokenView } from '../../schema/api.ts'
import type { ArtifactPage, ArtifactView, SearchArtifacts, UploadedFile } from '../../schema/artifacts.ts'
import type { AttemptId, JobId } from '../../schema/job.ts'
import type { Annotate, MetaDataSet, RemoveAnnotation, StepAttributes, StepUpdate } from '../../schema/job-calls.ts'
import type { Pipeline } from '../../schema/pipeline/steps.ts'
import type { RegisterReply, RegisterRequest } from '../../schema/sync.ts'
import type { Refusal } from '../refusal.ts'

/** How the message of an error begins that says why the Scheduler serves nothing: only its text survives RPC. */
export const STORAGE_NOT_READY = 'storage not ready: '

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem }
export type AgentAnswer<T> = { readonly ok: true; readonly value: T } | Refusal

export function problem(status: number, code: string, title: string, detail: string): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: { status, code, title, detail } }
}

/** Who a person's token belongs to. */
export interface Principal {
  readonly tokenId: string
  /** The admin or API token that stands behind a session or sign-in link, which end with it; of such a token, itself. */
  readonly root: string
  readonly name: string
  readonly scope: Scope
}

/** How an agent proved itself, as found by the Worker; travels to `/sync` and `/doorbell` in the header `x-kedge-caller` as JSON. */
export type Caller =
  | {
      readonly via: 'session'
      readonly agent: string
      readonly bootSeq: number
      readonly credentialVersion: number
      /** By the object's clock, and the pace that the same reply gave: the hearing gate [C4.10]. */
      readonly issuedAt: number
      readonly paceMs: number
    }
  | { readonly via: 'secret'; readonly sha256: string }

export interface BuildsFilter {
  /** Null: of every project. */
  readonly project: string | null
  readonly state?: string
  readonly branch?: string
  readonly limit: number
  readonly cursor?: string
}

/** What the log routes need to know about a job. */
export interface JobLogs {
  readonly id: JobId
  readonly project: string
  readonly build: number
  /** Its state is final: without an attempt by now, it never has one. */
  readonly ended: boolean
  /** Every attempt that was ever assigned, oldest first. */
  readonly attempts: readonly { readonly id: AttemptId; readonly fence: number; readonly agentId: string; readonly ended: boolean; /** As its result announced; null without one. */ readonly logBytes: number | null }[]
}

/** What is made from an admin or API token for a browser. */
export interface DerivedToken {
  readonly kind: 'login' | 'session'
  readonly name: string
  readonly scope: Scope
  readonly life_s: number
  readonly parent: string
}

export interface PipelineUpload {
  readonly pipeline: Pipeline
  /** It takes the place of all steps that have not begun. */
  readonly replace: boolean
  /** Sent again with each repetition of one upload. */
  readonly key: string
  /** SHA-256 of what is asked: the canonical pipeline, and whether it replaces others. */
  readonly digest: string
}

export interface AnnotateCall {
  readonly asked: Annotate
  /** Sent again with each repetition; null: it may happen twice. */
  readonly key: string | null
  /** SHA-256 of what is asked. */
  readonly digest: string
}

export interface Uploaded {
  readonly steps: number
  readonly jobs: number
}

/** Of one job alone; `after` is the cursor of the page before. */
export interface WantedArtifacts {
  readonly job?: string | undefined
  readonly after?: string | undefined
}

/** Who lets a block pass, and what was answered to its fields. */
export interface Answered {
  readonly by: string
  readonly given: readonly FieldAnswer[]
}

export interface SchedulerApi {
  fetch(request: Request): Promise<Response>

  register(request: RegisterRequest, registrationTokenSha256: string): Promise<AgentAnswer<RegisterReply>>
  rotate(agentId: string, current: Caller, newSecretSha256: string): Promise<AgentAnswer<{ readonly rotated: true }>>
  /** The spec of an attempt as JSON text, while the attempt is current. */
  spec(attempt: AttemptId): Promise<AgentAnswer<string>>
  /** The first viewer of a running attempt's log: tells its agent, once, to send at once. */
  watch(attempt: AttemptId): Promise<void>

  createProject(request: CreateProjectRequest): Promise<Answer<ProjectView>>
  projects(): Promise<readonly ProjectView[]>
  project(slug: string): Promise<Answer<ProjectView>>
  /** `idempotencyKey` repeats answer with the first build [I2]; the same key with another body is a problem. */
  createBuild(slug: string, request: CreateBuildRequest, options: { readonly idempotencyKey: string | null; readonly origin: string }): Promise<Answer<BuildView>>
  builds(filter: BuildsFilter, origin: string): Promise<Answer<BuildPage>>
  build(slug: string, number: number, origin: string): Promise<Answer<BuildView>>
  cancelBuild(slug: string, number: number, origin: string): Promise<Answer<BuildView>>
  retryBuild(slug: string, number: number, request: RetryRequest, origin: string): Promise<Answer<BuildView>>
  /** One job alone, where its step allows it. */
  retryJob(id: string, origin: string): Promise<Answer<BuildView>>
  /** Lets a block pass, named by its key or number. */
  unblock(slug: string, number: number, step: string, answered: Answered, origin: string): Promise<Answer<BuildView>>
  /** Steps that the job of a current attempt brings into its build; a repetition by its key answers as the first time. */
  uploadPipeline(attempt: AttemptId, upload: PipelineUpload): Promise<Answer<Uploaded>>
  /** Only of a current attempt; answers with the value. */
  setMetaData(attempt: AttemptId, entry: MetaDataSet): Promise<Answer<string>>
  /** Null: nobody set it. */
  metaData(attempt: AttemptId, key: string): Promise<Answer<string | null>>
  metaDataKeys(attempt: AttemptId): Promise<Answer<readonly string[]>>
  metaDataOfBuild(slug: string, number: number): Promise<Answer<MetaDataView>>
  /** Only of a current attempt; answers with the bytes that the annotation has now. */
  annotate(attempt: AttemptId, call: AnnotateCall): Promise<Answer<number>>
  /** Likewise; answers with whether there was one. */
  removeAnnotation(attempt: AttemptId, asked: RemoveAnnotation): Promise<Answer<boolean>>
  annotations(slug: string, number: number): Promise<Answer<readonly AnnotationView[]>>
  /** A step of the build, by its key or id; null: the job's own. */
  step(attempt: AttemptId, named: string | null): Promise<Answer<StepAttributes>>
  /** Only of a current attempt, as the next two; `key` is sent again with each repetition of one change. */
  updateStep(attempt: AttemptId, update: StepUpdate & { readonly key: string }): Promise<Answer<null>>
  /** Answers with the id of the step. */
  cancelStep(attempt: AttemptId, named: string | null): Promise<Answer<string>>
  /** Answers with the number of the build. */
  cancelOwnBuild(attempt: AttemptId): Promise<Answer<number>>
  /** Only of a current attempt; files whose bytes are in R2. Answers with how many. */
  addArtifacts(attempt: AttemptId, files: readonly UploadedFile[]): Promise<Answer<number>>
  searchArtifacts(attempt: AttemptId, search: SearchArtifacts, origin: string): Promise<Answer<ArtifactPage>>
  artifacts(slug: string, number: number, wanted: WantedArtifacts, origin: string): Promise<Answer<ArtifactPage>>
  artifact(slug: string, number: number, id: string, origin: string): Promise<Answer<ArtifactView>>
  job(id: string): Promise<Answer<JobLogs>>
  agents(): Promise<readonly AgentView[]>
  /** `action`: `drain` takes no more work, `resume` takes it again, `revoke` ends its credential for good. */
  changeAgent(id: string, action: 'drain' | 'resume' | 'revoke'): Promise<Answer<AgentView>>

  /** The principal of an unexpired, unrevoked token of this kind; null otherwise. `login` is used up by asking. */
  identify(sha256: string, kind: 'api' | 'session' | 'login'): Promise<Principal | null>
  /** Stores a token that the Worker made; `sha256` is of its text, which is never stored. */
  storeToken(request: CreateTokenRequest | DerivedToken, sha256: string): Promise<Answer<TokenView>>
  tokens(): Promise<readonly TokenView[]>
  revokeToken(id: string): Promise<Answer<TokenView>>
}

/** RPC of the JobLog object, one per attempt. Log bytes themselves go by `fetch`: `PUT /log`, `POST /seal`, `GET /read`, `GET /follow`. */
export interface JobLogApi {
  fetch(request: Request): Promise<Response>
}
