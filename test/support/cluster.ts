/**
 * The real steps of the Scheduler on a real SQLite, under a clock that the test turns. `restart` forgets memory as an
 * eviction does; nothing else differs from the object.
 */
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { z } from 'zod'
import { Cluster } from '../../coordinator/objects/cluster.ts'
import type { Outcome } from '../../coordinator/objects/event-runner.ts'
import type { Delivery } from '../../coordinator/objects/deliveries.ts'
import type { Answer, Caller } from '../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { numbers, type Numbers } from '../../coordinator/core/numbers.ts'
import type { Effect } from '../../coordinator/core/decision.ts'
import type { Told } from '../../coordinator/core/notify.ts'
import type { Sql } from '../../coordinator/store/sql.ts'
import { signing } from '../../coordinator/trust/signing.ts'
import { readSession, sha256Hex } from '../../coordinator/trust/tokens.ts'
import { annotate, removeAnnotation } from '../../schema/job-calls.ts'
import { createBuildRequest, createProjectRequest, type BuildView, type FieldAnswer } from '../../schema/api.ts'
import type { UploadedFile } from '../../schema/artifacts.ts'
import type { AgentId, AttemptId } from '../../schema/job.ts'
import { syncReply, type AttemptResult, type Offer, type SyncReply, type SyncRequest } from '../../schema/sync.ts'
import type { Pipeline, Step } from '../../schema/pipeline/steps.ts'
import { inTransaction } from './sqlite.ts'
import { pipeline, placed } from './steps.ts'

const KEY = 'a key of the tests, long enough to be one'
export const ORIGIN = 'https://ci.example'
export const REGISTRATION = 'kdg_reg_of-the-tests'

export function sqliteInMemory(): Sql & { readonly database: DatabaseSync; rowsWritten(): number } {
  const database = new DatabaseSync(':memory:')
  const folder = new URL('../../schema/migrations/', import.meta.url)
  const journal = JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')) as { entries: { tag: string }[] }
  for (const { tag } of journal.entries) database.exec(readFileSync(new URL(`${tag}.sql`, folder), 'utf8').replaceAll('--> statement-breakpoint', ''))
  const prepared = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const statement = (query: string) => {
    let known = prepared.get(query)
    if (!known) {
      known = database.prepare(query)
      prepared.set(query, known)
    }
    return known
  }
  const changes = () => Number((statement('select total_changes() as n').get() as { n: number }).n)
  const before = changes()
  return {
    database,
    all: (query, bindings) => {
      const rows = statement(query)
      rows.setReturnArrays(true)
      return rows.all(...bindings) as unknown as unknown[][] // what that setting makes of them
    },
    run: (query, bindings) => void statement(query).run(...bindings),
    rowsWritten: () => changes() - before,
  }
}

export class TestCluster {
  now = 1_800_000_000_000
  readonly sql = sqliteInMemory()
  readonly numbers: Numbers = numbers()
  readonly effects: Effect[] = []
  readonly attached = new Set<AgentId>()
  /** As the object would have armed it. */
  alarmAt: number | null = null
  #ids = 0
  cluster = this.#make()

