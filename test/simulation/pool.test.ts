import { expect, it } from 'vitest'
import { CAUGHT_BY, MUTANTS, type Mutant } from './mutants.ts'
import { liveThrough, type PoolOptions } from './pool.ts'
import type { Told } from './seed-process.ts'

async function told(options: Omit<PoolOptions, 'tell'>, most = Infinity): Promise<readonly Told[]> {
  const all: Told[] = []
  await liveThrough({ ...options, tell: (one) => all.push(one) < most })
  return all
}

function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find((one) => one.name === name)
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"`)
  return mutant
}

it('finds a world in which the fence is missed, and the same world whole with it [C4.5]', async () => {
  const mutant = mutantNamed('no fence')
  const [profile, seed] = CAUGHT_BY[mutant.name] ?? [mutant.profile, 1]
  const violations = async (options: Partial<PoolOptions>) => (await told({ seeds: [seed], profile, processes: 1, ...options })).flatMap(({ report }) => report.violations)
  const [whole, broken] = await Promise.all([violations({}), violations({ mutant })])
  expect(whole).toEqual([])
  expect(broken.length).toBeGreaterThan(0)
})

it('tells of a process that dies as of a broken seed', async () => {
  const mutant: Mutant = { ...mutantNamed('no fence'), from: 'a text that is nowhere' }
  const [one, ...more] = await told({ seeds: [4], profile: 'calm', processes: 1, mutant })
  expect(more).toEqual([])
  expect(one).toMatchObject({ seed: 4, report: { violations: [{ rule: 'crash' }] } })
  expect(one?.report.violations[0]?.text).toContain('finds it 0 times; change test/simulation/mutants.ts')
})

it('ends when nobody wants to hear more', async () => {
  expect(await told({ seeds: [1, 2, 3], profile: 'calm', processes: 1 }, 1)).toHaveLength(1)
})
