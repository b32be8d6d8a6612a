/**
 * The Worker of a world: it reads what agents send with the very readers of the real one, refuses what it can, and asks
 * the object. Without the HTTP between them, which the tests of the Worker have.
 */
import { readRegister, readSync } from '../../coordinator/http/agent-calls.ts'
import { attemptOf, callerOf } from '../../coordinator/http/agent-credentials.ts'
import { readPut, readSeal, readSealBody } from '../../coordinator/http/attempt-calls.ts'
import { admit } from '../../coordinator/objects/doorbell.ts'
import type { AgentAnswer } from '../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { PROTOCOL, PROTOCOL_HEADER, REFUSALS } from '../../schema/refusal.ts'
import type { SyncReply } from '../../schema/sync.ts'
import type { Call, DoorbellSocket, Served } from './calls.ts'
import { SIGNING_KEY, type SimCoordinator } from './coordinator.ts'
import type { SimMachine, SimProcess } from './machine.ts'

/** Who looks on. It may not change anything. */
export interface CallsOnlooker {
  /** Within the event. */
  synced(call: { readonly machine: SimMachine; readonly request: ParsedSync; readonly answer: AgentAnswer<SyncReply>; readonly rowsWritten: number }): void
  stored(machine: SimMachine, attempt: string): void
  sealed(machine: SimMachine, attempt: string): void
}

const HEADERS = { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max) }

export class SimWorker {
  readonly coordinator: SimCoordinator
  syncs = 0
  readonly #onlooker: CallsOnlooker

  constructor(coordinator: SimCoordinator, onlooker: CallsOnlooker) {
    this.coordinator = coordinator
    this.#onlooker = onlooker
  }

  /** Null: nobody answers. */
  async serve(call: Call): Promise<Served | null> {
    const { coordinator } = this
    if (!coordinator.isUp) return null
    const [path = '', query = ''] = call.path.split('?')
    if (path === '/v1/agent/sync') return await this.#sync(call)
    if (path === '/v1/agents/register') {
      const read = readRegister(call.authorization, bytesOf(call.body))
      if (!read.ok) return served(read)
      const { request, tokenSha256 } = read.value
      return served(await coordinator.ask((cluster, now) => cluster.register(now, request, { tokenSha256, isStanding: tokenSha256 === sha256Hex('kdg_reg_of-the-simulation') })))
    }
    const [, attempt = '', what = ''] = /^\/v1\/attempts\/([^/]+)\/(.+)$/.exec(path) ?? []
    const asked = new URLSearchParams(query)
    const sent = { authorization: call.authorization, attempt, epoch: asked.get('epoch') ?? undefined }
    switch (what) {
      case 'spec': {
        const read = attemptOf(call.authorization, attempt, this.#verification())
        return read.ok ? served(await coordinator.event((upkeep) => upkeep.cluster.spec(read.value)), (text) => text) : served(read)
      }
      case 'log': {
        const read = readPut({ ...sent, offset: asked.get('offset') ?? undefined, contentEncoding: undefined }, this.#verification())
        if (!read.ok) return served(read)
        const answer = coordinator.logs.put(read.value.attempt, read.value, bytesOf(call.body))
        this.#onlooker.stored(call.machine, read.value.attempt)
        return served(answer)
      }
      case 'log/seal': {
        const read = readSeal(sent, this.#verification())
        const seal = readSealBody(bytesOf(call.body))
        if (!read.ok || !seal.ok) return served(read.ok ? seal : read)
        const wasSealed = coordinator.logs.isSealed(read.value.attempt)
        const answer = coordinator.logs.seal(read.value.attempt, read.value.epoch, seal.value)
        if (answer.ok && !wasSealed) this.#onlooker.sealed(call.machine, read.value.attempt)
        return served(answer)
      }
      default:
        throw new Error(`no agent may ask for ${call.path}`)
    }
  }

  async #sync(call: Call): Promise<Served | null> {
    const { coordinator } = this
    const caller = callerOf(call.authorization, this.#verification())
    if (!caller.ok) return served(caller)
    const read = readSync(bytesOf(call.body), coordinator.now())
    if (!read.ok) return served(read)
    this.syncs += 1
    const answer = await coordinator.event((upkeep) => {
      const before = coordinator.rowsWritten()
      const made = upkeep.sync(read.value, caller.value)
      this.#onlooker.synced({ machine: call.machine, request: read.value, answer: made, rowsWritten: coordinator.rowsWritten() - before })
      return made
    })
    return served(answer)
  }

  /** Null: refused, or nobody answers. */
  async openDoorbell(process: SimProcess, authorization: string, events: { message(text: string): void; closed(): void }): Promise<DoorbellSocket | null> {
    const { coordinator } = this
    if (!coordinator.isUp) return null
    const caller = callerOf(authorization, this.#verification())
    if (!caller.ok) return null
    const admitted = await coordinator.event((upkeep) => admit(upkeep.cluster, caller.value))
    return admitted?.ok === true ? coordinator.attach(process, admitted.value, events) : null
  }

  #verification(): { readonly key: string; readonly now: number } {
    return { key: SIGNING_KEY, now: this.coordinator.now() }
  }
}

function bytesOf(body: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return typeof body === 'string' ? Buffer.from(body) : new Uint8Array(body)
}

function served<T>(answer: AgentAnswer<T> | null, text: (value: T) => string = JSON.stringify): Served | null {
  if (answer === null) return null
  if (answer.ok) return { status: 200, headers: HEADERS, body: text(answer.value) }
  const { code, message, extra } = answer
  return { status: REFUSALS[code].status, headers: HEADERS, body: JSON.stringify({ error: { code, message, retry: REFUSALS[code].retry, ...extra } }) }
}
