import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Dice } from './chance.ts'
import { SimDisk, type DiskUser } from './disk.ts'
import { CAUGHT_BY, MUTANTS } from './mutants.ts'
import { liveThrough } from './pool.ts'
import { PROFILES, writeScript, type ProfileName } from './script.ts'
import type { Told } from './seed-process.ts'
import { VirtualTime } from './time.ts'
import { live } from './world.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

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
  it.each(MUTANTS)('"$name" is made of a text that is there exactly once', ({ file, from, and }) => {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    for (const piece of and === undefined ? [from] : [from, and.from]) expect(text.split(piece)).toHaveLength(2)
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

describe('the disk of a world', () => {
  const user: DiskUser = { isAlive: true, frozenUntil: 0, diesIn: null, die: () => undefined }
  const fresh = (seed: number) => new SimDisk(new VirtualTime(), new Dice(seed, 'disk'), { going: () => undefined })

  it('keeps what was synced, its name included, through every power failure', async () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const disk = fresh(seed)
      const own = disk.for(user)
      await own.makeFolder('/state')
      await own.syncFolder('/')
      await own.writeDurably('/state/a', bytes('kept'))
      disk.losePower()
      expect(disk.contents('/state/a')).toEqual(bytes('kept'))
    }
  })

  it('may forget what was not', async () => {
    const left = new Set<string>()
    for (let seed = 1; seed <= 60; seed += 1) {
      const disk = fresh(seed)
      const own = disk.for(user)
      await own.makeFolder('/state')
      await own.syncFolder('/')
      await own.write('/state/a', bytes('perhaps'))
      disk.losePower()
      const found = disk.contents('/state/a')
      left.add(found === null ? 'gone' : found.byteLength < 7 ? 'torn' : 'there')
    }
    expect([...left].sort()).toEqual(['gone', 'there', 'torn'])
  })

  it('takes a part of what does not fit, and says that it is full', async () => {
    const disk = fresh(1)
    const own = disk.for(user)
    await own.makeFolder('/state')
    disk.capacity = 4
    await expect(own.write('/state/a', bytes('too much'))).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(disk.contents('/state/a')).toEqual(bytes('too '))
  })
})

describe('virtual time', () => {
  it('lets things happen in order, not those that were taken back or whose owner is dead, and later those of a frozen one', async () => {
    const time = new VirtualTime()
    const happened: string[] = []
    const dead = { isAlive: false, frozenUntil: 0 }
    const frozen = { isAlive: true, frozenUntil: 50 }
    time.after(20, () => happened.push(`second at ${time.now}`))
    time.after(10, () => happened.push(`first at ${time.now}`))
    time.after(5, () => happened.push('never'))()
    time.after(5, () => happened.push('of the dead'), dead)
    time.after(15, () => happened.push(`thawed at ${time.now}`), frozen)
    await time.run(100, () => false)
    expect(happened).toEqual(['first at 10', 'second at 20', 'thawed at 50'])
  })
})
