/** Standard input as the text that a command was to be given. */
import { EXIT, Failure, type Surroundings } from './output.ts'

/** `otherwise` is said where nothing is piped. */
export function piped({ input }: Pick<Surroundings, 'input'>, { what, otherwise }: { readonly what: string; readonly otherwise: string }): string {
  if (!input.isPiped()) throw new Failure(EXIT.usage, otherwise)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input.read())
  } catch {
    throw new Failure(EXIT.usage, `the ${what} on standard input is not UTF-8. Encode it, for example with base64.`)
  }
}
