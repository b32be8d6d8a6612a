import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../../schema/pipeline/json.ts'
import { graphOf } from '../../../schema/pipeline/graph.ts'
import { PIPELINE_LIMITS } from '../../../schema/pipeline/limits.ts'
import { readPipeline } from '../../../schema/pipeline/read-steps.ts'
import { mistakesOf, mistakesOfStep, pipelineOf } from '../../support/pipeline-reading.ts'

describe('a pipeline', () => {
  it('is a mapping with steps, or a list of steps', () => {
    const kinds = (written: Json) => pipelineOf(written).steps.map(({ kind }) => kind)
    expect(kinds({ steps: [{ command: 'make' }, 'wait'] })).toEqual(['command', 'wait'])
    expect(kinds([{ command: 'make' }])).toEqual(['command'])
    expect(kinds({ steps: [] })).toEqual([])
    expect(mistakesOf('make')).toEqual([': a pipeline is a mapping with "steps", or a list of steps, not "make".'])
    expect(mistakesOf({ steps: { command: 'make' } })).toEqual(['steps: the steps are a list, not a mapping.'])
  })

  it('may hold unknown names at its top, where anchors live', () => {
    expect(mistakesOf({ common_params: { retry: {} }, expeditor: {}, _steps: [], 'x-agents': 1, steps: [] })).toEqual([])
  })

  it('is told of a name that is nearly one that is missing', () => {
    expect(mistakesOf({ step: [{ command: 'make' }] })).toEqual(['step: "step" means nothing here; did you mean "steps"? (If it only holds an anchor, call it "_step".)'])
    expect(mistakesOf({ agent: { queue: 'deploy' }, steps: ['wait'] })[0]).toContain('did you mean "agents"?')
    expect(mistakesOf({ step: {}, steps: ['wait'] })).toEqual([])
  })

  it('sets what its command steps do not say themselves', () => {
    const { env, notify, steps } = pipelineOf({
      env: { CI_MODE: true },
      notify: [{ webhook: 'https://example.com/hook' }],
      agents: { queue: 'linux', memory: '8G' },
      priority: 5,
      timeout_in_minutes: '30',
      secrets: ['API_KEY'],
      checkout: { submodules: false, lfs: true },
      steps: [
        { command: 'a' },
        { group: 'g', steps: [{ command: 'b', agents: { memory: '20G' }, priority: 1, timeout_in_minutes: 5, secrets: { API_KEY: 'other_key' }, checkout: { lfs: false } }] },
      ],
    })
    expect(env).toEqual({ CI_MODE: 'true' })
    expect(notify).toEqual([{ kind: 'webhook', url: 'https://example.com/hook', if: null }])
    expect(steps[0]).toMatchObject({ queue: 'linux', tags: ['memory=8G'], priority: 5, timeoutMinutes: 30, secrets: { API_KEY: 'API_KEY' }, checkout: { submodules: false, lfs: true } })
    expect(steps[1]).toMatchObject({ steps: [{ queue: 'linux', tags: ['memory=20G'], priority: 1, timeoutMinutes: 5, secrets: { API_KEY: 'other_key' }, checkout: { submodules: false, lfs: false } }] })
  })

  it('is refused what Kedge cannot keep, with the way out', () => {
    const told = mistakesOf({ image: 'alpine', cache: ['vendor'], steps: ['wait'] })
    expect(told).toEqual([expect.stringMatching(/^image: \(unsupported\).*docker plugin/), expect.stringMatching(/^cache: \(unsupported\).*KEDGE_CACHE_DIR/)])
  })

  it('keeps the place of each step', () => {
    const { steps } = pipelineOf({ steps: ['wait', { group: 'g', steps: [{ command: 'a' }, 'wait'] }] })
    expect(steps.map(({ path }) => path)).toEqual([[0], [1]])
    expect(steps[1]).toMatchObject({ steps: [{ path: [1, 0] }, { path: [1, 1] }] })
  })
})

