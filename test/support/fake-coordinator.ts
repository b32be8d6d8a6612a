/**
 * A coordinator for the agent's tests: real HTTP and WebSocket on 127.0.0.1, a small model of the scheduler behind it
 * that keeps the legal transitions [C4], and switches for what a network and a proxy can do to any call.
 *
 * It is a model, not the real one: no queues, no tags, no leases that end by time. What an agent may never do (start an
 * attempt it was not given, finish one twice with another result) is written to `offences`, and tests hold that empty.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS, type RefusalBody, type RefusalCode } from '../../schema/refusal.ts'
import { INLINE_SPEC_BYTES, registerRequest, RING, SYNC_BODY_BYTES, syncRequest, attemptResult, type AttemptResult, type JobSpec, type SyncReply, type SyncRequest } from '../../schema/sync.ts'
import { attemptId, jobId, parseAttemptId, type AttemptId } from '../../schema/job.ts'

/** What happens to one call instead of an answer, or to its answer. */
export type Fault =
  | { readonly kind: 'drop-request' } // the connection is cut, nothing is processed
  | { readonly kind: 'drop-reply' } // processed, then the connection is cut
  | { readonly kind: 'duplicate' } // processed twice, the second answer is sent
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'half-open' } // nothing comes back, ever
  | { readonly kind: 'half-open-reply' } // processed, and nothing comes back
  | { readonly kind: 'drip' } // headers, then one byte now and then
  | { readonly kind: 'truncated' } // half of the JSON, with a matching length
  | { readonly kind: 'cut' } // half of the JSON, then the connection ends
  | { readonly kind: 'raw'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | { readonly kind: 'refuse'; readonly code: RefusalCode; readonly extra?: Omit<RefusalBody['error'], 'code' | 'message' | 'retry'>; readonly headers?: Readonly<Record<string, string>> }

export const HTML_200: Fault = { kind: 'raw', status: 200, headers: { 'content-type': 'text/html' }, body: '<html><body>Welcome to the hotel network</body></html>' }
export const HTML_401: Fault = { kind: 'raw', status: 401, headers: { 'content-type': 'text/html' }, body: '<html><body>Proxy authentication</body></html>' }
export const EMPTY_200: Fault = { kind: 'raw', status: 200 }
export const REDIRECT: Fault = { kind: 'raw', status: 302, headers: { location: 'http://login.hotel.example/' } }
export const unavailable = (retryAfter?: string): Fault => ({ kind: 'raw', status: 503, headers: { 'content-type': 'text/plain', ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }) }, body: 'try later' })

export type Path = 'register' | 'sync' | 'doorbell' | 'spec' | 'log' | 'seal'

export interface FakeJob {
  readonly n: number
  readonly spec: Omit<JobSpec, 'fence'>
  state: 'queued' | 'live' | AttemptResult['outcome']
  fence: number
  agent: string | null
  bootSeq: number
  cancel: boolean
  digest: string | null
  result: AttemptResult | null
  /** Why attempts were lost, oldest first. */
  lost: string[]
}

interface FakeAgent {
  secretSha256: string
  bootSeq: number
  bootId: string
  seq: number
  offerRev: number
  name: string
  revoked: boolean
}

export interface FakeOptions {
  readonly registrationToken?: string
  readonly pace?: Partial<Pick<SyncReply, 'next_sync_ms' | 'hb_ms' | 'log_ms' | 'self_fence_ms'>>
  readonly doorbell?: boolean
}

