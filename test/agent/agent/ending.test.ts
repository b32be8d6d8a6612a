/** Builds that are ended before they end by themselves, and processes that cannot be. */
import { describe, expect, it, vi } from 'vitest'
import { agentsBeforeFake, isFinal } from '../../support/agents-before-fake.ts'

const { fake, start } = agentsBeforeFake()

describe('cancel and abandon', () => {
  it('ends a running build and answers with a cancelled result [C13.1]', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { machine } = start()
    await fake().until(() => machine.commands.length === 1)
    fake().cancel(job)
    await fake().until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'canceled', result: { signal: 'SIGTERM', reason: { code: 'canceled' } } })
    expect(machine.commands[0]?.stops).toEqual([{ why: 'canceled', graceMs: 1000 }])
  })

  it('ends one that is still being prepared without starting it', async () => {
    const job = fake().enqueue()
    const { machine } = start({}, (machine) => (machine.preparing = new Promise(() => {})))
    await fake().until(() => job.state === 'live')
    fake().cancel(job)
    await fake().until(() => isFinal(job))
    expect(job.state).toBe('canceled')
    expect(machine.commands).toHaveLength(0)
  })

  it('ends an abandoned build without any result, and goes on', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { machine } = start({ slots: 1 })
    await fake().until(() => machine.commands.length === 1)
    fake().giveAway(job)
    const next = fake().enqueue({ command: 'true' })
    await fake().until(() => isFinal(next))
    expect(machine.commands[0]?.stops[0]?.why).toBe('abandoned')
    expect(job.result).toBeNull()
  })

  it('kills a build that may not run twice before its job could be given away [C16.2]', async () => {
    fake().pace.self_fence_ms = 500
    const careful = fake().enqueue({ command: 'wait', on_partition: 'stop' })
    const other = fake().enqueue({ command: 'wait' })
    const { machine } = start()
    await fake().until(() => machine.commands.length === 2)
    fake().always('sync', { kind: 'half-open' })
    await vi.waitFor(() => expect(machine.commands.find(({ request }) => request.spec.on_partition === 'stop')?.stops[0]?.why).toBe('abandoned'), { timeout: 5000 })
    expect(machine.commands.find(({ request }) => request.spec.on_partition === 'continue')?.isOver).toBe(false)
    fake().always('sync', null)
    await fake().until(() => careful.lost.includes('agent_stopping'))
    expect(other.lost).toEqual([])
  })
})

describe('what cannot be ended', () => {
  const message = 'could not end sleep (pid 4711), which J1-1-1.1 had started: stuck in the kernel, or another user\'s. End it by hand, or restart this machine'

  it('is named in the build\'s log and at the terminal [I23]', async () => {
    fake().enqueue({ command: 'say hello' })
    const { lines } = start({}, (machine) => (machine.survivors = ['sleep (pid 4711)']))
    await fake().until(() => fake().logs.get('J1-1-1.1' as never)?.sealed === true)
    expect(fake().logs.get('J1-1-1.1' as never)?.bytes.toString()).toBe(`hello\nkedge: ${message}\n`)
    expect(lines).toContain(message)
  })

  it('is named at the next start when the agent itself had died', async () => {
    fake().enqueue({ command: 'wait' })
    const first = start()
    await fake().until(() => first.machine.commands.length === 1)
    first.crash()
    const second = start({}, (machine) => (machine.survivors = ['sleep (pid 4711)']))
    await vi.waitFor(() => expect(second.lines).toContain(message))
  })
})
