import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../../schema/pipeline/json.ts'
import { interpolatePipeline } from '../../../schema/pipeline/interpolate-pipeline.ts'

function filled(document: Json, environment: Readonly<Record<string, string | undefined>> = {}, options: { readonly preferEnvironment?: boolean } = {}): Json {
  const { value, mistakes } = interpolatePipeline(document, environment, options)
  expect(mistakes).toEqual([])
  return value
}

describe('variables of a pipeline', () => {
  it('are filled in everywhere, in names too', () => {
    expect(filled({ steps: [{ command: ['echo $A', '$$A'], plugins: [{ '$PLUGIN#v1': { $A: '${A}' } }] }, 'wait'], x: '$A' }, { A: 'a', PLUGIN: 'docker' })).toEqual({
      steps: [{ command: ['echo a', '$A'], plugins: [{ 'docker#v1': { a: 'a' } }] }, 'wait'],
      x: 'a',
    })
    expect(filled(['$A', { command: '$A' }], { A: 'a' })).toEqual(['a', { command: 'a' }])
  })

  it('leave alone what is no text', () => {
    expect(filled({ steps: [{ parallelism: 4, skip: true, wait: null }] })).toEqual({ steps: [{ parallelism: 4, skip: true, wait: null }] })
    expect(filled(null)).toBeNull()
    expect(filled('$A', { A: 'a' })).toBe('a')
  })

  it('that are not set are empty', () => {
    expect(filled({ a: '<$A>' }, { A: undefined })).toEqual({ a: '<>' })
  })
})

describe('the env of a pipeline', () => {
  it('feeds all the rest, wherever it stands', () => {
    expect(filled({ steps: ['$A'], env: { A: 'a' } })).toEqual({ steps: ['a'], env: { A: 'a' } })
  })

  it('is filled in in its order, names too', () => {
    expect(filled({ env: { A: '$B', B: 'b', C: '$B', D: '$C$C', '${D}_E': '$A.' }, x: '$A|$D|$bb_E' }, { B: 'outer' })).toEqual({
      env: { A: 'outer', B: 'b', C: 'b', D: 'bb', bb_E: 'outer.' },
      x: 'outer|bb|outer.',
    })
  })

  it('may hold numbers and truths', () => {
    expect(filled({ env: { A: 1, B: true, C: 1.5 }, x: '$A $B $C' })).toEqual({ env: { A: 1, B: true, C: 1.5 }, x: '1 true 1.5' })
  })

  it('is stronger than the environment, unless that is preferred', () => {
    const document = { env: { A: 'file', B: '$A' }, x: '$A $B' }
    expect(filled(document, { A: 'outer' })).toMatchObject({ x: 'file file' })
    expect(filled(document, { A: 'outer' }, { preferEnvironment: true })).toEqual({ env: { A: 'file', B: 'outer' }, x: 'outer outer' })
    expect(filled(document, {}, { preferEnvironment: true })).toMatchObject({ x: 'file file' })
  })

  it('of a step feeds nothing', () => {
    expect(filled({ steps: [{ env: { A: 'a' }, command: '$A' }] })).toEqual({ steps: [{ env: { A: 'a' }, command: '' }] })
  })

  it('that is no mapping is left to whoever reads it', () => {
    expect(filled({ env: ['A=$B'], steps: [] })).toEqual({ env: ['A=$B'], steps: [] })
    expect(filled({ env: null, steps: [] })).toEqual({ env: null, steps: [] })
  })
})

describe('mistakes', () => {
  it('are told in order, with the path in the document and whether the name is meant', () => {
    const { value, mistakes } = interpolatePipeline({ env: { A: '${!}' }, steps: [{ '${B?}': 1, command: 'x ${C?must be set}' }] }, {})
    expect(mistakes).toMatchObject([
      { path: ['env', 'A'], isName: false, error: { at: 0, length: 3 } },
      { path: ['steps', 0, '${B?}'], isName: true, error: { message: '$B: not set' } },
      { path: ['steps', 0, 'command'], isName: false, error: { at: 2, message: '$C: must be set' } },
    ])
    expect(value).toMatchObject({ steps: [{ command: 'x ${C?must be set}' }] })
  })

  it('are two names that have become one', () => {
    expect(interpolatePipeline({ $A: 1, $B: 2 }, { A: 'x', B: 'x' }).mistakes).toMatchObject([{ path: ['$B'], isName: true, error: { message: 'with its variables filled in, this name is "x", which stands here already' } }])
  })

  it('are told only so often', () => {
    expect(interpolatePipeline(Array.from({ length: 5000 }, () => '${!}'), {}).mistakes).toHaveLength(100)
  })
})

it('a path leads back to the document, whose names had variables', () => {
  const { origin } = interpolatePipeline({ steps: [{ plugins: [{ '$P#v1': { '${Q}': [1] } }] }], env: { $A: 1 } }, { P: 'docker', Q: 'q', A: 'a' })
  expect(origin(['steps', 0, 'plugins', 0, 'docker#v1', 'q', 0])).toEqual(['steps', 0, 'plugins', 0, '$P#v1', '${Q}', 0])
  expect(origin(['env', 'a'])).toEqual(['env', '$A'])
  expect(origin(['steps', 0, 'command'])).toEqual(['steps', 0, 'command'])
})

describe('whatever the document', () => {
  const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>

  it('without variables it stays what it was', () => {
    fc.assert(
      fc.property(json, (document) => {
        fc.pre(!/[$\\]/.test(JSON.stringify(document)))
        expect(JSON.stringify(filled(document))).toBe(JSON.stringify(document))
      }),
    )
  })

  it('nothing is thrown', () => {
    const texts = fc.constantFrom('$A', '${A}', '${!', '${B?}', 'x', '$$', '__proto__', 'env')
    const { tree } = fc.letrec<{ tree: Json }>((tie) => ({ tree: fc.oneof({ depthSize: 'small' }, texts, fc.constant(null), fc.array(tie('tree'), { maxLength: 3 }), fc.dictionary(texts, tie('tree'), { maxKeys: 3 })) }))
    fc.assert(
      fc.property(tree, (document) => {
        expect(interpolatePipeline(document, { A: 'env' })).toBeDefined()
      }),
      { numRuns: 1000 },
    )
  })

  it('a long variable in many places is refused in time', () => {
    const { mistakes } = interpolatePipeline({ env: { A: 'a'.repeat(500_000) }, steps: Array.from({ length: 90_000 }, () => '$A${A:1:1}') }, {})
    expect(mistakes[0]?.error.message).toBe('with its variables filled in, the file comes to more than 4 MiB')
  })
})
