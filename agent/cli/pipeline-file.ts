/** Which pipeline file a command means, its text, and how its mistakes are told. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { PlacedMistake } from '../../schema/pipeline/prepare.ts'
import { PIPELINE_FILES } from '../../schema/pipeline/files.ts'
import { showMistake } from '../../schema/pipeline/show-mistake.ts'
import { EXIT, Failure, type Surroundings } from './output.ts'
import { whyUnread } from './settings.ts'

export interface PipelineFile {
  /** As in sentences. */
  readonly name: string
  readonly text: string
}

/** `named` as the user wrote it: a path, `-`, or nothing. */
export function readPipelineFile(named: string | undefined, { folder, input }: Surroundings): PipelineFile {
  if (named === '-' || (named === undefined && input.isPiped())) return { name: 'standard input', text: decoded(input.read(), 'standard input') }
  const name = named ?? PIPELINE_FILES.find((one) => existsSync(resolve(folder, one)))
  if (name === undefined) throw new Failure(EXIT.usage, `there is no pipeline here: ${folder} has none of ${PIPELINE_FILES.join(', ')}. Name the file, or "-" for standard input.`)
  try {
    return { name, text: decoded(readFileSync(resolve(folder, name)), name) }
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(EXIT.usage, `cannot read ${name}: ${whyUnread(error)}.`)
  }
}

function decoded(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Failure(EXIT.usage, `${name} is not UTF-8. Save it as UTF-8.`)
  }
}

/** In the order of the file, each with its line. */
export function tellMistakes(file: PipelineFile, mistakes: readonly PlacedMistake[], { excerpt }: Surroundings): void {
  for (const mistake of mistakes.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)) excerpt(showMistake({ file: file.name, text: file.text, ...mistake }))
}
