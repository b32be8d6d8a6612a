/**
 * The coordinator's log endpoint over real HTTP, for tests of whoever sends: the legal transitions of [C12.1] and
 * nothing else (offsets, duplicates, gaps, the seal, the second epoch), and switches for what goes wrong on the way.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LOG_PUT_BYTES, sealRequest } from '../../schema/attempt.ts'
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS, type RefusalCode } from '../../schema/refusal.ts'

export type LogFault =
  /** Nothing of the call arrives. */
  | 'reset'
  /** The call is obeyed, its reply is lost. */
  | 'drop-reply'
  | 'half-reply'
  /** No reply, and the connection stays. */
  | 'hang'
  | '503'
  | 'html'
  | 'redirect'
  | 'empty'
  /** JSON of the right form without the header that makes it ours. */
  | 'foreign'
  /** The bytes are stored, one of them flipped. */
  | 'corrupt'
  | { readonly refuse: RefusalCode; readonly headers?: Readonly<Record<string, string>> }

export interface LogCall {
  readonly kind: 'put' | 'seal'
  readonly attempt: string
  readonly offset: number
  readonly bytes: number
  readonly epoch: 1 | 2
  readonly at: number
}

export interface FakeLogStore {
  readonly url: string
  readonly calls: readonly LogCall[]
  /** What is stored of the newest epoch. */
  bytes(attempt: string): Buffer
  isSealed(attempt: string): boolean
  /** The faults of the next calls, in order; null lets one pass. */
  failNext(...faults: readonly (LogFault | null)[]): void
  /** Every call, until `undefined` is set. */
  failAll(fault: LogFault | undefined): void
  watched: boolean
  /** Resolves once `holds` is true; looked at after each call. */
  until(holds: () => boolean): Promise<void>
  close(): Promise<void>
}

interface StoredLog {
  epoch: 1 | 2
  bytes: Buffer[]
  size: number
  isSealed: boolean
}

export const ATTEMPT_TOKEN = 'kdg_att_of-the-fake-log-store'

