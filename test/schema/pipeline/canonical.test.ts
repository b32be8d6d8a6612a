import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical, fullSource, textOf, type Canonical } from '../../../schema/pipeline/canonical.ts'
import { readDocument } from '../../../schema/pipeline/document.ts'
import type { Json } from '../../../schema/pipeline/json.ts'

function made(document: Json): Canonical {
  const answer = canonical(document)
  if (!answer.ok) throw new Error(`refused: ${answer.path.join('.')}: ${answer.message}`)
  return answer.canonical
}

function stepOf(step: Json): Json {
  return (made([step]).pipeline['steps'] as readonly Json[])[0] ?? null // there is one
}

/** As JSON shows it, so that prototypes do not count. */
function plain(value: Json): Json {
  return JSON.parse(JSON.stringify(value)) as Json // JSON is what it was
}

function refusalOf(document: Json): string {
  const answer = canonical(document)
  return answer.ok ? 'not refused' : `${answer.path.join('.')}: ${answer.message}`
}

/** Those of one step, without `0`. */
function warningsOf(step: Json): readonly string[] {
  return made([step]).warnings.map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`)
}

describe('a pipeline', () => {
  it('is a mapping with steps, or a list of them', () => {
    expect(made(['wait']).pipeline).toEqual({ steps: ['wait'] })
    expect(made({ steps: ['wait'], x: 1 }).pipeline).toEqual({ x: 1, steps: ['wait'] })
    expect(made({ steps: null }).pipeline).toEqual({ steps: [] })
    expect(made({}).pipeline).toEqual({ steps: [] })
    expect(refusalOf('make')).toBe(': a pipeline is a mapping with "steps:", or a list of steps.')
    expect(refusalOf({ steps: 'make' })).toBe('steps: "steps" is a list, not "make".')
    expect(refusalOf({ steps: [1] })).toBe('steps.0: a step is a mapping, or a word such as "wait", not 1.')
  })

  it('has an env of texts', () => {
    expect(made({ env: { A: 1, B: true, C: null, D: 'd', E: 0.5 }, steps: [] }).pipeline['env']).toEqual({ A: '1', B: 'true', C: '', D: 'd', E: '0.5' })
    expect(made({ env: null, steps: [] }).pipeline).toEqual({ steps: [] })
    expect(refusalOf({ env: ['A=b'], steps: [] })).toBe('env: "env" is a mapping of names to texts, not a list.')
    expect(refusalOf({ env: { A: {} }, steps: [] })).toBe('env.A: this must be text, not a mapping.')
  })
})

describe('a step', () => {
  it('of one word stays it', () => {
    for (const word of ['wait', 'waiter', 'block', 'input', 'manual']) expect([stepOf(word), warningsOf(word)]).toEqual([word, []])
    expect(stepOf('hold')).toBe('hold')
    expect(warningsOf('hold')).toEqual([': "hold" alone is no step; those that are one word are: wait, waiter, block, input, manual.'])
  })

  it.each<Json>([{ wait: null }, { block: 'Go?', id: 'x' }, { input: 'Who?', name: 'n' }, { trigger: 'deploy', env: { A: 1 } }, { type: 'waiter', key: 'x' }])('that runs nothing stays as it is: %j', (step) => {
    expect(stepOf(step)).toEqual(step)
  })

  it('of an unknown kind stays as it is, with a warning', () => {
    expect(stepOf({ llama: 'Kuzco' })).toEqual({ llama: 'Kuzco' })
    expect(warningsOf({ llama: 'Kuzco' })).toEqual([': this step does nothing: it has none of command, plugins, wait, block, input, trigger, group.'])
    expect(warningsOf({ type: 'mystery', command: 'make' })).toEqual(['type: there is no step of the type "mystery".'])
  })
})

describe('a command step', () => {
  it.each<readonly [Json, Json]>([
    [{ command: 'a' }, { command: 'a' }],
    [{ commands: 'a' }, { command: 'a' }],
    [{ command: ['a', 'b', null, 1, true] }, { command: 'a\nb\n\n1\ntrue' }],
    [{ commands: ['a'], command: 'b' }, { command: 'a' }],
    [{ command: null }, { command: '' }],
    [{ plugins: ['docker#v1'] }, { command: '' }],
    [{ type: 'script', command: 'a' }, { type: 'script', command: 'a' }],
  ])('%j has the command of %j', (step, wanted) => {
    expect(stepOf(step)).toMatchObject(wanted as object)
  })

  it('takes its key and label under any of their names', () => {
    for (const name of ['key', 'id', 'identifier']) expect(stepOf({ command: 'a', [name]: 'k' })).toEqual({ command: 'a', key: 'k' })
    for (const name of ['label', 'name']) expect(stepOf({ command: 'a', [name]: 'l' })).toEqual({ command: 'a', label: 'l' })
    expect(stepOf({ command: 'a', key: 12, name: '' })).toEqual({ command: 'a', key: '12' })
    expect(stepOf({ command: 'a', key: 'k', id: 'i' })).toEqual({ command: 'a', key: 'k', id: 'i' })
  })

  it('takes "commands" before "command", and warns when that says something else', () => {
    expect(warningsOf({ commands: 'a', command: 'b' })).toEqual(['command: "command" is another name of "commands", which is here too and is taken; keep one of them.'])
    expect(warningsOf({ commands: ['a'], command: ['a'] })).toEqual([])
  })

  it('keeps all that is not known', () => {
    expect(stepOf({ command: 'a', agents: ['queue=x'], x: { y: 1 } })).toEqual({ command: 'a', agents: ['queue=x'], x: { y: 1 } })
    const step = stepOf(JSON.parse('{ "command": "a", "__proto__": { "x": 1 } }') as Json) // JSON is what it is
    expect(Object.keys(step as object).toSorted()).toEqual(['__proto__', 'command'])
  })

  it('that says something in no form of it stays as it is, with a warning', () => {
    const step = { command: 'a', name: 'l', env: { A: { B: 1 } } }
    expect(stepOf(step)).toEqual(step)
    expect(warningsOf(step)).toEqual(['env.A: this must be text, not a mapping.'])
    expect(warningsOf({ command: { a: 1 } })).toEqual(['command: this must be text, not a mapping.'])
  })

  it('has an env of texts, unless it is empty', () => {
    expect(stepOf({ command: 'a', env: { A: 1 } })).toEqual({ command: 'a', env: { A: '1' } })
    expect(stepOf({ command: 'a', env: {} })).toEqual({ command: 'a' })
    expect(stepOf({ command: 'a', env: null })).toEqual({ command: 'a' })
  })
})

describe('plugins', () => {
  const pluginsOf = (plugins: Json) => (stepOf({ plugins }) as { readonly plugins?: Json }).plugins

  it.each<readonly [Json, Json]>([
    [['docker#v1'], [{ 'github.com/buildkite-plugins/docker-buildkite-plugin#v1': null }]],
    [[{ 'docker#v1': { image: 'x' } }], [{ 'github.com/buildkite-plugins/docker-buildkite-plugin#v1': { image: 'x' } }]],
    [{ 'a/b': 1, './c': null }, [{ 'github.com/a/b-buildkite-plugin': 1 }, { './c': null }]],
    [[{ x: 1, y: 2 }], [{ 'github.com/buildkite-plugins/x-buildkite-plugin': 1 }, { 'github.com/buildkite-plugins/y-buildkite-plugin': 2 }]],
  ])('%j are a list of one-entry mappings', (written, wanted) => {
    expect(pluginsOf(written)).toEqual(wanted)
  })

  it('that are none are left out, or warned of', () => {
    for (const none of [null, [], {}]) expect(pluginsOf(none)).toBeUndefined()
    expect(warningsOf({ plugins: 'docker' })).toEqual(['plugins: "plugins" is a list, not "docker".'])
    expect(warningsOf({ plugins: [1] })).toEqual(['plugins.0: a plugin is a name, or a mapping from a name to its configuration, not 1.'])
  })

  it.each([
    ['docker', 'github.com/buildkite-plugins/docker-buildkite-plugin'],
    ['docker#v5.9.0', 'github.com/buildkite-plugins/docker-buildkite-plugin#v5.9.0'],
    ['acme/tool#main', 'github.com/acme/tool-buildkite-plugin#main'],
    ['github.com/acme/tool-buildkite-plugin#v1', 'github.com/acme/tool-buildkite-plugin#v1'],
    ['https://example.com/tool.git#v1', 'https://example.com/tool.git#v1'],
    ['git@github.com:acme/tool.git#v1', 'git@github.com:acme/tool.git#v1'],
    ['ssh://git@example.com/tool#v1', 'ssh://git@example.com/tool#v1'],
    ['file:///tmp/tool', 'file:///tmp/tool'],
    ['./tool', './tool'], ['/tool', '/tool'], ['../tool', '../tool'], ['.buildkite/tool', '.buildkite/tool'], ['', ''],
  ])('%s is in full %s', (source, full) => {
    expect(fullSource(source)).toBe(full)
  })
})

describe('a matrix', () => {
  const matrixOf = (matrix: Json) => (stepOf({ command: 'a', matrix }) as { readonly matrix?: Json }).matrix

  it.each<readonly [Json, Json]>([
    [['a', 1, true], ['a', '1', 'true']],
    [{ setup: ['a', 'b'] }, ['a', 'b']],
    [{ setup: { os: ['a'], n: [1, 2] } }, { setup: { os: ['a'], n: ['1', '2'] } }],
    [{ setup: { os: 'a' } }, { setup: { os: ['a'] } }],
    [{ setup: ['a'], adjustments: [{ with: 'b', skip: true }] }, { setup: ['a'], adjustments: [{ with: 'b', skip: true }] }],
    [{ setup: { os: ['a'] }, adjustments: [{ with: { os: 1 }, soft_fail: true, skip: null }] }, { setup: { os: ['a'] }, adjustments: [{ with: { os: '1' }, soft_fail: true }] }],
  ])('%j is %j', (written, wanted) => {
    expect(matrixOf(written)).toEqual(wanted)
  })

  it('that is none is left out, or warned of', () => {
    expect(matrixOf(null)).toBeUndefined()
    expect(warningsOf({ command: 'a', matrix: 'x' })).toEqual(['matrix: "matrix" is a list of values, or a mapping with "setup", not "x".'])
  })
})

describe('secrets and cache', () => {
  it.each<readonly [Json, Json]>([
    [['A'], [{ key: 'A', environment_variable: 'A' }]],
    [{ A: 'a', B: null }, [{ key: 'a', environment_variable: 'A' }, { key: '', environment_variable: 'B' }]],
    [[{ key: 'a' }, { key: 'b', environment_variable: 'B', x: 1 }], [{ key: 'a' }, { key: 'b', environment_variable: 'B' }]],
  ])('secrets %j are %j', (secrets, wanted) => {
    expect(stepOf({ command: 'a', secrets })).toEqual({ command: 'a', secrets: wanted })
  })

  it('secrets that are none are left out, or warned of', () => {
    expect(stepOf({ command: 'a', secrets: [] })).toEqual({ command: 'a' })
    expect(warningsOf({ command: 'a', secrets: 'A' })).toEqual(['secrets: "secrets" is a list of names, not "A".'])
    expect(warningsOf({ command: 'a', secrets: [{ name: 'A' }] })).toEqual(['secrets.0: a secret is its name, or a mapping with "key".'])
  })

  it.each<readonly [Json, Json]>([
    ['a', { paths: ['a'] }],
    [['a', 'b'], { paths: ['a', 'b'] }],
    [{ paths: 'a', name: 'n' }, { name: 'n', paths: ['a'] }],
  ])('a cache %j is %j', (cache, wanted) => {
    expect(stepOf({ command: 'a', cache })).toEqual({ command: 'a', cache: wanted })
  })
})

describe('a group', () => {
  it('has its steps in one spelling', () => {
    expect(stepOf({ group: 'g', id: 'k', name: 'l', steps: [{ commands: ['a', 'b'] }, 'wait'] })).toEqual({ group: 'g', key: 'k', label: 'l', steps: [{ command: 'a\nb' }, 'wait'] })
    expect(stepOf({ group: null, steps: null, notify: [] })).toEqual({ group: null, steps: [], notify: [] })
    expect(stepOf({ group: 1 })).toEqual({ group: '1', steps: [] })
  })

  it('whose steps are none stays as it is, with a warning', () => {
    expect(warningsOf({ group: 'g', steps: 'make' })).toEqual(['steps: "steps" is a list, not "make".'])
  })
})

describe('a number is text as Go prints it', () => {
  it.each([
    [1, '1'], [-7, '-7'], [1.5, '1.5'], [0.1, '0.1'], [0.0001, '0.0001'], [0.00001, '1e-05'], [1.5e-7, '1.5e-07'],
    [999999.5, '999999.5'], [1234567.5, '1.2345675e+06'], [9007199254740991, '9007199254740991'], [1e20, '1e+20'], [1.5e100, '1.5e+100'],
  ])('%d is %s', (value, text) => {
    expect(textOf(value, [])).toBe(text)
  })
})

describe('a path leads back to the document', () => {
  it.each<readonly [Json, readonly (string | number)[], readonly (string | number)[]]>([
    [[{ commands: ['a'] }], ['steps', 0, 'command'], [0, 'commands']],
    [{ steps: [{ command: 'a', id: 'k', name: 'l' }] }, ['steps', 0, 'key'], ['steps', 0, 'id']],
    [{ steps: [{ command: 'a', id: 'k', name: 'l' }] }, ['steps', 0, 'label'], ['steps', 0, 'name']],
    [[{ group: 'g', steps: [{ commands: 'a', name: 'l' }] }], ['steps', 0, 'steps', 0, 'label'], [0, 'steps', 0, 'name']],
    [[{ plugins: { a: 1, b: { c: 2 } } }], ['steps', 0, 'plugins', 1, 'github.com/buildkite-plugins/b-buildkite-plugin', 'c'], [0, 'plugins', 'b', 'c']],
    [[{ plugins: ['x', { a: 1, b: { c: 2 } }] }], ['steps', 0, 'plugins', 2, 'github.com/buildkite-plugins/b-buildkite-plugin', 'c'], [0, 'plugins', 1, 'b', 'c']],
    [[{ plugins: [{ a: 1, b: 2 }, 'x'] }], ['steps', 0, 'plugins', 2], [0, 'plugins', 1]],
    [[{ plugins: ['x'] }], ['steps', 0, 'plugins', 0], [0, 'plugins', 0]],
    [{ x: { y: 1 }, steps: [] }, ['x', 'y'], ['x', 'y']],
  ])('in %j, %j is %j', (document, path, origin) => {
    expect(made(document).origin(path)).toEqual(origin)
  })

  it('so that it has a place in the file', () => {
    const read = readDocument('- plugins:\n    - docker#v1:\n        image: x\n  name: l\n')
    if (!read.ok) throw new Error('refused')
    const { origin } = made(read.document.value)
    expect(read.document.at(origin(['steps', 0, 'plugins', 0, 'github.com/buildkite-plugins/docker-buildkite-plugin#v1', 'image']), 'key')).toEqual({ line: 3, column: 9, length: 5 })
    expect(read.document.at(origin(['steps', 0, 'label']), 'key')).toEqual({ line: 4, column: 3, length: 4 })
  })
})

describe('whatever the document', () => {
  const names = fc.constantFrom('steps', 'command', 'commands', 'plugins', 'env', 'matrix', 'setup', 'adjustments', 'with', 'secrets', 'cache', 'paths', 'group', 'wait', 'type', 'key', 'id', 'name', 'x', '__proto__', 'constructor')
  const leaves = fc.constantFrom<Json>('make', 'wait', 'docker#v1', '', null, true, 7, 1e30)
  const { tree } = fc.letrec<{ tree: Json }>((tie) => ({ tree: fc.oneof({ depthSize: 'medium' }, leaves, fc.array(tie('tree'), { maxLength: 4 }), fc.dictionary(names, tie('tree'), { maxKeys: 5 })) }))
  const steps = fc.array(fc.oneof(fc.dictionary(names, tree, { maxKeys: 6 }), leaves), { maxLength: 4 })

  it.each([null, ''])('a name that says nothing (%j) does not hide another', (key) => {
    const answer = canonical([{ key, id: 'build', label: key, name: 'Build', command: 'make' }])
    expect(answer.ok && plain(answer.canonical.pipeline)).toEqual({ steps: [{ key: 'build', label: 'Build', command: 'make' }] })
  })

  it('of names that all say nothing none stays', () => {
    const answer = canonical([{ key: null, id: '', identifier: null, command: 'make' }])
    expect(answer.ok && plain(answer.canonical.pipeline)).toEqual({ steps: [{ command: 'make' }] })
  })

  it('nothing is thrown, and what has one spelling keeps it', () => {
    fc.assert(
      fc.property(fc.oneof(tree, steps, fc.record({ steps, env: tree })), (document) => {
        const answer = canonical(document)
        if (!answer.ok) return
        const again = canonical(answer.canonical.pipeline)
        expect(again.ok && plain(again.canonical.pipeline)).toEqual(plain(answer.canonical.pipeline))
      }),
      { numRuns: 3000 },
    )
  })
})