  #make(): Cluster {
    return new Cluster({
      sql: this.sql,
      numbers: this.numbers,
      adminId: 'admin',
      newId: () => `token-${++this.#ids}`,
      attached: () => this.attached,
      transaction: (run) => inTransaction(this.sql.database, run),
      sign: signing(KEY, () => this.now),
    })
  }

  /** As after an eviction or a restart: memory is gone, rows and alarm are not. */
  restart(): void {
    this.cluster = this.#make()
    this.#arm(this.cluster.peek().deadline)
  }

  #arm(deadline: number | null): void {
    if (deadline !== null && (this.alarmAt === null || deadline < this.alarmAt)) this.alarmAt = deadline
  }

  #follow<T>(outcome: Outcome<T>): T {
    this.effects.push(...outcome.effects)
    this.#arm(outcome.deadline)
    return outcome.value
  }

  /** Lets time pass; alarms fire when they are due, unless the coordinator is `away`. */
  pass(ms: number, { away = false } = {}): void {
    const until = this.now + ms
    while (!away && this.alarmAt !== null && this.alarmAt <= until) {
      this.now = Math.max(this.now, this.alarmAt)
      this.alarmAt = null
      this.#follow(this.cluster.alarm(this.now))
    }
    this.now = until
  }

  project(slug = 'app', over: Record<string, unknown> = {}): void {
    const made = this.#follow(this.cluster.createProject(this.now, createProjectRequest.parse({ slug, repository: 'https://example.com/app.git', command: 'make', ...over })))
    if (!made.ok) throw new Error(made.problem.detail)
  }

  build(request: Record<string, unknown> = {}, { slug = 'app', key = null as string | null } = {}): BuildView {
    return valueOf(this.#follow(this.cluster.createBuild(this.now, slug, createBuildRequest.parse(request), { idempotencyKey: key, origin: ORIGIN })))
  }

  view(number: number, slug = 'app'): BuildView {
    return valueOf(this.cluster.build(this.now, slug, number, ORIGIN))
  }

  cancel(number: number, slug = 'app'): BuildView {
    return valueOf(this.#follow(this.cluster.cancelBuild(this.now, slug, number, ORIGIN)))
  }

  retry(number: number, only?: 'failed', slug = 'app'): Answer<BuildView> {
    return this.#follow(this.cluster.retryBuild(this.now, slug, number, only ? { only } : {}, ORIGIN))
  }

  retryJob(id: string): Answer<BuildView> {
    return this.#follow(this.cluster.retryJob(this.now, id, ORIGIN))
  }

  /** Steps that the job of the attempt brings into its build. */
  upload(attempt: AttemptId, steps: readonly Step[], { key = `key-${++this.#ids}`, over = {} as Partial<Pipeline>, replace = false } = {}) {
    const brought = pipeline(placed(steps), over)
    return this.#follow(this.cluster.uploadPipeline(this.now, attempt, { pipeline: brought, replace, key, digest: sha256Hex(JSON.stringify([brought, replace])) }))
  }

  unblock(number: number, step: string, { given = [] as readonly FieldAnswer[], by = 'somebody' } = {}) {
    return this.#follow(this.cluster.unblock(this.now, 'app', number, step, { by, given }, ORIGIN))
  }

  addArtifacts(attempt: AttemptId, files: readonly UploadedFile[]) {
    return this.#follow(this.cluster.addArtifacts(this.now, attempt, files))
  }

  /** What others are to be told now, as the object asks after each event. */
  toTell(): readonly Delivery[] {
    return this.cluster.toTell(this.now)
  }

  told(delivery: Delivery, outcome: Told = { kind: 'told' }): void {
    this.#follow(this.cluster.told(this.now, delivery, outcome))
  }

  setMetaData(attempt: AttemptId, key: string, value: string) {
    return this.#follow(this.cluster.setMetaData(this.now, attempt, { key, value }))
  }

  annotate(attempt: AttemptId, asked: z.input<typeof annotate>, { key = null as string | null } = {}) {
    return this.#follow(this.cluster.annotate(this.now, attempt, { asked: annotate.parse(asked), key, digest: sha256Hex(JSON.stringify(asked)) }))
  }

  removeAnnotation(attempt: AttemptId, asked: z.input<typeof removeAnnotation> = {}) {
    return this.#follow(this.cluster.removeAnnotation(this.now, attempt, removeAnnotation.parse(asked)))
  }

  annotations(number: number) {
    return valueOf(this.cluster.annotations('app', number))
  }

  sync(request: ParsedSync, caller: Caller) {
    return this.#follow(this.cluster.sync(this.now, request, caller))
  }

  register(agent: TestAgent) {
    return this.#follow(this.cluster.register(this.now, { proto: 1, agent_id: agent.id, secret_sha256: sha256Hex(agent.secret), offer: agent.offer }, { tokenSha256: sha256Hex(REGISTRATION), isStanding: true }))
  }

  agent(name: string, offer: Partial<Offer> = {}): TestAgent {
    const agent = new TestAgent(this, name, offer)
    this.register(agent)
    return agent
  }
}

export function valueOf<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(answer.problem.detail)
  return answer.value
}