describe('mistakes', () => {
  it('are all told at once, each with its place', () => {
    expect(mistakesOf({ env: ['A=b'], steps: [{ command: 'a', agnets: {} }, 'hold', { group: 'g', steps: [{ wait: null, branches: 'main', if: 'true' }] }] })).toEqual([
      'env: variables are written as a mapping, such as { NAME: value }, not as a list.',
      'steps.0.agnets: a command step has no "agnets"; did you mean "agents"?',
      'steps.1: "hold" is not a step: one word is "wait", "block" or "input"; write a command as "command: …".',
      'steps.2.steps.0.branches: "branches" and "if" cannot stand on one step; say it in "if", such as build.branch == "main".',
    ])
  })

  it('after the first hundred are only counted', () => {
    const told = mistakesOf({ steps: Array.from({ length: 300 }, () => ({ command: 'a', shell: 'bash' })) })
    expect(told).toHaveLength(PIPELINE_LIMITS.mistakes + 1)
    expect(told.at(-1)).toBe(': and 200 more mistakes of which nothing is said yet; mend these first.')
  })

  it('of an attribute say on which steps it may stand', () => {
    expect(mistakesOfStep({ wait: null, agents: { queue: 'x' } })).toEqual(['agents: a wait step has no "agents": only command steps have it.'])
    expect(mistakesOfStep({ group: 'g', concurrency: 1, steps: ['wait'] })).toEqual(['concurrency: a group has no "concurrency": only command steps have it.'])
    expect(mistakesOfStep({ command: 'a', steps: ['wait'] })[0]).toContain('give it "group" with a name')
    expect(mistakesOfStep({ command: 'a', shell: 'bash' })).toEqual(['shell: a command step has no "shell". Take it away; docs/pipelines.md tells what there is.'])
    expect(mistakesOfStep({ command: 'a', signature: {} })[0]).toMatch(/^signature: \(unsupported\)/)
    expect(mistakesOfStep({ command: 'a', image: 'alpine' })[0]).toMatch(/^image: \(unsupported\)/)
    expect(mistakesOfStep({ block: 'b', allowed_teams: 'x' })[0]).toMatch(/^allowed_teams: \(unsupported\)/)
  })
})

describe('the kind of a step', () => {
  const kindOf = (written: Json) => pipelineOf({ steps: [written] }).steps[0]?.kind

  it.each([
    ['wait', 'wait'],
    ['waiter', 'wait'],
    ['block', 'block'],
    ['manual', 'block'],
    ['input', 'input'],
    [{ wait: null }, 'wait'],
    [{ waiter: null, continue_on_failure: true }, 'wait'],
    [{ wait: { continue_on_failure: true } }, 'wait'],
    [{ type: 'waiter', key: 'w' }, 'wait'],
    [{ wait: { key: 'w', type: 'wait' } }, 'wait'],
    [{ type: 'manual' }, 'block'],
    [{ manual: 'Go on?' }, 'block'],
    [{ block: { label: 'Go on?' } }, 'block'],
    [{ input: null }, 'input'],
    [{ type: 'script', command: 'make' }, 'command'],
    [{ commands: { command: 'make' } }, 'command'],
    [{ plugins: ['docker#v5'] }, 'command'],
    [{ trigger: 'deploy' }, 'trigger'],
    [{ trigger: { trigger: 'deploy' } }, 'trigger'],
    [{ group: null, label: 'g', steps: ['wait'] }, 'group'],
  ])('of %j is %s', (written, kind) => {
    expect(kindOf(written)).toBe(kind)
  })

  it.each([
    [{ comand: 'make' }, 'this step does not say what it does: "comand" is not known; did you mean "command"?'],
    [{ label: 'x' }, 'this step does not say what it does: give it "command", "plugins", "wait", "block", "input", "trigger" or "group".'],
    [{ label: 'x', steps: [] }, 'this step does not say what it does: to make it a group, give it "group" with a name.'],
    [{ command: 'make', wait: null }, 'this is two steps in one, since it has "command" and "wait"; make each a step of its own.'],
    [{ type: 'deploy' }, '"deploy" is not a type of step; it is one of "command", "wait", "block", "input", "trigger" or "group".'],
    ['wiat', '"wiat" is not a step; did you mean "wait"?'],
    [3, 'a step is a mapping, such as { command: make test }, not 3.'],
    [null, 'this step is empty; take it away, or write what it does, such as "command: make test".'],
  ])('of %j is not known', (written, message) => {
    expect(mistakesOfStep(written).map((one) => one.replace(/^\w*: /, ''))).toEqual([message])
  })
})

describe('limits', () => {
  it('a hundred thousand steps are refused at once', () => {
    expect(mistakesOf({ steps: Array.from({ length: 100_000 }, () => ({ command: 'a', shell: 'bash' })) })).toEqual([expect.stringContaining('these are 100000 steps; one upload may bring 2000')])
  })

  it('steps within groups count', () => {
    const group = { group: 'g', steps: Array.from({ length: 1000 }, () => 'wait') }
    expect(mistakesOf({ steps: [group, group] })[0]).toContain('these are 2002 steps')
  })

  it('jobs count, of parallel steps and of matrices', () => {
    expect(mistakesOf({ steps: [{ command: 'a', parallelism: 1999 }, { command: 'b', matrix: ['x', 'y'] }] })).toEqual(['steps: these steps make 2001 jobs; one upload may bring 2000. Let a step upload the rest.'])
  })

  it('what is nested too deeply is refused without falling over', () => {
    let deep: Json = 'x'
    for (let n = 0; n < 200_000; n += 1) deep = [deep]
    expect(mistakesOf({ steps: [{ command: 'a', plugins: [{ p: { deep } }] }] })).toEqual([': mappings and lists stand more than 64 deep in each other; no pipeline needs that.'])
  })
})

