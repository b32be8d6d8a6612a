/** Commands about agents, tokens and signing in. Each returns its exit code. */
import type { AgentView } from '../../schema/api.ts'
import { table, type CommandOutput } from './builds.ts'
import type { Client } from './client.ts'
import { EXIT, Failure, oneLine, type ExitCode } from './output.ts'
import { AGENT, AGENTS, NEW_TOKEN, SIGN_IN_LINK, TOKEN, TOKENS } from './replies.ts'

export async function listAgents(client: Client, options: { readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const agents = await client.get('/api/v1/agents', AGENTS)
  if (options.json) output.json(agents)
  else if (agents.length === 0) output.line('No agents have joined. Start one with: npx kedge agent --url URL --token REGISTRATION')
  else for (const row of table(agents.map((agent) => [agent.name, agent.state, agent.queue, `${agent.running.length}/${agent.slots}`, agent.tags.join(',') || '-', agent.running.map(({ project, build }) => `${project}#${build}`).join(' ') || '-', agent.reason ?? '']))) output.line(row)
  return EXIT.ok
}

export type AgentAction = 'drain' | 'resume' | 'revoke'

const DONE: Readonly<Record<AgentAction, string>> = { drain: 'takes no more jobs, and finishes what it runs', resume: 'takes jobs again', revoke: 'is not let in again, and what it runs may still end' }

/** `named`: its name or id. */
export async function changeAgent(client: Client, action: AgentAction, named: string, options: { readonly json?: boolean }, output: CommandOutput): Promise<ExitCode> {
  const { id } = agentNamed(await client.get('/api/v1/agents', AGENTS), named)
  const agent = await client.post(`/api/v1/agents/${id}/${action}`, AGENT)
  if (options.json) output.json(agent)
  else output.line(`${oneLine(agent.name)} ${DONE[action]}`)
  return EXIT.ok
}

function agentNamed(agents: readonly AgentView[], named: string): AgentView {
  const [found, ...others] = agents.filter(({ id, name }) => id === named || name === named)
  if (found === undefined) throw new Failure(EXIT.usage, `there is no agent "${oneLine(named)}"; there ${agents.length === 1 ? 'is' : 'are'} ${agents.map(({ name }) => oneLine(name)).join(', ') || 'none'}`)
  if (others.length > 0) throw new Failure(EXIT.usage, `${others.length + 1} agents are called "${oneLine(named)}"; name one by its id: ${[found, ...others].map(({ id, state }) => `${id} (${state})`).join(', ')}`)
  return found
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
