/**
 * Makes a mutant of the real code: one piece of one file's text is another when the file is loaded. Nothing in the code
 * under test knows of it. A text that is not there exactly once is an error, so that a mutant cannot rot unseen.
 */
import { registerHooks } from 'node:module'
import type { Mutant } from './mutants.ts'

const root = new URL('../../', import.meta.url)

/** The file of the mutant, as it is in it; throws what is wrong with the mutant. */
export function mutated({ name, file, and, ...first }: Mutant, source: string): string {
  let text = source
  for (const { from, to } of and === undefined ? [first] : [first, and]) {
    const parts = text.split(from)
    if (parts.length !== 2) throw new Error(`the mutant "${name}" looks for ${JSON.stringify(from)} in ${file} and finds it ${parts.length - 1} times; change test/simulation/mutants.ts`)
    text = parts.join(to)
  }
  return text
}

/** To be called before anything of the product is imported. */
export function makeMutant(mutant: Mutant): void {
  const url = new URL(mutant.file, root).href
  let isMade = false
  registerHooks({
    load: (loaded, context, next) => {
      const module = next(loaded, context)
      if (loaded !== url) return module
      const text = module.source instanceof Uint8Array || module.source instanceof ArrayBuffer ? new TextDecoder().decode(module.source) : String(module.source)
      const source = mutated(mutant, text)
      isMade = true
      return { ...module, source }
    },
  })
  process.on('exit', () => {
    if (!isMade) throw new Error(`the mutant "${mutant.name}" was never made: nothing loads ${mutant.file}`)
  })
}
