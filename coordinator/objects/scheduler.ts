/**
 * The Scheduler object: the single writer of a cluster. A shell only: it gives `Cluster` and its `Upkeep` the object's
 * SQLite, alarm, clock and sockets, and carries what they say to the Worker and back.
 */
import { DurableObject } from 'cloudflare:workers'
import migrations from '../../schema/migrations/migrations.js'
import type { CreateBuildRequest, CreateProjectRequest, CreateTokenRequest, RetryRequest } from '../../schema/api.ts'
import type { SearchArtifacts, UploadedFile } from '../../schema/artifacts.ts'
import type { AttemptId } from '../../schema/job.ts'
import type { MetaDataSet, RemoveAnnotation, StepUpdate } from '../../schema/job-calls.ts'
import type { RegisterRequest } from '../../schema/sync.ts'
import { parseForges } from '../../schema/forges.ts'
import { numbers } from '../core/numbers.ts'
import type { Environment } from '../environment.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'
import { migrate } from '../store/migrate.ts'
import { signing } from '../trust/signing.ts'
import { adminIdOf, sha256Hex } from '../trust/tokens.ts'
import { Cluster } from './cluster.ts'
import { Courier } from './courier.ts'
import { admit, Doorbell, type Attached, type Attachment } from './doorbell.ts'
import type { Outcome } from './event-runner.ts'
import { sqlOf } from './object-sql.ts'
import type { AnnotateCall, Answered, BuildsFilter, Caller, DerivedToken, PipelineUpload, SchedulerApi, WantedArtifacts } from './scheduler-api.ts'
import type { ParsedSync } from './sync.ts'
import { Upkeep } from './upkeep.ts'

export class Scheduler extends DurableObject<Environment> implements SchedulerApi {
  readonly #upkeep: Upkeep

