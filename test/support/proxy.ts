/**
 * The network between an agent and its coordinator, as hostile as a test wants it. It knows requests, so that a rule can
 * hit one call and spare the next, and it can be switched while both sides run. A WebSocket is passed on as bytes; it is
 * asked about when it is opened, and again, as `WEBSOCKET`, for every piece that would go through it.
 */
import { createServer, request as ask, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { RING } from '../../schema/sync.ts'
import { bearWitness } from './wait.ts'

export interface Passage {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly body: string
  /** How many of the same method and path came before it. */
  readonly before: number
  /** The status that the coordinator answered with; null as long as it has not. */
  status: number | null
  /** What the coordinator answered. */
  reply: string
  /** Whether the answer went on to the agent, whole. */
  delivered: boolean
}

export type Fate =
  | { readonly kind: 'pass' }
  /** The connection is reset; nothing arrives. */
  | { readonly kind: 'reset' }
  /** Half-open: packets vanish, and nobody says so. */
  | { readonly kind: 'vanish' }
  /** It arrives at the coordinator; the answer is lost, and the connection reset or left open without a word. */
  | { readonly kind: 'lose-reply'; readonly by: 'reset' | 'vanish' }
  /** The answer breaks off in the middle of its body. */
  | { readonly kind: 'cut-reply' }
  /** It arrives twice, one after the other; the second answer is the one that is passed on. */
  | { readonly kind: 'twice' }
  /** It is under way until this, however long ago its sender gave it up, and arrives then. */
  | { readonly kind: 'hold-request'; readonly until: Promise<unknown> }
  /** It arrives, and the answer waits for this. */
  | { readonly kind: 'hold-reply'; readonly until: Promise<unknown> }
  /** It arrives, and the answer comes byte by byte, never stopping and never done. */
  | { readonly kind: 'drip-reply'; readonly everyMs: number }
  /** Something else answers; nothing arrives. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body: string }

export const PASS: Fate = { kind: 'pass' }
export const RESET: Fate = { kind: 'reset' }
export const VANISH: Fate = { kind: 'vanish' }

export type Rule = (passage: Passage) => Fate

export interface Proxy {
  readonly url: string
  /** Every request so far, oldest first. */
  readonly passages: readonly Passage[]
  /** From now on; `reset` also ends what is open, so that no old socket goes around the rule. */
  set(rule: Rule, options?: { readonly reset?: boolean }): void
  /** As if the coordinator rang, at every doorbell that is open here. Returns how many there are. */
  ring(): number
  /** Syncs that came here, as they were sent. */
  syncs(): readonly (Passage & { readonly sync: SeenSync })[]
}

/** The part of a sync that tests look at. */
export interface SeenSync {
  readonly seq: number
  readonly boot_seq: number
  readonly running: readonly { readonly attempt: string; readonly phase: string }[]
  readonly finished: readonly { readonly attempt: string }[]
  readonly lost: readonly { readonly attempt: string; readonly why: string }[]
}

/** One unmasked text frame, as a server sends it. */
const RING_FRAME = Buffer.concat([Buffer.from([0x81, Buffer.byteLength(RING)]), Buffer.from(RING)])

export const SYNC = '/v1/agent/sync'
export const isSync = ({ path }: Passage): boolean => path === SYNC
export const isLog = ({ path }: Passage): boolean => /^\/v1\/attempts\/[^/]+\/log/.test(path)
export const sees = ({ body }: Passage): SeenSync => JSON.parse(body) as SeenSync // our own agent wrote it
export const bringsResult = (passage: Passage): boolean => isSync(passage) && sees(passage).finished.length > 0