/** An agent as the protocol sees one: what it holds, what it says. It does nothing by itself. */
/** With the project `app`, and one agent that has joined and has room for whatever comes. */
export function clusterAtWork(): { readonly c: TestCluster; readonly agent: TestAgent } {
  const c = new TestCluster()
  c.project()
  const agent = c.agent('a', { slots: 100 })
  agent.join()
  return { c, agent }
}

export class TestAgent {
  readonly id: AgentId
  readonly secret: string
  readonly offer: Offer
  bootSeq = 1
  bootId = 'boot-1-of-it'
  seq = 0
  session: string | null = null
  readonly running = new Set<AttemptId>()
  readonly spool = new Map<AttemptId, { digest: string; text: string; result: AttemptResult }>()
  readonly #cluster: TestCluster

  constructor(cluster: TestCluster, name: string, offer: Partial<Offer>) {
    this.#cluster = cluster
    this.id = `a_${name.replace(/[^a-z0-9]/g, '').padEnd(20, '0').slice(0, 20)}` as AgentId // built to the form
    this.secret = `kdg_sec_${name}`
    this.offer = { name, queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: name, version: '0' }, ...offer }
  }

  request(change: Partial<SyncRequest> = {}): ParsedSync {
    return {
      proto: 1,
      features: [],
      agent: this.id,
      boot_seq: this.bootSeq,
      boot_id: this.bootId,
      seq: ++this.seq,
      state: 'ready',
      reason: null,
      slots: this.offer.slots,
      offer_rev: 1,
      offer: this.offer,
      doorbell: false,
      running: [...this.running].map((attempt) => ({ attempt, phase: 'running' as const, commit: null, log_bytes: 0 })),
      spooled: [],
      lost: [],
      ...change,
      finished: [...this.spool].map(([attempt, finished]) => ({ attempt, ...finished })),
    }
  }

  caller(): Caller {
    const claims = this.session === null ? null : readSession(this.session, KEY)
    return claims ? { via: 'session', ...claims } : { via: 'secret', sha256: sha256Hex(this.secret) }
  }

  /** Sends a request and gets no reply. */
  syncUnheard(change: Partial<SyncRequest> = {}): void {
    this.#cluster.sync(this.request(change), this.caller())
  }

  /** Sends, hears, and does as it is told: takes assignments, drops what it shall, forgets delivered results. */
  sync(change: Partial<SyncRequest> = {}): SyncReply {
    const answer = this.#cluster.sync(this.request(change), this.caller())
    if (!answer.ok) throw new Error(`${answer.code}: ${answer.message}`)
    const reply = syncReply.parse(answer.value) // as an agent reads it
    this.hear(reply)
    return reply
  }

  hear(reply: SyncReply): void {
    this.session = reply.session
    for (const { attempt } of reply.verdicts) this.spool.delete(attempt)
    for (const { attempt, directive } of reply.directives) if (directive === 'abandon') this.running.delete(attempt)
    for (const { attempt } of reply.assignments) this.running.add(attempt)
  }

  /** Two syncs: the first proves that it hears. */
  join(): SyncReply {
    this.sync()
    return this.sync()
  }

  finish(attempt: AttemptId, outcome: AttemptResult['outcome'] = 'passed', change: Partial<AttemptResult> = {}): void {
    this.running.delete(attempt)
    const result: AttemptResult = { outcome, exit_status: outcome === 'passed' ? 0 : 1, signal: null, reason: null, commit: null, started_at: null, finished_at: 0, log_bytes: 0, log_sha256: '', ...change }
    const text = JSON.stringify(result)
    this.spool.set(attempt, { digest: `sha256:${sha256Hex(text)}`, text, result })
  }

  /** The process is gone and starts again; the spool survives, running builds do not. */
  restart(): void {
    this.bootSeq += 1
    this.bootId = `boot-${this.bootSeq}-of-it`
    this.seq = 0
    this.session = null
    this.running.clear()
  }

  only(): AttemptId {
    const [attempt] = this.running
    if (attempt === undefined || this.running.size !== 1) throw new Error(`holds ${this.running.size} attempts`)
    return attempt
  }
}