  constructor(state: DurableObjectState, env: Environment) {
    super(state, env)
    const { storage } = state
    const sql = sqlOf(storage)
    const scaled = numbers(Number(env.KEDGE_TIME_SCALE ?? '1'))
    const doorbell = new Doorbell(
      () => this.#attached(),
      (call) => void setTimeout(call, scaled.ringAgainMs),
    )
    const cluster = new Cluster({
      sql,
      numbers: scaled,
      transaction: sql.transaction,
      newId: () => crypto.randomUUID(),
      adminId: adminIdOf(env.KEDGE_ADMIN_TOKEN ?? ''),
      attached: () => doorbell.agents(),
      sign: signing(env.KEDGE_SIGNING_KEY ?? '', () => Date.now()),
    })
    const courier = new Courier({
      forges: parseForges(env.KEDGE_FORGES),
      due: () => cluster.toTell(Date.now()),
      told: (delivery, outcome) => void this.#follow(this.#cluster.told(Date.now(), delivery, outcome)),
      during: (promise) => state.waitUntil(promise),
      fetch: (url, init) => fetch(url, init),
    })
    this.#upkeep = new Upkeep({
      cluster,
      doorbell,
      alarm: { get: () => storage.getAlarm(), set: (at) => void storage.setAlarm(at) },
      migrate: () => sql.transaction(() => migrate(sql, migrations)),
      now: () => Date.now(),
      tell: () => courier.go(),
    })
    void state.blockConcurrencyWhile(() => this.#upkeep.wake())
  }

  /** Throws while the tables are not this version's. */
  get #cluster(): Cluster {
    return this.#upkeep.cluster
  }

  #follow<T>(outcome: Outcome<T>): T {
    return this.#upkeep.follow(outcome)
  }

  override async alarm(alarm?: AlarmInvocationInfo): Promise<void> {
    this.#upkeep.alarm(alarm?.retryCount ?? 0)
  }

  #attached(): readonly Attached[] {
    return this.ctx.getWebSockets().flatMap((socket) => {
      const attachment = socket.deserializeAttachment() as Attachment | null // written by `#openDoorbell`
      return attachment === null ? [] : [{ ...attachment, send: (text: string) => socket.send(text) }]
    })
  }

  override async fetch(request: Request): Promise<Response> {
    const { broken } = this.#upkeep
    if (broken !== null) return new Response(broken, { status: 503, headers: { 'retry-after': '60' } })
    const caller = JSON.parse(request.headers.get('x-kedge-caller') ?? 'null') as Caller | null // set by the Worker
    if (caller === null) return new Response('no caller', { status: 400 })
    if (request.url === 'https://scheduler/sync') {
      const sync = (await request.json()) as ParsedSync // parsed and validated by the Worker
      const answer = this.#upkeep.sync(sync, caller)
      return answer.ok ? Response.json(answer.value, { headers: PROTOCOL_HEADERS }) : refusal(answer)
    }
    if (request.url === 'https://scheduler/doorbell') return this.#openDoorbell(caller)
    return new Response('not found', { status: 404 })
  }

  #openDoorbell(caller: Caller): Response {
    const admitted = admit(this.#cluster, caller)
    if (!admitted.ok) return refusal(admitted)
    const { value } = admitted
    for (const old of this.ctx.getWebSockets(`agent:${value.agent}`)) old.close(1000, 'replaced by a newer connection')
    const pair = new WebSocketPair()
    this.ctx.acceptWebSocket(pair[1], [`agent:${value.agent}`])
    pair[1].serializeAttachment(value)
    return new Response(null, { status: 101, webSocket: pair[0] })
  }

  /** The agent says nothing over its doorbell; whatever comes is ignored. */
  override webSocketMessage(): void {}

  override webSocketClose(socket: WebSocket, code: number): void {
    try {
      socket.close(code === 1005 || code === 1006 ? 1000 : code)
    } catch {
      // Closed already.
    }
  }

  async register(request: RegisterRequest, registrationTokenSha256: string) {
    const standing = this.env.KEDGE_REGISTRATION_TOKEN
    const isStanding = standing !== undefined && standing !== '' && sha256Hex(standing) === registrationTokenSha256
    return this.#follow(this.#cluster.register(Date.now(), request, { tokenSha256: registrationTokenSha256, isStanding }))
  }

  async rotate(agentId: string, current: Caller, newSecretSha256: string) {
    return this.#follow(this.#cluster.rotate(Date.now(), agentId, current, newSecretSha256))
  }

  async spec(attempt: AttemptId) {
    return this.#cluster.spec(attempt)
  }

  async watch(attempt: AttemptId) {
    this.#follow(this.#cluster.watch(Date.now(), attempt))
  }

  async createProject(request: CreateProjectRequest) {
    return this.#follow(this.#cluster.createProject(Date.now(), request))
  }

  async projects() {
    return this.#cluster.projects()
  }

  async project(slug: string) {
    return this.#cluster.project(slug)
  }

  async createBuild(slug: string, request: CreateBuildRequest, options: { readonly idempotencyKey: string | null; readonly origin: string }) {
    return this.#follow(this.#cluster.createBuild(Date.now(), slug, request, options))
  }

  async builds(filter: BuildsFilter, origin: string) {
    return this.#cluster.builds(Date.now(), filter, origin)
  }

  async build(slug: string, number: number, origin: string) {
    return this.#cluster.build(Date.now(), slug, number, origin)
  }

  async cancelBuild(slug: string, number: number, origin: string) {
    return this.#follow(this.#cluster.cancelBuild(Date.now(), slug, number, origin))
  }

  async retryBuild(slug: string, number: number, request: RetryRequest, origin: string) {
    return this.#follow(this.#cluster.retryBuild(Date.now(), slug, number, request, origin))
  }

  async retryJob(id: string, origin: string) {
    return this.#follow(this.#cluster.retryJob(Date.now(), id, origin))
  }

  async unblock(slug: string, number: number, step: string, answered: Answered, origin: string) {
    return this.#follow(this.#cluster.unblock(Date.now(), slug, number, step, answered, origin))
  }

  async uploadPipeline(attempt: AttemptId, upload: PipelineUpload) {
    return this.#follow(this.#cluster.uploadPipeline(Date.now(), attempt, upload))
  }

  async setMetaData(attempt: AttemptId, entry: MetaDataSet) {
    return this.#follow(this.#cluster.setMetaData(Date.now(), attempt, entry))
  }

  async metaData(attempt: AttemptId, key: string) {
    return this.#cluster.metaData(attempt, key)
  }

  async metaDataKeys(attempt: AttemptId) {
    return this.#cluster.metaDataKeys(attempt)
  }

  async metaDataOfBuild(slug: string, number: number) {
    return this.#cluster.metaDataOfBuild(slug, number)
  }

  async annotate(attempt: AttemptId, call: AnnotateCall) {
    return this.#follow(this.#cluster.annotate(Date.now(), attempt, call))
  }

  async removeAnnotation(attempt: AttemptId, asked: RemoveAnnotation) {
    return this.#follow(this.#cluster.removeAnnotation(Date.now(), attempt, asked))
  }

  async annotations(slug: string, number: number) {
    return this.#cluster.annotations(slug, number)
  }

  async step(attempt: AttemptId, named: string | null) {
    return this.#cluster.step(attempt, named)
  }

  async updateStep(attempt: AttemptId, update: StepUpdate & { readonly key: string }) {
    return this.#follow(this.#cluster.updateStep(Date.now(), attempt, update))
  }

  async cancelStep(attempt: AttemptId, named: string | null) {
    return this.#follow(this.#cluster.cancelStep(Date.now(), attempt, named))
  }

  async cancelOwnBuild(attempt: AttemptId) {
    return this.#follow(this.#cluster.cancelOwnBuild(Date.now(), attempt))
  }

  async addArtifacts(attempt: AttemptId, files: readonly UploadedFile[]) {
    return this.#follow(this.#cluster.addArtifacts(Date.now(), attempt, files))
  }

  async searchArtifacts(attempt: AttemptId, search: SearchArtifacts, origin: string) {
    return this.#cluster.searchArtifacts(attempt, search, origin)
  }

  async artifacts(slug: string, number: number, wanted: WantedArtifacts, origin: string) {
    return this.#cluster.artifacts(slug, number, wanted, origin)
  }

  async artifact(slug: string, number: number, id: string, origin: string) {
    return this.#cluster.artifact(slug, number, id, origin)
  }

  async job(id: string) {
    return this.#cluster.job(id)
  }

  async agents() {
    return this.#cluster.agents(Date.now())
  }

  async changeAgent(id: string, action: 'drain' | 'resume' | 'revoke') {
    return this.#follow(this.#cluster.changeAgent(Date.now(), id, action))
  }

  async identify(sha256: string, kind: 'api' | 'session' | 'login') {
    return this.#follow(this.#cluster.identify(Date.now(), sha256, kind))
  }

  async storeToken(request: CreateTokenRequest | DerivedToken, sha256: string) {
    return this.#follow(this.#cluster.storeToken(Date.now(), request, sha256))
  }

  async tokens() {
    return this.#cluster.tokens()
  }

  async revokeToken(id: string) {
    return this.#follow(this.#cluster.revokeToken(Date.now(), id))
  }
}
