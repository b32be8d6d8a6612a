/** By which rule a job is tried again, and how grave the ends of its jobs are for a step. */
import { describe, expect, it } from 'vitest'
import { outcomeOf, retryRule, type Tried } from '../../../coordinator/core/step.ts'
import type { AutomaticRetry } from '../../../schema/pipeline/steps.ts'

const ANY: AutomaticRetry = { exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 2 }
const FAILED: Tried = { exitStatus: 1, signal: null, reason: null, retries: 0 }

describe('a job is tried again', () => {
  it.each<[string, Partial<AutomaticRetry>, Partial<Tried>, boolean]>([
    ['with any status but 0', {}, { exitStatus: 255 }, true],
    ['not with status 0, which a signal may leave', {}, { exitStatus: 0, signal: 'SIGKILL' }, false],
    ['with a status that is named', { exitStatus: [3, 1] }, {}, true],
    ['not with another', { exitStatus: [3, 4] }, {}, false],
    ['not with none when one is named', { exitStatus: [1] }, { exitStatus: null }, false],
    ['after a signal that is named', { signal: 'KILL' }, { signal: 'SIGKILL' }, true],
    ['however the agent spells that', { signal: 'KILL' }, { signal: 'KILL' }, true],
    ['not after another signal', { signal: 'KILL' }, { signal: 'SIGTERM' }, false],
    ['not without a signal when one is named', { signal: 'KILL' }, {}, false],
    ['with any signal, or none', { signal: 'any' }, { signal: 'SIGTERM' }, true],
    ['without a signal where there is to be none', { signal: 'none' }, {}, true],
    ['not after a signal where there is to be none', { signal: 'none' }, { signal: 'SIGTERM' }, false],
    ['for a reason that is named', { signalReason: 'agent_stop' }, { reason: 'agent_stop' }, true],
    ['not for another reason', { signalReason: 'agent_stop' }, { reason: 'agent_lost' }, false],
    ['not without a reason when one is named', { signalReason: 'agent_stop' }, {}, false],
    ['without a reason where there is to be none', { signalReason: 'none' }, {}, true],
    ['not for a reason where there is to be none', { signalReason: 'none' }, { reason: 'agent_lost' }, false],
    ['only when all that a rule names fits', { exitStatus: [1], signal: 'KILL', signalReason: 'none' }, {}, false],
    ['only when all of it fits, the status too', { exitStatus: [2], signal: 'none', signalReason: 'none' }, {}, false],
    ['as often as the rule allows', { limit: 2 }, { retries: 1 }, true],
    ['not more often', { limit: 2 }, { retries: 2 }, false],
  ])('%s', (_, rule, tried, isRetried) => {
    expect(retryRule([{ ...ANY, ...rule }], { ...FAILED, ...tried }) !== null).toBe(isRetried)
  })

  it('by the first rule that fits, also where that allows less than a later one', () => {
    const rules = [{ ...ANY, exitStatus: [2] }, { ...ANY, exitStatus: [1], limit: 1 }, { ...ANY, limit: 10 }]
    expect(retryRule(rules, FAILED)).toBe(rules[1])
    expect(retryRule(rules, { ...FAILED, retries: 1 })).toBeNull()
  })
})

describe('a job that failed', () => {
  it.each([
    ['is a failure where nothing else is said', 1, 'none', 'failed'],
    ['is a soft one where every failure is', 1, 'any', 'soft_failed'],
    ['is a soft one with a status that is named', 2, [2, 3], 'soft_failed'],
    ['is a failure with another status', 1, [2, 3], 'failed'],
    ['is a failure without a status where some are named', null, [2, 3], 'failed'],
    ['is a soft one without a status where every failure is', null, 'any', 'soft_failed'],
  ] as const)('%s', (_, exitStatus, softFail, outcome) => {
    for (const state of ['failed', 'timed_out', 'errored'] as const) expect(outcomeOf(state, exitStatus, softFail)).toBe(outcome)
  })

  it.each(['passed', 'skipped', 'canceled', 'broken'] as const)('is no other than one that is %s, which no softness makes less', (state) => {
    expect(outcomeOf(state, 1, 'any')).toBe(state)
  })
})
