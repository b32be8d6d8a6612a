/** `kedge redactor add` at work, on the file that the agent looks at (`runner/redactions.ts`). */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseJson } from '../../schema/parse-json.ts'
import { SECRET_CHARACTERS } from '../log/variants.ts'
import { appendRedactions, REDACTION_BYTES, redactionBytes } from '../runner/redactions.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { piped } from './piped.ts'
import { present, whyUnread } from './settings.ts'

export function addRedactions(file: string | undefined, { format: given }: { readonly format?: string }, surroundings: Surroundings): ExitCode {
  const { environment, note } = surroundings
  const path = present(environment['KEDGE_REDACTIONS'])
  if (path === undefined) throw new Failure(EXIT.usage, 'this works inside a job only: KEDGE_REDACTIONS, which an agent sets, is not there.')
  const format = given ?? present(environment['BUILDKITE_AGENT_REDACT_ADD_FORMAT']) ?? 'none'
  if (format !== 'none' && format !== 'json') throw new Failure(EXIT.usage, `--format must be none or json, not "${format}".`)
  const text = file === undefined ? piped(surroundings, { what: 'value', otherwise: 'there is nothing to hide: name a file, or write the value to standard input.' }) : read(file, surroundings)
  const values = (format === 'json' ? valuesIn(text) : [text.trim()]).filter((value) => value !== '')
  if (values.some((value) => value.includes('\0'))) throw new Failure(EXIT.usage, 'a value with a zero byte cannot be hidden.')
  const short = values.filter((value) => value.length < SECRET_CHARACTERS).length
  if (short > 0) note(`${short === 1 ? 'a value' : `${short} values`} of fewer than ${SECRET_CHARACTERS} characters ${short === 1 ? 'is' : 'are'} not hidden: half of the log would be.`)
  try {
    const bytes = redactionBytes(path) + values.reduce((sum, value) => sum + Buffer.byteLength(value) + 1, 0)
    if (bytes > REDACTION_BYTES) throw new Failure(EXIT.usage, `with this the job would have ${bytes} bytes of values to hide, and it may have ${REDACTION_BYTES}. Nothing was added.`)
    if (values.length > 0) appendRedactions(path, values)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(EXIT.failed, `cannot tell the agent what to hide: ${error instanceof Error ? error.message : String(error)}.`)
  }
  return EXIT.ok
}

function read(file: string, { folder }: Surroundings): string {
  try {
    return readFileSync(resolve(folder, file), 'utf8')
  } catch (error) {
    throw new Failure(EXIT.usage, `cannot read ${file}: ${whyUnread(error)}.`)
  }
}

function valuesIn(text: string): readonly string[] {
  const json = parseJson(text)
  const values: readonly unknown[] = typeof json === 'object' && json !== null && !Array.isArray(json) ? Object.values(json) : [null]
  if (!values.every((value): value is string => typeof value === 'string')) throw new Failure(EXIT.usage, 'the input is not a JSON object of texts, such as {"password": "…"}.')
  return values
}
