/**
 * What agents call, but for their attempts' logs (`attempt.ts`): registration, the sync, the doorbell. The routes only;
 * what is let in and what is refused without the Scheduler is told in `agent-credentials.ts` and `agent-calls.ts`.
 */
import { Hono } from 'hono'
import { PROTOCOL } from '../../schema/refusal.ts'
import type { ProtoReply } from '../../schema/sync.ts'
import type { AgentAnswer } from '../objects/scheduler-api.ts'
import { PROTOCOL_HEADERS, refusal } from '../refusal.ts'
import { readRegister, readRotate, readSync, refuseLength } from './agent-calls.ts'
import { scheduler, verification, type HttpContext, type HttpEnvironment } from './context.ts'
import { callerOf } from './agent-credentials.ts'

export const FEATURES = ['cancel', 'drain', 'resume', 'doorbell'] as const

export const agentRoutes = new Hono<HttpEnvironment>()

agentRoutes.get('/v1/proto', (c) => c.json({ ...PROTOCOL, features: [...FEATURES] } satisfies ProtoReply, 200, PROTOCOL_HEADERS))

agentRoutes.post('/v1/agents/register', async (c) => {
  const body = await bodyOf(c)
  const call = body.ok ? readRegister(c.req.header('authorization'), body.value) : body
  if (!call.ok) return refusal(call)
  const answer = await scheduler(c.env).register(call.value.request, call.value.tokenSha256)
  return answer.ok ? c.json(answer.value, 200, PROTOCOL_HEADERS) : refusal(answer)
})

agentRoutes.post('/v1/agents/rotate', async (c) => {
  const body = await bodyOf(c)
  const call = body.ok ? readRotate(c.req.header('authorization'), body.value, verification(c)) : body
  if (!call.ok) return refusal(call)
  const answer = await scheduler(c.env).rotate(call.value.agent, call.value.caller, call.value.newSecretSha256)
  return answer.ok ? c.json(answer.value, 200, PROTOCOL_HEADERS) : refusal(answer)
})

agentRoutes.post('/v1/agent/sync', async (c) => {
  const caller = callerOf(c.req.header('authorization'), verification(c))
  if (!caller.ok) return refusal(caller)
  const body = await bodyOf(c)
  const sync = body.ok ? readSync(body.value, Date.now()) : body
  if (!sync.ok) return refusal(sync)
  return scheduler(c.env).fetch(new Request('https://scheduler/sync', { method: 'POST', headers: { 'x-kedge-caller': JSON.stringify(caller.value) }, body: JSON.stringify(sync.value) }))
})

agentRoutes.get('/v1/agent/doorbell', async (c) => {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') return refusal({ ok: false, code: 'bad_request', message: 'the doorbell is a WebSocket: ask for an upgrade' })
  const caller = callerOf(c.req.header('authorization'), verification(c))
  if (!caller.ok) return refusal(caller)
  return scheduler(c.env).fetch(new Request('https://scheduler/doorbell', { headers: { upgrade: 'websocket', 'x-kedge-caller': JSON.stringify(caller.value) } }))
})

async function bodyOf(c: HttpContext): Promise<AgentAnswer<Uint8Array>> {
  return refuseLength(Number(c.req.header('content-length') ?? '0')) ?? { ok: true, value: new Uint8Array(await c.req.arrayBuffer()) }
}
