import { describe, expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand, stepOf } from '../../../support/pipeline-reading.ts'
import { commandStep } from '../../../support/steps.ts'

it('a step that says only its command has every default', () => {
  expect(stepOf('command', { command: 'make' })).toEqual(commandStep(null))
})

it('a command is a text or lines, and none when plugins act', () => {
  expect(stepOf('command', { command: ['npm ci', 'npm test'] }).command).toBe('npm ci\nnpm test')
  expect(stepOf('command', { commands: 'make' }).command).toBe('make')
  expect(stepOf('command', { command: '', plugins: ['docker#v5'] }).command).toBeNull()
  expect(mistakesOfCommand({ command: { run: 'x' }, label: 'l' })).toEqual(['command: this is text, not a mapping.'])
  expect(mistakesOfCommand({ command: 'a', commands: 'b' })).toEqual(['commands: "commands" is another name of "command", which is here too; keep one of them.'])
  expect(mistakesOfCommand({ command: 'x'.repeat(300_000) })[0]).toContain('at most 262144 are allowed')
})

it('variables are text', () => {
  expect(commandOf({ env: { A: 'x', B: 1, C: true, D: null, E: 1.5 } }).env).toEqual({ A: 'x', B: '1', C: 'true', D: '', E: '1.5' })
  expect(mistakesOfCommand({ env: { '1A': 'x' } })).toEqual(['env.1A: "1A" cannot be the name of a variable: letters, digits and "_", the first no digit.'])
  expect(mistakesOfCommand({ env: { A: ['x'] } })).toEqual(['env.A: this is text, not a list.'])
  expect(mistakesOfCommand({ env: { A: 'a\0b' } })).toEqual(['env.A: a NUL character cannot stand in it; take it out.'])
  expect(mistakesOfCommand({ env: Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`A${n}`, 'x'])) })[0]).toContain('at most 256')
})

it('paths of artifacts are a list, or one text with semicolons', () => {
  expect(commandOf({ artifact_paths: 'logs/**/*; coverage/* ;' }).artifactPaths).toEqual(['logs/**/*', 'coverage/*'])
  expect(commandOf({ artifact_paths: ['logs/*', 'a;b'] }).artifactPaths).toEqual(['logs/*', 'a', 'b'])
  expect(commandOf({ artifacts: 'logs' }).artifactPaths).toEqual(['logs'])
})

describe('a number', () => {
  it.each<[string, Json, string, Json]>([
    ['timeout_in_minutes', 60, 'timeoutMinutes', 60],
    ['timeout_in_minutes', '60', 'timeoutMinutes', 60],
    ['timeout', 5, 'timeoutMinutes', 5],
    ['timeout_in_minutes', null, 'timeoutMinutes', null],
    ['priority', -1, 'priority', -1],
    ['priority', '10', 'priority', 10],
    ['parallelism', '3', 'parallelism', 3],
    ['cancel_on_build_failing', 'true', 'cancelOnBuildFailing', true],
  ])('%s: %j', (name, written, field, meant) => {
    expect(commandOf({ [name]: written })).toMatchObject({ [field]: meant })
  })

  it.each<[string, Json, string]>([
    ['timeout_in_minutes', 0, '0 is not a time limit in minutes: a whole number from 1 to 10080.'],
    ['timeout_in_minutes', 1.5, '1.5 is not a time limit in minutes: a whole number from 1 to 10080.'],
    ['timeout_in_minutes', 'soon', '"soon" is not a time limit in minutes: a whole number from 1 to 10080.'],
    ['priority', 'high', '"high" is not a priority: a whole number from -1000 to 1000.'],
    ['parallelism', -1, '-1 is not the number of jobs: a whole number from 0 to 2000.'],
    ['parallelism', 1e9, '1000000000 is not the number of jobs: a whole number from 0 to 2000.'],
    ['cancel_on_build_failing', 'yes', 'this is true or false, not "yes".'],
  ])('%s: %j is refused', (name, written, message) => {
    expect(mistakesOfCommand({ [name]: written })).toEqual([`${name}: ${message}`])
  })
})

it('a step of no jobs is skipped, and says so', () => {
  expect(commandOf({ parallelism: 0 })).toMatchObject({ parallelism: null, skip: 'parallelism is 0' })
})

describe('concurrency', () => {
  it('has a limit, a group and a method', () => {
    expect(commandOf({ concurrency: 1, concurrency_group: 'app/deploy' }).concurrency).toEqual({ limit: 1, group: 'app/deploy', method: 'ordered' })
    expect(commandOf({ concurrency: '25', concurrency_group: 'b', concurrency_method: 'eager' }).concurrency).toEqual({ limit: 25, group: 'b', method: 'eager' })
  })

  it.each<[{ [name: string]: Json }, string]>([
    [{ concurrency: 1 }, 'concurrency: a limit holds for a group of jobs, over all builds: give the step a "concurrency_group" with a name, such as "my-app/deploy".'],
    [{ concurrency_group: 'g' }, 'concurrency_group: how many of the group may run at once? Give the step "concurrency", such as 1.'],
    [{ concurrency_method: 'eager' }, 'concurrency_method: this is about a concurrency group; give the step "concurrency" and "concurrency_group", or take it away.'],
    [{ concurrency: 0, concurrency_group: 'g' }, 'concurrency: 0 is not how many jobs may run at once: a whole number from 1 to 10000.'],
    [{ concurrency: 1, concurrency_group: 'g', concurrency_method: 'random' }, 'concurrency_method: this is "ordered" or "eager", not "random".'],
    [{ concurrency: 1, concurrency_group: 'x'.repeat(201) }, 'concurrency_group: this name has 201 characters; at most 200 are allowed.'],
    [{ concurrency: 1, concurrency_group: '{{matrix}}' }, 'concurrency_group: a value of the matrix cannot stand in the name of a concurrency group; take it out.'],
  ])('%j is refused', (attributes, message) => {
    expect(mistakesOfCommand(attributes)).toEqual([message])
  })
})

it('a cache is refused, but none is kept', () => {
  expect(commandOf({ cache: false }).kind).toBe('command')
  expect(mistakesOfCommand({ cache: { paths: ['dist/'] } })).toEqual([expect.stringMatching(/^cache: \(unsupported\).*KEDGE_CACHE_DIR/)])
})
