/**
 * Makes a mutant of the real code: one piece of one file's text is another when the file is loaded. Nothing in the code
 * under test knows of it. A text that is not there exactly once is an error, so that a mutant cannot rot unseen.
 */
import { registerHooks } from 'node:module'
import type { Mutant } from './mutants.ts'

const root = new URL('../../', import.meta.url)

/** To be called before anything of the product is imported. */
export function makeMutant({ name, file, and, ...first }: Mutant): void {
  const url = new URL(file, root).href
  let isMade = false
  registerHooks({
    load: (loaded, context, next) => {
      const module = next(loaded, context)
      if (loaded !== url) return module
      let text = module.source instanceof Uint8Array || module.source instanceof ArrayBuffer ? new TextDecoder().decode(module.source) : String(module.source)
      for (const { from, to } of and === undefined ? [first] : [first, and]) {
        const parts = text.split(from)
        if (parts.length !== 2) throw new Error(`the mutant "${name}" looks for ${JSON.stringify(from)} in ${file} and finds it ${parts.length - 1} times; change test/simulation/mutants.ts`)
        text = parts.join(to)
      }
      isMade = true
      return { ...module, source: text }
    },
  })
  process.on('exit', () => {
    if (!isMade) throw new Error(`the mutant "${name}" was never made: nothing loads ${file}`)
  })
}
