/**
 * The forges that commit statuses are told to, and the credentials for each: the secret `KEDGE_FORGES` of the Worker,
 * or of `kedge dev`. What is wrong with it is said without ever repeating a token.
 */
import { z } from 'zod'
import { parseJson } from './parse-json.ts'

export const FORGE_KINDS = ['github', 'gitlab', 'gitea', 'bitbucket'] as const
export type ForgeKind = (typeof FORGE_KINDS)[number]

/** Hosts whose kind need not be given. */
const KNOWN: Readonly<Record<string, ForgeKind>> = { 'github.com': 'github', 'gitlab.com': 'gitlab', 'codeberg.org': 'gitea', 'bitbucket.org': 'bitbucket' }

export interface Forge {
  /** Where people see it, without a slash at its end: `https://github.com`. */
  readonly url: string
  readonly kind: ForgeKind
  /** Of Bitbucket also `user:app password`. */
  readonly token: string
}

export type ForgesAnswer = { readonly ok: true; readonly forges: readonly Forge[] } | { readonly ok: false; readonly message: string }

/** Without a user, a password or a question in it. */
const ADDRESS = /^https?:\/\/(?<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:\/[\w.~/-]*)?$/i
const EXAMPLE = '[{"url":"https://github.com","token":"…"}]'

const forge = z.strictObject({
  url: z.string().regex(ADDRESS, 'must be the address of the forge and nothing else, such as https://github.com'),
  kind: z.enum(FORGE_KINDS).optional(),
  // A header cannot hold anything else, and a line end is the usual slip.
  token: z.string().regex(/^[\u0021-\u007e]+$/, 'must be the token alone: no blanks, no line end'),
})

/** Nothing, or blanks, is no forge at all. The message is a sentence that names the secret. */
export function parseForges(text: string | undefined): ForgesAnswer {
  if (text === undefined || text.trim() === '') return { ok: true, forges: [] }
  const json = parseJson(text)
  if (json === undefined) return wrong(`is not JSON; it is a list such as ${EXAMPLE}`)
  const read = z.array(forge).safeParse(json)
  if (!read.success) return wrong(sentenceOf(read.error.issues[0]))
  const forges: Forge[] = []
  for (const [at, { url, kind, token }] of read.data.entries()) {
    const host = ADDRESS.exec(url)?.groups?.['host']?.toLowerCase() ?? ''
    const known = kind ?? (Object.hasOwn(KNOWN, host) ? KNOWN[host] : undefined)
    if (known === undefined) return wrong(`[${at}] has no kind, and ${host} is not known here: give "kind", one of ${FORGE_KINDS.join(', ')}`)
    forges.push({ url: url.replace(/\/+$/, ''), kind: known, token })
  }
  const twice = forges.find((one, at) => forges.findIndex(({ url }) => url === one.url) !== at)
  return twice === undefined ? { ok: true, forges } : wrong(`names ${twice.url} twice`)
}

/** Names and places only: what zod says of a value may repeat it. */
function sentenceOf(issue: z.core.$ZodIssue | undefined): string {
  const place = (issue?.path ?? []).map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  const before = place === '' ? '' : `${place} `
  if (issue?.code === 'unrecognized_keys') return `${before}has ${issue.keys.map((key) => JSON.stringify(key.slice(0, 40))).join(', ')}, which nobody knows here: url, kind and token are`
  if (issue?.code === 'invalid_value') return `${before}must be one of ${issue.values.map(String).join(', ')}`
  if (issue?.code === 'invalid_type') return `${before}must be ${issue.expected === 'array' ? `a list such as ${EXAMPLE}` : issue.expected === 'object' ? 'an object with url and token' : 'a text'}`
  return `${before}${issue?.message ?? 'is not understood'}`
}

function wrong(what: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message: `KEDGE_FORGES ${what}.` }
}
