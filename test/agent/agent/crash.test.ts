/** An agent that dies at any moment, and its next start [D8, D10]. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { agentsBeforeFake, isFinal } from '../../support/agents-before-fake.ts'

const { fake, folder, start } = agentsBeforeFake()

describe('a crash [D8, D10]', () => {
  it('delivers once the result that was spooled, and starts nothing twice', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const first = start()
    await fake().until(() => first.machine.commands.length === 1)
    fake().always('sync', { kind: 'drop-request' })
    first.machine.commands[0]?.end(0)
    await vi.waitFor(async () => expect(await readdir(join(folder(), 'spool', 'J1-1-1.1'))).toContain('result.json'))
    first.crash()
    fake().always('sync', null)
    const second = start()
    await fake().until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'passed', fence: 1, lost: [] })
    expect(second.machine.commands).toHaveLength(0)
  })

  it('is told lost in the first sync of the next start, after its leftovers are dead', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const first = start()
    await fake().until(() => first.machine.commands.length === 1)
    first.crash()
    const second = start()
    await fake().until(() => second.machine.commands.length === 1)
    expect(second.machine.killed).toEqual(['J1-1-1.1'])
    expect(job).toMatchObject({ state: 'live', fence: 2, lost: ['restarted'] })
    expect(second.machine.commands.map(({ request }) => request.attempt)).toEqual(['J1-1-1.2'])
  })

  it('does not start what the journal knows, but says that it is lost [C4]', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const first = start()
    await fake().until(() => first.machine.commands.length === 1)
    first.crash()
    const second = start({}, (machine) => (machine.unfit = 'takes nothing new'))
    await fake().until(() => job.lost.length === 1)
    const { length } = fake().syncs
    await fake().until(() => fake().syncs.length > length + 2)
    Object.assign(job, { state: 'live', agent: fake().syncs.at(-1)?.request.agent, bootSeq: 2 }) // a redelivery of J1-1-1.1
    await fake().until(() => job.lost.length === 2)
    expect(job.lost).toEqual(['restarted', 'process_restart'])
    expect(second.machine.commands).toHaveLength(0)
  })

  it('refuses a second process on the same state folder [D3]', async () => {
    const first = start()
    await fake().until(() => fake().syncs.length > 0)
    const second = start()
    expect(await second.agent.ended).toBe(2)
    expect(second.lines[0]).toMatch(/another agent .* uses the state folder/)
    expect(first.exit).toBeNull()
  })
})
