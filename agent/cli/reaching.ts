/** What the commands of people have in common: where the coordinator is, who asks, and how they speak. */
import type { Command } from 'commander'
import type { CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { oneLine, type Surroundings } from './output.ts'
import { coordinatorUrl, DEFAULT_URL, firstOf, plainToken, present, tokenFrom } from './settings.ts'

export interface AccessFlags {
  readonly url?: string
  readonly tokenFile?: string
}

/** The same flags for every command. */
export function reaching(command: Command): Command {
  return command.option('--url <url>', `address of the coordinator (KEDGE_URL; ${DEFAULT_URL})`).option('--token-file <file>', 'file that holds your token (else KEDGE_TOKEN)').option('--json', 'answer with one line of JSON')
}

export async function clientOf(flags: AccessFlags, surroundings: Surroundings): Promise<Client> {
  const { environment } = surroundings
  const { createClient } = await import('./client.ts')
  const variable = present(environment['KEDGE_TOKEN'])
  const token = flags.tokenFile !== undefined ? tokenFrom(flags.tokenFile, surroundings) : variable === undefined ? null : plainToken(variable, 'KEDGE_TOKEN')
  return createClient({ url: coordinatorUrl(firstOf({ flag: ['--url', flags.url], variable: ['KEDGE_URL', environment['KEDGE_URL']], otherwise: DEFAULT_URL })), token })
}

export function outputOf(surroundings: Surroundings): CommandOutput {
  return {
    line: (text) => surroundings.print(text),
    json: (value) => surroundings.print(JSON.stringify(value)),
    log: (bytes) => void process.stdout.write(bytes),
    note: (text) => surroundings.note(oneLine(text)),
  }
}
