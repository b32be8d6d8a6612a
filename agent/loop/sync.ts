/**
 * The agent's one loop: sync, act on the reply, wait, again. Exactly one sync is in flight; whatever cannot wait for the
 * pace (a finish, a freed slot, SIGTERM, a ring) is a kick, and kicks are a flag, not a queue [C8].
 *
 * It has no exit on a network error. It ends when told to, or when the very first answer of the coordinator is that this
 * agent may not join and nothing is held that could be lost (`refused`).
 */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { PROTOCOL } from '../../schema/refusal.ts'
import { registerReply, syncReply, SYNC_BODY_BYTES, type Offer, type RegisterRequest, type SyncReply, type SyncRequest } from '../../schema/sync.ts'
import type { AgentId } from '../../schema/job.ts'
import type { Chance, Clock, Network } from '../platform.ts'
import type { SpooledResult } from '../spool/results.ts'
import { createBackoff } from './backoff.ts'
import { ask, isSendable, type Answer } from '../exchange.ts'
import { RESULTS_PER_SYNC, revisionOf, withResults } from './message.ts'
import { createWaiter, inWords, type Terminal } from './terminal.ts'
import type { AgentTimes } from './times.ts'

export interface SyncIdentity {
  readonly agentId: AgentId
  readonly secret: string
  readonly bootSeq: number
  readonly bootId: string
  jumpTo(bootSeq: number): Promise<void>
}

/** What the agent holds at the moment of sending. `pending` are all results without a verdict, oldest first. */
export interface Report {
  readonly state: 'ready' | 'draining' | 'unhealthy'
  readonly reason: string | null
  readonly doorbell: boolean
  readonly running: SyncRequest['running']
  readonly pending: readonly SpooledResult[]
  readonly lost: SyncRequest['lost']
}

/** What was sent and is now known to have been heard. */
export interface Heard {
  readonly reply: SyncReply
  readonly lost: SyncRequest['lost']
  readonly state: SyncRequest['state']
}

export interface SyncOptions {
  readonly url: string
  readonly identity: SyncIdentity
  readonly registrationToken: string | null
  readonly offer: Offer
  readonly clock: Clock
  readonly chance: Chance
  readonly network: Network
  readonly times: AgentTimes
  readonly terminal: Terminal
  report(): Report
  /** Acts on a reply. It must not wait: the next sync may not depend on a disk or a build. */
  heard(heard: Heard): void
  /** Another process is this agent now: kill what runs [C1.5]. */
  superseded(): void
}

export interface SyncLoop {
  /** Sync at once, or right after the one in flight. */
  kick(): void
  session(): string | null
  /** Send of the last sync that was acknowledged, by both clocks; null before the first [C16.1]. */
  acknowledged(): { readonly monotonic: number; readonly wall: number } | null
  /** The coordinator has refused this agent as such: nothing can be delivered until a person or time mends it. */
  isRefused(): boolean
  stop(): void
  /** Settles when the loop has ended. `refused` says for a person why this agent may not join. */
  readonly ended: Promise<{ readonly refused: string | null }>
}

type Next = { readonly ms: number; /** Not even a kick may shorten it. */ readonly floor?: boolean } | { readonly refused: string }

