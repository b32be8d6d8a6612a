/**
 * An installation on Cloudflare, as far as it is billed: the real steps of the Scheduler (`Upkeep`, `Cluster`, `Doorbell`)
 * and the real store of each log, over counted SQLite, under a clock that is turned. Each call of a Worker's route takes
 * the calls to objects that the real route makes; `routes.test.ts` holds the two together. Replies come at once.
 */
import { readFileSync } from 'node:fs'
import { numbers } from '../../coordinator/core/numbers.ts'
import { Cluster } from '../../coordinator/objects/cluster.ts'
import { Doorbell, type Attached } from '../../coordinator/objects/doorbell.ts'
import type { Answer, Caller } from '../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { Upkeep } from '../../coordinator/objects/upkeep.ts'
import { migrate, type Migrations } from '../../coordinator/store/migrate.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { createBuildRequest, createProjectRequest, type BuildPage, type BuildView } from '../../schema/api.ts'
import { isFinalBuild, type AgentId, type AttemptId, type JobId } from '../../schema/job.ts'
import type { Offer, SyncReply } from '../../schema/sync.ts'
import { LogObjects, type LogHost } from './logs.ts'
import { Meter, Wakefulness, type Cause } from './meter.ts'
import { countingSqlite, type CountingSqlite, type TellStatement } from './rows.ts'
import type { Timeline } from './timeline.ts'

const ORIGIN = 'https://ci.example'
const PROJECT = 'app'
const PAGE_OF_BUILDS = 50
/** As `coordinator/pages` marks its pages. */
const LIST_REFRESH_MS = 5000
const BUILD_REFRESH_MS = 2000
const REFRESH_QUIET_MS = 10_000

type Claims = Parameters<ConstructorParameters<typeof Cluster>[0]['sign']['session']>[0]

const MIGRATIONS = readMigrations()

export class Site implements LogHost {
  readonly meter = new Meter()
  readonly numbers = numbers()
  readonly logs: LogObjects
  readonly timeline: Timeline
  /** Called at each build that is asked for. */
  asked: () => void = () => undefined
  readonly #rows = { read: 0, written: 0 }
  readonly #sql: CountingSqlite
  readonly #time = new Wakefulness(this.meter)
  readonly #sockets = new Map<AgentId, Attached>()
  #upkeep: Upkeep | null = null
  #alarmAt: number | null = null
  #signed: Claims | null = null
  #ids = 0

  /** `tell` hears of every statement of the Scheduler. */
  constructor(timeline: Timeline, tell?: TellStatement) {
    this.timeline = timeline
    this.#sql = countingSqlite(this.#rows, tell)
    this.#sql.transaction(() => migrate(this.#sql, MIGRATIONS))
    this.#sql.watchIndexes()
    this.logs = new LogObjects(this)
  }

  /** What the Scheduler stores. */
  bytes(): number {
    return this.#sql.bytes()
  }

