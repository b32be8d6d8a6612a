import { expect, test } from 'vitest'
import { createPace } from '../../../agent/log/pace.ts'
import { turnedClock } from '../../support/turned-clock.ts'

const MIB = 2 ** 20

function bench() {
  const clock = turnedClock()
  let logMs = 5000
  const pace = createPace({ clock, pace: () => logMs, fullBytes: MIB })
  return { clock, pace, slower: (ms: number) => void (logMs = ms) }
}

test('nothing is due before the file grows', () => {
  expect(bench().pace.due()).toBeNull()
})

test('nobody watches: the first unsent byte waits log_ms, more bytes do not move it', async () => {
  const { clock, pace, slower } = bench()
  expect(pace.grow(10)).toBe(true)
  await clock.turn(2000)
  expect(pace.grow(20)).toBe(false)
  expect(pace.due()).toBe(3000)
  slower(15_000)
  expect(pace.due()).toBe(13_000)
})

test('nobody watches: after half a minute the first unsent byte waits four times as long, until somebody does', async () => {
  const { clock, pace } = bench()
  await clock.turn(29_000)
  pace.grow(10)
  expect(pace.due()).toBe(5000)
  await clock.turn(2000)
  expect(pace.due()).toBe(18_000)
  pace.watched(true)
  expect(pace.due()).toBe(0)
})

test('a mebibyte is due at once, and whoever sleeps is told', () => {
  const { pace } = bench()
  pace.grow(10)
  expect(pace.grow(MIB)).toBe(true)
  expect(pace.due()).toBe(0)
})

test('watched: due at most 100 ms after the first unsent byte; again slow when nobody watches any more [C12.3]', () => {
  const { pace } = bench()
  pace.watched(true)
  pace.grow(10)
  expect(pace.due()).toBeLessThanOrEqual(100)
  pace.watched(false)
  expect(pace.due()).toBe(5000)
})

test('watched output that is continuous for ten seconds is sent once a second, until it pauses', async () => {
  const { clock, pace } = bench()
  pace.watched(true)
  for (let bytes = 1; bytes <= 101; bytes += 1) {
    pace.grow(bytes)
    pace.sending()
    pace.sent(bytes)
    await clock.turn(100)
  }
  pace.grow(200)
  expect(pace.due()).toBe(1000)
  pace.sending()
  pace.sent(200)
  await clock.turn(3000)
  pace.grow(300)
  expect(pace.due()).toBeLessThanOrEqual(100)
})

test('bytes that came while a PUT was under way count from when they came', async () => {
  const { clock, pace } = bench()
  pace.grow(10)
  await clock.turn(5000)
  pace.sending()
  await clock.turn(100)
  pace.grow(20)
  await clock.turn(400)
  pace.sent(10)
  expect(pace.due()).toBe(4600)
})
