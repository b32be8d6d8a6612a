import { describe, expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand, stepOf } from '../../../support/pipeline-reading.ts'

describe('depends_on', () => {
  it.each<[Json, Json]>([
    ['a', [{ step: 'a', allowFailure: false }]],
    [['a', 'b'], [{ step: 'a', allowFailure: false }, { step: 'b', allowFailure: false }]],
    [[{ step: 'a', allow_failure: true }, 'b'], [{ step: 'a', allowFailure: true }, { step: 'b', allowFailure: false }]],
    [[{ step: 'a', allow_failure: 'true' }], [{ step: 'a', allowFailure: true }]],
    [7, [{ step: '7', allowFailure: false }]],
    [null, []],
    [[], []],
  ])('%j', (written, meant) => {
    expect(commandOf({ depends_on: written }).dependsOn).toEqual(meant)
  })

  it('that is not written is not the same as nothing', () => {
    expect(commandOf({}).dependsOn).toBeNull()
  })

  it.each<[Json, string]>([
    [{ step: 'a' }, 'depends_on: dependencies with attributes are written as a list: put "- " before "step".'],
    ['', 'depends_on: this is empty; write something, or leave it out. (A variable that is not set becomes empty.)'],
    [true, 'depends_on: this is the key of a step, not true.'],
    [[['a']], 'depends_on.0: this is the key of a step, not a list.'],
    [[{ stpe: 'a' }], 'depends_on.0.stpe: a dependency has no "stpe"; did you mean "step"?'],
    [[{ step: 'a', allow_failure: 'maybe' }], 'depends_on.0.allow_failure: this is true or false, not "maybe".'],
    [[{ allow_failure: true }], 'depends_on.0: this dependency does not say on which step: give "step" its key.'],
  ])('%j is refused', (written, message) => {
    expect(mistakesOfCommand({ depends_on: written })).toContain(message)
  })
})

describe('if', () => {
  it('is kept as text', () => {
    expect(commandOf({ if: 'build.branch == "main"' }).if).toBe('build.branch == "main"')
  })

  it('is text that can be read, and blanks are none', () => {
    expect(mistakesOfCommand({ if: false })).toEqual(['if: a condition is text: write "false" in quotes, or "skip: true".'])
    expect(mistakesOfCommand({ if: ' ' })).toEqual([])
    expect(mistakesOfCommand({ if: 'build.brunch == "main"' })).toEqual([expect.stringMatching(/^if: this condition cannot be read.*did you mean/)])
  })

  it('does not stand beside branches', () => {
    expect(mistakesOfCommand({ if: 'true', branches: 'main' })).toEqual(['branches: "branches" and "if" cannot stand on one step; say it in "if", such as build.branch == "main".'])
  })
})

it.each<[Json, Json]>([
  ['main', ['main']],
  ['main feature/* !feature/beta', ['main', 'feature/*', '!feature/beta']],
  [['main', 'v*'], ['main', 'v*']],
  ['', null],
  [null, null],
])('branches %j', (written, meant) => {
  expect(commandOf({ branches: written }).branches).toEqual(meant)
})

describe('skip', () => {
  it.each<[Json, Json]>([
    [true, ''],
    ['true', ''],
    [false, null],
    ['false', null],
    ['', null],
    [null, null],
    ['not on Sundays', 'not on Sundays'],
    ['x'.repeat(70), 'x'.repeat(70)],
  ])('%j', (written, meant) => {
    expect(commandOf({ skip: written }).skip).toBe(meant)
  })

  it('is refused when it is too long or no reason', () => {
    expect(mistakesOfCommand({ skip: 'x'.repeat(71) })).toEqual(['skip: this reason has 71 characters; at most 70 are allowed.'])
    expect(mistakesOfCommand({ skip: 1 })).toEqual(['skip: this is true, false or the reason as text, not 1.'])
  })
})

describe('soft_fail', () => {
  it.each<[Json, Json]>([
    [true, 'any'],
    ['true', 'any'],
    [false, 'none'],
    [[], 'none'],
    [[{ exit_status: '*' }, { exit_status: 1 }], 'any'],
    [[{ exit_status: 1 }, { exit_status: '42' }, { exit_status: -1 }, { exit_status: 1 }], [1, 42, -1]],
  ])('%j', (written, meant) => {
    expect(commandOf({ soft_fail: written }).softFail).toEqual(meant)
  })

  it.each<[Json, string]>([
    ['maybe', 'soft_fail: this is true, false or a list such as [{ exit_status: 1 }], not "maybe".'],
    [[5], 'soft_fail.0: an exit status is written as { exit_status: 5 }, not as 5.'],
    [[{}], 'soft_fail.0: this does not say which exit status: give "exit_status" a number or "*".'],
    [[{ exit_status: 'one' }], 'soft_fail.0.exit_status: "one" is not an exit status: a number from 0 to 255, or -1 for a lost agent, or "*" for each that is not 0.'],
    [[{ exit_status: 1, limit: 2 }], 'soft_fail.0.limit: an item of "soft_fail" has no "limit"; it has exit_status.'],
  ])('%j is refused', (written, message) => {
    expect(mistakesOfCommand({ soft_fail: written })).toEqual([message])
  })
})

describe('if_changed', () => {
  it.each<[Json, Json]>([
    ['**.go', { include: ['**.go'], exclude: [] }],
    [['app/**', 'go.{mod,sum}'], { include: ['app/**', 'go.{mod,sum}'], exclude: [] }],
    [{ include: 'spec/**', exclude: ['spec/a/**'] }, { include: ['spec/**'], exclude: ['spec/a/**'] }],
  ])('%j', (written, meant) => {
    expect(commandOf({ if_changed: written }).ifChanged).toEqual(meant)
    expect(stepOf('trigger', { trigger: 'a', if_changed: written }).ifChanged).toEqual(meant)
    expect(stepOf('group', { group: 'g', steps: ['wait'], if_changed: written }).ifChanged).toEqual(meant)
  })

  it('says what makes the step run', () => {
    expect(mistakesOfCommand({ if_changed: { exclude: 'a' } })).toEqual(['if_changed: this does not say which changes make it run: give "include" a pattern, such as "**".'])
    expect(mistakesOfCommand({ if_changed: { include: 'a', only: 'b' } })).toEqual(['if_changed.only: "if_changed" has no "only"; it has include, exclude.'])
  })
})

it('a label may be a number, and an empty one is none', () => {
  expect(commandOf({ label: 2024 }).label).toBe('2024')
  expect(commandOf({ label: '', name: 'n' }).label).toBe('n')
  expect(commandOf({ allow_dependency_failure: 'true' }).allowDependencyFailure).toBe(true)
})
