import { describe, expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand } from '../../../support/pipeline-reading.ts'

const any = { exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 2 }

it('without a word, nothing is tried again but by a person', () => {
  expect(commandOf({}).retry).toEqual({ automatic: [], manual: { allowed: true, reason: null, permitOnPassed: true } })
  expect(commandOf({ retry: null }).retry).toEqual(commandOf({ retry: {} }).retry)
})

describe('automatic', () => {
  it.each<[Json, object[]]>([
    [true, [any]],
    ['true', [any]],
    [false, []],
    [[], []],
    [null, []],
    [{}, [any]],
    [{ limit: 1 }, [{ ...any, limit: 1 }]],
    [{ exit_status: '*', limit: '0' }, [{ ...any, limit: 0 }]],
    [{ exit_status: -1 }, [{ ...any, exitStatus: [-1] }]],
    [[{ exit_status: [1, '42'] }, { signal: 'SIGKILL' }], [{ ...any, exitStatus: [1, 42] }, { ...any, signal: 'KILL' }]],
    [{ signal: 'none', signal_reason: 'agent_stop' }, [{ ...any, signal: 'none', signalReason: 'agent_stop' }]],
    [{ signal: ['term', 'sigint'], signal_reason: ['none', '*'] }, ['TERM', 'INT'].flatMap((signal) => ['none', 'any'].map((signalReason) => ({ ...any, signal, signalReason })))],
  ])('%j', (automatic, rules) => {
    expect(commandOf({ retry: { automatic } }).retry.automatic).toEqual(rules)
  })

  it.each<[Json, string]>([
    ['always', ': this is true, false, a rule such as { exit_status: 1, limit: 2 } or a list of rules, not "always".'],
    [[3], '.0: a rule of "automatic" is a mapping of names to values, not 3.'],
    [{ exit_status: 256 }, '.exit_status: 256 is not an exit status: a number from 0 to 255, or -1 for a lost agent, or "*" for each that is not 0.'],
    [{ limit: 11 }, '.limit: 11 is not how often a job may be tried again: a whole number from 0 to 10.'],
    [{ signal: 9 }, '.signal: 9 is not the name of a signal: such as "SIGKILL" or "kill", or "*", or "none".'],
    [{ signal_reason: 'lost' }, '.signal_reason: this is "*", "none", "agent_incompatible", "agent_refused", "agent_stop", "cancel", "process_run_error", "signature_rejected" or "stack_error", not "lost".'],
    [{ exit_statuses: 1 }, '.exit_statuses: a rule of "automatic" has no "exit_statuses"; did you mean "exit_status"?'],
  ])('%j is refused', (automatic, message) => {
    expect(mistakesOfCommand({ retry: { automatic } })).toEqual([`retry.automatic${message}`])
  })
})

describe('manual', () => {
  it.each<[Json, object]>([
    [false, { allowed: false, reason: null, permitOnPassed: true }],
    [{ allowed: 'false', reason: 'Deploys are not tried again' }, { allowed: false, reason: 'Deploys are not tried again', permitOnPassed: true }],
    [{ permit_on_passed: false }, { allowed: true, reason: null, permitOnPassed: false }],
  ])('%j', (manual, meant) => {
    expect(commandOf({ retry: { manual } }).retry.manual).toEqual(meant)
  })

  it('is refused what it has not', () => {
    expect(mistakesOfCommand({ retry: { manual: { allow: false } } })).toEqual(['retry.manual.allow: "manual" has no "allow"; it has allowed, reason, permit_on_passed.'])
    expect(mistakesOfCommand({ retry: { manual: 'no' } })[0]).toContain('this is true, false or a mapping')
  })
})

it('a retry is refused that is no mapping, or whose rules stand beside their names', () => {
  expect(mistakesOfCommand({ retry: true })).toEqual(['retry: this is a mapping, such as { automatic: true }, not true.'])
  expect(mistakesOfCommand({ retry: { limit: 3 } })).toEqual(['retry.limit: "retry" has no "limit": it belongs into "automatic".'])
})
