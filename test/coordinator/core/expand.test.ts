import { expect, it } from 'vitest'
import { expand } from '../../../coordinator/core/expand.ts'
import { graphOf } from '../../../schema/pipeline/graph.ts'
import type { CommandStep } from '../../../schema/pipeline/steps.ts'
import { commandStep, placed } from '../../support/steps.ts'

/** The jobs of one step, or what is wrong with it. */
function expanded(over: Partial<CommandStep>) {
  const steps = placed([commandStep('one', over)])
  const answer = graphOf(steps)
  if (!answer.ok) throw new Error('the graph is right')
  const expansion = expand({ graph: answer.graph, leftOut: new Map(), env: {}, queue: 'default', mostJobs: 100, mostCharacters: 10_000, projects: [], depth: 0 })
  return expansion.ok ? expansion.planned.flatMap(({ jobs }) => jobs) : expansion.mistakes.map(({ message }) => message)
}

const plugins = [{ source: './notes', configuration: { to: 'ada' } }]

it('the plugins of a step are those of each of its jobs', () => {
  expect(expanded({ plugins, parallelism: 2 })).toMatchObject([{ plugins }, { plugins }])
})

it('a step needs a command, or plugins', () => {
  expect(expanded({ command: null, plugins })).toMatchObject([{ command: '', plugins }])
  expect(expanded({ command: null })).toEqual(['the step has no command and no plugins; give one: a step without both has nothing to do.'])
})

it('values of a matrix are filled into plugins', () => {
  const matrix = { setup: { os: ['linux', 'mac'] }, adjustments: [] }
  const greeting = (to: string) => [{ source: './notes', configuration: { to } }]
  expect(expanded({ plugins: greeting('{{matrix.os}}'), matrix })).toMatchObject([{ plugins: greeting('linux') }, { plugins: greeting('mac') }])
})

it('jobs that come to more than a build may hold are refused, before they are made', () => {
  expect(expanded({ command: 'x'.repeat(5000), parallelism: 2 })).toEqual([expect.stringMatching(/more than 8 million characters.*Put long scripts into files/)])
  expect(expanded({ env: { A: '{{matrix}}'.repeat(100) }, matrix: { setup: { '': Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(100, 'x')) }, adjustments: [] } })).toEqual([expect.stringMatching(/million characters/)])
})

it('jobs beyond what one upload may bring are counted and told, however many', () => {
  expect(expanded({ parallelism: 2001 })).toEqual(['these steps are 2001 jobs; one upload may bring 2000. Let a step upload the rest.'])
})