/** Between agents and the coordinator on `port`; gone after the test. */
export async function startProxy({ port }: { readonly port: number }): Promise<Proxy> {
  let rule: Rule = () => PASS
  const passages: Passage[] = []
  const sockets = new Set<Socket>()
  const doorbells = new Set<Socket>()

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await whole(request)
    const passage = note(request, body)
    const fate = rule(passage)
    switch (fate.kind) {
      case 'reset':
        return reset(request.socket)
      case 'vanish':
        return
      case 'answer':
        response.writeHead(fate.status, { 'content-type': 'text/html', ...fate.headers }).end(fate.body)
        return
      case 'twice':
        await forward(request, body, port)
        break
      case 'hold-request':
        await fate.until
        break
      case 'pass':
      case 'lose-reply':
      case 'cut-reply':
      case 'hold-reply':
      case 'drip-reply':
        break
      default:
        fate satisfies never
    }
    const answer = await forward(request, body, port)
    passage.status = answer.status
    passage.reply = answer.body.toString()
    if (fate.kind === 'lose-reply') return fate.by === 'reset' ? reset(request.socket) : undefined
    if (fate.kind === 'hold-reply') await fate.until
    response.writeHead(answer.status, answer.headers)
    if (fate.kind === 'drip-reply') return drip(answer.body, response, fate.everyMs)
    if (fate.kind === 'cut-reply') {
      response.write(answer.body.subarray(0, answer.body.length / 2), () => reset(request.socket))
      return
    }
    response.end(answer.body, () => (passage.delivered = true))
  }

  function note(request: IncomingMessage, body: Buffer): Passage {
    const method = request.method ?? 'GET'
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    const passage: Passage = { method, path, body: body.toString(), before: passages.filter((other) => other.method === method && other.path === path).length, status: null, reply: '', delivered: false }
    passages.push(passage)
    return passage
  }

  const server = createServer((request, response) => void pass(request, response).catch(() => reset(request.socket)))
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request, socket: Socket, head) => {
    const passage = note(request, Buffer.alloc(0))
    const fate = rule(passage)
    if (fate.kind === 'vanish') return
    if (fate.kind !== 'pass') return void reset(socket)
    const onward = connect({ host: '127.0.0.1', port })
    sockets.add(onward)
    onward.once('data', () => doorbells.add(socket)) // the answer to the upgrade: frames may follow it
    socket.once('close', () => doorbells.delete(socket))
    const goesThrough = () => rule({ ...passage, method: 'WEBSOCKET' }).kind === 'pass'
    for (const [from, to] of [[socket, onward], [onward, socket]] as const) {
      from.on('data', (piece) => goesThrough() && to.write(piece))
      from.on('error', () => {})
      from.once('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    onward.write(`${request.method} ${request.url} HTTP/1.1\r\n${rawHeaders(request)}\r\n`)
    onward.write(head)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const forget = bearWitness('what went through the proxy', () => passages.map((one) => `${one.method} ${one.path} ${one.body.slice(0, 400)} → ${one.status ?? 'no answer'}${one.delivered ? '' : ', not delivered'} ${one.reply.slice(0, 300)}`).join('\n'))
  onTestFinished(async () => {
    forget()
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => void server.close(() => resolve()))
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    passages,
    set: (next, { reset: alsoOpen = false } = {}) => {
      rule = next
      if (alsoOpen) for (const socket of sockets) socket.destroy()
    },
    ring: () => {
      for (const socket of doorbells) socket.write(RING_FRAME)
      return doorbells.size
    },
    syncs: () => passages.filter(isSync).map((passage) => Object.assign(passage, { sync: sees(passage) })),
  }
}

/** The last byte never comes. */
function drip(body: Buffer, response: ServerResponse, everyMs: number): void {
  let at = 0
  const timer = setInterval(() => {
    if (at < body.length - 1) response.write(body.subarray(at, (at += 1)))
  }, everyMs)
  response.once('close', () => clearInterval(timer))
}

async function whole(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer) // no encoding is set
  return Buffer.concat(pieces)
}

async function forward(request: IncomingMessage, body: Buffer, port: number): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }> {
  return await new Promise((resolve, reject) => {
    // A connection of its own: one that is kept could die under the request and look like a fault of the coordinator.
    const onward = ask({ host: '127.0.0.1', port, method: request.method, path: request.url, agent: false, headers: { ...request.headers, connection: 'close', 'accept-encoding': 'identity' } }, (answer) => {
      whole(answer).then((bytes) => resolve({ status: answer.statusCode ?? 0, headers: plain(answer.headers, bytes), body: bytes }), reject)
    })
    onward.once('error', reject)
    onward.end(body)
  })
}

/** The body is whole here, so its length is known and it comes in one piece. */
function plain({ 'transfer-encoding': _chunked, connection: _closes, ...headers }: IncomingHttpHeaders, body: Buffer): IncomingHttpHeaders {
  return { ...headers, 'content-length': String(body.length) }
}

function rawHeaders({ rawHeaders: raw }: IncomingMessage): string {
  return raw.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
}

function reset(socket: Socket): void {
  socket.resetAndDestroy()
}
