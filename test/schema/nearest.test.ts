import { expect, it } from 'vitest'
import { didYouMean, nearest } from '../../schema/nearest.ts'

const names = ['branch', 'command', 'commit', 'env', 'message', 'priority']

it.each([
  ['brnach', 'branch'],
  ['Branch', 'branch'],
  ['comand', 'command'],
  ['comit', 'commit'],
  ['envs', 'env'],
  ['prioritty', 'priority'],
])('%s means %s', (typed, meant) => {
  expect(nearest(typed, names)).toBe(meant)
})

it.each(['', 'x', 'timeout', 'repository', 'b'.repeat(10_000)])('%.20s means none of them, and nothing is guessed', (typed) => {
  expect(nearest(typed, names)).toBeNull()
  expect(didYouMean(typed, names)).toBe('')
})
