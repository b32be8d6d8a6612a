/** Agents join, change their secret, and are told by people what to do. */
import type { RegisterReply, RegisterRequest } from '../../schema/sync.ts'
import type { AgentRow } from '../core/decision.ts'
import type { Event } from './event.ts'
import { problem, type AgentAnswer, type Answer, type Caller } from './scheduler-api.ts'
import { useRegistrationToken } from './tokens.ts'

export function register(event: Event, request: RegisterRequest, proof: { readonly tokenSha256: string; readonly isStanding: boolean }): AgentAnswer<RegisterReply> {
  const known = event.memory.agents.get(request.agent_id)
  if (known && known.secretSha256 !== request.secret_sha256) return { ok: false, code: 'agent_id_taken', message: `another agent is registered as ${request.agent_id}` }
  if (known?.revokedAt) return { ok: false, code: 'agent_revoked', message: `agent ${known.offer.name} was revoked by an administrator; give it a new state folder to join anew` }
  const refused = proof.isStanding ? null : useRegistrationToken(event, proof.tokenSha256, request.agent_id)
  if (refused) return refused
  const agent = known ?? newAgent(request, event.now)
  if (!known) event.apply({ kind: 'agent.insert', row: agent })
  const paceMs = event.numbers.soonMs
  return { ok: true, value: { agent_id: agent.id, session: event.sign.session({ agent: agent.id, bootSeq: 0, credentialVersion: agent.credentialVersion, issuedAt: event.now, paceMs }), next_sync_ms: 0 } }
}

export function rotate(event: Event, id: string, caller: Caller, sha256: string): AgentAnswer<{ readonly rotated: true }> {
  const agent = event.memory.agents.get(id)
  if (!agent) return { ok: false, code: 'agent_unknown', message: `no agent ${id} is registered here` }
  const isOwner = caller.via === 'secret' ? caller.sha256 === agent.secretSha256 : caller.agent === agent.id && caller.credentialVersion === agent.credentialVersion
  if (!isOwner) return { ok: false, code: 'token_invalid', message: 'only the agent itself may rotate its secret' }
  event.apply({ kind: 'agent.set', id: agent.id, set: { secretSha256: sha256, credentialVersion: agent.credentialVersion + 1 } })
  return { ok: true, value: { rotated: true } }
}

/** As it is afterwards. */
export function changeAgent(event: Event, id: string, action: 'drain' | 'resume' | 'revoke'): Answer<AgentRow> {
  const agent = event.memory.agents.get(id)
  if (!agent) return problem(404, 'agent-unknown', 'No such agent', `There is no agent ${id}. "kedge agents" lists them.`)
  const set: Partial<AgentRow> =
    action === 'drain' ? { drain: true } : action === 'resume' ? { drain: false, heldBackUntil: null, heldBackFor: null, failures: 0 } : { revokedAt: event.now, credentialVersion: agent.credentialVersion + 1 }
  event.apply({ kind: 'agent.set', id: agent.id, set })
  event.effects.push({ kind: 'ring', agent: agent.id })
  return { ok: true, value: { ...agent, ...set } }
}

function newAgent(request: RegisterRequest, now: number): AgentRow {
  return {
    id: request.agent_id,
    secretSha256: request.secret_sha256,
    credentialVersion: 1,
    bootSeq: 0,
    bootId: '',
    offer: request.offer,
    offerRev: 0,
    boots: [],
    heldBackUntil: null,
    heldBackFor: null,
    drain: false,
    failures: 0,
    revokedAt: null,
    registeredAt: now,
    state: 'ready',
    reason: null,
    slots: request.offer.slots,
    rivalAt: null,
  }
}
