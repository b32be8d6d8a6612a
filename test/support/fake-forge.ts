/**
 * A forge as strict as none is: it takes a commit status only with the right credentials, of a commit that it has, in a
 * state that it knows, short enough, and never one that takes an end back. What was wrong is kept, for a test to find none.
 */
import type { ForgeKind } from '../../schema/forges.ts'
import { answeringServer, type Answer, type Asked } from './answering-server.ts'

export interface ToldStatus {
  readonly context: string
  readonly state: string
  readonly description: string
  readonly url: string
}

export interface FakeForge {
  readonly url: string
  /** In the order of telling; those that were taken. */
  readonly told: readonly ToldStatus[]
  /** Why others were not. */
  readonly wrong: readonly string[]
  /** The next requests are answered so, whatever they ask. */
  answerNext(...answers: readonly Answer[]): void
  /** A person has the build tried again: what it came to may be taken back. */
  reopen(): void
  readonly asked: readonly Asked[]
}

interface Dialect {
  readonly path: (repository: string, sha: string) => string
  readonly header: readonly [name: string, value: (token: string) => string]
  /** The first is the one of which others may follow. */
  readonly states: readonly string[]
  readonly read: (body: Readonly<Record<string, unknown>>) => Readonly<Record<keyof ToldStatus, unknown>>
  readonly longestContext: number
}

const like = (body: Readonly<Record<string, unknown>>) => ({ context: body['context'], state: body['state'], description: body['description'], url: body['target_url'] })

const DIALECTS: Readonly<Record<ForgeKind, Dialect>> = {
  github: { path: (repository, sha) => `/api/v3/repos/${repository}/statuses/${sha}`, header: ['authorization', (token) => `Bearer ${token}`], states: ['pending', 'success', 'failure', 'error'], read: like, longestContext: 255 },
  gitea: { path: (repository, sha) => `/api/v1/repos/${repository}/statuses/${sha}`, header: ['authorization', (token) => `token ${token}`], states: ['pending', 'success', 'failure', 'error', 'warning'], read: like, longestContext: 255 },
  gitlab: { path: (repository, sha) => `/api/v4/projects/${encodeURIComponent(repository)}/statuses/${sha}`, header: ['private-token', (token) => token], states: ['pending', 'running', 'success', 'failed', 'canceled'], read: (body) => ({ ...like(body), context: body['name'] }), longestContext: 255 },
  bitbucket: { path: (repository, sha) => `/2.0/repositories/${repository}/commit/${sha}/statuses/build`, header: ['authorization', (token) => (token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Bearer ${token}`)], states: ['INPROGRESS', 'SUCCESSFUL', 'FAILED', 'STOPPED'], read: (body) => ({ context: body['key'], state: body['state'], description: body['description'], url: body['url'] }), longestContext: 40 },
}

export async function fakeForge({ kind = 'github', repository, shas, token }: { readonly kind?: ForgeKind; readonly repository: string; readonly shas: readonly string[]; readonly token: string }): Promise<FakeForge> {
  const told: ToldStatus[] = []
  const wrong: string[] = []
  const next: Answer[] = []
  let mayGoBack = false
  const dialect = DIALECTS[kind]
  const refuse = (status: number, message: string): Answer => {
    wrong.push(message)
    return { status, body: { message } }
  }
  const server = await answeringServer(({ method, path, headers, body }) => {
    const instead = next.shift()
    if (instead !== undefined) return instead
    const [header, value] = dialect.header
    if (headers[header] !== value(token)) return refuse(401, 'Bad credentials')
    if ((headers['user-agent'] ?? '') === '') return refuse(403, 'Request forbidden by administrative rules: who asks?')
    const sha = shas.find((one) => path === dialect.path(repository, one))
    if (method !== 'POST' || sha === undefined) return refuse(404, `Not Found: ${method} ${path}`)
    const { context, state, description, url } = dialect.read(body as Readonly<Record<string, unknown>>)
    if (typeof context !== 'string' || typeof state !== 'string' || typeof description !== 'string' || typeof url !== 'string') return refuse(422, `not texts: ${JSON.stringify(body)}`)
    if (!dialect.states.includes(state)) return refuse(422, `no such state: ${state}`)
    if (description.length > 140 || context.length > dialect.longestContext) return refuse(422, 'too long')
    if (!/^https?:\/\/\S+\/builds\/\d+$/.test(url)) return refuse(422, `not the page of a build: ${url}`)
    const before = told.findLast((one) => one.context === context)?.state
    if (before !== undefined && before !== dialect.states[0] && state === dialect.states[0] && !mayGoBack) return refuse(422, `${context} went back from ${before} to ${state}`)
    if (kind === 'gitlab' && before === state) return { status: 400, body: { message: `Cannot transition status via :enqueue from :${state}` } }
    told.push({ context, state, description, url })
    return { status: 201, body: {} }
  })
  return { url: server.url, told, wrong, asked: server.asked, answerNext: (...answers) => void next.push(...answers), reopen: () => void (mayGoBack = true) }
}
