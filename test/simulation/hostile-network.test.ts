import { expect, it } from 'vitest'
import { simulate } from './hostile-network.ts'

it('keeps the invariants in a hostile world, over 60 seeds', () => {
  const found: string[] = []
  let syncs = 0
  let lost = 0
  for (let seed = 1; seed <= 60; seed++) {
    const report = simulate(seed)
    syncs += report.syncs
    lost += report.lost
    for (const violation of report.violations) found.push(`seed ${seed}: ${violation}`)
  }
  expect(found).toEqual([])
  // The world was hostile indeed: otherwise the above says nothing.
  expect(lost).toBeGreaterThan(50)
  expect(syncs).toBeGreaterThan(10_000)
})
