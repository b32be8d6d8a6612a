import { expect, test } from 'vitest'
import { createClient } from '../../../agent/cli/client.ts'
import { changeAgent } from '../../../agent/cli/fleet.ts'
import { answeringServer } from '../../support/answering-server.ts'

/** A coordinator with these agents. */
async function fleet(agents: readonly { readonly id: string; readonly name: string; readonly state?: string }[]) {
  const views = agents.map((agent) => ({ state: 'ready', queue: 'default', tags: [], running: [], ...agent }))
  const server = await answeringServer(({ method, path }) => ({ body: method === 'GET' ? views : views.find(({ id }) => path.includes(id)) }))
  const printed: string[] = []
  const output = { line: (text: string) => printed.push(text), json: (value: unknown) => printed.push(JSON.stringify(value)), log: () => {}, note: () => {} }
  const change = (action: 'drain' | 'resume' | 'revoke', named: string) => changeAgent(createClient({ url: server.url, token: null }), action, named, {}, output)
  return { change, printed, sent: () => server.asked.filter(({ method }) => method === 'POST').map(({ path }) => path) }
}

const MAC = { id: 'a_0123456789abcdefghij', name: 'mac' }
const OTHER_MAC = { id: 'a_jihgfedcba9876543210', name: 'mac', state: 'offline' }

test.each(['mac', MAC.id])('an agent is named by its name or by its id: %s', async (name) => {
  const { change, printed, sent } = await fleet([MAC, { id: 'a_other', name: 'other' }])
  expect(await change('drain', name)).toBe(0)
  expect(sent()).toEqual([`/api/v1/agents/${MAC.id}/drain`])
  expect(printed).toEqual(['mac takes no more jobs, and finishes what it runs'])
})

test('one that is not there is refused with those that are, and nothing is asked for', async () => {
  const { change, sent } = await fleet([MAC, { id: 'a_other', name: 'other' }])
  await expect(change('revoke', 'max')).rejects.toMatchObject({ exitCode: 2, message: 'there is no agent "max"; there are mac, other' })
  await expect((await fleet([])).change('resume', 'mac')).rejects.toThrow('there are none')
  expect(sent()).toEqual([])
})

test('of two of one name, none is changed until one is named by its id', async () => {
  const { change, sent } = await fleet([MAC, OTHER_MAC])
  await expect(change('revoke', 'mac')).rejects.toMatchObject({ exitCode: 2, message: `2 agents are called "mac"; name one by its id: ${MAC.id} (ready), ${OTHER_MAC.id} (offline)` })
  expect(sent()).toEqual([])
  await change('revoke', OTHER_MAC.id)
  expect(sent()).toEqual([`/api/v1/agents/${OTHER_MAC.id}/revoke`])
})
