/**
 * The network between agents and coordinator, in which anything may be lost, doubled, late, reordered, cut or answered by
 * a stranger. Each machine has a link of its own, so that partitions may be of one machine and of one direction.
 */
import type { Answered, Network, Socket, SocketEvents } from '../../agent/platform.ts'
import { RING } from '../../schema/sync.ts'
import { Dice } from './chance.ts'
import type { Call, DoorbellSocket, Served } from './calls.ts'
import { GOOD_LINK, type Link } from './link.ts'
import type { SimProcess } from './machine.ts'
import type { VirtualTime } from './time.ts'
import type { SimWorker } from './worker.ts'

/** Who hears what is said on the wire, as the text that it is there. */
export interface Eavesdropper {
  sends(process: SimProcess, path: string, body: string | Uint8Array): void
  /** An answer of the coordinator leaves it, heard or not. */
  replied(process: SimProcess, path: string): void
  /** It has arrived, whole. */
  heard(process: SimProcess, path: string, body: string, status: number): void
}

export class Wire {
  readonly #time: VirtualTime
  readonly #worker: () => SimWorker
  readonly #links = new Map<string, { state: Link; dice: Dice }>()
  readonly #seed: number

  readonly #eavesdropper: Eavesdropper

  constructor(time: VirtualTime, seed: number, worker: () => SimWorker, eavesdropper: Eavesdropper) {
    this.#time = time
    this.#eavesdropper = eavesdropper
    this.#seed = seed
    this.#worker = worker
  }

  link(machine: string): { state: Link; readonly dice: Dice } {
    let link = this.#links.get(machine)
    if (link === undefined) this.#links.set(machine, (link = { state: GOOD_LINK, dice: new Dice(this.#seed, `link ${machine}`) }))
    return link
  }

  hangUp(process: SimProcess): void {
    for (const socket of this.#worker().coordinator.sockets) if (socket.process === process) socket.isOpen = false
  }

  /** A ring that nobody sent. */
  ringFalsely(machine: string): void {
    for (const socket of this.#worker().coordinator.sockets) if (socket.isOpen && socket.process.machine.plan.name === machine) socket.send(RING)
  }

  network(process: SimProcess): Network {
    return {
      fetch: (url, init) => this.#fetch(process, url, init),
      openSocket: (_, headers, events) => this.#openSocket(process, headers, events),
    }
  }

  #fetch(process: SimProcess, url: string, { method, headers, body, signal }: Parameters<Network['fetch']>[1]): Promise<Answered> {
    const { state: link, dice } = this.link(process.machine.plan.name)
    const call: Call = { machine: process.machine, method, path: url.slice('http://kedge'.length), authorization: headers['authorization'] ?? '', body: withNewer(body, link, dice) }
    this.#eavesdropper.sends(process, call.path, body ?? '')
    return new Promise((resolve, reject) => {
      let isOver = false
      const end = (settle: () => void): void => {
        if (isOver) return
        isOver = true
        settle()
      }
      signal.addEventListener('abort', () => end(() => reject(new Error('given up'))), { once: true })
      if (dice.chance(link.strange)) return void this.#time.after(dice.between(1, 200), () => end(() => resolve(stranger(dice))), process)
      const delay = (): number => dice.between(2, 40) + (dice.chance(link.late) ? dice.between(0, link.lateMs) : 0)
      const arrive = async (isFirst: boolean): Promise<void> => {
        const served = await this.#worker().serve(call)
        if (served?.status === 200) this.#eavesdropper.replied(process, call.path)
        if (!isFirst) return
        const now = this.link(process.machine.plan.name).state
        if (served === null) return void (now.replies === 'pass' && this.#time.after(delay(), () => end(() => reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))), process))
        if (now.replies === 'lost' || dice.chance(now.lose)) return
        const { answer, isWhole } = answerOf(served, now, dice)
        this.#time.after(delay(), () => end(() => {
          if (isWhole) this.#eavesdropper.heard(process, call.path, served.body, served.status)
          resolve(answer)
        }), process)
      }
      if (link.requests === 'lost') return
      const isDoubled = dice.chance(link.double)
      if (!dice.chance(link.lose)) this.#time.after(delay(), () => arrive(true))
      if (isDoubled) this.#time.after(delay() + dice.between(0, link.lateMs), () => arrive(false))
    })
  }

  #openSocket(process: SimProcess, headers: Readonly<Record<string, string>>, events: SocketEvents): Socket {
    const time = this.#time
    const link = () => this.link(process.machine.plan.name)
    const later = (act: () => void): void => void time.after(link().dice.between(2, 40), act, process)
    let socket: DoorbellSocket | null = null
    let isOver = false
    const closed = (why: string): void => {
      if (isOver) return
      isOver = true
      events.closed(why)
    }
    if (link().state.requests === 'pass') {
      time.after(link().dice.between(2, 40), async () => {
        socket = await this.#worker().openDoorbell(process, headers['authorization'] ?? '', {
          message: (text) => {
            const { state, dice } = link()
            if (state.replies === 'pass' && !dice.chance(state.deafness)) later(() => !isOver && events.message(text))
          },
          closed: () => link().state.replies === 'pass' && later(() => closed('the server went away')),
        })
        if (link().state.replies === 'pass') later(() => (socket === null ? closed('refused') : !isOver && events.opened()))
      })
    }
    return {
      close: () => {
        if (socket !== null) socket.isOpen = false
        closed('closed')
      },
      ping: () => {
        const { requests, replies } = link().state
        if (requests === 'pass' && replies === 'pass' && socket?.isOpen === true && this.#worker().coordinator.isUp) later(() => !isOver && events.pong())
      },
    }
  }
}

