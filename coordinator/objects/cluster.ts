/**
 * What may happen to a cluster, each as one event (`event-runner.ts`). The steps themselves are in the files beside this
 * one. It knows SQLite only through `Sql` and time only as a number, so that the very same code runs in the object, in
 * tests and under simulation; `scheduler.ts` is the shell that gives it both.
 */
import type { AgentView, AnnotationView, BuildPage, BuildView, CreateBuildRequest, CreateProjectRequest, CreateTokenRequest, MetaDataView, Problem, ProjectView, RetryRequest, TokenView } from '../../schema/api.ts'
import type { ArtifactPage, ArtifactView, SearchArtifacts, UploadedFile } from '../../schema/artifacts.ts'
import { isFinal, jobId, parseAttemptId, parseJobId, type AttemptId } from '../../schema/job.ts'
import type { MetaDataSet, RemoveAnnotation, StepAttributes, StepUpdate } from '../../schema/job-calls.ts'
import type { RegisterReply, RegisterRequest, SyncReply } from '../../schema/sync.ts'
import type { ProjectRow } from '../core/decision.ts'
import type { Offered } from '../core/matching.ts'
import type { Told } from '../core/notify.ts'
import { specOf } from '../core/plan.ts'
import * as load from '../store/load.ts'
import type { Memory } from '../store/memory.ts'
import { agentView, buildPage, buildView, projectView, tokenView, type Reading } from '../store/read.ts'
import { annotate, annotationsOf, removeAnnotation } from './annotations.ts'
import { addArtifacts, artifactOf, artifactsOf, searchArtifacts } from './artifacts.ts'
import { cancelBuild } from './cancel.ts'
import type { Delivery } from './deliveries.ts'
import type { Event } from './event.ts'
import { EventRunner, type EventRunnerParts, type Outcome } from './event-runner.ts'
import { changeAgent, register, rotate } from './fleet.ts'
import { openGates } from './gates.ts'
import { jobLogs } from './job-logs.ts'
import { cancelOwnBuild, cancelStepOf, changeStep, stepOf } from './job-steps.ts'
import { metaDataKeysOf, metaDataOf, metaDataView, setMetaData } from './meta-data.ts'
import { buildNamed, buildOf, projectNamed, type NamedBuild } from './named.ts'
import { problem, type AgentAnswer, type AnnotateCall, type Answer, type Answered, type BuildsFilter, type Caller, type DerivedToken, type JobLogs, type Principal, type PipelineUpload, type Uploaded, type WantedArtifacts } from './scheduler-api.ts'
import { retryBuild, retryOneJob } from './retry.ts'
import { startBuild, startProject } from './starting.ts'
import { applyGapRule, sync, type ParsedSync } from './sync.ts'
import { unblockStep } from './unblock.ts'
import { uploadPipeline } from './upload.ts'
import { identify, revokeToken, storeToken } from './tokens.ts'

export interface ClusterParts extends EventRunnerParts {
  /** 1 to 40 characters, never twice. */
  readonly newId: () => string
  /** Names the admin token that is in force. */
  readonly adminId: string
}

export class Cluster {
  readonly #parts: ClusterParts
  readonly #events: EventRunner

  constructor(parts: ClusterParts) {
    this.#parts = parts
    this.#events = new EventRunner(parts)
  }

  get memory(): Memory {
    return this.#events.memory
  }

  /** Forgets all that is not stored, as an eviction does. */
  evict(): void {
    this.#events.evict()
  }

  /** The next deadline, without an event. */
  peek(): { readonly deadline: number | null } {
    return this.#events.peek()
  }

  toTell(now: number): readonly Delivery[] {
    return this.#events.toTell(now)
  }

  told(now: number, delivery: Delivery, outcome: Told): Outcome<null> {
    return this.#events.told(now, delivery, outcome)
  }