export interface FakeCoordinator {
  readonly url: string
  readonly jobs: FakeJob[]
  readonly agents: Map<string, FakeAgent>
  /** Every sync that was processed, with the credential it came with. */
  readonly syncs: { readonly request: SyncRequest; readonly via: 'session' | 'secret'; readonly at: number }[]
  readonly registrations: number
  /** Stored bytes and seals by attempt. */
  readonly logs: Map<AttemptId, { bytes: Buffer; sealed: boolean }>
  readonly offences: string[]
  readonly sockets: ReadonlySet<WebSocket>
  pace: { next_sync_ms: number; hb_ms: number; log_ms: number; self_fence_ms: number }
  drain: boolean
  /** Adds a job and rings. */
  enqueue(spec?: Partial<Omit<JobSpec, 'fence' | 'job' | 'build'>>): FakeJob
  cancel(job: FakeJob): void
  ring(): void
  /** The next calls to `path` meet these faults, one each. */
  fault(path: Path, ...faults: readonly Fault[]): void
  /** Every call to `path` (or to all) meets this one until it is lifted with null. */
  always(path: Path | 'all', fault: Fault | null): void
  /** As if the lease had ended and another agent had taken the job. */
  giveAway(job: FakeJob): void
  expireSessions(): void
  /** Resolves once the condition holds; looked at after each call. */
  until(condition: () => boolean, what?: string): Promise<void>
  close(): Promise<void>
}

const FINAL = new Set(['passed', 'failed', 'timed_out', 'canceled', 'errored'])

