/** How the long tests read their command lines, and how they refuse one: what was wrong, what was meant, exit 2. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { nearest } from '../../schema/nearest.ts'

type Parsed<Options extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true }>>

export interface CommandLine<Options extends ParseArgsOptionsConfig> {
  readonly values: Parsed<Options>['values']
  readonly positionals: Parsed<Options>['positionals']
  /** Prints the sentence and leaves. */
  bad(sentence: string): never
}

/** `name` begins each refusal; `--help` prints the usage and leaves. */
export function commandLine<const Options extends ParseArgsOptionsConfig>(name: string, usage: string, options: Options): CommandLine<Options> {
  const bad = (sentence: string): never => {
    console.error(`${name}: ${sentence}`)
    process.exit(2)
  }
  const args = process.argv.slice(2).filter((word) => word !== '--')
  if (args.includes('--help')) {
    console.log(usage)
    process.exit(0)
  }
  try {
    return { ...parseArgs({ args, options, allowPositionals: true }), bad }
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).split('. ')[0] ?? ''
    const unknown = /'--([\w-]+)/.exec(message)?.[1]
    const close = unknown === undefined || unknown in options ? null : nearest(unknown, Object.keys(options))
    return bad(`${message}${close === null ? '.' : `; did you mean --${close}?`}\n${usage}`)
  }
}
