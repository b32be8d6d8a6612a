/**
 * The doorbell: a hibernating WebSocket per agent that only says "ring" [C9]. It is a hint. Nothing here may throw into
 * scheduling, and every agent would get its work without it, only later.
 */
import { RING } from '../../schema/sync.ts'
import type { AgentId } from '../../schema/job.ts'
import type { Effect } from '../core/decision.ts'
import { canRun } from '../core/matching.ts'
import type { Memory } from '../store/memory.ts'
import type { Cluster } from './cluster.ts'
import type { AgentAnswer, Caller } from './scheduler-api.ts'

/** What survives hibernation beside the socket (at most 16 KiB). */
export interface Attachment {
  readonly agent: AgentId
  readonly queue: string
  readonly tags: readonly string[]
}

export interface Attached extends Attachment {
  send(text: string): void
}

/** Who may open a doorbell, and what is then kept beside the socket [C9]. */
export function admit(cluster: Pick<Cluster, 'offerOf'>, caller: Caller): AgentAnswer<Attachment> {
  if (caller.via !== 'session') return { ok: false, code: 'token_invalid', message: 'the doorbell needs a session token' }
  const offer = cluster.offerOf(caller.agent, caller.credentialVersion)
  if (offer === null) return { ok: false, code: 'session_expired', message: 'the session has ended' }
  return { ok: true, value: { agent: caller.agent as AgentId, queue: offer.queue, tags: offer.tags } } // signed by us
}

/** How often an unanswered ring is repeated. */
const REPEATS = 3

interface Ring {
  repeats: number
  /** The job that it was rung for; null when it was this agent's own affair. */
  readonly call: Call | null
}

/** One job for which somebody is wanted. */
export interface Call {
  readonly class: number
  /** Who was rung for it, one after the other. */
  readonly rung: Set<AgentId>
}

export class Doorbell {
  readonly #attached: () => readonly Attached[]
  readonly #again: (call: () => void) => void
  /** Rings that no sync has answered yet. */
  readonly #unanswered = new Map<AgentId, Ring>()
  /** Agents that answered none of their rings, frozen or cut off behind an open socket: others are rung before them. */
  readonly #deaf = new Set<AgentId>()

  /** `attached` lists the open sockets; `again` calls once after the repeat time. */
  constructor(attached: () => readonly Attached[], again: (call: () => void) => void) {
    this.#attached = attached
    this.#again = again
  }

  agents(): ReadonlySet<AgentId> {
    return new Set(this.#attached().map(({ agent }) => agent))
  }

  /** A sync of the agent answers its ring. What it was called for is to be passed on, if it still waits after that sync. */
  answered(agent: AgentId): Call | null {
    const ring = this.#unanswered.get(agent)
    this.#unanswered.delete(agent)
    this.#deaf.delete(agent)
    return ring?.call ?? null
  }

  /** Rings the next who may have the job. Whoever answered had no room, which the object does not know of an agent not seen since it woke, or may not have the job [I7]. */
  ringNext(call: Call, memory: Memory): void {
    const requirement = memory.classes.get(call.class)
    if (!requirement) return
    const idle = this.#attached().filter((one) => canRun(one, requirement) && !call.rung.has(one.agent) && !this.#unanswered.has(one.agent) && isIdle(one.agent, memory))
    const next = idle.find(({ agent }) => !this.#deaf.has(agent)) ?? idle[0]
    if (next !== undefined) this.#ring(next.agent, call, memory)
  }

  follow(effects: readonly Effect[], memory: Memory): void {
    for (const effect of effects) {
      if (effect.kind === 'ring') this.#ring(effect.agent, null, memory)
      else this.#ringClass(effect.class, effect.count, memory)
    }
  }

  #ringClass(jobClass: number, count: number, memory: Memory): void {
    for (let rings = 0; rings < count; rings += 1) this.ringNext({ class: jobClass, rung: new Set() }, memory)
  }

  #ring(agent: AgentId, call: Call | null, memory: Memory): void {
    call?.rung.add(agent)
    if (this.#unanswered.has(agent)) return // at most one unanswered ring
    if (!this.#send(agent)) return
    this.#unanswered.set(agent, { repeats: 0, call })
    this.#repeatLater(agent, memory)
  }

  #repeatLater(agent: AgentId, memory: Memory): void {
    this.#again(() => {
      const ring = this.#unanswered.get(agent)
      if (ring === undefined) return
      // Whoever was rung may be frozen or cut off; the job need not wait for it while another agent is idle [I7].
      if (ring.repeats === 0 && ring.call !== null) this.ringNext(ring.call, memory)
      if (ring.repeats >= REPEATS) {
        this.#unanswered.delete(agent)
        this.#deaf.add(agent)
        return
      }
      ring.repeats += 1
      this.#send(agent)
      this.#repeatLater(agent, memory)
    })
  }

  /** False when the agent has no open socket. */
  #send(agent: AgentId): boolean {
    const sockets = this.#attached().filter((one) => one.agent === agent)
    send(sockets)
    return sockets.length > 0
  }
}

function send(sockets: readonly Attached[]): void {
  for (const socket of sockets) {
    try {
      socket.send(RING)
    } catch {
      // A socket that closed meanwhile: the agent's next sync finds the work.
    }
  }
}

/** An agent not seen since the object woke may be idle: ringing it in vain costs one sync. */
function isIdle(agent: AgentId, memory: Memory): boolean {
  const presence = memory.presence.get(agent)
  return presence === undefined || (presence.fit && presence.free > 0)
}
