import { describe, expect, it } from 'vitest'
import { createBackoff, pause } from '../../../agent/loop/backoff.ts'
import { loadedDice, turnedClock } from '../../support/turned-clock.ts'

describe('waiting before another try', () => {
  it('doubles its bound up to the cap and never gives up', () => {
    const backoff = createBackoff({ clock: turnedClock(), chance: loadedDice(0.5), baseMs: 1000, capMs: 15_000 })
    expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([500, 1000, 2000, 4000, 7500, 7500])
    for (let i = 0; i < 2000; i += 1) backoff.next()
    expect(backoff.next()).toBe(7500)
  })

  it('takes its whole wait by chance, so that a fleet does not return at once', () => {
    const waits = [0, 0.25, 0.999].map((roll) => createBackoff({ clock: turnedClock(), chance: loadedDice(roll), baseMs: 1000, capMs: 15_000 }).next())
    expect(waits).toEqual([0, 250, 999])
  })

  it('starts small again after a success', () => {
    const backoff = createBackoff({ clock: turnedClock(), chance: loadedDice(0.5), baseMs: 1000, capMs: 15_000 })
    for (let i = 0; i < 5; i += 1) backoff.next()
    backoff.reset()
    expect(backoff.next()).toBe(500)
  })

  it('looks at a cap that depends on what is held, at each try', () => {
    let cap = 30_000
    const backoff = createBackoff({ clock: turnedClock(), chance: loadedDice(0.5), baseMs: 1000, capMs: () => cap })
    for (let i = 0; i < 9; i += 1) backoff.next()
    cap = 15_000
    expect(backoff.next()).toBe(7500)
  })

  it.each([
    [0, 1000],
    [20_000, 20_000],
    [86_400_000, 600_000],
  ])('never waits less than a Retry-After of %i ms, within 1 s to 10 min [C2.1]', (asked, floor) => {
    for (const roll of [0, 0.5, 0.999]) {
      const wait = createBackoff({ clock: turnedClock(), chance: loadedDice(roll), baseMs: 100, capMs: 100 }).next(asked)
      expect(wait).toBeGreaterThanOrEqual(floor)
      expect(wait).toBeLessThanOrEqual(floor * 1.2)
    }
  })

  it('ends a wait at once when it is aborted', async () => {
    const clock = turnedClock()
    const ending = new AbortController()
    const waited = pause(clock, 60_000, ending.signal)
    ending.abort()
    await waited
    expect(clock.waiting()).toBe(0)
  })
})
