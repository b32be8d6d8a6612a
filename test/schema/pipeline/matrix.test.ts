import { describe, expect, it } from 'vitest'
import { combinationsOf, mistakesOf, placeholderMistake, withValues } from '../../../schema/pipeline/matrix.ts'
import type { Matrix } from '../../../schema/pipeline/steps.ts'
import { mistakesOfStep } from '../../support/pipeline-reading.ts'
import { commandStep } from '../../support/steps.ts'

const two: Matrix = { setup: { os: ['linux', 'mac'], node: [20, 22] }, adjustments: [] }
const adjusted = (...adjustments: Matrix['adjustments']): Matrix => ({ ...two, adjustments })
const names = (matrix: Matrix) => combinationsOf(matrix).map(({ values }) => Object.values(values).join(' '))

describe('combinations', () => {
  it('are all of all values, the last dimension changing first', () => {
    expect(names(two)).toEqual(['linux 20', 'linux 22', 'mac 20', 'mac 22'])
    expect(names({ setup: { '': ['a', true, 3] }, adjustments: [] })).toEqual(['a', 'true', '3'])
  })

  it('are fewer where an adjustment skips one, and more where it names another', () => {
    expect(names(adjusted({ with: { node: '20', os: 'mac' }, skip: 'too old', softFail: 'none' }))).toEqual(['linux 20', 'linux 22', 'mac 22'])
    expect(names(adjusted({ with: { os: 'bsd', node: 22 }, skip: null, softFail: 'any' }))).toEqual(['linux 20', 'linux 22', 'mac 20', 'mac 22', 'bsd 22'])
    expect(names(adjusted({ with: { os: 'bsd', node: 22 }, skip: '', softFail: 'none' }))).toHaveLength(4)
  })

  it('are skipped together by an adjustment that names only what they have in common', () => {
    expect(names(adjusted({ with: { os: 'mac' }, skip: '', softFail: 'none' }, { with: { os: 'bsd', node: 1 }, skip: null, softFail: 'none' }))).toEqual(['linux 20', 'linux 22', 'bsd 1'])
  })

  it('may fail softly where an adjustment says so', () => {
    expect(combinationsOf(adjusted({ with: { os: 'mac', node: 22 }, skip: null, softFail: [3] })).map(({ softFail }) => softFail)).toEqual([null, null, null, [3]])
  })
})

describe('what does not fit', () => {
  it.each<[string, Matrix, string]>([
    ['seven dimensions', { setup: Object.fromEntries('abcdefg'.split('').map((name) => [name, ['x']])), adjustments: [] }, 'a matrix has at most 6 dimensions, not 7.'],
    ['26 values', { setup: { a: Array.from({ length: 26 }, (_, i) => i) }, adjustments: [] }, 'a dimension has at most 25 values, not 26.'],
    ['a value of 129 bytes', { setup: { a: [`${'é'.repeat(64)}x`] }, adjustments: [] }, 'a value of a matrix has at most 128 bytes.'],
    ['a value that stands twice', { setup: { a: ['1', 1] }, adjustments: [] }, 'the value "1" stands here twice.'],
    ['a dimension with a dot', { setup: { 'a.b': ['1'] }, adjustments: [] }, 'the name of a dimension has letters, digits, "_" and "-" only.'],
    ['millions of combinations', { setup: Object.fromEntries('abcdef'.split('').map((name) => [name, Array.from({ length: 25 }, (_, i) => i)])), adjustments: [] }, 'this matrix has 244140625 combinations; one upload may bring 2000 jobs.'],
    ['an adjustment of nothing', adjusted({ with: {}, skip: null, softFail: 'none' }), 'an adjustment says of which combination it is: give a value of "os", "node".'],
    ['an adjustment of another dimension', adjusted({ with: { os: 'mac', node: 20, arch: 'arm' }, skip: null, softFail: 'none' }), 'the matrix has no dimension "arch"; it has "os", "node".'],
    ['thirteen adjustments', adjusted(...Array.from({ length: 13 }, (_, i) => ({ with: { os: 'x', node: i }, skip: null, softFail: 'none' as const }))), 'a matrix has at most 12 adjustments, not 13.'],
  ])('%s', (_what, matrix, message) => {
    expect(mistakesOf(matrix).map((one) => one.message)).toContain(message)
  })

  it('is told at its place in the step', () => {
    expect(mistakesOfStep({ command: 'make {{matrix.oss}}', matrix: { setup: { os: ['linux'] } } })).toEqual([expect.stringContaining('command: "{{matrix.oss}}" has no value: the matrix has no dimension "oss"; did you mean "{{matrix.os}}"?')])
    expect(mistakesOfStep({ command: 'make', artifact_paths: '{{matrix.x}}/*', matrix: { setup: { os: ['linux'] } } })).toEqual([expect.stringContaining('artifact_paths: "{{matrix.x}}" has no value')])
    expect(mistakesOfStep({ command: 'make', agents: { os: '{{matrix}}' }, matrix: ['a b'] })).toEqual([expect.stringMatching(/agents: with a value of the matrix this becomes "os=a b"/)])
    expect(mistakesOfStep({ command: 'make', matrix: [] })).toEqual([expect.stringContaining('no combination')])
  })
})

describe('values', () => {
  const [first] = combinationsOf(two)
  if (first === undefined) throw new Error('no combination')

  it('are filled in wherever a step may say so', () => {
    const step = commandStep('t', { command: 'make {{ matrix.os }}-{{matrix.node}} {{other}}', label: 'On {{matrix.os}}', env: { OS: '{{matrix.os}}' }, queue: '{{matrix.os}}', tags: ['node={{matrix.node}}'], plugins: [{ source: 'x#{{matrix.node}}', configuration: { run: ['{{matrix.os}}', 1], '{{matrix.os}}': null } }], artifactPaths: ['{{matrix.os}}/*'] })
    expect(withValues(step, first)).toEqual({ command: 'make linux-20 {{other}}', label: 'On linux', env: { OS: 'linux' }, queue: 'linux', tags: ['node=20'], plugins: [{ source: 'x#20', configuration: { run: ['linux', 1], linux: null } }], artifactPaths: ['linux/*'] })
  })

  it('tell jobs apart that nothing else does', () => {
    expect(withValues(commandStep('t', { label: 'Test' }), first).label).toBe('Test (linux, 20)')
    expect(withValues(commandStep('t'), first).label).toBe('linux, 20')
  })

  it('are missed by name', () => {
    expect(placeholderMistake('{{matrix.os}} {{matrix.node}}', two)).toBeNull()
    expect(placeholderMistake('{{matrix}}', two)).toBe('"{{matrix}}" has no value: the dimensions of this matrix have names, such as "{{matrix.os}}".')
    expect(placeholderMistake('{{matrix.os}}', { setup: { '': ['a'] }, adjustments: [] })).toContain('write "{{matrix}}"')
  })
})
