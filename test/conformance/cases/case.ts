/**
 * A folder of cases that others wrote: inputs with what Buildkite's own code makes of them, listed in its `index.json`.
 * The repository holds none of them, so that whoever judges can bring a folder that nobody here has seen.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

export interface Case {
  readonly id: string
  readonly kind: string
  /** Whether the published schema takes it; of fixtures of the schema only. */
  readonly valid: boolean | null
  /** The input. */
  read(): string
  /** What is wanted, parsed by the judge's own schema; of kinds that have a file for it. */
  wanted<Wanted>(schema: z.ZodType<Wanted>): Wanted
}

export type Outcome = Right | NotRight

interface Right {
  readonly right: true
  readonly seen?: Seen
}

interface NotRight {
  readonly right: false
  readonly got: string
  readonly wanted: string
  /** Why, when that is known and is no fault. */
  readonly reason?: string
  readonly seen?: Seen
}

/** Whether Kedge would take the pipeline, whatever the case is about. */
export interface Seen {
  /** It waits for steps that some other file brings into the build. */
  readonly needsOthers: boolean
  /** In words. */
  readonly refusals: readonly string[]
}

export type Judge = (one: Case) => Outcome

const INDEX = z.object({
  cases: z.array(z.object({ id: z.string(), kind: z.string(), valid: z.boolean().optional(), files: z.array(z.object({ path: z.string() })).min(1) })),
})

/** A folder that cannot be read as one of cases; the message says why in one sentence. */
export class NoCases extends Error {}

/** In the order of the index. */
export function casesOf(folder: string): readonly Case[] {
  const index = INDEX.safeParse(json(read(folder, 'index.json'), 'index.json'))
  if (!index.success) throw new NoCases(`${join(folder, 'index.json')} is no list of cases: ${index.error.issues[0]?.path.join('.')}: ${index.error.issues[0]?.message}`)
  return index.data.cases.map(({ id, kind, valid, files }) => {
    const isWanted = ({ path }: { readonly path: string }) => path.endsWith('.expected.json')
    const input = files.find((file) => !isWanted(file))?.path ?? ''
    return {
      id,
      kind,
      valid: valid ?? null,
      read: () => read(folder, input),
      wanted: (schema) => {
        const path = files.find(isWanted)?.path ?? input
        const wanted = schema.safeParse(json(read(folder, path), path))
        if (!wanted.success) throw new NoCases(`${join(folder, path)} does not say what is wanted: ${wanted.error.issues[0]?.path.join('.')}: ${wanted.error.issues[0]?.message}`)
        return wanted.data
      },
    }
  })
}

function read(folder: string, path: string): string {
  try {
    return readFileSync(join(folder, path), 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    const hint = path === 'index.json' ? 'a folder of cases has an "index.json" that lists them' : 'the index names it'
    throw new NoCases(`cannot read ${join(folder, path)} (${code}): ${hint}`, { cause: error })
  }
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new NoCases(`${path} is not JSON: ${error instanceof Error ? error.message : ''}`, { cause: error })
  }
}
