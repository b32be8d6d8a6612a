/** When an agent comes back [C8]. */
import { describe, expect, it } from 'vitest'
import { numbers } from '../../../coordinator/core/numbers.ts'
import { nextSyncMs, type Situation } from '../../../coordinator/core/pacing.ts'

const IDLE: Situation = { toldSomething: false, isHearing: true, holdsAttempts: false, hasDoorbell: false, idleAgents: 1, quietForMs: 0, passedOver: false, hasMissedWork: false }
const seconds = (over: Partial<Situation>): number => nextSyncMs({ ...IDLE, ...over }, numbers()) / 1000

describe('an agent comes back', () => {
  it.each<[string, Partial<Situation>, number]>([
    ['at once, to show that it hears, whatever else it is told', { isHearing: false, toldSomething: true, holdsAttempts: true }, 0.05],
    ['soon when it was told something, also while it holds attempts', { toldSomething: true, holdsAttempts: true }, 2],
    ['soon when a job waits that another agent is preferred for', { passedOver: true, hasDoorbell: true, idleAgents: 20 }, 2],
    ['soon when work of its is missing that it cannot be told of now', { hasMissedWork: true, hasDoorbell: true, idleAgents: 20 }, 2],
    ['as its leases need while it holds attempts, bell or not', { holdsAttempts: true, hasDoorbell: true, idleAgents: 20 }, 15],
    ['every 2 s when it alone is idle', {}, 2],
    ['the more seldom, the more agents are idle', { idleAgents: 7 }, 14],
    ['every 30 s at the least, however many are idle', { idleAgents: 100 }, 30],
    ['half as often when no job came for 10 minutes', { idleAgents: 7, quietForMs: 601_000 }, 28],
    ['every 30 s at the least, however long no job came', { idleAgents: 10, quietForMs: 86_400_000 }, 30],
    ['as ever until 10 minutes are over, or when it is not known how long they are', { idleAgents: 7, quietForMs: 600_000 }, 14],
    ['as ever when it is not known how long no job came', { idleAgents: 7, quietForMs: null }, 14],
    ['every minute behind a bell', { hasDoorbell: true }, 60],
    ['every 15 s for each that is idle behind a bell, and quiet times change nothing', { hasDoorbell: true, idleAgents: 10, quietForMs: 86_400_000 }, 150],
    ['every 5 minutes behind a bell at the least', { hasDoorbell: true, idleAgents: 100 }, 300],
  ])('%s', (_, over, after) => {
    expect(seconds(over)).toBe(after)
  })
})