describe('a key', () => {
  it('names one step of the build', () => {
    const steps = [{ command: 'a', key: 'x' }, { group: 'g', key: 'y', steps: [{ command: 'b', id: 'x' }] }, { wait: null, identifier: 'y' }]
    expect(mistakesOf({ steps })).toEqual([
      'steps.1.steps.0.key: another step has the key "x" already; give one of them another.',
      'steps.2.key: another step has the key "y" already; give one of them another.',
    ])
    expect(readPipeline({ steps: [{ command: 'a', key: 'x' }] }, new Set(['x']))).toMatchObject({ ok: false, mistakes: [{ message: 'a step of this build has the key "x" already; give this one another.' }] })
  })

  it.each([
    ['a'.repeat(101), 'this key has 101 characters; at most 100 are allowed.'],
    ['96176d08-f503-413f-8423-96094953b9e7', 'a key may not look like a UUID; give the step a name of its own.'],
    ['build it', '"build it" cannot be a key: letters, digits and "_", "-", ":", ".", "," only.'],
    ['test-{{matrix}}', 'a value of the matrix cannot stand in a key: all its jobs are one step. Take it out.'],
    [['x'], 'this is text, not a list.'],
  ])('%j is refused', (key, message) => {
    expect(mistakesOfStep({ command: 'a', key })).toEqual([`key: ${message}`])
  })

  it('is written under one name', () => {
    expect(mistakesOfStep({ wait: null, key: 'a', id: 'b' })).toEqual(['id: "id" is another name of "key", which is here too; keep one of them.'])
    expect(mistakesOfStep({ wait: null, key: 'a', id: 'a' })).toEqual([])
  })
})

/** Whatever JSON can be, with the words of pipelines often among the names. */
const words = ['steps', 'command', 'wait', 'block', 'input', 'trigger', 'group', 'key', 'depends_on', 'if', 'branches', 'skip', 'soft_fail', 'retry', 'automatic', 'manual', 'exit_status', 'matrix', 'setup', 'adjustments', 'with', 'agents', 'queue', 'env', 'plugins', 'fields', 'select', 'text', 'options', 'notify', 'secrets', 'checkout', 'build', 'parallelism', 'concurrency', 'concurrency_group', 'type', 'cache', 'label', '__proto__', 'constructor']
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.double(), fc.string(), fc.constantFrom(...words, 'true', '*', '1', 'a')),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), tie('json'), { maxKeys: 6 }),
  ),
}))

it('reading never falls over, whatever is written, and says where and what', () => {
  fc.assert(
    fc.property(json, fc.boolean(), (written, isStep) => {
      const answer = readPipeline(isStep ? { steps: [written] } : written)
      if (answer.ok) return graphOf(answer.pipeline.steps) !== undefined
      return answer.mistakes.length > 0 && answer.mistakes.every(({ path, message }) => Array.isArray(path) && /^\S.*[.?)]$/.test(message))
    }),
    { numRuns: 2000 },
  )
})

describe('a megabyte that is meant to be slow', () => {
  const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
  const wide = (count: number): Json => Object.fromEntries(many(count, (n) => [`name${n}`, null]))
  const step = (over: { [name: string]: Json }): Json => ({ steps: [{ command: 'a', ...over }] })
  it.each<[string, Json]>([
    ['unknown attributes', step(wide(80_000) as { [name: string]: Json })],
    ['unknown names at the top', wide(80_000)],
    ['dependencies on nobody', step({ depends_on: many(150_000, (n) => `k${n}`) })],
    ['dependencies of many steps on nobody', { steps: many(2000, (s) => ({ command: 'a', key: `key${s}`, depends_on: many(70, (n) => `k${n}`) })) }],
    ['rules of retries', step({ retry: { automatic: many(1000, () => ({ signal: many(100, (n) => `sig${n}`) })) } })],
    ['signals', step({ retry: { automatic: { signal: many(100_000, () => 'kill'), signal_reason: many(50_000, () => 'none') } } })],
    ['fields', { steps: [{ block: 'b', fields: many(40_000, (n) => ({ key: `k${n}` })) }] }],
    ['options', { steps: [{ block: 'b', fields: [{ key: 'k', options: many(30_000, (n) => ({ label: 'l', value: `v${n}` })) }] }] }],
    ['dimensions', step({ matrix: { setup: Object.fromEntries(many(50_000, (n) => [`d${n}`, ['a', 'b']])) } })],
    ['values of a matrix', step({ matrix: many(150_000, (n) => `v${n}`) })],
    ['variables', step({ env: wide(80_000) })],
    ['tags', step({ agents: many(100_000, (n) => `t${n}=x`) })],
    ['patterns of branches', step({ branches: 'a '.repeat(500_000) })],
    ['a long word', step({ if_changed: '*'.repeat(1_000_000), label: '"'.repeat(1_000_000), key: '{'.repeat(1_000_000) })],
  ])('%s is answered at once', (_, written) => {
    const answer = readPipeline(written)
    if (answer.ok) graphOf(answer.pipeline.steps)
    else expect(answer.mistakes.length).toBeLessThanOrEqual(PIPELINE_LIMITS.mistakes + 1)
  })
})
