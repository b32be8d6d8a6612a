import { describe, expect, it } from 'vitest'
import { MOST_LOOKS, untilFirstAttempt, type FirstAttempt } from '../../../coordinator/http/first-attempt.ts'
import type { JobLogs } from '../../../coordinator/objects/scheduler-api.ts'

const job = (change: Partial<JobLogs> = {}): JobLogs => ({ id: 'J1-1-1' as JobLogs['id'], project: 'app', build: 1, ended: false, attempts: [], ...change }) // of the form
const parts = (change: Partial<FirstAttempt>): FirstAttempt => ({ look: async () => job(), follow: async () => null, pause: async () => {}, ...change })

describe('a log that is followed before any agent has its job', () => {
  it('says that it waits, at each look, and after the last one closes without an end', async () => {
    const waits: number[] = []
    const text = await new Response(untilFirstAttempt(parts({ pause: async (ms) => void waits.push(ms) }))).text()
    expect(text).toBe(`retry: 1000\n: waits for an agent\n\n${': waits\n\n'.repeat(MOST_LOOKS - 1)}`)
    expect([waits.length, Math.max(...waits)]).toEqual([MOST_LOOKS, 5000])
  })

  it('looks no more when its reader has gone, without waiting out the pause', async () => {
    let looks = 0
    let pausing = () => {}
    const paused = new Promise<void>((resolve) => (pausing = resolve))
    const look = async () => {
      looks += 1
      return job()
    }
    const pause: FirstAttempt['pause'] = (_ms, signal) => {
      pausing()
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    }
    const reader = untilFirstAttempt(parts({ look, pause })).getReader()
    await reader.read()
    const next = reader.read()
    await paused
    await reader.cancel()
    expect([(await next).done, looks]).toEqual([true, 0])
  })

  it('leaves the log of the attempt when its reader leaves', async () => {
    let left = false
    const log = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1)), cancel: () => void (left = true) })
    const attempts = [{ id: 'J1-1-1.1' as JobLogs['attempts'][number]['id'], fence: 1, agentId: 'a', ended: false, logBytes: null }] // of the form
    const reader = untilFirstAttempt(parts({ look: async () => job({ attempts }), follow: async () => log })).getReader()
    await reader.read()
    expect((await reader.read()).value).toEqual(new Uint8Array(1))
    await reader.cancel()
    expect(left).toBe(true)
  })
})
