import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { graphOf } from '../../../schema/pipeline/graph.ts'
import type { Dependency, Step } from '../../../schema/pipeline/steps.ts'
import { blockStep, commandStep, groupStep, inputStep, placed, waitStep } from '../../support/steps.ts'

/** Each node as `name ← names`, names of those whose failure is allowed with a question mark. */
function arrows(steps: readonly Step[], known: readonly string[] = []): readonly string[] {
  const answer = graphOf(placed(steps), { known: new Set(known) })
  if (!answer.ok) return answer.mistakes.map(({ path, message }) => `${path.join('.')}: ${message}`)
  const { nodes } = answer.graph
  const name = (index: number) => nodes[index]?.step.key ?? `${nodes[index]?.step.kind}`
  return nodes.map(({ waitsFor, waitsForKnown }, index) => {
    const all = [...waitsFor.map(({ node, allowFailure }) => name(node) + (allowFailure ? '?' : '')), ...waitsForKnown.map(({ step, allowFailure }) => `known ${step}${allowFailure ? '?' : ''}`)]
    return all.length === 0 ? name(index) : `${name(index)} ← ${all.join(' ')}`
  })
}

const on = (...keys: readonly string[]): readonly Dependency[] => keys.map((key) => ({ step: key.replace('?', ''), allowFailure: key.endsWith('?') }))

describe('steps', () => {
  it('without a wait between them may all start at once', () => {
    expect(arrows([commandStep('a'), commandStep('b')])).toEqual(['a', 'b'])
  })

  it('behind a wait wait for it, and it for all before it', () => {
    expect(arrows([commandStep('a'), commandStep('b'), waitStep('w'), commandStep('c'), commandStep('d'), waitStep('x'), commandStep('e')])).toEqual(['a', 'b', 'w ← a b', 'c ← w', 'd ← w', 'x ← w c d', 'e ← x'])
  })

  it('a block stands between as a wait does, an input does not', () => {
    expect(arrows([commandStep('a'), blockStep('ok'), commandStep('b'), inputStep('ask'), commandStep('c'), waitStep('w')])).toEqual(['a', 'ok ← a', 'b ← ok', 'ask', 'c ← ok', 'w ← ok b c'])
  })

  it('with dependencies of their own bypass the waits', () => {
    expect(arrows([commandStep('a'), waitStep('w'), commandStep('b', { dependsOn: on('a') }), commandStep('c', { dependsOn: [] }), commandStep('d')])).toEqual(['a', 'w ← a', 'b ← a', 'c', 'd ← w'])
  })

  it('may depend on one that stands behind them', () => {
    expect(arrows([commandStep('a', { dependsOn: on('b') }), commandStep('b')])).toEqual(['a ← b', 'b'])
  })

  it('allow the failure of one dependency, or of all', () => {
    expect(arrows([commandStep('a'), commandStep('b'), commandStep('c', { dependsOn: on('a?', 'b') }), commandStep('d', { dependsOn: on('a', 'b'), allowDependencyFailure: true })]).slice(2)).toEqual(['c ← a? b', 'd ← a? b?'])
    expect(arrows([commandStep('a'), waitStep('w'), commandStep('b', { allowDependencyFailure: true })]).at(-1)).toBe('b ← w?')
  })

  it('that name one twice, as their group may, wait for it once, and allow its failure only where both do', () => {
    expect(arrows([commandStep('a'), groupStep('g', [commandStep('b', { dependsOn: on('a') }), commandStep('c', { dependsOn: on('a?') })], { dependsOn: on('a?') })]).slice(2)).toEqual(['b ← a', 'c ← a?'])
    expect(arrows([groupStep('g', [commandStep('b', { dependsOn: on('x', 'x?') })], { dependsOn: on('x?') })], ['x'])).toEqual(['g ← b', 'b ← known x'])
  })

  it('a block with dependencies of its own is waited for, and so is what stands before it', () => {
    expect(arrows([commandStep('a'), blockStep('ok', { dependsOn: [] }), commandStep('b'), waitStep('w')])).toEqual(['a', 'ok', 'b ← ok', 'w ← ok a b'])
  })
})

describe('a group', () => {
  it('is done when its steps are, and begins behind the wait before it', () => {
    expect(arrows([commandStep('a'), waitStep('w'), groupStep('g', [commandStep('b'), commandStep('c')]), waitStep('x'), commandStep('d', { dependsOn: on('g') })])).toEqual(['a', 'w ← a', 'g ← b c', 'b ← w', 'c ← w', 'x ← w g', 'd ← g'])
  })

  it('keeps its waits to itself', () => {
    expect(arrows([groupStep('g', [commandStep('a'), waitStep('w'), commandStep('b')]), commandStep('c')])).toEqual(['g ← a w b', 'a', 'w ← a', 'b ← w', 'c'])
  })

  it('gives its dependencies to each of its steps', () => {
    expect(arrows([commandStep('a'), commandStep('b'), groupStep('g', [commandStep('c'), commandStep('d', { dependsOn: on('b') })], { dependsOn: on('a'), allowDependencyFailure: true })])).toEqual(['a', 'b', 'g ← c d', 'c ← a?', 'd ← b a?'])
  })

  it('without steps is done when they would have begun', () => {
    expect(arrows([commandStep('a'), waitStep('w'), groupStep('g', [])]).at(-1)).toBe('g ← w')
  })
})

