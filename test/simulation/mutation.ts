/**
 * `--mutations`: for each mutant, seeds until one catches it; first the one that is known to. Several mutants are tried at
 * a time, each in a process of its own.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { nearest } from '../../schema/nearest.ts'
import { CAUGHT_BY, MUTANTS, type Mutant } from './mutants.ts'
import { mutated } from './mutate.ts'
import { liveThrough } from './pool.ts'
import type { ProfileName } from './script.ts'
import type { Told } from './seed-process.ts'

export interface MutationOptions {
  /** Parts of names; none: all. */
  readonly names: readonly string[]
  /** Most seeds for one mutant. */
  readonly seeds: number
  readonly json: boolean
  readonly signal: AbortSignal
}

interface Caught {
  readonly mutant: Mutant
  readonly by: Told | null
  readonly seeds: number
}

/** Resolves with the exit status: 0 when all were caught. */
export async function showMutants({ names, seeds, json, signal }: MutationOptions): Promise<number> {
  for (const name of names) {
    if (MUTANTS.some((mutant) => mutant.name.includes(name))) continue
    const close = nearest(name, MUTANTS.map((mutant) => mutant.name))
    console.error(`simulate: no mutant is named like "${name}"${close === null ? '' : `; did you mean "${close}"?`} There are:\n${MUTANTS.map((mutant) => `  ${mutant.name}`).join('\n')}`)
    return 2
  }
  const chosen = names.length === 0 ? MUTANTS : MUTANTS.filter((mutant) => names.some((name) => mutant.name.includes(name)))
  // One that cannot be made dies in its process, which would look as if it had been caught.
  for (const mutant of chosen) {
    try {
      mutated(mutant, readFileSync(new URL(`../../${mutant.file}`, import.meta.url), 'utf8'))
    } catch (error) {
      console.error(`simulate: ${error instanceof Error ? error.message : String(error)}`)
      return 2
    }
  }
  const results: Caught[] = []
  const queue = chosen[Symbol.iterator]()
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const mutant of queue) {
      if (signal.aborted) return
      const caught = await hunt(mutant, seeds, signal)
      if (signal.aborted && caught.by === null) return
      results.push(caught)
      if (!json) console.log(line(caught))
    }
  }))
  const survivors = results.filter(({ by }) => by === null)
  if (json) console.log(JSON.stringify({ mutants: results.map(({ mutant, by, seeds: lived }) => ({ name: mutant.name, rule: mutant.rule, seed: by?.seed ?? null, profile: by?.profile ?? null, broke: by?.report.violations[0]?.rule ?? null, seeds: lived })) }))
  else console.log(`${results.length - survivors.length} of ${results.length} mutants caught${results.length < chosen.length ? `, ${chosen.length - results.length} not tried` : ''}${survivors.length === 0 ? '' : `; not caught: ${survivors.map(({ mutant }) => mutant.name).join('; ')}`}`)
  return survivors.length === 0 && results.length === chosen.length ? 0 : 1
}

function line({ mutant, by, seeds }: Caught): string {
  const how = by === null ? `${seeds} seeds` : `seed ${by.seed} (${by.profile}) after ${seeds}: ${by.report.violations[0]?.rule} ${by.report.violations[0]?.text.slice(0, 110).replaceAll('\n', ' ')}`
  return `${by === null ? 'SURVIVES' : 'caught  '}  ${mutant.rule.padEnd(6)} ${mutant.name.padEnd(52)} ${how}`
}

/** The known seed, then half of its own profile, then half of any. */
async function hunt(mutant: Mutant, most: number, signal: AbortSignal): Promise<Caught> {
  let lived = 0
  let by: Told | null = null
  const tell = (told: Told): boolean => {
    lived += 1
    if (told.report.violations.length > 0) by ??= told
    return by === null
  }
  const known = CAUGHT_BY[mutant.name]
  const half = Math.ceil(most / 2)
  const grounds: readonly { readonly profile: ProfileName | null; readonly seeds: readonly number[] }[] = [
    ...(known === undefined ? [] : [{ profile: known[0], seeds: [known[1]] }]),
    { profile: mutant.profile, seeds: Array.from({ length: half }, (_, at) => 1 + at) },
    { profile: null, seeds: Array.from({ length: half }, (_, at) => 500_001 + at) },
  ]
  for (const { profile, seeds } of grounds) if (by === null && !signal.aborted) await liveThrough({ seeds, profile, mutant, processes: 1, signal, tell })
  return { mutant, by, seeds: lived }
}
