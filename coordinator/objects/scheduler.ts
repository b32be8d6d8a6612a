/**
 * The Scheduler object: the single writer of a cluster. A shell only: it gives `Cluster` the object's SQLite, clock and
 * sockets, and follows up what an event leaves to do. The order of that is part of the protocol: the alarm first, with
 * no `await` before it, so that it commits together with the rows; then the bells.
 */
import { DurableObject } from 'cloudflare:workers'
import migrations from '../../schema/migrations/migrations.js'
import type { CreateBuildRequest, CreateProjectRequest, CreateTokenRequest, RetryRequest } from '../../schema/api.ts'
import type { AgentId, AttemptId } from '../../schema/job.ts'
import type { RegisterRequest } from '../../schema/sync.ts'
import { numbers, type Numbers } from '../core/numbers.ts'
import type { Environment } from '../environment.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'
import { migrate } from '../store/migrate.ts'
import type { Binding, Sql } from '../store/sql.ts'
import { adminIdOf, sha256Hex, signAttempt, signSession } from '../trust/tokens.ts'
import { Cluster, type Outcome } from './cluster.ts'
import { Doorbell, type Attached, type Attachment } from './doorbell.ts'
import { STORAGE_NOT_READY, type BuildsFilter, type Caller, type DerivedToken, type SchedulerApi } from './scheduler-api.ts'
import type { ParsedSync } from './sync.ts'

/** Sessions last 15 minutes, and are renewed in each reply [C1.3]. */
const SESSION_MS = 15 * 60_000
/** Logs and results may arrive long after the attempt's own time limit. */
const ATTEMPT_TOKEN_MS = 7 * 24 * 3_600_000

export class Scheduler extends DurableObject<Environment> implements SchedulerApi {
  readonly #cluster: Cluster
  readonly #doorbell: Doorbell
  readonly #numbers: Numbers
  #armed: number | null = null
  /** Why the object must not serve, or null. */
  #broken: string | null = null

