import { describe, expect, it } from 'vitest'
import { watchPartition } from '../../../agent/loop/partition.ts'
import { agentTimes } from '../../../agent/loop/times.ts'
import { turnedClock } from '../../support/turned-clock.ts'

function watched() {
  const clock = turnedClock()
  const seen = { fencedAt: null as number | null, woke: 0 }
  let acknowledged = { monotonic: clock.monotonic(), wall: clock.wall() }
  const start = clock.monotonic()
  const watch = watchPartition({ clock, times: agentTimes(), acknowledged: () => acknowledged, selfFenceMs: () => 85_000, fence: () => (seen.fencedAt ??= clock.monotonic() - start), woke: () => (seen.woke += 1) })
  return { clock, seen, watch, acknowledge: () => (acknowledged = { monotonic: clock.monotonic(), wall: clock.wall() }) }
}

describe('a silence of the coordinator [C16.2]', () => {
  it('fences just before the time that the coordinator named, counted from the send of the last acknowledged sync', async () => {
    const { clock, seen } = watched()
    await clock.turn(83_000)
    expect(seen.fencedAt).toBeNull()
    await clock.turn(3000)
    expect(seen.fencedAt).toBe(84_000)
  })

  it('does not while syncs are acknowledged', async () => {
    const { clock, seen, acknowledge } = watched()
    for (let i = 0; i < 30; i += 1) {
      await clock.turn(15_000)
      acknowledge()
    }
    expect(seen.fencedAt).toBeNull()
  })

  it('counts the time that a sleeping machine\'s monotonic clock has missed', async () => {
    const { clock, seen } = watched()
    await clock.turn(5000)
    clock.setForward(600_000)
    await clock.turn(1000)
    expect(seen).toEqual({ fencedAt: 6000, woke: 1 })
  })

  it('asks at once after a sleep, and after a pause in which no clock stood still, but not for a hiccup', async () => {
    const { clock, seen } = watched()
    clock.setForward(10_000)
    await clock.turn(60_000)
    expect(seen.woke).toBe(0)
    clock.setForward(20_000)
    await clock.turn(60_000)
    expect(seen.woke).toBe(1)
    clock.pause(20_000)
    await clock.turn(60_000)
    expect(seen.woke).toBe(2)
  })

  it('takes a clock set back for nothing [D24]', async () => {
    const { clock, seen } = watched()
    clock.setForward(-3_600_000)
    await clock.turn(60_000)
    expect(seen).toEqual({ fencedAt: null, woke: 0 })
  })

  it('stops', async () => {
    const { clock, watch } = watched()
    watch.stop()
    expect(clock.waiting()).toBe(0)
  })
})