function answerOf({ status, body, headers }: Served, link: Link, dice: Dice): { readonly answer: Answered; readonly isWhole: boolean } {
  const text = dice.chance(link.newer) && status === 200 ? fromLaterVersion(body) : body
  const whole = Buffer.from(text)
  if (dice.chance(link.cut)) return { answer: answered(status, headers, whole.subarray(0, dice.whole(0, Math.max(0, whole.byteLength - 1))), dice.chance(0.5)), isWhole: false }
  return { answer: answered(status, headers, whole, false), isWhole: true }
}

function answered(status: number, headers: Readonly<Record<string, string>>, bytes: Uint8Array, breaksOff: boolean): Answered {
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name) => headers[name] ?? null, has: (name) => name in headers },
    body: {
      async *[Symbol.asyncIterator]() {
        yield bytes
        if (breaksOff) throw new Error('terminated')
      },
      cancel: async () => undefined,
    },
  }
}

function stranger(dice: Dice): Answered {
  const html = { 'content-type': 'text/html' }
  const json = { 'content-type': 'application/json' }
  const [status, headers, text] = dice.pick<readonly [number, Readonly<Record<string, string>>, string]>([
    [200, html, '<h1>Welcome to the hotel</h1>'],
    [302, { location: 'http://portal/' }, ''],
    [401, html, 'sign in'],
    [502, html, 'bad gateway'],
    [503, { ...json, 'retry-after': '7' }, '{}'],
    [200, json, ''],
    [200, json, '{"verdicts":['],
    [404, json, '{"error":{"code":"attempt_superseded","message":"of another system","retry":false}}'],
    [200, { ...json, 'x-kedge-protocol': '1' }, '{}'],
  ])
  return answered(status, headers, new TextEncoder().encode(text), false)
}

/** Unknown fields change nothing [I25]. */
function withNewer(body: string | Uint8Array | undefined, link: Link, dice: Dice): string | Uint8Array {
  if (typeof body !== 'string') return body ?? ''
  return dice.chance(link.newer) ? body.replace(/^\{/, '{"of_a_later_version":{"a":[1]},') : body
}

function fromLaterVersion(body: string): string {
  return body.replace(/^\{/, '{"of_a_later_version":[{}],').replace('"directives":[', '"directives":[{"attempt":"J1-1-1.1","directive":"dance"},').replace('"dance"},]', '"dance"}]')
}
