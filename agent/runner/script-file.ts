/**
 * A command that is the name of a file, such as `scripts/test.sh`, is that file: it is made executable and run from where
 * the job stands, as Buildkite's agent does. A shell alone would look for a name without "/" on PATH only, and would
 * refuse a file that was committed without the right to be executed.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { shellWord } from '../shell-word.ts'

/** Shell text that runs the file of which `$0` is the name. */
export const RUN_FILE = 'chmod +x "./$0" && "./$0"'

/** The command as it is run in the folder. A name may end in a line end, as text of a YAML block does. */
export function commandOrFile(command: string, folder: string): string {
  const name = command.replaceAll('\n', '')
  return name !== '' && isFile(join(folder, name)) ? RUN_FILE.replaceAll('"./$0"', () => shellWord(`./${name}`)) : command
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false // not there, or a text that no file could be called
  }
}
