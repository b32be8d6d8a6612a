import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CAUGHT_BY, MUTANTS } from './mutants.ts'
import { mutated } from './mutate.ts'
import { liveThrough } from './pool.ts'
import { PROFILES, writeScript, type ProfileName } from './script.ts'
import type { Told } from './seed-process.ts'
import { live } from './world.ts'

describe('a world', () => {
  it('is the same to the last step when it is lived through again', async () => {
    const [one, other] = [await live(writeScript(11), { trace: true }), await live(writeScript(11), { trace: true })]
    expect(one).toEqual(other)
    expect(one.jobs).toBeGreaterThan(10)
  })

  it.each(Object.keys(PROFILES).filter((name) => name !== 'flood' && name !== 'day') as ProfileName[])('keeps every promise where it is %s', async (profile) => {
    for (const seed of [3, 4, 5]) expect((await live(writeScript(seed, profile))).violations).toEqual([])
  })

  it('is hostile indeed: attempts are lost, and still every job ends', async () => {
    let lost = 0
    for (let seed = 20; seed < 30; seed += 1) lost += (await live(writeScript(seed, 'restarts'))).lost
    expect(lost).toBeGreaterThan(30)
  })
})

describe('a mutant', () => {
  it.each(MUTANTS)('"$name" is made of a text that is there exactly once', (mutant) => {
    const text = readFileSync(new URL(`../../${mutant.file}`, import.meta.url), 'utf8')
    expect(mutated(mutant, text)).not.toBe(text)
  })

  it('is caught where the real code is not', async () => {
    const mutant = MUTANTS.find(({ name }) => name === 'slots are given twice')
    const livedThrough = async (options: { readonly mutant?: (typeof MUTANTS)[number] }) => {
      const all: Told[] = []
      await liveThrough({ seeds: [1, 2, 3], profile: 'calm', processes: 1, ...options, tell: (told) => all.push(told) > 0 })
      return all.flatMap(({ report }) => report.violations.map(({ rule }) => rule))
    }
    expect(await livedThrough({})).toEqual([])
    expect(await livedThrough(mutant === undefined ? {} : { mutant })).toContain('I15')
  })

  it('has a known seed only if it is in the list', () => {
    for (const name of Object.keys(CAUGHT_BY)) expect(MUTANTS.map((mutant) => mutant.name)).toContain(name)
  })
})
