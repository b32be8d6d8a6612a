/** Lives through seeds in a process of its own, and tells of each: so that all cores are used, and a mutant is never the real thing. */
import type { Mutant } from './mutants.ts'
import type { Report } from './world.ts'
import type { ProfileName } from './script.ts'

export interface Asked {
  readonly seeds: readonly number[]
  readonly profile: ProfileName | null
}

export interface Told {
  readonly seed: number
  readonly profile: ProfileName
  readonly report: Omit<Report, 'trace'>
}

const mutant = process.argv[2] === undefined ? null : (JSON.parse(process.argv[2]) as Mutant) // written by `pool.ts`
if (mutant !== null) (await import('./mutate.ts')).makeMutant(mutant)
const { live } = await import('./world.ts')
const { writeScript } = await import('./script.ts')

process.on('message', async ({ seeds, profile }: Asked) => {
  for (const seed of seeds) {
    const script = writeScript(seed, profile ?? undefined)
    const { trace: _, ...report } = await live(script)
    process.send?.({ seed, profile: script.profile, report } satisfies Told)
  }
  process.send?.('done')
})
process.on('disconnect', () => process.exit(0))
process.send?.('done')
