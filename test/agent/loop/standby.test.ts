/** What an agent does that is told that another process has its identity [C1.8]; the coordinator's side is in test/conformance. */
import { expect, it } from 'vitest'
import { startSync } from '../../../agent/loop/sync.ts'
import { agentTimes } from '../../../agent/loop/times.ts'
import { PROTOCOL, PROTOCOL_HEADER, type RefusalBody } from '../../../schema/refusal.ts'
import type { AgentId } from '../../../schema/job.ts'
import { syncRequest, type SyncRequest } from '../../../schema/sync.ts'
import { loadedDice, turnedClock } from '../../support/turned-clock.ts'

type Told = Partial<RefusalBody['error']> | 'nothing'

/** A loop that is told these, one at each sync, and then nothing more. */
async function told(answers: readonly Told[], save: (bootSeq: number) => Promise<void> = async () => {}) {
  const clock = turnedClock()
  const sent: SyncRequest[] = []
  const waits: string[] = []
  let bootSeq = 5
  const left = [...answers]
  const loop = startSync({
    url: 'http://coordinator',
    identity: { agentId: 'a_00000000000000000000' as AgentId, secret: 'kdg_sec_x', get bootSeq() { return bootSeq }, bootId: 'of-this-one', jumpTo: (next) => save(next).then(() => void (bootSeq = next)) }, // the id is of the form
    registrationToken: null,
    offer: { name: 'a', queue: 'default', tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'a', version: '0' } },
    clock,
    chance: loadedDice(0.5),
    network: {
      fetch: async (_url, { body }) => {
        const answer = left.shift() ?? 'nothing'
        if (answer === 'nothing') throw new Error('no route to host')
        sent.push(syncRequest.parse(JSON.parse(String(body))))
        const text = JSON.stringify({ error: { code: 'session_superseded', message: 'superseded', retry: true, ...answer } })
        return new Response(text, { status: 409, headers: { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL.max) } }) as never // as much as an agent looks at
      },
      openSocket: () => ({ close: () => {}, ping: () => {} }),
    },
    times: agentTimes(),
    terminal: { line: (text) => void waits.push(text), waiting: (text) => void waits.push(text) },
    report: () => ({ state: 'ready', reason: null, doorbell: false, running: [], pending: [], lost: [] }),
    heard: () => {},
    superseded: () => {},
  })
  for (let s = 0; s < 60 * answers.length; s += 5) await clock.turn(5000)
  loop.stop()
  return { boots: sent.map((request) => request.boot_seq), states: sent.map(({ state }) => state), waits: waits.join('\n') }
}

const conflict = { code: 'identity_conflict', current: 5 }
const silent = { ...conflict, take_over: true }

it('goes on as the next boot when it was told twice that the holder is silent, and gives way again to whoever was first', async () => {
  const { boots, states } = await told([conflict, silent, silent, { code: 'identity_conflict', current: 6 }, { current: 7 }])
  expect(boots).toEqual([5, 5, 5, 6, 6])
  expect(states).toEqual(['ready', 'standby', 'standby', 'ready', 'standby'])
})

it('stands by when it was told so once, or once before and once after a silence of the coordinator', async () => {
  expect((await told([conflict, silent, conflict, silent, conflict])).boots).toEqual([5, 5, 5, 5, 5])
  expect((await told([conflict, silent, 'nothing', silent, conflict])).boots).toEqual([5, 5, 5, 5])
})

it('takes nothing over that it was not standing by for', async () => {
  expect((await told([silent, silent, conflict])).states).toEqual(['ready', 'standby', 'standby'])
})

it('does not take a newer process for a rolled-back disk once it stands by', async () => {
  expect((await told([conflict, { current: 6 }, { current: 6 }])).boots).toEqual([5, 5, 5])
})

it('stands by, and says why, when its disk cannot keep the new boot number', async () => {
  const { boots, waits } = await told([conflict, silent, silent, silent], () => Promise.reject(new Error('cannot write the state folder: the disk is full')))
  expect(boots).toEqual([5, 5, 5, 5])
  expect(waits).toContain('the disk is full')
})
