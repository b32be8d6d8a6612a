import { expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand } from '../../../support/pipeline-reading.ts'

it('a matrix is read in every form', () => {
  expect(commandOf({ matrix: ['a', 1, true] }).matrix).toEqual({ setup: { '': ['a', 1, true] }, adjustments: [] })
  expect(commandOf({ matrix: { setup: ['a'], adjustments: [{ with: 'b', skip: true }, { with: ['c'], soft_fail: true }] } }).matrix).toEqual({
    setup: { '': ['a'] },
    adjustments: [
      { with: { '': 'b' }, skip: '', softFail: 'none' },
      { with: { '': 'c' }, skip: null, softFail: 'any' },
    ],
  })
  expect(commandOf({ matrix: { setup: { os: ['linux', 'mac'], node: [22] }, adjustments: [{ with: { os: 'linux', node: 20 }, soft_fail: [{ exit_status: 3 }] }] } }).matrix).toEqual({
    setup: { os: ['linux', 'mac'], node: [22] },
    adjustments: [{ with: { os: 'linux', node: 20 }, skip: null, softFail: [3] }],
  })
})

it.each<[Json, string]>([
  ['a', 'matrix: this is a list of values, or a mapping with "setup", not "a".'],
  [{ os: ['linux'] }, 'matrix.os: "matrix" has no "os": dimensions are written below "setup".'],
  [{ setup: { os: 'linux' } }, 'matrix.setup.os: this is a list of values, not "linux".'],
  [{ setup: { os: null } }, 'matrix.setup.os: this dimension has no values; write a list of them.'],
  [['a\0'], 'matrix.0: a NUL character cannot stand in it; take it out.'],
  [[['a']], 'matrix.0: a value of a matrix is text, a number or a truth, not a list.'],
  [{ setup: ['a'], adjustments: [{ skip: true }] }, 'matrix.adjustments.0: this adjustment does not say of which combination: give "with" a value for each dimension.'],
  [{ setup: ['a'], adjustments: [{ with: 'a', env: {} }] }, 'matrix.adjustments.0.env: an adjustment has no "env"; it has with, skip, soft_fail.'],
  [{ setup: ['a'], adjustments: [{ with: ['a', 'b'] }] }, 'matrix.adjustments.0.with: this matrix has one dimension, so an adjustment is of one value; write one for each.'],
])('matrix %j is refused', (matrix, message) => {
  expect(mistakesOfCommand({ matrix })).toContain(message)
})

it('a matrix does not stand beside parallelism', () => {
  expect(mistakesOfCommand({ matrix: ['a'], parallelism: 2 })).toEqual(['parallelism: "parallelism" and "matrix" cannot stand on one step; make the part a dimension of the matrix, or make two steps.'])
})