export async function startFakeCoordinator(options: FakeOptions = {}): Promise<FakeCoordinator> {
  const registrationToken = options.registrationToken ?? 'kdg_reg_test'
  const jobs: FakeJob[] = []
  const agents = new Map<string, FakeAgent>()
  const syncs: FakeCoordinator['syncs'] = []
  const logs: FakeCoordinator['logs'] = new Map()
  const offences: string[] = []
  const sockets = new Set<WebSocket>()
  const connections = new Set<Socket>()
  const sessions = new Map<string, { agent: string; bootSeq: number }>()
  const queued = new Map<Path, Fault[]>()
  const standing = new Map<Path | 'all', Fault>()
  const watchers = new Set<() => void>()
  let registrations = 0

  const notify = () => {
    for (const look of watchers) look()
  }
  const idOf = (job: FakeJob) => attemptId({ project: 1, build: job.n, n: 1, fence: job.fence })
  const jobOf = (attempt: string) => jobs.find((job) => job.n === parseAttemptId(attempt)?.build)

  function sync(request: SyncRequest, credential: string): SyncReply | Fault {
    const agent = agents.get(request.agent)
    if (!agent) return { kind: 'refuse', code: 'agent_unknown' }
    if (agent.revoked) return { kind: 'refuse', code: 'agent_revoked' }
    const session = sessions.get(credential)
    if (credential.startsWith('kdg_sec_') ? sha256(credential) !== agent.secretSha256 : session?.agent !== request.agent) return { kind: 'refuse', code: 'session_expired' }
    if (request.boot_seq < agent.bootSeq) return { kind: 'refuse', code: 'session_superseded', extra: { current: agent.bootSeq } }
    if (request.boot_seq === agent.bootSeq && request.boot_id !== agent.bootId) return { kind: 'refuse', code: 'identity_conflict' }
    const isNew = request.boot_seq > agent.bootSeq
    const isStale = !isNew && request.seq <= agent.seq
    Object.assign(agent, { bootSeq: request.boot_seq, bootId: request.boot_id, seq: isNew ? request.seq : Math.max(agent.seq, request.seq) })
    const knowsOffer = request.offer !== undefined || request.offer_rev === agent.offerRev
    if (request.offer) Object.assign(agent, { offerRev: request.offer_rev, name: request.offer.name })

    const verdicts: SyncReply['verdicts'] = request.finished.map(({ attempt, digest, result }) => ({ attempt, verdict: judge(attempt, digest, result) }))
    const held = new Set<string>([...request.running.map((entry) => entry.attempt), ...request.finished.map((entry) => entry.attempt), ...request.spooled])
    const directives: SyncReply['directives'] = []
    for (const { attempt } of request.running) {
      const job = jobOf(attempt)
      if (!job || job.fence === 0) offences.push(`names ${attempt}, which was never assigned`)
      else if (idOf(job) !== attempt || FINAL.has(job.state)) directives.push({ attempt, directive: 'abandon' })
      else {
        if (job.state === 'queued') Object.assign(job, { state: 'live', agent: request.agent, bootSeq: request.boot_seq })
        if (job.cancel) directives.push({ attempt, directive: 'cancel', grace_ms: 1000, why: 'user' })
      }
    }
    const assignments: SyncReply['assignments'] = []
    for (const job of jobs) {
      if (isStale || job.state !== 'live' || job.agent !== request.agent || held.has(idOf(job))) continue
      const lost = request.lost.find(({ attempt }) => attempt === idOf(job))
      if (job.bootSeq < request.boot_seq) lose(job, 'restarted')
      else if (lost) lose(job, lost.why)
      else assignments.push(assignment(job))
    }
    if (!isStale && session !== undefined && session.bootSeq === request.boot_seq && request.state === 'ready') {
      let free = request.slots - jobs.filter((job) => job.state === 'live' && job.agent === request.agent && !request.spooled.includes(idOf(job))).length
      for (const job of jobs) {
        if (job.state !== 'queued' || free <= 0) continue
        Object.assign(job, { state: 'live', fence: job.fence + 1, agent: request.agent, bootSeq: request.boot_seq })
        assignments.push(assignment(job))
        free -= 1
      }
    }
    const token = `kdg_ses_${randomBytes(8).toString('hex')}`
    sessions.set(token, { agent: request.agent, bootSeq: request.boot_seq })
    return { proto: 1, session: token, server_time: Date.now(), verdicts, directives, assignments, watched: [], held_back: null, need: knowsOffer ? [] : ['offer'], drain: fake.drain, ...fake.pace }
  }

  function judge(attempt: AttemptId, digest: string, text: string): SyncReply['verdicts'][number]['verdict'] {
    if (digest !== `sha256:${sha256(text)}`) offences.push(`the digest of ${attempt} is not of its text`)
    const job = jobOf(attempt)
    if (!job || idOf(job) !== attempt) return 'superseded'
    if (FINAL.has(job.state)) {
      if (job.digest !== digest) offences.push(`${attempt} was finished twice with different results`)
      return job.digest === digest ? 'accepted' : job.digest === null ? 'final' : 'conflict'
    }
    const result = attemptResult.parse(JSON.parse(text))
    Object.assign(job, { state: result.outcome, digest, result })
    return 'accepted'
  }

  function lose(job: FakeJob, why: string): void {
    job.lost.push(why)
    job.state = job.cancel ? 'canceled' : 'queued'
  }

  function assignment(job: FakeJob): SyncReply['assignments'][number] {
    const spec = specOf(job)
    return { attempt: idOf(job), token: `kdg_att_${idOf(job)}`, ...(JSON.stringify(spec).length > INLINE_SPEC_BYTES ? {} : { spec }) }
  }
  const specOf = (job: FakeJob): JobSpec => ({ ...job.spec, fence: job.fence })

  function process(path: Path, request: IncomingMessage, body: Buffer): Fault | object {
    const credential = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const url = new URL(request.url ?? '/', 'http://fake')
    if (path === 'register') {
      const parsed = registerRequest.safeParse(JSON.parse(body.toString()))
      if (!parsed.success) return offence(`register: ${parsed.error.message}`)
      if (credential !== registrationToken) return { kind: 'refuse', code: 'token_invalid' }
      registrations += 1
      const known = agents.get(parsed.data.agent_id)
      if (known && known.secretSha256 !== parsed.data.secret_sha256) return { kind: 'refuse', code: 'agent_id_taken' }
      if (!known) agents.set(parsed.data.agent_id, { secretSha256: parsed.data.secret_sha256, bootSeq: 0, bootId: '', seq: 0, offerRev: 0, name: parsed.data.offer.name, revoked: false })
      const session = `kdg_ses_${randomBytes(8).toString('hex')}`
      sessions.set(session, { agent: parsed.data.agent_id, bootSeq: 0 })
      return { agent_id: parsed.data.agent_id, session, next_sync_ms: 0 }
    }
    if (path === 'sync') {
      if (body.length > SYNC_BODY_BYTES) offences.push(`a sync of ${body.length} bytes`)
      const parsed = syncRequest.safeParse(JSON.parse(body.toString()))
      if (!parsed.success) return offence(`sync: ${parsed.error.message}`)
      const reply = sync(parsed.data, credential)
      if (!('kind' in reply)) syncs.push({ request: parsed.data, via: credential.startsWith('kdg_sec_') ? 'secret' : 'session', at: performance.now() })
      return reply
    }
    const attempt = /^\/v1\/attempts\/([^/]+)\//.exec(url.pathname)?.[1] as AttemptId | undefined // checked by its job below
    const job = attempt === undefined ? undefined : jobOf(attempt)
    if (!attempt || !job || credential !== `kdg_att_${attempt}`) return { kind: 'refuse', code: 'token_invalid' }
    if (path === 'spec') return idOf(job) === attempt && !FINAL.has(job.state) ? specOf(job) : { kind: 'refuse', code: 'attempt_superseded' }
    const log = logs.get(attempt) ?? { bytes: Buffer.alloc(0), sealed: false }
    logs.set(attempt, log)
    if (path === 'seal') {
      const seal = JSON.parse(body.toString()) as { bytes: number; sha256: string } // the uploader's own tests hold its shape
      if (seal.bytes > log.bytes.length) return { kind: 'refuse', code: 'log_gap', extra: { size: log.bytes.length } }
      if (seal.bytes < log.bytes.length || seal.sha256 !== createHash('sha256').update(log.bytes).digest('hex')) return { kind: 'refuse', code: 'log_mismatch' }
      log.sealed = true
      return { size: log.bytes.length, sealed: true }
    }
    const offset = Number(url.searchParams.get('offset'))
    if (offset > log.bytes.length) return { kind: 'refuse', code: 'log_gap', extra: { size: log.bytes.length } }
    const fresh = body.subarray(Math.max(0, log.bytes.length - offset))
    if (fresh.length > 0 && log.sealed) return { kind: 'refuse', code: 'log_sealed', extra: { size: log.bytes.length } }
    log.bytes = Buffer.concat([log.bytes, fresh])
    return { size: log.bytes.length, watched: false }
  }
  const offence = (text: string): Fault => {
    offences.push(text)
    return { kind: 'refuse', code: 'bad_request' }
  }

  const takeFault = (path: Path): Fault | undefined => queued.get(path)?.shift() ?? standing.get(path) ?? standing.get('all')

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request)
    const body = await readBody(request)
    if (path === null) return void response.writeHead(404).end()
    const fault = takeFault(path)
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.ms))
    if (fault?.kind === 'drop-request') return void request.socket.destroy()
    if (fault?.kind === 'half-open') return
    if (fault?.kind === 'raw' || fault?.kind === 'refuse') return answer(response, fault)
    let outcome = process(path, request, body)
    if (fault?.kind === 'duplicate') outcome = process(path, request, body)
    if (fault?.kind === 'drop-reply') request.socket.destroy()
    else if (fault?.kind !== 'half-open-reply') answer(response, outcome, fault)
    notify()
  }

  function answer(response: ServerResponse, outcome: Fault | object, fault?: Fault): void {
    const headers = { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max) }
    if ('kind' in outcome) {
      const refusal = outcome as Fault // only faults have a kind here
      if (refusal.kind === 'raw') return void response.writeHead(refusal.status, { ...refusal.headers }).end(refusal.body)
      if (refusal.kind !== 'refuse') return
      const { status, retry } = REFUSALS[refusal.code]
      return void response.writeHead(status, { ...headers, ...refusal.headers }).end(JSON.stringify({ error: { code: refusal.code, message: `the fake says ${refusal.code}`, retry, ...refusal.extra } }))
    }
    const text = JSON.stringify(outcome)
    const half = text.slice(0, text.length / 2)
    if (fault?.kind === 'truncated') return void response.writeHead(200, headers).end(half)
    if (fault?.kind === 'cut') {
      response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(text) })
      return void response.write(half, () => response.socket?.destroy())
    }
    if (fault?.kind === 'drip') {
      response.writeHead(200, headers)
      let at = 0
      const drip = setInterval(() => response.write(text.charAt(at++)), 20)
      return void response.on('close', () => clearInterval(drip))
    }
    response.writeHead(200, headers).end(text)
  }

  const server: Server = createServer((request, response) => void serve(request, response))
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
    socket.on('error', () => {}) // cut on purpose
  })
  const bell = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    const fault = takeFault('doorbell')
    if (fault?.kind === 'half-open') return
    const credential = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    if (options.doorbell === false || fault !== undefined || !sessions.has(credential)) return void socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n')
    bell.handleUpgrade(request, socket, head, (webSocket) => {
      sockets.add(webSocket)
      webSocket.on('close', () => sockets.delete(webSocket))
      notify()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const fake: FakeCoordinator = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    jobs,
    agents,
    syncs,
    get registrations() {
      return registrations
    },
    logs,
    offences,
    sockets,
    pace: { next_sync_ms: 50, hb_ms: 50, log_ms: 50, self_fence_ms: 85_000, ...options.pace },
    drain: false,
    enqueue: (spec = {}) => {
      const n = jobs.length + 1
      const job: FakeJob = {
        n, state: 'queued', fence: 0, agent: null, bootSeq: 0, cancel: false, digest: null, result: null, lost: [],
        spec: { project: 'test', build: n, job: jobId({ project: 1, build: n, n: 1 }), command: 'true', env: {}, checkout: null, timeout_s: 60, cancel_grace_s: 1, on_partition: 'continue', url: `http://fake/projects/test/builds/${n}`, ...spec },
      }
      jobs.push(job)
      fake.ring()
      return job
    },
    cancel: (job) => {
      job.cancel = true
      if (job.state === 'queued') job.state = 'canceled'
      fake.ring()
    },
    ring: () => {
      for (const socket of sockets) socket.send(RING)
    },
    fault: (path, ...faults) => void queued.set(path, [...(queued.get(path) ?? []), ...faults]),
    always: (path, fault) => void (fault === null ? standing.delete(path) : standing.set(path, fault)),
    giveAway: (job) => void Object.assign(job, { fence: job.fence + 1, agent: 'a_another0000000000000', state: 'live' }),
    expireSessions: () => sessions.clear(),
    until: (condition, what = 'the condition') =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look)
          reject(new Error(`${what} did not come true: ${JSON.stringify({ jobs: jobs.map((job) => [job.n, job.state, job.fence, job.lost]), syncs: syncs.length, last: syncs.at(-1)?.request, offences })}`))
        }, 15_000)
        const poll = setInterval(() => look(), 20) // some conditions change without a call
        const look = () => {
          if (!condition()) return
          clearTimeout(timer)
          clearInterval(poll)
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.terminate()
        server.close(() => resolve())
        for (const socket of connections) socket.destroy()
      }),
  }
  return fake
}

function pathOf(request: IncomingMessage): Path | null {
  const path = `${request.method} ${new URL(request.url ?? '/', 'http://fake').pathname}`
  if (path === 'POST /v1/agents/register') return 'register'
  if (path === 'POST /v1/agent/sync') return 'sync'
  if (/^GET \/v1\/attempts\/[^/]+\/spec$/.test(path)) return 'spec'
  if (/^PUT \/v1\/attempts\/[^/]+\/log$/.test(path)) return 'log'
  if (/^POST \/v1\/attempts\/[^/]+\/log\/seal$/.test(path)) return 'seal'
  return null
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding is set
  return Buffer.concat(chunks)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
