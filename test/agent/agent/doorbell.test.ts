/** The doorbell: a hint, and nothing depends on it [C9]. */
import { describe, expect, it, vi } from 'vitest'
import { agentsBeforeFake, isFinal } from '../../support/agents-before-fake.ts'

const { fake, start } = agentsBeforeFake()

describe('with a doorbell [C9]', () => {
  it('starts a job by a ring, long before the pace would', async () => {
    fake().pace.next_sync_ms = 600_000
    const { machine } = start({ doorbell: true })
    await fake().until(() => fake().sockets.size === 1)
    await vi.waitFor(() => expect(fake().syncs.length).toBeGreaterThan(0))
    const job = fake().enqueue()
    await fake().until(() => isFinal(job))
    expect(machine.commands).toHaveLength(1)
  })

  it('works without: a refused doorbell changes only the pace [D45]', async () => {
    fake().always('doorbell', { kind: 'drop-request' })
    const job = fake().enqueue()
    start({ doorbell: true })
    await fake().until(() => isFinal(job))
    expect(fake().syncs.every(({ request }) => !request.doorbell)).toBe(true)
  })

  it('bounds the syncs that a mad doorbell causes [D45]', async () => {
    fake().pace.next_sync_ms = 600_000
    start({ doorbell: true, timeScale: 1 })
    await fake().until(() => fake().sockets.size === 1)
    const before = fake().syncs.length
    for (let i = 0; i < 1000; i += 1) fake().ring()
    const job = fake().enqueue({ command: 'true' })
    await fake().until(() => isFinal(job))
    expect(fake().syncs.length - before).toBeLessThanOrEqual(16)
  })
})