describe('a mistake', () => {
  it('a key that no step has is told with the nearest that one has', () => {
    expect(arrows([commandStep('build'), commandStep('t', { dependsOn: on('biuld') })])).toEqual(['steps.1.depends_on: no step has the key "biuld"; did you mean "build"?'])
    expect(arrows([commandStep('t', { dependsOn: on('compile-it-all') })])).toEqual(['steps.0.depends_on: no step has the key "compile-it-all"; the keys are: t.'])
  })

  it('steps that wait for each other are shown as a circle', () => {
    expect(arrows([commandStep('a', { dependsOn: on('c') }), commandStep('b', { dependsOn: on('a') }), commandStep('c', { dependsOn: on('b') })])).toEqual([
      'steps.0.depends_on: these steps wait for each other: a → c → b → a. Take one of the dependencies away.',
    ])
    expect(arrows([commandStep('a', { dependsOn: on('a') })])[0]).toContain('a → a')
    expect(arrows([groupStep('g', [commandStep('a', { dependsOn: on('g') })])])[0]).toContain('wait for each other')
    expect(arrows([commandStep('a', { dependsOn: on('w') }), waitStep('w')])[0]).toContain('wait for each other')
  })
})

describe('what is uploaded later', () => {
  it('may depend on steps that the build has already', () => {
    expect(arrows([commandStep('a', { dependsOn: on('old', 'older?') })], ['old', 'older'])).toEqual(['a ← known old known older?'])
  })

  it('ends in the steps after its last wait, and that wait', () => {
    const tail = (steps: readonly Step[]) => {
      const answer = graphOf(placed(steps))
      return answer.ok ? answer.graph.tail.map((index) => answer.graph.nodes[index]?.step.key) : []
    }
    expect(tail([commandStep('a'), commandStep('b')])).toEqual(['a', 'b'])
    expect(tail([commandStep('a'), waitStep('w'), groupStep('g', [commandStep('b')]), commandStep('c')])).toEqual(['w', 'g', 'c'])
  })
})

it('a wait between a thousand steps and a thousand is two thousand arrows', () => {
  const many = (letter: string) => Array.from({ length: 1000 }, (_, i) => commandStep(`${letter}${i}`))
  const answer = graphOf(placed([...many('a'), waitStep('w'), ...many('b')]))
  expect(answer.ok && answer.graph.nodes.reduce((sum, { waitsFor }) => sum + waitsFor.length, 0)).toBe(2000)
})

it('whatever is accepted has no circle: its steps can be done in some order', () => {
  const key = fc.integer({ min: 0, max: 7 }).map((n) => `k${n}`)
  const step = fc.record({ kind: fc.constantFrom('command', 'wait', 'block', 'input'), dependsOn: fc.option(fc.array(key, { maxLength: 3 }), { nil: null }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (drawn) => {
      const make = { command: commandStep, wait: waitStep, block: blockStep, input: inputStep }
      const answer = graphOf(placed(drawn.map(({ kind, dependsOn }, i) => make[kind as keyof typeof make](`k${i}`, { dependsOn: dependsOn === null ? null : on(...dependsOn) }))))
      if (!answer.ok) return answer.mistakes.length > 0
      const done = new Set<number>()
      for (let before = -1; before < done.size; ) {
        before = done.size
        for (const [index, { waitsFor }] of answer.graph.nodes.entries()) if (waitsFor.every(({ node }) => done.has(node))) done.add(index)
      }
      return done.size === answer.graph.nodes.length
    }),
  )
})

describe('an upload that is made to cost', () => {
  it('may name a step that is not there a thousand times, and is told of it once a step', () => {
    const upload = (size: number) => placed([...Array.from({ length: 20 * size }, (_, index) => commandStep(index.toString(36).padStart(2, '_'))), ...Array.from({ length: size }, () => commandStep(null, { dependsOn: on(...Array.from({ length: 50 }, () => 'Zz')) }))])
    const answer = graphOf(upload(3))
    expect(!answer.ok && answer.mistakes.map(({ message }) => message)).toEqual(Array.from({ length: 3 }, () => expect.stringContaining('no step has the key "Zz"')))
  })

  it('of many circles is told of some, and of a long one not each step', () => {
    const all = Array.from({ length: 140 }, (_, index) => `k${index}`)
    const mistakes = (steps: readonly Step[]) => {
      const answer = graphOf(placed(steps))
      return answer.ok ? [] : answer.mistakes.map(({ message }) => message)
    }
    expect(mistakes(all.map((key) => commandStep(key, { dependsOn: on(...all) })))).toHaveLength(100)
    expect(mistakes(all.map((key, index) => commandStep(key, { dependsOn: on(all[(index + 1) % all.length] ?? '') })))).toEqual([expect.stringMatching(/^these steps wait for each other: k0 → k1 → .* → k18 → 120 others → k139 → k0\. /)])
  })

  it('is refused where its steps would wait for each other more often than any need', () => {
    const blocks = (count: number) => Array.from({ length: count }, (_, index) => (index % 2 === 0 ? blockStep(null, { dependsOn: [] }) : commandStep(null)))
    expect(graphOf(placed(blocks(200)))).toMatchObject({ ok: true })
    expect(graphOf(placed(blocks(2000)))).toMatchObject({ ok: false, mistakes: [{ message: expect.stringMatching(/more than 20000 times.*Put a "wait" between/) }] })
  })
})
