/** Who an agent is to its coordinator, and what it does when that is disputed [C1]. */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { agentsBeforeFake } from '../../support/agents-before-fake.ts'

const { fake, folder, start } = agentsBeforeFake()

describe('who it is', () => {
  it('jumps once over the boot number that a rolled-back disk has lost [D5]', async () => {
    const first = start()
    await fake().until(() => fake().syncs.length > 0)
    first.crash()
    const [agent] = [...fake().agents.values()]
    if (agent) agent.bootSeq = 40
    start()
    await fake().until(() => fake().syncs.at(-1)?.request.boot_seq === 41)
  })

  it('kills its builds and stands by when another process has become this agent, and never fights [C1.5]', async () => {
    fake().enqueue({ command: 'wait' })
    const { machine, waits } = start()
    await fake().until(() => machine.commands.length === 1)
    const [agent] = [...fake().agents.values()]
    if (agent) agent.bootSeq = 99
    await vi.waitFor(() => expect(machine.commands[0]?.stops[0]?.why).toBe('abandoned'))
    expect(waits.join()).toContain('another process is this agent now')
    expect(fake().jobs[0]?.result).toBeNull()
  })

  it('reports no end of a build whose state folder another process took by force: that one may have ended it [D3]', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { machine, lines } = start()
    await fake().until(() => machine.commands.length === 1)
    await writeFile(join(folder(), 'agent.lock'), JSON.stringify({ pid: 1, start: null, host: 'another', nonce: 'of another' }))
    machine.commands[0]?.end(143)
    await vi.waitFor(() => expect(lines.join()).toContain('taken by another process'))
    const before = fake().syncs.length
    await fake().until(() => fake().syncs.length >= before + 2)
    expect(job.result).toBeNull()
    expect(fake().syncs.flatMap(({ request }) => request.finished)).toEqual([])
  })

  it('stands by when its state folder was copied [D4]', async () => {
    const first = start()
    await fake().until(() => fake().syncs.length > 0)
    first.crash()
    const [agent] = [...fake().agents.values()]
    Object.assign(agent ?? {}, { bootSeq: 2, bootId: 'of-the-copy' })
    const second = start()
    await vi.waitFor(() => expect(second.waits.join()).toContain('a copy of it'))
    expect(second.exit).toBeNull()
  })

  it('registers again when the coordinator no longer knows it, and keeps what it runs', async () => {
    fake().enqueue({ command: 'wait' })
    const { machine } = start()
    await fake().until(() => machine.commands.length === 1)
    fake().agents.clear()
    await fake().until(() => fake().registrations === 2)
    expect(machine.commands[0]?.isOver).toBe(false)
  })

  it('finishes what runs and keeps the result when it is revoked [D31]', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { machine, waits } = start({ timeScale: 500 })
    await fake().until(() => machine.commands.length === 1)
    const [agent] = [...fake().agents.values()]
    if (agent) agent.revoked = true
    await vi.waitFor(() => expect(waits.join()).toContain('does not let this agent join'))
    machine.commands[0]?.end(0)
    await vi.waitFor(async () => expect(await readdir(join(folder(), 'spool', 'J1-1-1.1'))).toContain('result.json'))
    expect(job.state).toBe('live')
    if (agent) agent.revoked = false
    await fake().until(() => job.state === 'passed')
  })

  it('idles and says what to update when the protocol does not fit [D26]', async () => {
    fake().always('sync', { kind: 'refuse', code: 'proto_unsupported', extra: { proto: { min: 2, max: 3 } } })
    const { waits, exit } = start()
    await vi.waitFor(() => expect(waits.join()).toMatch(/speaks protocol 2 to 3 and this agent 1; update this agent/))
    expect(exit).toBeNull()
  })

  it('ends with 5 and a sentence when its first registration is refused', async () => {
    const { agent, lines } = start({ registrationToken: 'kdg_reg_wrong' })
    expect(await agent.ended).toBe(5)
    expect(lines.at(-1)).toMatch(/does not let this agent join: .*kedge token create/)
  })

  it('sends its offer again when the coordinator asks for it', async () => {
    start()
    await fake().until(() => fake().syncs.length > 1)
    expect(fake().syncs[1]?.request.offer).toBeUndefined()
    const [agent] = [...fake().agents.values()]
    if (agent) agent.offerRev = -1
    const before = fake().syncs.length
    await fake().until(() => fake().syncs.slice(before).some(({ request }) => request.offer !== undefined))
  })
})
