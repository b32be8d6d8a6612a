/**
 * Why a question to the coordinator brought no reply, as a sentence for a person. Told apart is what the way out differs
 * for: nothing is there (4), something else is there (4), the token will not do (5), the request will not do (2).
 */
import type { Problem } from '../../schema/api.ts'
import { parseJson } from '../../schema/parse-json.ts'
import { CLOSED, NOBODY, whyUnreachable } from '../unreachable.ts'
import { EXIT, Failure } from './output.ts'

export function unreachable(base: string, error: unknown): Failure {
  const why = whyUnreachable(error).replace(/[.\s]+$/, '')
  const advice = why === NOBODY ? ' Start it with: npx kedge dev' : why === CLOSED && base.startsWith('http:') ? ` If it speaks TLS, ask ${base.replace('http:', 'https:')}` : ''
  return new Failure(EXIT.unreachable, `cannot reach the coordinator at ${base}: ${why}${why.endsWith('?') ? '' : '.'}${advice}`)
}

export function sentElsewhere(base: string, response: Response): Failure {
  const location = response.headers.get('location')
  const target = location === null ? null : URL.parse(location, base)
  if (target?.protocol === 'https:' && target.hostname === new URL(base).hostname) return new Failure(EXIT.unreachable, `${base} sends to ${target.origin}. Use --url ${target.origin}`)
  return new Failure(EXIT.unreachable, `${base} sends elsewhere (${location ?? 'a redirect'}): is this the coordinator's own address, and is no login page of a network in between?`)
}

export function refused(base: string, { response, text, token }: { readonly response: Response; readonly text: string; readonly token: string | null }): Failure {
  const problem = parseJson(text) as Partial<Problem> | null | undefined // looked at, field by field
  if (typeof problem?.detail !== 'string') return new Failure(EXIT.unreachable, `what answers at ${base} is not a coordinator of Kedge, or it is in trouble: it sent ${describe(response, text)}. Check --url.`)
  const isAboutTokens = response.status === 401 || response.status === 403
  const advice = response.status === 401 && token === null ? ' Give one with KEDGE_TOKEN or --token-file.' : ''
  return new Failure(isAboutTokens ? EXIT.notAllowed : response.status >= 500 ? EXIT.unreachable : EXIT.usage, `${inFlags(problem) ?? problem.detail}${advice}`, { places: problem.errors ?? [], code: problem.code ?? null })
}

/** Fields of requests by the flags that fill them: who types `--tag` need not know of `agents.tags[0]`. */
const FLAGS: Readonly<Record<string, string>> = { slug: '--project', repository: '--repo', timeout_s: '--timeout', env: '--env', 'agents.queue': '--queue', 'agents.tags': '--tag', life_s: '--life', max_uses: '--uses', fields: '--field', ...sameNames('commit', 'branch', 'command', 'message', 'priority', 'project', 'state', 'limit', 'kind', 'name', 'scope') }

function sameNames(...fields: readonly string[]): Record<string, string> {
  return Object.fromEntries(fields.map((field) => [field, `--${field}`]))
}

/** Every wrong field by its flag, or null when the refusal is not about fields. */
function inFlags({ errors }: Partial<Problem>): string | null {
  if (!Array.isArray(errors) || errors.length === 0) return null
  const sentences = errors.map(({ path, message }) => {
    const [, field = path, entry] = /^([\w.]+?)(?:\[("?.*"?)\])?$/.exec(path) ?? []
    const [outer = field, ...inner] = field.split('.')
    const flag = FLAGS[field] ?? (FLAGS[outer] === undefined ? null : `${FLAGS[outer]} ${inner.join('.')}`.trim())
    return `${flag === null ? path : `${flag}${entry?.startsWith('"') ? ` ${entry}` : ''}`} ${message}`
  })
  return `${sentences.join('; ')}`.replace(/[.?]?$/, (end) => end || '.')
}

export function notACoordinator(base: string, response: Response, text: string): Failure {
  return new Failure(EXIT.unreachable, `what answers at ${base} is not a coordinator of Kedge: it sent ${describe(response, text)} where a coordinator's JSON was expected. Check --url.`)
}

function describe(response: Response, text: string): string {
  const type = (response.headers.get('content-type') ?? 'no content type').split(';')[0] ?? ''
  if (text.trim() === '') return `an empty answer (status ${response.status})`
  const kind = !/\bjson\b/.test(type) ? type : parseJson(text) === undefined ? 'broken JSON' : "another program's JSON"
  return `${kind} (status ${response.status})`
}