  /** One event of the Scheduler, which wakes if it hibernates: a request to it, an alarm. */
  async #event<T>(cause: Cause, act: (upkeep: Upkeep) => T): Promise<T> {
    const { meter, timeline } = this
    meter.cause = cause
    meter.add('object_requests')
    this.#rows.read = this.#rows.written = 0
    if (this.#upkeep === null || !this.#time.isInMemory(timeline.now)) await this.#wake()
    this.#time.busy(timeline.now)
    try {
      return act(this.#upkeep as Upkeep) // just woken
    } finally {
      meter.add('rows_read', this.#rows.read)
      meter.add('rows_written', this.#rows.written)
    }
  }

  async #wake(): Promise<void> {
    const { timeline } = this
    const now = () => timeline.now
    const doorbell = new Doorbell(
      () => [...this.#sockets.values()],
      (call) => {
        this.#time.busy(timeline.now, this.numbers.ringAgainMs) // a timer that is set keeps the object from hibernating
        timeline.after(this.numbers.ringAgainMs, call)
      },
    )
    const cluster = new Cluster({
      sql: this.#sql,
      numbers: this.numbers,
      transaction: (run) => this.#sql.transaction(run),
      newId: () => `token-${(this.#ids += 1)}`,
      adminId: 'admin',
      attached: () => doorbell.agents(),
      // What is signed costs nothing, so nothing is signed.
      sign: { session: (claims) => ((this.#signed = claims), 'session'), attempt: () => 'attempt' },
    })
    this.#upkeep = new Upkeep({
      cluster,
      doorbell,
      alarm: { get: async () => this.#alarmAt, set: (at) => this.#setAlarm(at) },
      migrate: () => this.#sql.transaction(() => migrate(this.#sql, MIGRATIONS)),
      now,
    })
    await this.#upkeep.wake()
  }

  #setAlarm(at: number): void {
    this.#rows.written += 1
    this.#alarmAt = at
    this.timeline.at(at, () => this.#ring(at))
  }

  async #ring(at: number): Promise<void> {
    if (this.#alarmAt !== at) return
    this.#alarmAt = null
    await this.#event('alarm', (upkeep) => upkeep.alarm(0))
  }

  // What agents call.

  async register(agent: AgentId, offer: Offer): Promise<void> {
    this.worker('sync')
    await this.#event('sync', (upkeep) => upkeep.follow(upkeep.cluster.register(this.timeline.now, { proto: 1, agent_id: agent, secret_sha256: sha256Hex(agent), offer }, { tokenSha256: '', isStanding: true })))
  }

  async sync(request: ParsedSync, caller: Caller): Promise<{ readonly reply: SyncReply; readonly caller: Caller }> {
    this.worker('sync')
    const answer = await this.#event('sync', (upkeep) => upkeep.sync(request, caller))
    if (!answer.ok || this.#signed === null) throw new Error(answer.ok ? 'no session was signed' : `${answer.code}: ${answer.message}`)
    return { reply: answer.value, caller: { via: 'session', ...this.#signed } }
  }

  /** Nothing that is sent over it is billed, nor its pings; it is open until the day ends. */
  async openDoorbell(agent: AgentId, offer: Offer, rang: () => void): Promise<void> {
    this.worker('sync')
    await this.#event('sync', (upkeep) => upkeep.cluster.offerOf(agent, 1))
    this.#sockets.set(agent, { agent, queue: offer.queue, tags: offer.tags, send: () => this.timeline.after(0, rang) })
  }

  // What logs call (`logs.ts`).

  /** A request that reaches the Worker. */
  worker(cause: Cause): void {
    this.meter.cause = cause
    this.meter.add('worker_requests')
  }

  async watch(attempt: AttemptId): Promise<void> {
    await this.#event('people', (upkeep) => upkeep.follow(upkeep.cluster.watch(this.timeline.now, attempt)))
  }

  async hasEnded(job: JobId): Promise<void> {
    await this.#event('people', (upkeep) => upkeep.cluster.job(job))
  }

  // What people and scripts call. Each is let in by a question to the Scheduler first.

  async #letIn(token: string, kind: 'api' | 'session'): Promise<void> {
    this.worker('people')
    await this.#event('people', (upkeep) => upkeep.follow(upkeep.cluster.identify(this.timeline.now, sha256Hex(token), kind)))
  }

  async setUp(): Promise<void> {
    await this.#event('people', (upkeep) => upkeep.follow(upkeep.cluster.createProject(this.timeline.now, createProjectRequest.parse({ slug: PROJECT, repository: 'https://example.com/app.git', command: 'make' }))))
    await this.#event('people', (upkeep) => upkeep.follow(upkeep.cluster.storeToken(this.timeline.now, { kind: 'api', name: 'hook', scope: 'build' }, sha256Hex(SCRIPT))))
  }

  async signIn(person: string): Promise<void> {
    await this.#event('people', (upkeep) => upkeep.follow(upkeep.cluster.storeToken(this.timeline.now, { kind: 'session', name: person, scope: 'build', life_s: 30 * 86_400, parent: 'admin' }, sha256Hex(person))))
  }

  /** `kedge build --project app --commit …` in a hook: looks at nothing, asks for a build. */
  async startBuild(): Promise<number> {
    this.asked()
    await this.#letIn(SCRIPT, 'api')
    const commit = sha256Hex(String((this.#ids += 1))).slice(0, 40)
    const request = createBuildRequest.parse({ commit, branch: 'main', message: 'Make the figures true' })
    const key = `key-${(this.#ids += 1)}-and-a-uuid-of-36-characters`
    return valueOf(await this.#event('people', (upkeep) => upkeep.follow(upkeep.cluster.createBuild(this.timeline.now, PROJECT, request, { idempotencyKey: key, origin: ORIGIN })))).number
  }

  /** `GET /`, or its refresh; answers after how long the page asks again. */
  async buildsPage(person: string): Promise<number> {
    await this.#letIn(person, 'session')
    const page: BuildPage = valueOf(await this.#event('people', (upkeep) => upkeep.cluster.builds(this.timeline.now, { project: null, limit: PAGE_OF_BUILDS }, ORIGIN)))
    return page.builds.some(({ state }) => !isFinalBuild(state)) ? LIST_REFRESH_MS : REFRESH_QUIET_MS
  }

  /** The page of a build without its log, or its refresh; answers after how long the page asks again, null when never. */
  async buildPage(person: string, number: number): Promise<{ readonly build: BuildView; readonly againMs: number | null }> {
    await this.#letIn(person, 'session')
    const build = valueOf(await this.#event('people', (upkeep) => upkeep.cluster.build(this.timeline.now, PROJECT, number, ORIGIN)))
    const job = build.jobs.at(-1)
    if (job?.attempts.at(-1)?.finished_at) await this.#event('people', (upkeep) => upkeep.cluster.artifacts(PROJECT, number, { job: job.id }, ORIGIN))
    return { build, againMs: isFinalBuild(build.state) ? null : BUILD_REFRESH_MS }
  }

  /** `GET /api/v1/jobs/…/log` as a stream of events, up to the object of the log. */
  async letFollow(person: string, job: JobId): Promise<void> {
    await this.#letIn(person, 'session')
    await this.hasEnded(job)
  }
}

const SCRIPT = 'the token of a hook'

function valueOf<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(answer.problem.detail)
  return answer.value
}

export function readMigrations(): Migrations {
  const folder = new URL('../../schema/migrations/', import.meta.url)
  const journal = JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')) as Migrations['journal'] // written by drizzle-kit
  return { journal, migrations: Object.fromEntries(journal.entries.map(({ idx, tag }) => [`m${String(idx).padStart(4, '0')}`, readFileSync(new URL(`${tag}.sql`, folder), 'utf8')])) }
}