  constructor(state: DurableObjectState, env: Environment) {
    super(state, env)
    this.#numbers = numbers(Number(env.KEDGE_TIME_SCALE ?? '1'))
    const signingKey = env.KEDGE_SIGNING_KEY ?? ''
    this.#doorbell = new Doorbell(
      () => this.#attached(),
      (call) => void setTimeout(call, this.#numbers.ringAgainMs),
    )
    this.#cluster = new Cluster({
      sql: sqlOf(state.storage.sql),
      numbers: this.#numbers,
      transaction: (run) => state.storage.transactionSync(run),
      newId: () => crypto.randomUUID(),
      adminId: adminIdOf(env.KEDGE_ADMIN_TOKEN ?? ''),
      attached: () => this.#doorbell.agents(),
      sign: {
        session: (claims) => signSession({ ...claims, expiresAt: claims.issuedAt + SESSION_MS }, signingKey),
        attempt: (attempt, agent, timeLimitS) => signAttempt({ attempt, agent, expiresAt: Date.now() + timeLimitS * 1000 + ATTEMPT_TOKEN_MS }, signingKey),
      },
    })
    void state.blockConcurrencyWhile(() => this.#wake())
  }

  /** Brings the tables up to date before anything is served, and re-arms a missing alarm [C10.2]. Touches no lease. */
  async #wake(): Promise<void> {
    try {
      this.ctx.storage.transactionSync(() => migrate(sqlOf(this.ctx.storage.sql), migrations))
    } catch (error) {
      // A stranger's tables, or newer ones: serving could damage them. Every request is answered 503 with the reason.
      this.#broken = `The stored data could not be brought up to this version: ${error instanceof Error ? error.message : String(error)}. Nothing was changed.`
      console.error(`kedge: ${this.#broken}`)
      return
    }
    this.#armed = await this.ctx.storage.getAlarm()
    const { deadline } = this.#cluster.peek()
    this.#arm(deadline)
  }

  #arm(deadline: number | null): void {
    if (deadline === null || (this.#armed !== null && this.#armed <= deadline)) return
    this.#armed = deadline
    void this.ctx.storage.setAlarm(deadline)
  }

  #follow<T>(outcome: Outcome<T>): T {
    this.#arm(outcome.deadline)
    this.#doorbell.follow(outcome.effects, this.#cluster.memory)
    return outcome.value
  }

  override async alarm(alarm?: AlarmInvocationInfo): Promise<void> {
    if (this.#broken !== null) return
    this.#armed = null
    try {
      this.#follow(this.#cluster.alarm(Date.now()))
    } catch (error) {
      // The platform retries a failed alarm a few times and then gives up; ours must never be without one [I21].
      if ((alarm?.retryCount ?? 0) < 4) throw error
      console.error('kedge: the alarm failed again and is put off', error)
      this.#arm(Date.now() + 30_000)
    } finally {
      // A deadline that this alarm did not handle keeps one armed, whatever happened.
      this.#arm(this.#cluster.peek().deadline)
    }
  }

  #attached(): readonly Attached[] {
    return this.ctx.getWebSockets().flatMap((socket) => {
      const attachment = socket.deserializeAttachment() as Attachment | null // written by `#openDoorbell`
      return attachment === null ? [] : [{ ...attachment, send: (text: string) => socket.send(text) }]
    })
  }

  override async fetch(request: Request): Promise<Response> {
    if (this.#broken !== null) return new Response(this.#broken, { status: 503, headers: { 'retry-after': '60' } })
    const caller = JSON.parse(request.headers.get('x-kedge-caller') ?? 'null') as Caller | null // set by the Worker
    if (caller === null) return new Response('no caller', { status: 400 })
    if (request.url === 'https://scheduler/sync') {
      const sync = (await request.json()) as ParsedSync // parsed and validated by the Worker
      this.#doorbell.answered(sync.agent)
      const answer = this.#follow(this.#cluster.sync(Date.now(), sync, caller))
      return answer.ok ? Response.json(answer.value, { headers: PROTOCOL_HEADERS }) : refusal(answer.code, answer.message, answer.extra)
    }
    if (request.url === 'https://scheduler/doorbell') return this.#openDoorbell(caller)
    return new Response('not found', { status: 404 })
  }

  #openDoorbell(caller: Caller): Response {
    if (caller.via !== 'session') return refusal('token_invalid', 'the doorbell needs a session token')
    const offer = this.#cluster.offerOf(caller.agent, caller.credentialVersion)
    if (offer === null) return refusal('session_expired', 'the session has ended')
    const agent = caller.agent as AgentId // signed by us
    for (const old of this.ctx.getWebSockets(`agent:${agent}`)) old.close(1000, 'replaced by a newer connection')
    const pair = new WebSocketPair()
    this.ctx.acceptWebSocket(pair[1], [`agent:${agent}`])
    pair[1].serializeAttachment({ agent, queue: offer.queue, tags: offer.tags } satisfies Attachment)
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

  /** Nothing is served from tables that are not this version's. */
  #sound(): void {
    if (this.#broken !== null) throw new Error(`${STORAGE_NOT_READY}${this.#broken}`)
  }

  async register(request: RegisterRequest, registrationTokenSha256: string) {
    this.#sound()
    const standing = this.env.KEDGE_REGISTRATION_TOKEN
    const isStanding = standing !== undefined && standing !== '' && sha256Hex(standing) === registrationTokenSha256
    return this.#follow(this.#cluster.register(Date.now(), request, { tokenSha256: registrationTokenSha256, isStanding }))
  }

  async rotate(agentId: string, current: Caller, newSecretSha256: string) {
    this.#sound()
    return this.#follow(this.#cluster.rotate(Date.now(), agentId, current, newSecretSha256))
  }

  async spec(attempt: AttemptId) {
    this.#sound()
    return this.#cluster.spec(attempt)
  }

  async watch(attempt: AttemptId) {
    this.#sound()
    this.#follow(this.#cluster.watch(Date.now(), attempt))
  }

  async createProject(request: CreateProjectRequest) {
    this.#sound()
    return this.#follow(this.#cluster.createProject(Date.now(), request))
  }

  async projects() {
    this.#sound()
    return this.#cluster.projects()
  }

  async project(slug: string) {
    this.#sound()
    return this.#cluster.project(slug)
  }

  async createBuild(slug: string, request: CreateBuildRequest, options: { readonly idempotencyKey: string | null; readonly origin: string }) {
    this.#sound()
    return this.#follow(this.#cluster.createBuild(Date.now(), slug, request, options))
  }

  async builds(filter: BuildsFilter, origin: string) {
    this.#sound()
    return this.#cluster.builds(Date.now(), filter, origin)
  }

  async build(slug: string, number: number, origin: string) {
    this.#sound()
    return this.#cluster.build(Date.now(), slug, number, origin)
  }

  async cancelBuild(slug: string, number: number, origin: string) {
    this.#sound()
    return this.#follow(this.#cluster.cancelBuild(Date.now(), slug, number, origin))
  }

  async retryBuild(slug: string, number: number, request: RetryRequest, origin: string) {
    this.#sound()
    return this.#follow(this.#cluster.retryBuild(Date.now(), slug, number, request, origin))
  }

  async job(id: string) {
    this.#sound()
    return this.#cluster.job(id)
  }

  async agents() {
    this.#sound()
    return this.#cluster.agents(Date.now())
  }

  async changeAgent(id: string, action: 'drain' | 'resume' | 'revoke') {
    this.#sound()
    return this.#follow(this.#cluster.changeAgent(Date.now(), id, action))
  }

  async identify(sha256: string, kind: 'api' | 'session' | 'login') {
    this.#sound()
    return this.#follow(this.#cluster.identify(Date.now(), sha256, kind))
  }

  async storeToken(request: CreateTokenRequest | DerivedToken, sha256: string) {
    this.#sound()
    return this.#follow(this.#cluster.storeToken(Date.now(), request, sha256))
  }

  async tokens() {
    this.#sound()
    return this.#cluster.tokens()
  }

  async revokeToken(id: string) {
    this.#sound()
    return this.#follow(this.#cluster.revokeToken(Date.now(), id))
  }
}

function sqlOf(storage: SqlStorage): Sql {
  return {
    all: (query, bindings) => [...storage.exec(query, ...(bindings as Binding[])).raw()],
    run: (query, bindings) => void storage.exec(query, ...(bindings as Binding[])),
  }
}
