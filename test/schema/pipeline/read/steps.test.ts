import { describe, expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { mistakesOfStep, stepOf } from '../../../support/pipeline-reading.ts'
import { blockStep, groupStep, inputStep, triggerStep, waitStep } from '../../../support/steps.ts'

describe('a wait', () => {
  it('has little to say', () => {
    expect(stepOf('wait', 'wait')).toEqual(waitStep())
    expect(stepOf('wait', { wait: 'for it', continue_on_failure: 'true', branches: 'main', key: 'w', depends_on: 'a', allow_dependency_failure: true })).toEqual(
      waitStep('w', { label: 'for it', continueOnFailure: true, branches: ['main'], dependsOn: [{ step: 'a', allowFailure: false }], allowDependencyFailure: true }),
    )
  })
})

describe('a block', () => {
  it('asks a person', () => {
    expect(stepOf('block', 'block')).toEqual(blockStep(null))
    expect(stepOf('block', { block: 'Go on?', key: 'ok', prompt: 'Really?', submit: 'Yes', blocked_state: 'running', if: 'build.branch == "main"' })).toEqual(blockStep('ok', { label: 'Go on?', prompt: 'Really?', submit: 'Yes', blockedState: 'running', if: 'build.branch == "main"' }))
    expect(stepOf('input', { input: 'Who?' })).toEqual(inputStep(null, { label: 'Who?' }))
  })

  it('has fields of text and of options', () => {
    const fields = [
      { text: 'Name', key: 'release/name', hint: 'h', required: false, default: 7, format: '[a-z]+' },
      { select: 'Stream', key: 'stream', options: [{ label: 'Beta', value: 'beta' }, { label: 'One', value: 1, hint: 'first', required: 'false' }], multiple: true, default: ['beta', '1'] },
      { key: 'plain' },
    ]
    expect(stepOf('block', { block: 'b', fields }).fields).toEqual([
      { kind: 'text', key: 'release/name', label: 'Name', hint: 'h', required: false, default: '7', format: '[a-z]+' },
      { kind: 'select', key: 'stream', label: 'Stream', hint: null, required: true, multiple: true, default: ['beta', '1'], options: [{ label: 'Beta', value: 'beta', hint: null, required: null }, { label: 'One', value: '1', hint: 'first', required: false }] },
      { kind: 'text', key: 'plain', label: null, hint: null, required: true, default: null, format: null },
    ])
  })

  const select = (over: object): Json => ({ select: 's', key: 'k', options: [{ label: 'A', value: 'a' }, { label: 'B', value: 'b' }], ...over })
  it.each<[Json, string]>([
    [{ text: 's' }, 'fields.0: this field has no "key", under which its answer becomes meta-data; give it one.'],
    [{ text: 's', key: 'a b' }, 'fields.0.key: "a b" cannot be the key of a field: letters, digits, "_", "-" and "/" only, at most 100.'],
    [{ select: 's', key: 'k' }, 'fields.0: this field has no "options" to select from; give it a list of them.'],
    [{ select: 's', text: 't', key: 'k' }, 'fields.0: a field is "text" or "select", not both.'],
    [select({ options: [] }), 'fields.0.options: there is nothing to select from; write at least one option.'],
    [select({ options: [{ label: 'A' }] }), 'fields.0.options.0: an option has a "label" for people and a "value" for the meta-data; give it both.'],
    [select({ options: [{ label: 'A', value: 'a' }, { label: 'B', value: 'a' }] }), 'fields.0.options: two options have the value "a"; give one of them another.'],
    [select({ default: ['a', 'b'] }), 'fields.0.default: only one option may be selected, so only one can be the default; set "multiple: true", or name one.'],
    [select({ default: 'c' }), 'fields.0.default: no option has the value "c"; the values are a, b.'],
    [{ text: 's', key: 'k', multiple: true }, 'fields.0.multiple: a text field has no "multiple"; it has key, text, hint, required, default, format.'],
    [3, 'fields.0: a field is a mapping of names to values, not 3.'],
  ])('field %j is refused', (field, message) => {
    expect(mistakesOfStep({ block: 'b', fields: [field] })).toContain(message)
  })

  it('has one field for each key', () => {
    expect(mistakesOfStep({ input: 'b', fields: [{ text: 'a', key: 'k' }, { text: 'b', key: 'k' }] })).toEqual(['fields: two fields have the key "k", so one answer would be lost; give one of them another.'])
    expect(mistakesOfStep({ block: 'b', blocked_state: 'waiting' })).toEqual(['blocked_state: this is "passed", "failed" or "running", not "waiting".'])
  })
})

describe('a trigger', () => {
  it('starts a build of another project', () => {
    expect(stepOf('trigger', { trigger: 'deploy' })).toEqual(triggerStep('deploy'))
    const build = { message: 'Hi', commit: 'abc', branch: 'v1/next', meta_data: { version: 1.1 }, env: { A: true } }
    expect(stepOf('trigger', { trigger: 'deploy', label: 'l', async: 'true', build, soft_fail: true, skip: 'no', parallelism: 3 })).toEqual(
      triggerStep('deploy', { label: 'l', async: true, build: { message: 'Hi', commit: 'abc', branch: 'v1/next', metaData: { version: '1.1' }, env: { A: 'true' } }, softFail: 'any', skip: 'no', parallelism: 3 }),
    )
  })

  it('takes what is empty as if it were not there', () => {
    expect(stepOf('trigger', { trigger: 'deploy', build: { commit: '', branch: '', message: '' } }).build).toEqual(triggerStep('deploy').build)
    expect(stepOf('trigger', { trigger: 'deploy', parallelism: 0 })).toMatchObject({ parallelism: null, skip: 'parallelism is 0' })
  })

  it.each<[Json, string]>([
    [{ trigger: 'My App' }, 'trigger: "My App" cannot be the slug of a project: 1 to 64 lower-case letters, digits or "-", which begin and end with a letter or digit.'],
    [{ trigger: null }, ': this does not say which project is to be built: give "trigger" its slug.'],
    [{ trigger: 'a', async: 'maybe' }, 'async: this is true or false, not "maybe".'],
    [{ trigger: 'a', build: { branch: 'a b' } }, 'build.branch: "a b" is not a branch name that git accepts.'],
    [{ trigger: 'a', build: { metadata: {} } }, 'build.metadata: "build" has no "metadata"; did you mean "meta_data"?'],
    [{ trigger: 'a', build: { skip: true } }, 'build.skip: "build" has no "skip": it belongs onto the step, beside "build".'],
    [{ trigger: 'a', agents: {} }, 'agents: a trigger step has no "agents": only command steps have it.'],
  ])('%j is refused', (step, message) => {
    expect(mistakesOfStep(step)).toEqual([message])
  })
})

describe('a group', () => {
  it('has steps under one name', () => {
    expect(stepOf('group', { group: 'g', key: 'k', steps: ['wait'], skip: true, if: 'true', depends_on: 'a' })).toEqual(groupStep('k', [waitStep(null, { path: [0, 0] })], { label: 'g', skip: '', if: 'true', dependsOn: [{ step: 'a', allowFailure: false }] }))
    expect(stepOf('group', { group: null, name: 'g', steps: ['wait'] }).label).toBe('g')
  })

  it.each<[Json, string]>([
    [{ group: 'g' }, ': this group has no steps; give it "steps" with a list of them.'],
    [{ group: 'g', steps: [] }, 'steps: this group has no steps; write at least one, or take the group away.'],
    [{ group: 'g', steps: { command: 'a' } }, 'steps: the steps of a group are a list, not a mapping.'],
    [{ group: 'g', steps: [{ group: 'h', steps: ['wait'] }] }, 'steps.0: a group cannot be within a group; move it out, beside the other.'],
    [{ group: 'g', steps: ['wait'], branches: 'main' }, 'branches: a group has no "branches": say it in "if", or on each of its steps.'],
  ])('%j is refused', (step, message) => {
    expect(mistakesOfStep(step)).toEqual([message])
  })
})
