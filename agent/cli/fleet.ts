/** Commands about agents, tokens and signing in. Each returns its exit code. */
import { table, type CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { EXIT, type ExitCode } from './output.ts'
import { AGENTS, NEW_TOKEN, SIGN_IN_LINK, TOKEN, TOKENS } from './replies.ts'

export async function listAgents(client: Client, options: { readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const agents = await client.get('/api/v1/agents', AGENTS)
  if (options.json) output.json(agents)
  else if (agents.length === 0) output.line('No agents have joined. Start one with: npx kedge agent --url URL --token REGISTRATION')
  else for (const row of table(agents.map((agent) => [agent.name, agent.state, agent.queue, `${agent.running.length}/${agent.slots}`, agent.tags.join(',') || '-', agent.running.map(({ project, build }) => `${project}#${build}`).join(' ') || '-', agent.reason ?? '']))) output.line(row)
  return EXIT.ok
}

export interface NewToken {
  readonly kind?: 'registration' | 'api'
  readonly name?: string
  readonly scope?: string
  /** Seconds. */
  readonly life?: number
  readonly uses?: number
  readonly json?: boolean
}

export async function createToken(client: Client, options: NewToken, output: CommandOutput): Promise<ExitCode> {
  const kind = options.kind ?? 'api'
  const made = await client.post('/api/v1/tokens', NEW_TOKEN, {
    kind,
    name: options.name ?? `${kind} token made by the command line`,
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    ...(options.life === undefined ? {} : { life_s: options.life }),
    ...(options.uses === undefined ? {} : { max_uses: options.uses }),
  })
  if (options.json) output.json(made)
  else {
    output.line(made.token)
    output.note(`It is shown this once. Id ${made.id}${made.expires_at ? `, ends ${made.expires_at}` : ''}.`)
  }
  return EXIT.ok
}

export async function listTokens(client: Client, options: { readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const tokens = await client.get('/api/v1/tokens', TOKENS)
  if (options.json) output.json(tokens)
  else for (const row of table(tokens.map((token) => [token.id, token.kind, token.scope ?? '-', token.revoked ? 'revoked' : token.expires_at ? `until ${token.expires_at}` : 'no end', `${token.uses} uses`, token.name]))) output.line(row)
  return EXIT.ok
}

export async function revokeToken(client: Client, id: string, options: { readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const token = await client.delete(`/api/v1/tokens/${encodeURIComponent(id)}`, TOKEN)
  if (options.json) output.json(token)
  else output.line(`revoked ${token.name}`)
  return EXIT.ok
}

export async function signInLink(client: Client, options: { readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const link = await client.post('/api/v1/login-links', SIGN_IN_LINK)
  if (options.json) output.json(link)
  else {
    output.line(link.url)
    output.note(`Open it within ten minutes; it works once.`)
  }
  return EXIT.ok
}
