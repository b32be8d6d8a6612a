/** Everything a network and what stands in it can do to an agent [C2.1]. */
import { describe, expect, it, vi } from 'vitest'
import { agentsBeforeFake, isFinal } from '../../support/agents-before-fake.ts'
import { EMPTY_200, HTML_200, HTML_401, REDIRECT, unavailable, type Fault } from '../../support/fake-coordinator.ts'

const { fake, start } = agentsBeforeFake()

describe('faults of the network', () => {
  it.each<[string, Fault]>([
    ['lost', { kind: 'drop-request' }],
    ['processed and its reply lost', { kind: 'drop-reply' }],
    ['processed twice', { kind: 'duplicate' }],
    ['answered by a hotel\'s page', HTML_200],
    ['answered by a proxy\'s 401', HTML_401],
    ['answered with an empty 200', EMPTY_200],
    ['redirected', REDIRECT],
    ['answered with 503', unavailable()],
    ['answered with half of its JSON', { kind: 'truncated' }],
    ['cut in the middle of its answer', { kind: 'cut' }],
    ['swallowed', { kind: 'half-open' }],
    ['processed and its reply swallowed', { kind: 'half-open-reply' }],
    ['answered a byte at a time', { kind: 'drip' }],
  ])('runs every job once when each second sync is %s [D6, D28, D29, D30]', async (_, fault) => {
    for (let i = 0; i < 3; i += 1) fake().enqueue({ command: 'true' })
    fake().fault('sync', fault, { kind: 'delay', ms: 0 }, fault, { kind: 'delay', ms: 0 }, fault, { kind: 'delay', ms: 0 }, fault)
    const { machine } = start()
    await fake().until(() => fake().jobs.every(isFinal))
    expect(fake().jobs.map((job) => [job.state, job.fence])).toEqual([['passed', 1], ['passed', 1], ['passed', 1]])
    expect(machine.commands).toHaveLength(3)
  })

  it('waits for a coordinator that is not there yet, says so rarely, and joins when it comes [D2]', async () => {
    fake().always('all', { kind: 'drop-request' })
    const { lines, waits } = start()
    await vi.waitFor(() => expect(waits.length).toBeGreaterThan(0))
    expect(waits[0]).toMatch(new RegExp(`^cannot reach ${fake().url} \\(connection (reset|closed).*\\); trying again, next in \\d+ s$`))
    fake().always('all', null)
    await fake().until(() => fake().syncs.length > 0)
    await vi.waitFor(() => expect(lines).toContain(`builder is connected to ${fake().url}`))
  })

  it('registers again and gets the same when the reply was lost [D1]', async () => {
    fake().fault('register', { kind: 'drop-reply' }, HTML_200)
    start()
    await fake().until(() => fake().syncs.length > 0)
    expect(fake().agents.size).toBe(1)
  })

  it('presents its secret at once, once, when its session has ended [C1.3]', async () => {
    start()
    await fake().until(() => fake().syncs.length > 2)
    const before = fake().syncs.length
    fake().expireSessions()
    await fake().until(() => fake().syncs.length > before + 3)
    expect(fake().syncs.slice(before).filter(({ via }) => via === 'secret')).toHaveLength(1)
    expect(fake().registrations).toBe(1)
  })

  it('obeys Retry-After, even when a build ends meanwhile [D27]', async () => {
    const job = fake().enqueue({ command: 'wait' })
    const { machine, waits } = start()
    await fake().until(() => machine.commands.length === 1)
    fake().fault('sync', { kind: 'refuse', code: 'slow_down', headers: { 'retry-after': '1' } })
    await vi.waitFor(() => expect(waits.join()).toContain('slow_down'))
    const { length } = fake().syncs
    machine.commands[0]?.end(0)
    await fake().until(() => isFinal(job))
    const [before, after] = fake().syncs.slice(length - 1)
    expect((after?.at ?? 0) - (before?.at ?? 0)).toBeGreaterThanOrEqual(1000)
  })
})
