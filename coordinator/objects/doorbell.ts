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

export class Doorbell {
  readonly #attached: () => readonly Attached[]
  readonly #again: (call: () => void) => void
  /** Rings that no sync has answered yet, and how often they were repeated. */
  readonly #unanswered = new Map<AgentId, number>()

  /** `attached` lists the open sockets; `again` calls once after the repeat time. */
  constructor(attached: () => readonly Attached[], again: (call: () => void) => void) {
    this.#attached = attached
    this.#again = again
  }

  agents(): ReadonlySet<AgentId> {
    return new Set(this.#attached().map(({ agent }) => agent))
  }

  /** A sync of the agent answers its ring. */
  answered(agent: AgentId): void {
    this.#unanswered.delete(agent)
  }

  follow(effects: readonly Effect[], memory: Memory): void {
    if (effects.length === 0) return
    const attached = this.#attached()
    for (const effect of effects) {
      if (effect.kind === 'ring') {
        this.#ring(effect.agent, attached)
        continue
      }
      const requirement = memory.classes.get(effect.class)
      if (!requirement) continue
      const idle = attached.filter((one) => canRun(one, requirement) && !this.#unanswered.has(one.agent) && isIdle(one.agent, memory))
      for (const one of idle.slice(0, effect.count)) this.#ring(one.agent, attached)
    }
  }

  #ring(agent: AgentId, attached: readonly Attached[]): void {
    if (this.#unanswered.has(agent)) return // at most one unanswered ring
    const sockets = attached.filter((one) => one.agent === agent)
    if (sockets.length === 0) return
    this.#unanswered.set(agent, 0)
    send(sockets)
    this.#repeatLater(agent)
  }

  #repeatLater(agent: AgentId): void {
    this.#again(() => {
      const times = this.#unanswered.get(agent)
      if (times === undefined) return
      if (times >= REPEATS) return void this.#unanswered.delete(agent)
      this.#unanswered.set(agent, times + 1)
      send(this.#attached().filter((one) => one.agent === agent))
      this.#repeatLater(agent)
    })
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