  /** Whether a job of the class waits for an agent. */
  hasQueued(jobClass: number): boolean {
    return this.memory.maybeQueued.has(jobClass) && load.queueHead(this.#parts.sql, jobClass, 1).length > 0
  }

  /** What a registered agent offers, for its doorbell; null when its session is not valid any more. */
  offerOf(id: string, credentialVersion: number): Offered | null {
    const agent = this.memory.agents.get(id) ?? null
    return agent && agent.revokedAt === null && agent.credentialVersion === credentialVersion ? agent.offer : null
  }

  sync(now: number, request: ParsedSync, caller: Caller): Outcome<AgentAnswer<SyncReply>> {
    const synced = this.#events.run(now, (event) => sync(event, request, caller))
    // Who is refused was not heard, so the gap rule has not run [C4.2]: ending anything here would end what an outage kept silent.
    return synced.value.ok ? this.#events.withExpired(now, synced) : synced
  }

  alarm(now: number): Outcome<null> {
    this.#events.run(now, applyGapRule)
    return this.#events.withExpired(now, this.#events.run(now, (event) => {
      load.forgetDedupsBefore(event.on, now - event.numbers.dedupMs, now)
      load.expiredTokens(event.on, now)
      return null
    }))
  }

  register(now: number, request: RegisterRequest, proof: { readonly tokenSha256: string; readonly isStanding: boolean }): Outcome<AgentAnswer<RegisterReply>> {
    return this.#events.run(now, (event) => register(event, request, proof))
  }

  rotate(now: number, id: string, caller: Caller, sha256: string): Outcome<AgentAnswer<{ readonly rotated: true }>> {
    return this.#events.run(now, (event) => rotate(event, id, caller, sha256))
  }

  spec(attempt: AttemptId): AgentAnswer<string> {
    const { sql } = this.#parts
    const key = parseAttemptId(attempt)
    const job = key && load.job(sql, key)
    if (!job || job.fence !== key.fence) return { ok: false, code: 'attempt_superseded', message: `attempt ${attempt} is not current` }
    if (isFinal(job.state)) return { ok: false, code: 'attempt_final', message: `the job of ${attempt} is ${job.state}` }
    const build = load.build(sql, job.project, job.build)
    const project = this.memory.projects.get(job.project)
    if (!build || !project) return { ok: false, code: 'attempt_superseded', message: `attempt ${attempt} is not current` }
    return { ok: true, value: JSON.stringify(specOf(job, build, project)) }
  }

  watch(now: number, attempt: AttemptId): Outcome<null> {
    return this.#events.run(now, (event) => {
      const key = parseAttemptId(attempt)
      const lease = key && event.memory.leases.get(jobId(key))
      if (lease && lease.fence === key.fence && !event.memory.watched.has(attempt)) {
        event.memory.watched.add(attempt)
        event.effects.push({ kind: 'ring', agent: lease.agent })
      }
      return null
    })
  }

  createProject(now: number, request: CreateProjectRequest): Outcome<Answer<ProjectView>> {
    return this.#events.run(now, (event) => mapped(startProject(event, request), projectView))
  }

  projects(): readonly ProjectView[] {
    return this.memory.allProjects().map(projectView)
  }

  project(slug: string): Answer<ProjectView> {
    return mapped(projectNamed(this, slug), projectView)
  }

  createBuild(now: number, slug: string, request: CreateBuildRequest, options: { readonly idempotencyKey: string | null; readonly origin: string }): Outcome<Answer<BuildView>> {
    return this.#events.run(now, (event) => {
      const started = startBuild(event, slug, request, options)
      return started.ok ? this.#viewOfBuild(event, started.value.project, started.value.number, options.origin) : started
    })
  }

  cancelBuild(now: number, slug: string, number: number, origin: string): Outcome<Answer<BuildView>> {
    return this.#change(now, slug, number, origin, (event, { build }) => cancelBuild(event, build))
  }

  retryBuild(now: number, slug: string, number: number, request: RetryRequest, origin: string): Outcome<Answer<BuildView>> {
    return this.#change(now, slug, number, origin, (event, { build }) => retryBuild(event, build, request))
  }

  retryJob(now: number, id: string, origin: string): Outcome<Answer<BuildView>> {
    return this.#events.run(now, (event) => {
      const key = parseJobId(id)
      const job = key && load.job(event.on, key)
      const project = job && event.memory.projects.get(job.project)
      const build = job && load.build(event.on, job.project, job.build)
      if (!job || !project || !build) return problem(404, 'job-unknown', 'No such job', `There is no job ${id}.`)
      return this.#changed(event, { project, build }, origin, retryOneJob(event, build, job))
    })
  }

  unblock(now: number, slug: string, number: number, named: string, answered: Answered, origin: string): Outcome<Answer<BuildView>> {
    return this.#change(now, slug, number, origin, (event, found) => unblockStep(event, found, named, answered))
  }

  #change(now: number, slug: string, number: number, origin: string, change: (event: Event, found: NamedBuild) => Problem | null | void): Outcome<Answer<BuildView>> {
    return this.#events.run(now, (event) => {
      const found = buildNamed(event, slug, number)
      if (!found.ok) return found
      return this.#changed(event, found.value, origin, change(event, found.value))
    })
  }

  /** The build as the event leaves it, unless what was asked was refused. */
  #changed(event: Event, { project, build }: NamedBuild, origin: string, refused: Problem | null | void): Answer<BuildView> {
    if (refused) return { ok: false, problem: refused }
    openGates(event)
    return this.#viewOfBuild(event, project, build.number, origin)
  }

  /** Steps that a running job brings into its build. */
  uploadPipeline(now: number, attempt: AttemptId, upload: PipelineUpload): Outcome<Answer<Uploaded>> {
    return this.#events.run(now, (event) => uploadPipeline(event, attempt, upload))
  }

  setMetaData(now: number, attempt: AttemptId, entry: MetaDataSet): Outcome<Answer<string>> {
    return this.#events.run(now, (event) => setMetaData(event, attempt, entry))
  }

  metaData(attempt: AttemptId, key: string): Answer<string | null> {
    return metaDataOf(this.#parts.sql, attempt, key)
  }

  metaDataKeys(attempt: AttemptId): Answer<readonly string[]> {
    return metaDataKeysOf(this.#parts.sql, attempt)
  }

  metaDataOfBuild(slug: string, number: number): Answer<MetaDataView> {
    return mapped(buildNamed({ on: this.#parts.sql, memory: this.memory }, slug, number), ({ build }) => metaDataView(this.#parts.sql, build))
  }

  annotate(now: number, attempt: AttemptId, call: AnnotateCall): Outcome<Answer<number>> {
    return this.#events.run(now, (event) => annotate(event, attempt, call))
  }

  removeAnnotation(now: number, attempt: AttemptId, asked: RemoveAnnotation): Outcome<Answer<boolean>> {
    return this.#events.run(now, (event) => removeAnnotation(event, attempt, asked))
  }

  annotations(slug: string, number: number): Answer<readonly AnnotationView[]> {
    return mapped(buildNamed({ on: this.#parts.sql, memory: this.memory }, slug, number), ({ build }) => annotationsOf(this.#parts.sql, build))
  }

  step(attempt: AttemptId, named: string | null): Answer<StepAttributes> {
    return stepOf(this.#parts.sql, attempt, named)
  }

  updateStep(now: number, attempt: AttemptId, update: StepUpdate & { readonly key: string }): Outcome<Answer<null>> {
    return this.#events.run(now, (event) => changeStep(event, attempt, update))
  }

  cancelStep(now: number, attempt: AttemptId, named: string | null): Outcome<Answer<string>> {
    return this.#events.run(now, (event) => cancelStepOf(event, attempt, named))
  }

  cancelOwnBuild(now: number, attempt: AttemptId): Outcome<Answer<number>> {
    return this.#events.run(now, (event) => cancelOwnBuild(event, attempt))
  }

  addArtifacts(now: number, attempt: AttemptId, files: readonly UploadedFile[]): Outcome<Answer<number>> {
    return this.#events.run(now, (event) => addArtifacts(event, attempt, files))
  }

  searchArtifacts(attempt: AttemptId, search: SearchArtifacts, origin: string): Answer<ArtifactPage> {
    return searchArtifacts(this.#artifacts(origin), attempt, search)
  }

  artifacts(slug: string, number: number, wanted: WantedArtifacts, origin: string): Answer<ArtifactPage> {
    return artifactsOf(this.#artifacts(origin), slug, number, wanted)
  }

  artifact(slug: string, number: number, id: string, origin: string): Answer<ArtifactView> {
    return artifactOf(this.#artifacts(origin), slug, number, id)
  }

  #artifacts(origin: string) {
    return { on: this.#parts.sql, memory: this.memory, origin }
  }

  build(now: number, slug: string, number: number, origin: string): Answer<BuildView> {
    const project = projectNamed(this, slug)
    return project.ok ? this.#viewOfBuild({ now }, project.value, number, origin) : project
  }

  builds(now: number, filter: BuildsFilter, origin: string): Answer<BuildPage> {
    const project = filter.project === null ? null : projectNamed(this, filter.project)
    if (project?.ok === false) return project
    const page = buildPage(this.#reading(now, origin), project === null ? this.memory.allProjects() : [project.value], filter)
    return page ? { ok: true, value: page } : problem(400, 'cursor-invalid', 'The cursor is not valid', 'Use the next_cursor of an earlier answer, unchanged.')
  }

  job(id: string): Answer<JobLogs> {
    return jobLogs({ on: this.#parts.sql, memory: this.memory }, id)
  }

  agents(now: number): readonly AgentView[] {
    const reading = this.#reading(now, '')
    return [...this.memory.agents.values()].map((agent) => agentView(reading, agent))
  }

  changeAgent(now: number, id: string, action: 'drain' | 'resume' | 'revoke'): Outcome<Answer<AgentView>> {
    return this.#events.run(now, (event) => mapped(changeAgent(event, id, action), (agent) => agentView(this.#reading(now, ''), agent)))
  }

  identify(now: number, sha256: string, kind: 'api' | 'session' | 'login'): Outcome<Principal | null> {
    return this.#events.run(now, (event) => identify(event, sha256, kind, this.#parts.adminId))
  }

  storeToken(now: number, request: CreateTokenRequest | DerivedToken, sha256: string): Outcome<Answer<TokenView>> {
    return this.#events.run(now, (event) => storeToken(event, this.#parts.newId(), request, sha256))
  }

  tokens(): readonly TokenView[] {
    return load.managedTokens(this.#parts.sql).map(tokenView)
  }

  revokeToken(now: number, id: string): Outcome<Answer<TokenView>> {
    return this.#events.run(now, (event) => revokeToken(event, id))
  }

  #reading(now: number, origin: string): Reading {
    return { on: this.#parts.sql, memory: this.memory, now, numbers: this.#parts.numbers, attached: this.#parts.attached(), origin }
  }

  #viewOfBuild({ now }: { readonly now: number }, project: ProjectRow, number: number, origin: string): Answer<BuildView> {
    return mapped(buildOf({ on: this.#parts.sql }, project, number), ({ build }) => buildView(this.#reading(now, origin), project, build))
  }
}

function mapped<T, U>(answer: Answer<T>, to: (value: T) => U): Answer<U> {
  return answer.ok ? { ok: true, value: to(answer.value) } : answer
}