export async function startFakeLogStore({ largestPut = LOG_PUT_BYTES }: { readonly largestPut?: number } = {}): Promise<FakeLogStore> {
  const logs = new Map<string, StoredLog>()
  const calls: LogCall[] = []
  const faults: (LogFault | null)[] = []
  let always: LogFault | undefined
  const waiting = new Set<() => void>()

  const store: FakeLogStore = {
    url: '',
    calls,
    bytes: (attempt) => Buffer.concat(logs.get(attempt)?.bytes ?? []),
    isSealed: (attempt) => logs.get(attempt)?.isSealed ?? false,
    failNext: (...next) => void faults.push(...next),
    failAll: (fault) => {
      always = fault
    },
    watched: false,
    until: (holds) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!holds()) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake')
    const body = await readBody(request)
    const match = /^\/v1\/attempts\/([^/]+)\/log(\/seal)?$/.exec(pathname)
    const attempt = match?.[1] ?? ''
    const kind = match?.[2] ? 'seal' : 'put'
    const offset = Number(searchParams.get('offset') ?? 0)
    const epoch = searchParams.get('epoch') === '2' ? 2 : 1
    calls.push({ kind, attempt, offset, bytes: body.byteLength, epoch, at: performance.now() })
    const fault = faults.shift() ?? always ?? null

    if (isBefore(fault)) return fail(fault, request, response)
    if (typeof fault === 'object' && fault !== null) return refuse(response, fault.refuse, {}, fault.headers)
    if (request.method !== (kind === 'put' ? 'PUT' : 'POST') || match === null) return refuse(response, 'bad_request')
    if (request.headers.authorization !== `Bearer ${ATTEMPT_TOKEN}`) return refuse(response, 'token_invalid')
    if (body.byteLength > largestPut) return refuse(response, 'payload_too_large')

    if (fault === 'corrupt') body[0] = (body[0] ?? 0) ^ 0xff
    const outcome = kind === 'put' ? append(attempt, { offset, epoch, body }) : seal(attempt, epoch, body)
    if (fault === 'drop-reply') return void request.socket.destroy()
    if (fault === 'half-reply') {
      response.writeHead(200, { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max) })
      response.write('{"size":')
      return void setImmediate(() => request.socket.destroy())
    }
    if ('refuse' in outcome) return refuse(response, outcome.refuse, { size: outcome.size })
    reply(response, 200, outcome)
  }

  const logOf = (attempt: string, epoch: 1 | 2): StoredLog => {
    const known = logs.get(attempt)
    if (known !== undefined && known.epoch >= epoch) return known
    const fresh: StoredLog = { epoch, bytes: [], size: 0, isSealed: false }
    logs.set(attempt, fresh)
    return fresh
  }
  const append = (attempt: string, { offset, epoch, body }: { offset: number; epoch: 1 | 2; body: Buffer }) => {
    const log = logOf(attempt, epoch)
    if (offset > log.size) return { refuse: 'log_gap', size: log.size } as const
    const fresh = body.subarray(Math.min(body.byteLength, log.size - offset))
    if (fresh.byteLength > 0 && log.isSealed) return { refuse: 'log_sealed', size: log.size } as const
    if (fresh.byteLength > 0) log.bytes.push(fresh)
    log.size += fresh.byteLength
    return { size: log.size, watched: store.watched }
  }
  const seal = (attempt: string, epoch: 1 | 2, body: Buffer) => {
    const log = logOf(attempt, epoch)
    const { bytes, sha256 } = sealRequest.parse(JSON.parse(body.toString()))
    if (log.size < bytes) return { refuse: 'log_gap', size: log.size } as const
    if (log.size > bytes || createHash('sha256').update(Buffer.concat(log.bytes)).digest('hex') !== sha256) return { refuse: 'log_mismatch', size: log.size } as const
    log.isSealed = true
    return { size: log.size, sealed: true }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!response.headersSent) refuse(response, 'bad_request')
      if (!request.destroyed) throw error
    }).finally(() => {
      for (const look of waiting) look() // one that is done leaves the set, which a Set allows
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(store, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }) // it listens on TCP
}

type Before = Extract<LogFault, 'reset' | 'hang' | '503' | 'html' | 'redirect' | 'empty' | 'foreign'>

function isBefore(fault: LogFault | null): fault is Before {
  return typeof fault === 'string' && !['drop-reply', 'half-reply', 'corrupt'].includes(fault)
}

function fail(fault: Before, request: IncomingMessage, response: ServerResponse): void {
  switch (fault) {
    case 'reset':
      return void request.socket.destroy()
    case 'hang':
      return
    case '503':
      return void response.writeHead(503, { 'content-type': 'application/json', [PROTOCOL_HEADER]: '1' }).end(JSON.stringify(refusal('attempt_superseded', {})))
    case 'html':
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome to the hotel</h1>')
    case 'redirect':
      return void response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
    case 'empty':
      return void response.writeHead(200, { [PROTOCOL_HEADER]: '1' }).end()
    case 'foreign':
      return void response.writeHead(410, { 'content-type': 'application/json' }).end(JSON.stringify(refusal('attempt_superseded', {})))
    default:
      fault satisfies never
  }
}

function refuse(response: ServerResponse, code: RefusalCode, more: { readonly size?: number } = {}, headers: Readonly<Record<string, string>> = {}): void {
  reply(response, REFUSALS[code].status, refusal(code, more), headers)
}

function refusal(code: RefusalCode, more: { readonly size?: number }) {
  return { error: { code, message: `refused by the fake: ${code}`, retry: REFUSALS[code].retry, ...more } }
}

function reply(response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max), ...headers }).end(JSON.stringify(body))
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer) // no encoding is set
  return Buffer.concat(pieces)
}