export function startSync(options: SyncOptions): SyncLoop {
  const { url, identity, clock, chance, network, times, terminal } = options
  const ending = new AbortController()
  const waiter = createWaiter(terminal, clock, times.sayAgainMs)
  const offerRev = revisionOf(options.offer)
  let session: string | null = null
  let seq = 0
  let acknowledged: ReturnType<SyncLoop['acknowledged']> = null
  let kicked = false
  let wake: (() => void) | null = null
  let hasHeard = false
  let hasJumped = false
  let justRegistered = false
  let offerIsKnown = false
  let refusedNow = false
  let standby = false
  /** The last answer, with no silence since, said that a process that stands by may take over. */
  let mayTakeOver = false
  let bodyBytes = SYNC_BODY_BYTES
  let heldBack: string | null = null
  let gainedAt = -Infinity

  const holds = () => {
    const { running, pending } = options.report()
    return running.length > 0 || pending.length > 0
  }
  const backoff = createBackoff({ clock, chance, baseMs: times.retryBaseMs, capMs: () => (holds() ? times.retryHoldingCapMs : times.retryIdleCapMs), retryAfterFloorMs: times.retryAfterFloorMs, retryAfterCapMs: times.retryAfterCapMs })

  const call = <T>(path: string, credential: string, body: unknown, reply: z.ZodType<T>): Promise<Answer<T>> =>
    ask({ network, clock, url: url + path, method: 'POST', credential, body: JSON.stringify(body), reply, timeoutMs: times.callTimeoutMs, signal: ending.signal })

  async function sync(): Promise<Next> {
    let viaSecret = session === null
    let sent = compose()
    let sentAt = { monotonic: clock.monotonic(), wall: clock.wall() }
    let answer = await call('/v1/agent/sync', session ?? identity.secret, sent, syncReply)
    // A session that arrived damaged is none either: kept, it would lock this agent out until it is started again.
    const isSessionOver = answer.kind === 'refused' && (answer.error.code === 'session_expired' || answer.error.code === 'token_invalid')
    if (isSessionOver && !viaSecret) {
      session = null
      viaSecret = true
      sent = compose()
      sentAt = { monotonic: clock.monotonic(), wall: clock.wall() }
      answer = await call('/v1/agent/sync', identity.secret, sent, syncReply) // at once, once [C2.1]
    }
    if (ending.signal.aborted) return { ms: 0 }
    if (answer.kind === 'none') return noAnswer(answer)
    if (answer.kind === 'refused') return refusal(answer)
    return reply(answer.value, sent, sentAt, viaSecret)
  }

  function compose(): SyncRequest {
    const report = options.report()
    seq += 1
    const base: SyncRequest = {
      proto: PROTOCOL.max,
      features: ['cancel', 'drain', 'log_sync', 'resume'],
      agent: identity.agentId,
      boot_seq: identity.bootSeq,
      boot_id: identity.bootId,
      seq,
      state: standby ? 'standby' : report.state,
      reason: report.reason?.slice(0, 500) ?? null,
      slots: options.offer.slots,
      offer_rev: offerRev,
      ...(offerIsKnown ? {} : { offer: options.offer }),
      doorbell: report.doorbell,
      running: report.running,
      finished: [],
      spooled: [],
      lost: report.lost.slice(0, RESULTS_PER_SYNC),
    }
    return withResults(base, report.pending, bodyBytes)
  }

  function reply(value: SyncReply, sent: SyncRequest, sentAt: { monotonic: number; wall: number }, viaSecret: boolean): Next {
    session = isSendable(value.session) ? value.session : null
    acknowledged = sentAt
    backoff.reset()
    bodyBytes = SYNC_BODY_BYTES
    refusedNow = standby = mayTakeOver = justRegistered = false
    offerIsKnown = !value.need.includes('offer')
    const isFirst = !hasHeard
    if (waiter.over() || isFirst) terminal.line(`${options.offer.name} is connected to ${url}`)
    hasHeard = true
    const hold = value.held_back?.message ?? null
    if (hold !== heldBack) {
      heldBack = hold
      terminal.line(heldBack === null ? 'takes work again' : `gets no work for now: ${heldBack}`)
    }
    options.heard({ reply: value, lost: sent.lost, state: sent.state })

    const more = sent.spooled.length > 0 && value.verdicts.length > 0
    const offerIsAsked = !offerIsKnown && sent.offer === undefined
    if (more || offerIsAsked) return { ms: 0 }
    // Only a sync that presents a session token of this boot proves that this agent hears, and only such a one is given
    // work [C4.10]: present it now instead of after a whole pace.
    if ((viaSecret || isFirst) && clock.monotonic() - gainedAt >= times.hearAgainMs) {
      gainedAt = clock.monotonic()
      return { ms: 0 }
    }
    const pace = options.report().running.length > 0 ? Math.min(value.next_sync_ms, value.hb_ms) : value.next_sync_ms
    return { ms: Math.min(Math.max(pace, times.paceFloorMs), times.paceCapMs) * (0.8 + 0.2 * chance.random()) }
  }

  function noAnswer(answer: Extract<Answer<unknown>, { kind: 'none' }>): Next {
    mayTakeOver = false
    const ms = backoff.next(answer.retryAfterMs)
    waiter.say(answer.elsewhere ? answer.why : `cannot reach ${url} (${answer.why})`, `trying again, next in ${inWords(ms)}`)
    return { ms, floor: answer.retryAfterMs !== null }
  }

  async function refusal({ error, retryAfterMs }: Extract<Answer<unknown>, { kind: 'refused' }>): Promise<Next> {
    const isToldAgain = mayTakeOver
    mayTakeOver = standby && error.take_over === true
    if (mayTakeOver && isToldAgain && error.current !== undefined) return takeOver(error.current)
    switch (error.code) {
      case 'agent_unknown':
        if (options.registrationToken === null) return refuse(`no agent ${identity.agentId} has joined there`, 'give it a registration token (--token); an admin makes one with: npx kedge token create --kind registration')
        return justRegistered ? refuse(error.message, 'it has just joined, so the coordinator may have lost its records') : register(options.registrationToken)
      case 'session_superseded':
        if (!hasHeard && !hasJumped && error.current !== undefined) {
          hasJumped = true // a disk that was rolled back: once, and only before anything was heard
          await identity.jumpTo(error.current + 1)
          return { ms: 0 }
        }
        return standBy('another process is this agent now, with a newer start number; takes over when that is silent for minutes')
      case 'identity_conflict':
        return standBy('another process has the same state folder, or a copy of it; give each agent its own (--state). Takes over when that is silent for minutes')
      case 'proto_unsupported':
        refusedNow = true
        return later(`the coordinator speaks ${error.proto ? `protocol ${error.proto.min} to ${error.proto.max}` : 'another protocol'} and this agent ${PROTOCOL.max}; ${whatToUpdate(error.proto)}`, times.refusedMs * (1 + chance.random()))
      case 'agent_revoked':
        return refuse(error.message, 'a person has to let it join again')
      case 'payload_too_large':
        bodyBytes = Math.max(4096, bodyBytes / 2)
        return later(`the coordinator finds the message too large (${error.message})`, backoff.next(retryAfterMs))
      default: {
        const ms = backoff.next(retryAfterMs)
        waiter.say(`the coordinator answers "${error.code}": ${error.message}`, `trying again, next in ${inWords(ms)}`)
        return { ms, floor: retryAfterMs !== null }
      }
    }
  }

  async function register(token: string): Promise<Next> {
    const request: RegisterRequest = { proto: PROTOCOL.max, agent_id: identity.agentId, secret_sha256: createHash('sha256').update(identity.secret).digest('hex'), offer: options.offer }
    const answer = await call('/v1/agents/register', token, request, registerReply)
    if (ending.signal.aborted) return { ms: 0 }
    if (answer.kind === 'none') return noAnswer(answer)
    if (answer.kind === 'reply') {
      session = isSendable(answer.value.session) ? answer.value.session : null
      justRegistered = true
      return { ms: 0 }
    }
    if (answer.error.code === 'slow_down' || answer.error.code === 'proto_unsupported') return refusal(answer)
    return refuse(answer.error.message, answer.error.code === 'token_invalid' ? 'an admin makes another token with: npx kedge token create --kind registration' : 'give it another state folder (--state)')
  }

  /** The older side is to be brought up to the newer one. */
  function whatToUpdate(theirs: { readonly max: number } | undefined): string {
    return theirs === undefined ? 'install the same kedge version on both' : theirs.max < PROTOCOL.max ? 'update the coordinator, or install an older agent' : 'update this agent'
  }

  /** This agent may not join. With nothing to lose and nobody ever heard, a person at the terminal wants to know at once; otherwise it keeps everything and asks again. */
  function refuse(message: string, remedy: string): Next {
    const sentence = `${url} does not let this agent join: ${message.replace(/[.\s]+$/, '')}; ${remedy}`
    if (!hasHeard && !holds()) return { refused: sentence }
    refusedNow = true
    session = null
    return later(sentence, times.refusedMs * (0.8 + 0.2 * chance.random()))
  }

  function standBy(why: string): Next {
    if (!standby) options.superseded()
    standby = refusedNow = hasJumped = true // who stands by was answered: its disk was not rolled back
    return later(`stands by: ${why}`, times.standbyMs * (0.8 + 0.4 * chance.random()))
  }

  /**
   * The holder of this identity is silent [C1.8]. Told so twice, with no silence of the coordinator between: after an
   * outage the holder must have had its chance to be heard first. Whoever else stands by gets a conflict from now on.
   */
  async function takeOver(current: number): Promise<Next> {
    try {
      await identity.jumpTo(current + 1)
    } catch (error) {
      return standBy(error instanceof Error ? error.message : String(error))
    }
    standby = refusedNow = mayTakeOver = false
    terminal.line('takes over: the other process with this identity has been silent for minutes')
    return { ms: 0 }
  }

  function later(why: string, ms: number): Next {
    waiter.say(why, `asking again in ${inWords(ms)}`)
    return { ms, floor: true }
  }

  /** Until the time is over, a kick (unless `floor`), or the end. */
  function rest(ms: number, floor: boolean): Promise<void> {
    if (ms <= 0 || (kicked && !floor) || ending.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        takeBack()
        wake = null
        ending.signal.removeEventListener('abort', end)
        resolve()
      }
      const takeBack = clock.after(ms, end)
      ending.signal.addEventListener('abort', end, { once: true })
      if (!floor) wake = end
    })
  }

  async function run(): Promise<{ refused: string | null }> {
    while (!ending.signal.aborted) {
      kicked = false
      const next = await sync()
      if ('refused' in next) return next
      await rest(next.ms, next.floor === true)
    }
    return { refused: null } // the only other exit: stop()
  }

  return {
    kick: () => {
      kicked = true
      wake?.()
    },
    session: () => session,
    acknowledged: () => acknowledged,
    isRefused: () => refusedNow,
    stop: () => ending.abort(),
    ended: Promise.resolve().then(run), // not before whoever starts it has this object in hand
  }
}
