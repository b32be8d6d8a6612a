/** Whether the machine is fit for work. */
import { describe, expect, it } from 'vitest'
import { agentsBeforeFake, isFinal } from '../../support/agents-before-fake.ts'

const { fake, start } = agentsBeforeFake()

describe('fit for work', () => {
  it('goes on syncing as unhealthy, with the reason, and takes nothing', async () => {
    const job = fake().enqueue()
    const { machine } = start({ limits: { health: { freeBytes: 2 ** 60 } } })
    await fake().until(() => fake().syncs.length > 3)
    expect(fake().syncs.at(-1)?.request).toMatchObject({ state: 'unhealthy', reason: expect.stringMatching(/free, .* needed/) })
    expect(machine.commands).toHaveLength(0)
    expect(job.state).toBe('queued')
  })

  it('says nothing of it when it was fit from the beginning', async () => {
    const job = fake().enqueue()
    const { lines } = start()
    await fake().until(() => isFinal(job))
    expect(lines.filter((line) => /work/.test(line))).toEqual([])
  })

  it('takes work once its tools are there', async () => {
    const job = fake().enqueue()
    const { machine, lines } = start({}, (machine) => (machine.unfit = 'git does not start'))
    await fake().until(() => fake().syncs.at(-1)?.request.reason === 'git does not start')
    machine.unfit = null
    await fake().until(() => isFinal(job))
    expect(lines.filter((line) => /work/.test(line))).toEqual(['takes no work: git does not start', 'is fit for work again'])
  })
})
