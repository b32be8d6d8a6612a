import { beforeEach, describe, expect, it } from 'vitest'
import { startDoorbell, type Doorbell } from '../../../agent/loop/doorbell.ts'
import { agentTimes } from '../../../agent/loop/times.ts'
import type { Network, SocketEvents } from '../../../agent/platform.ts'
import { RING } from '../../../schema/sync.ts'
import { loadedDice, turnedClock, type TurnedClock } from '../../support/turned-clock.ts'

interface Line {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly events: SocketEvents
  pings: number
  isClosed: boolean
}

let clock: TurnedClock
let lines: Line[]
let syncs: number
let session: string | null

beforeEach(() => {
  clock = turnedClock()
  lines = []
  syncs = 0
  session = 'kdg_ses_1'
})

function doorbell(): Doorbell {
  const network: Network = {
    fetch: () => Promise.reject(new Error('not here')),
    openSocket: (url, headers, events) => {
      const line: Line = { url, headers, events, pings: 0, isClosed: false }
      lines.push(line)
      const close = () => {
        if (!line.isClosed) queueMicrotask(() => events.closed('closed by us')) // as a real one says of itself
        line.isClosed = true
      }
      return { close, ping: () => void (line.pings += 1) }
    },
  }
  return startDoorbell({ url: 'https://ci.example', clock, chance: loadedDice(0.5), network, times: agentTimes(), session: () => session, rang: () => void (syncs += 1) })
}
const last = (): Line => {
  const line = lines.at(-1)
  if (!line) throw new Error('no socket was opened')
  return line
}

describe('the doorbell [C9]', () => {
  it('waits for a session and presents it', () => {
    session = null
    const bell = doorbell()
    bell.connect()
    expect(lines).toHaveLength(0)
    session = 'kdg_ses_2'
    bell.connect()
    bell.connect()
    expect(lines).toHaveLength(1)
    expect(last()).toMatchObject({ url: 'wss://ci.example/v1/agent/doorbell', headers: { authorization: 'Bearer kdg_ses_2' } })
  })

  it('counts as open only when it is', () => {
    const bell = doorbell()
    bell.connect()
    expect(bell.isOpen()).toBe(false)
    last().events.opened()
    expect(bell.isOpen()).toBe(true)
    last().events.closed('deploy')
    expect(bell.isOpen()).toBe(false)
  })

  it('starts a sync by a ring and by nothing else', () => {
    doorbell().connect()
    last().events.opened()
    last().events.message(RING)
    last().events.message('{"t":"dance"}')
    expect(syncs).toBe(1)
  })

  it('lets a burst of ten syncs through and then two a second, and loses no ring', async () => {
    doorbell().connect()
    last().events.opened()
    for (let i = 0; i < 1000; i += 1) last().events.message(RING)
    expect(syncs).toBe(10)
    await clock.turn(600)
    expect(syncs).toBe(11)
    await clock.turn(20_000)
    expect(syncs).toBe(11)
  })

  it('lets no more through when it rings without an end, and the last ring is not lost', async () => {
    doorbell().connect()
    last().events.opened()
    for (let tenths = 0; tenths < 200; tenths += 1) {
      last().events.message(RING)
      await clock.turn(100)
    }
    expect(syncs).toBeGreaterThanOrEqual(48)
    expect(syncs).toBeLessThanOrEqual(50)
    const before = syncs
    await clock.turn(600)
    expect(syncs).toBe(before + 1)
  })

  it('pings every 30 s and takes a pong that stays away for 10 s for death', async () => {
    const bell = doorbell()
    bell.connect()
    const first = last()
    first.events.opened()
    await clock.turn(30_000)
    expect(first.pings).toBe(1)
    first.events.pong()
    await clock.turn(30_000)
    expect(first.pings).toBe(2)
    await clock.turn(10_000)
    expect(first.isClosed).toBe(true)
    expect(bell.isOpen()).toBe(false)
    await clock.turn(1000)
    expect(lines).toHaveLength(2)
  })

  it('gives up on a handshake that hangs, and opens nothing when it comes after all', async () => {
    const bell = doorbell()
    bell.connect()
    await clock.turn(10_000)
    expect(last().isClosed).toBe(true)
    last().events.opened()
    expect(bell.isOpen()).toBe(false)
    expect(clock.waiting()).toBe(1) // the next try
  })

  it('tries again less and less often, with the newest session, for ever', async () => {
    doorbell().connect()
    const opened: number[] = []
    for (let i = 0; i < 12; i += 1) {
      opened.push(clock.monotonic())
      session = `kdg_ses_${i}`
      last().events.opened() // also a socket that opens and dies at once
      last().events.closed('gone')
      const { length } = lines
      while (lines.length === length) await clock.turn(100)
    }
    const waits = opened.map((at, i) => at - (opened[i - 1] ?? at)).slice(1)
    expect(waits.slice(0, 4)).toEqual([500, 1000, 2000, 4000])
    expect(Math.max(...waits)).toBe(32_000)
    expect(last().headers).toEqual({ authorization: 'Bearer kdg_ses_11' })
  })

  it('is tried soon again once a pong has proven the last one', async () => {
    doorbell().connect()
    for (const isProven of [false, false, false, true]) {
      last().events.opened()
      if (isProven) last().events.pong()
      last().events.closed('deploy')
      const { length } = lines
      if (!isProven) while (lines.length === length) await clock.turn(100)
    }
    const { length } = lines
    await clock.turn(500)
    expect(lines).toHaveLength(length + 1)
  })

  it('asks at once when it is back, as a ring may have been lost', async () => {
    doorbell().connect()
    last().events.opened()
    last().events.closed('deploy')
    await clock.turn(500)
    expect(syncs).toBe(0)
    last().events.opened()
    expect(syncs).toBe(1)
  })

  it('asks for the pace of an agent without it once a reconnect has failed, and only once', async () => {
    doorbell().connect()
    last().events.opened()
    last().events.closed('deploy')
    for (let i = 0; i < 4; i += 1) {
      await clock.turn(32_000)
      last().events.closed('refused')
    }
    expect(syncs).toBe(1)
  })

  it('leaves no timer and no socket behind', () => {
    const bell = doorbell()
    bell.connect()
    last().events.opened()
    for (let i = 0; i < 20; i += 1) last().events.message(RING)
    bell.stop()
    expect(last().isClosed).toBe(true)
    last().events.closed('closed by us')
    expect(clock.waiting()).toBe(0)
  })

  it('nor a next try', () => {
    const bell = doorbell()
    bell.connect()
    last().events.closed('refused')
    bell.stop()
    expect(clock.waiting()).toBe(0)
  })
})
