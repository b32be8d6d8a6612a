/** An object that has more to do than it can: the platform says so by an error with a mark, which no test can bring about, so it is planted. */
import { expect, it } from 'vitest'
import { ask } from '../../support/ask.ts'

const overloaded = { idFromName: () => 'default', get: () => new Proxy({}, { get: () => () => Promise.reject(Object.assign(new Error('Durable Object is overloaded.'), { overloaded: true })) }) }

it('an object that has too much to do is a 503 with a time to come back, for people and agents alike [D53]', async () => {
  const agent = await ask('/v1/agent/sync', { token: 'kdg_sec_whatever', json: { proto: 1, agent: 'a_00000000000000000001', boot_seq: 1, boot_id: 'a boot of it', seq: 1, state: 'ready', slots: 1, offer_rev: 1, doorbell: false, running: [], finished: [] }, bindings: { SCHEDULER: overloaded } })
  const person = await ask('/api/v1/builds', { bindings: { SCHEDULER: overloaded } })
  for (const response of [agent, person]) {
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  expect(agent.headers.has('x-kedge-protocol')).toBe(false) // to an agent it is no answer: it keeps everything
  expect(await person.json()).toMatchObject({ status: 503, code: 'overloaded' })
})
