/** A job's way through the agent, from the sync that brings it to its delivered result and log. */
import { describe, expect, it } from 'vitest'
import { agentsBeforeFake, isFinal } from '../../support/agents-before-fake.ts'
import { HTML_200, unavailable } from '../../support/fake-coordinator.ts'

const { fake, start } = agentsBeforeFake()

describe('a job\'s way through the agent', () => {
  it('registers, takes a job, delivers its result and its log', async () => {
    const job = fake().enqueue({ command: 'say hello' })
    const { lines } = start()
    await fake().until(() => isFinal(job) && fake().logs.get('J1-1-1.1' as never)?.sealed === true)
    expect(job).toMatchObject({ state: 'passed', fence: 1, result: { exit_status: 0, signal: null, log_bytes: 6 } })
    expect(fake().logs.get('J1-1-1.1' as never)?.bytes.toString()).toBe('hello\n')
    expect(fake().registrations).toBe(1)
    expect(lines).toEqual([`builder is connected to ${fake().url}`, 'J1-1-1.1 begins: test #1', 'J1-1-1.1 passed'])
  })

  it('tells an exit status from a pass', async () => {
    const job = fake().enqueue({ command: 'exit 3' })
    start()
    await fake().until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'failed', result: { exit_status: 3 } })
  })

  it('delivers a result and takes the next job in one sync: finish is claim [C8]', async () => {
    fake().pace.next_sync_ms = fake().pace.hb_ms = 60_000 // nothing comes by the pace
    for (let i = 0; i < 10; i += 1) fake().enqueue()
    start({ slots: 1 })
    await fake().until(() => fake().jobs.every(isFinal))
    const delivering = fake().syncs.filter(({ request }) => request.finished.length > 0)
    expect(delivering).toHaveLength(10)
    expect(fake().syncs.length).toBeLessThanOrEqual(14)
  })

  it('names what it holds in every sync, and never has two in flight', async () => {
    fake().enqueue({ command: 'wait' })
    fake().always('sync', { kind: 'delay', ms: 20 })
    const { machine } = start()
    await fake().until(() => machine.commands.length === 1)
    const from = fake().syncs.length
    await fake().until(() => fake().syncs.length > from + 5)
    expect(fake().syncs.slice(from + 1).every(({ request }) => request.running[0]?.attempt === 'J1-1-1.1')).toBe(true)
    expect(fake().syncs.map(({ request }) => request.seq)).toEqual([...fake().syncs.keys()].map((n) => n + 2)) // the first was answered "who are you?"
  })

  it('fetches a spec that is too large for a sync', async () => {
    const job = fake().enqueue({ command: `say ${'x'.repeat(40_000)}` })
    fake().fault('spec', unavailable(), HTML_200)
    start()
    await fake().until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'passed', result: { log_bytes: 40_001 } })
  })

  it('asks again for a spec that the coordinator is too busy to give, and begins once', async () => {
    const job = fake().enqueue({ command: `say ${'x'.repeat(40_000)}` })
    const busy = { kind: 'refuse', code: 'slow_down' } as const
    fake().fault('spec', busy, busy)
    const { lines } = start()
    await fake().until(() => isFinal(job))
    expect([job.state, lines.filter((line) => line.includes(' begins'))]).toEqual(['passed', ['J1-1-1.1 begins']])
  })

  it('lets go of a build whose spec is not given to it any more: its slot is for the next', async () => {
    const first = fake().enqueue({ command: `say ${'x'.repeat(40_000)}` })
    const superseded = { kind: 'refuse', code: 'attempt_superseded' } as const
    fake().fault('spec', superseded)
    const { lines } = start({ slots: 1 })
    await fake().until(() => isFinal(first)) // it was delivered again, as no sync named it
    expect(lines.filter((line) => line.includes(' begins'))).toHaveLength(2)
  })

  it('says with a code why a build could not begin', async () => {
    const job = fake().enqueue()
    start({}, (machine) => (machine.prepareError = Object.assign(new Error('the commit is not on the remote'), { code: 'commit_missing' })))
    await fake().until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'errored', result: { reason: { code: 'commit_missing', message: 'the commit is not on the remote' } } })
  })

  it('blames the machine when it is the machine\'s fault [C15.3]', async () => {
    const job = fake().enqueue()
    start({}, (machine) => (machine.prepareError = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })))
    await fake().until(() => isFinal(job))
    expect(job.result?.reason?.code).toBe('agent_disk')
  })

  it('ends a build at its time limit, also while it is being prepared', async () => {
    const job = fake().enqueue({ timeout_s: 1 })
    start({}, (machine) => (machine.preparing = new Promise(() => {})))
    await fake().until(() => isFinal(job))
    expect(job).toMatchObject({ state: 'timed_out', result: { reason: { code: 'timed_out' } } })
  })

  it('puts attempts into the lowest free slot', async () => {
    for (let i = 0; i < 3; i += 1) fake().enqueue({ command: 'wait' })
    const { machine } = start({ slots: 2 })
    await fake().until(() => machine.commands.length === 2)
    const [first, second] = machine.commands
    expect([first?.request.slot, second?.request.slot].toSorted()).toEqual([0, 1])
    second?.end(0)
    await fake().until(() => machine.commands.length === 3)
    expect(machine.commands[2]?.request.slot).toBe(second?.request.slot)
  })
})
