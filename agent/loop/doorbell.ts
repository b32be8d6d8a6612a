/**
 * The optional WebSocket that only says "ring" [C9]. Polling is the correctness path: whatever this socket does (refuse,
 * die, lie, ring a thousand times a second) changes only how soon the next sync comes, and never more than the bucket lets.
 */
import { RING } from '../../schema/sync.ts'
import type { Chance, Clock, Network, Socket } from '../platform.ts'
import { createBackoff } from './backoff.ts'
import { RING_BURST, type AgentTimes } from './times.ts'

export interface DoorbellOptions {
  readonly url: string
  readonly clock: Clock
  readonly chance: Chance
  readonly network: Network
  readonly times: AgentTimes
  /** Null until a sync has given one; the doorbell waits for it. */
  session(): string | null
  /** Starts a sync. */
  rang(): void
}

export interface Doorbell {
  /** Whether the coordinator may count on rings being heard; reported with each sync. */
  isOpen(): boolean
  /** Connects now if it should be open and is not: there is a session. */
  connect(): void
  stop(): void
}

export function startDoorbell({ url, clock, chance, network, times, session, rang }: DoorbellOptions): Doorbell {
  const address = `${url.replace(/^http/, 'ws')}/v1/agent/doorbell`
  const backoff = createBackoff({ clock, chance, baseMs: times.retryBaseMs, capMs: times.doorbellCapMs })
  const ring = limitRings(clock, times, rang)
  let state: 'none' | 'opening' | 'open' | 'waiting' | 'stopped' = 'none'
  let socket: Socket | null = null
  /** Was open, and is not: rings may have been lost since. */
  let missed = false
  let takeBackRetry: (() => void) | null = null
  let takeBackPing: (() => void) | null = null
  let takeBackPong: (() => void) | null = null

  function connect(): void {
    const token = session()
    if (state !== 'none' || token === null) return
    state = 'opening'
    const mine: { socket: Socket | null; isOver: boolean } = { socket: null, isOver: false }
    const over = () => {
      if (mine.isOver) return
      mine.isOver = true
      quiet()
      mine.socket?.close()
      closed()
    }
    // A handshake that hangs is as dead as a socket whose pongs stay away.
    takeBackPong = clock.after(times.callTimeoutMs, over)
    mine.socket = network.openSocket(address, { authorization: `Bearer ${token}` }, {
      opened: () => {
        if (mine.isOver || state === 'stopped') return
        takeBackPong?.()
        takeBackPong = null
        state = 'open'
        if (missed) ring()
        missed = false
        schedulePing(mine.socket, over)
      },
      message: (text) => {
        if (!mine.isOver && text === RING) ring()
      },
      pong: () => {
        takeBackPong?.()
        takeBackPong = null
        backoff.reset() // not when it opens: a socket that opens and dies at once must be tried less and less
      },
      closed: over,
    })
    socket = mine.socket
    if (mine.isOver) mine.socket.close()
  }

  function schedulePing(open: Socket | null, over: () => void): void {
    takeBackPing = clock.after(times.pingMs, () => {
      open?.ping()
      takeBackPong = clock.after(times.pongMs, over)
      schedulePing(open, over)
    })
  }

  function closed(): void {
    socket = null
    if (state === 'stopped') return
    // The pace was given to an agent that can be rung; once a reconnect has failed it syncs to be paced without [C9].
    if (state === 'opening' && missed) {
      missed = false
      ring()
    } else if (state === 'open') missed = true
    state = 'waiting'
    takeBackRetry = clock.after(backoff.next(), () => {
      state = 'none'
      connect()
    })
  }

  function quiet(): void {
    takeBackPing?.()
    takeBackPong?.()
    takeBackPing = takeBackPong = null
  }

  return {
    isOpen: () => state === 'open',
    connect,
    stop: () => {
      state = 'stopped'
      quiet()
      takeBackRetry?.()
      ring.stop()
      socket?.close()
      socket = null
    },
  }
}

/** A token bucket before `call`: a burst at once, then one a refill. A ring over the limit is late, not lost, and many are one [C9]. */
function limitRings(clock: Clock, times: AgentTimes, call: () => void): { (): void; stop(): void } {
  let tokens = RING_BURST
  let filledAt = clock.monotonic()
  let takeBack: (() => void) | null = null
  const ring = () => {
    const now = clock.monotonic()
    tokens = Math.min(RING_BURST, tokens + (now - filledAt) / times.ringRefillMs)
    filledAt = now
    if (tokens >= 1) {
      tokens -= 1
      call()
    } else {
      takeBack ??= clock.after((1 - tokens) * times.ringRefillMs + 1, () => {
        takeBack = null
        ring()
      })
    }
  }
  return Object.assign(ring, { stop: () => takeBack?.() })
}
