/** When a token ends: by its time, by being revoked, by its uses. What it had made goes on. */
import { beforeEach, expect, it } from 'vitest'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { createTokenRequest } from '../../schema/api.ts'
import { TestAgent, TestCluster, valueOf } from '../support/cluster.ts'

let c: TestCluster
beforeEach(() => {
  c = new TestCluster()
})

function token(text: string, request: Readonly<Record<string, unknown>>): string {
  return valueOf(c.cluster.storeToken(c.now, createTokenRequest.parse({ name: 'x', ...request }), sha256Hex(text)).value).id
}

const whoIs = (text: string) => c.cluster.identify(c.now, sha256Hex(text), 'api').value
const join = (name: string, text: string) => {
  const agent = new TestAgent(c, name, {})
  const answer = c.cluster.register(c.now, { proto: 1, agent_id: agent.id, secret_sha256: sha256Hex(agent.secret), offer: agent.offer }, { tokenSha256: sha256Hex(text), isStanding: false }).value
  return { agent, said: answer.ok ? 'joined' : `${answer.code}: ${answer.message}` }
}

it('an API token opens until its time is over, and not a moment longer', () => {
  token('kdg_api_1', { kind: 'api', scope: 'read', life_s: 60 })
  c.pass(59_999)
  expect(whoIs('kdg_api_1')).toMatchObject({ name: 'x', scope: 'read' })
  c.pass(1)
  expect(whoIs('kdg_api_1')).toBeNull()
})

it('an API token without an end opens until it is revoked', () => {
  const id = token('kdg_api_1', { kind: 'api' })
  c.pass(365 * 24 * 3_600_000)
  expect(whoIs('kdg_api_1')).toMatchObject({ scope: 'build' })
  c.cluster.revokeToken(c.now, id)
  expect(whoIs('kdg_api_1')).toBeNull()
})

it('a registration token that has expired lets nobody join any more, and who has joined stays', () => {
  token('kdg_reg_1', { kind: 'registration', life_s: 60 })
  const { agent, said } = join('early', 'kdg_reg_1')
  expect(said).toBe('joined')
  c.pass(60_000)
  expect(join('late', 'kdg_reg_1').said).toBe('token_invalid: this registration token has expired')
  agent.sync()
  expect(join('early', 'kdg_reg_1').said).toBe('joined') // a repeated registration is the same use [C1.2]
})

it('a token of one kind does nothing of the other, though it is known', () => {
  token('kdg_reg_1', { kind: 'registration' })
  token('kdg_api_1', { kind: 'api', scope: 'admin' })
  expect(whoIs('kdg_reg_1')).toBeNull()
  expect(join('one', 'kdg_api_1').said).toBe('token_invalid: a registration token is needed here, and this is a token for the API')
})
