import { describe, expect, it } from 'vitest'
import type { Context } from '../../../schema/pipeline/conditional/conditional.ts'
import { graphOf } from '../../../schema/pipeline/graph.ts'
import { isOn, leftOutOf } from '../../../schema/pipeline/left-out.ts'
import type { Step } from '../../../schema/pipeline/steps.ts'
import { blockStep, commandStep, groupStep, placed, waitStep } from '../../support/steps.ts'

const context: Context = { build: { branch: 'main', message: 'Count twice' }, env: (name) => (name === 'DEPLOY' ? 'yes' : null) }

/** By key, why each does not run. */
function why(...steps: readonly Step[]): Readonly<Record<string, string>> {
  const answer = leftOutOf(placed(steps), context)
  if (!answer.ok) throw new Error(answer.mistakes.map(({ message }) => message).join('; '))
  return Object.fromEntries([...answer.leftOut].map(([step, reason]) => [step.key ?? '', reason]))
}

describe('a step is left out', () => {
  it('when it says so', () => {
    expect(why(commandStep('a', { skip: 'not today' }), commandStep('b', { skip: '' }), commandStep('c'))).toEqual({ a: 'not today', b: '' })
  })

  it('when its condition does not hold', () => {
    expect(why(commandStep('a', { if: 'build.branch == "main" && build.env("DEPLOY") == "yes"' }), commandStep('b', { if: 'build.branch == "dev"' }), commandStep('c', { if: 'build.tag != null' }))).toEqual({
      b: 'its condition does not hold: build.branch == "dev"',
      c: 'its condition does not hold: build.tag != null',
    })
  })

  it('when its branches are others', () => {
    expect(why(commandStep('a', { branches: ['main'] }), commandStep('b', { branches: ['release/*', 'dev'] }), commandStep('c', { branches: ['!main'] }))).toEqual({
      b: 'only on the branches release/* dev, not on main',
      c: 'only on the branches !main, not on main',
    })
  })

  it('with its group', () => {
    expect(why(groupStep('g', [commandStep('a'), commandStep('b', { skip: 'own' })], { if: 'false' }), groupStep('h', [commandStep('c', { if: 'false' })]))).toEqual({
      g: 'its condition does not hold: false', a: 'its condition does not hold: false', b: 'its condition does not hold: false', c: 'its condition does not hold: false',
    })
  })
})

it('a condition that cannot be decided is a mistake at its place', () => {
  const answer = leftOutOf(placed([commandStep('a'), groupStep('g', [commandStep('b', { if: '"x" =~ build.env("DEPLOY")' })])]), context)
  expect(answer).toMatchObject({ ok: false, mistakes: [{ path: ['steps', 1, 'steps', 0, 'if'] }] })
})

it('many conditions are together as bounded as one', () => {
  const long = { ...context, env: () => 'a'.repeat(60_000) }
  const answer = leftOutOf(placed(Array.from({ length: 200 }, (_, i) => commandStep(`k${i}`, { if: 'build.env("X") =~ /(a|b|c|d)*[a-f]{1,20}x/' }))), long)
  expect(answer).toMatchObject({ ok: false, mistakes: expect.arrayContaining([{ path: expect.anything(), message: expect.stringContaining('too much to match') }]) })
})

it.each<[string | null, string, boolean]>([
  ['main', 'main', true], ['main2', 'main', false], ['release/1.2/x', 'release/*', true], ['x', 'main !x', false], ['main', '!x', true], ['x', '!x', false], ['feature-x', '*-x !feature*', false], ['dev', 'main dev', true], [null, 'main', false], [null, '!main', true],
])('the branch %s is on "%s": %s', (branch, patterns, on) => {
  expect(isOn(branch, patterns.split(' '))).toBe(on)
})

describe('in the graph', () => {
  /** What each key waits for. */
  function arrows(...steps: readonly Step[]): Readonly<Record<string, readonly string[]>> {
    const all = placed(steps)
    const leftOut = leftOutOf(all, context)
    const answer = graphOf(all, { leftOut: leftOut.ok ? leftOut.leftOut : new Set() })
    if (!answer.ok) throw new Error('it has mistakes')
    const { nodes } = answer.graph
    return Object.fromEntries(nodes.map(({ step, waitsFor }) => [step.key ?? '', waitsFor.map(({ node }) => nodes[node]?.step.key ?? '')]))
  }

  it('a wait that is left out stands between nothing, and the one before it still does', () => {
    expect(arrows(commandStep('a'), waitStep('w'), commandStep('b'), waitStep('x', { if: 'false' }), commandStep('c'), waitStep('y'), commandStep('d'))).toMatchObject({ b: ['w'], c: ['w'], y: ['w', 'b', 'c'], d: ['y'] })
  })

  it('a block that is left out holds up nobody', () => {
    expect(arrows(commandStep('a'), blockStep('ask', { branches: ['dev'] }), commandStep('b'))).toMatchObject({ b: [] })
  })
})
