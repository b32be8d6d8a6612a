/**
 * One agent of a day, as far as it is billed: it syncs at the pace that it is told, takes builds, prints, sends its log by
 * the real pace of `agent/log`, delivers, and is rung. A network that never fails; every call is answered at once.
 */
import { createHash } from 'node:crypto'
import { createPace } from '../../agent/log/pace.ts'
import type { Caller } from '../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { LOG_PUT_BYTES } from '../../schema/attempt.ts'
import { parseAttemptId, type AgentId, type AttemptId } from '../../schema/job.ts'
import type { AttemptResult, Offer } from '../../schema/sync.ts'
import type { Dice } from '../simulation/chance.ts'
import type { BuildScript } from './builds.ts'
import type { Site } from './site.ts'

export interface AgentOptions {
  readonly site: Site
  readonly name: string
  readonly hasDoorbell: boolean
  readonly dice: Dice
  /** What the build of that number does. */
  readonly scriptOf: (build: number) => BuildScript
}

interface Run {
  readonly attempt: AttemptId
  readonly commit: string
  watch(): void
  bytes(): number
}

/** All logs are cuts of this. */
const NOISE = Buffer.alloc(LOG_PUT_BYTES, 'the log of a build, line after line\n')

export class CostAgent {
  readonly id: AgentId
  readonly #options: AgentOptions
  readonly #offer: Offer
  readonly #running = new Map<AttemptId, Run>()
  readonly #pending = new Map<AttemptId, { readonly digest: string; readonly text: string; readonly result: AttemptResult }>()
  #caller: Caller
  #seq = 0
  #isOpen = false
  #logMs = 5000
  /** Of the wait that counts; older ones do nothing any more. */
  #wait = 0

  constructor(options: AgentOptions) {
    this.#options = options
    this.id = `a_${options.name.padEnd(20, '0')}` as AgentId // built to the form
    this.#offer = { name: options.name, queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: options.name, version: '0' } }
    this.#caller = { via: 'secret', sha256: sha256Hex(this.id) }
  }

  /** Joins, proves that it hears, opens its doorbell, and goes on by itself. */
  async start(): Promise<void> {
    const { site, hasDoorbell } = this.#options
    await site.register(this.id, this.#offer)
    await this.#sync()
    await this.#sync()
    if (hasDoorbell) {
      await site.openDoorbell(this.id, this.#offer, () => this.#sync())
      this.#isOpen = true
    }
  }

  async #sync(): Promise<void> {
    const { site, dice } = this.#options
    const { reply, caller } = await site.sync(this.#request(), this.#caller)
    this.#caller = caller
    this.#logMs = reply.log_ms
    for (const { attempt } of reply.verdicts) this.#pending.delete(attempt)
    for (const { attempt } of reply.assignments) if (!this.#running.has(attempt)) this.#begin(attempt)
    for (const attempt of reply.watched) this.#running.get(attempt as AttemptId)?.watch() // as the coordinator names them
    const pace = this.#running.size > 0 ? Math.min(reply.next_sync_ms, reply.hb_ms) : reply.next_sync_ms
    const mine = (this.#wait += 1)
    site.timeline.after(pace * (0.8 + 0.2 * dice.next()), () => (this.#wait === mine ? this.#sync() : undefined))
  }

  #request(): ParsedSync {
    this.#seq += 1
    return {
      proto: 1,
      features: [],
      agent: this.id,
      boot_seq: 1,
      boot_id: 'the-only-boot-of-it',
      seq: this.#seq,
      state: 'ready',
      reason: null,
      slots: 1,
      offer_rev: 1,
      ...(this.#seq === 1 ? { offer: this.#offer } : {}),
      doorbell: this.#isOpen,
      running: [...this.#running.values()].map(({ attempt, commit, bytes }) => ({ attempt, phase: 'running' as const, commit, log_bytes: bytes() })),
      finished: [...this.#pending].map(([attempt, finished]) => ({ attempt, ...finished })),
      spooled: [],
      lost: [],
    }
  }

  /** From the assignment to the last byte of the log. */
  #begin(attempt: AttemptId): void {
    const { site, scriptOf } = this.#options
    const { timeline } = site
    const { durationMs, prints, outcome, commit } = scriptOf(parseAttemptId(attempt)?.build ?? 0)
    const startedAt = timeline.now
    let printed = 0
    let size = 0
    let stored = 0
    let clockAt = startedAt
    let isEnded = false
    let wait = 0
    const hash = createHash('sha256')
    const pace = createPace({ clock: { monotonic: () => clockAt, wall: () => clockAt, after: () => () => undefined }, pace: () => this.#logMs, fullBytes: LOG_PUT_BYTES })

    /** What was printed until now, each print at its own time. */
    const catchUp = () => {
      for (let next = prints[printed]; next !== undefined && startedAt + next.atMs <= timeline.now; next = prints[(printed += 1)]) {
        clockAt = startedAt + next.atMs
        size += next.bytes
        pace.grow(size)
      }
      clockAt = timeline.now
    }
    const put = async () => {
      const piece = NOISE.subarray(0, Math.min(LOG_PUT_BYTES, size - stored))
      hash.update(piece)
      pace.sending()
      const { watched } = await site.logs.put(attempt, stored, piece)
      stored += piece.byteLength
      pace.watched(watched)
      pace.sent(stored)
    }
    const goOn = async (): Promise<void> => {
      if (isEnded) return
      catchUp()
      while (pace.due() === 0) await put()
      const next = prints[printed]
      const due = pace.due() ?? (next === undefined ? null : startedAt + next.atMs - timeline.now)
      const mine = (wait += 1)
      if (due !== null) timeline.after(due, () => (wait === mine ? goOn() : undefined))
    }
    const finish = async () => {
      catchUp()
      isEnded = true
      this.#running.delete(attempt)
      const result: AttemptResult = { outcome, exit_status: outcome === 'passed' ? 0 : 1, signal: null, reason: null, commit, started_at: startedAt, finished_at: timeline.now, log_bytes: size, log_sha256: '' }
      const text = JSON.stringify(result)
      this.#pending.set(attempt, { digest: `sha256:${sha256Hex(text)}`, text, result })
      await this.#sync()
      while (stored < size) await put()
      if (size > 0) await site.logs.seal(attempt, { bytes: size, sha256: hash.digest('hex') })
    }
    this.#running.set(attempt, {
      attempt,
      commit,
      bytes: () => size,
      watch: () => {
        pace.watched(true)
        timeline.after(0, goOn)
      },
    })
    timeline.after(0, goOn)
    timeline.after(durationMs, finish)
  }
}
