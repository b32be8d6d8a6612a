/** `--mutations`: for each mutant, seeds until one catches it. */
import { nearest } from '../../schema/nearest.ts'
import { MUTANTS, type Mutant } from './mutants.ts'
import { liveThrough } from './pool.ts'
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
  const results: Caught[] = []
  for (const mutant of chosen) {
    if (signal.aborted) break
    const caught = await hunt(mutant, seeds, signal)
    results.push(caught)
    if (!json) console.log(`${caught.by === null ? 'SURVIVES' : 'caught  '}  ${mutant.rule.padEnd(6)} ${mutant.name.padEnd(52)} ${caught.by === null ? `${caught.seeds} seeds` : `seed ${caught.by.seed} (${caught.by.profile}) after ${caught.seeds}: ${caught.by.report.violations[0]?.rule} ${caught.by.report.violations[0]?.text.slice(0, 110).replaceAll('\n', ' ')}`}`)
  }
  const survivors = results.filter(({ by }) => by === null)
  if (json) console.log(JSON.stringify({ mutants: results.map(({ mutant, by, seeds: lived }) => ({ name: mutant.name, rule: mutant.rule, seed: by?.seed ?? null, profile: by?.profile ?? null, broke: by?.report.violations[0]?.rule ?? null, seeds: lived })) }))
  else console.log(`${results.length - survivors.length} of ${results.length} mutants caught${results.length < chosen.length ? `, ${chosen.length - results.length} not tried` : ''}${survivors.length === 0 ? '' : `; not caught: ${survivors.map(({ mutant }) => mutant.name).join('; ')}`}`)
  return survivors.length === 0 && results.length === chosen.length ? 0 : 1
}

/** Half of its own profile, half of any. */
async function hunt(mutant: Mutant, most: number, signal: AbortSignal): Promise<Caught> {
  let lived = 0
  let by: Told | null = null
  for (const profile of [mutant.profile, null]) {
    if (by !== null) break
    const first = profile === null ? 500_001 : 1
    await liveThrough({
      seeds: Array.from({ length: Math.ceil(most / 2) }, (_, at) => first + at),
      profile,
      mutant,
      signal,
      tell: (told) => {
        lived += 1
        if (told.report.violations.length > 0) by ??= told
        return by === null
      },
    })
  }
  return { mutant, by, seeds: lived }
}
