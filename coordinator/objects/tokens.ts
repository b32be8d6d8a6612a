/**
 * The steps over stored tokens: whom one speaks for, how it is made, how it ends. Tokens that are only signed
 * (`trust/tokens.ts`) have no rows and never come here; the admin token is a secret of the coordinator and has none
 * either, so what was opened with it names it by `adminId`.
 */
import type { CreateTokenRequest, TokenView } from '../../schema/api.ts'
import type { AgentId } from '../../schema/job.ts'
import * as load from '../store/load.ts'
import { tokenView } from '../store/read.ts'
import { problem, type AgentAnswer, type Answer, type DerivedToken, type Principal } from './scheduler-api.ts'
import type { Event } from './event.ts'

/** How often a use is noted: at each request it would cost a row a request. */
const NOTED_EVERY_MS = 3_600_000
const REGISTRATION_LIFE_S = 24 * 3600

/** Null when nobody may be let in by it. A sign-in link is used up by this. */
export function identify(event: Event, sha256: string, kind: 'api' | 'session' | 'login', adminId: string): Principal | null {
  const { on, now } = event
  const row = load.token(on, sha256)
  if (!row || row.kind !== kind || row.scope === null || !isInForce(row, now)) return null
  const root = row.kind === 'api' ? row.id : row.parent
  if (root === null || (root !== row.id && root !== adminId && !isIdInForce(event, root))) return null
  if (kind === 'login') load.tokens.update(on, { id: row.id }, { revokedAt: now })
  else if (row.lastUsedAt === null || now - row.lastUsedAt > NOTED_EVERY_MS) load.tokens.update(on, { id: row.id }, { lastUsedAt: now })
  return { tokenId: row.id, root, name: row.name, scope: row.scope }
}

export function storeToken({ on, now }: Event, id: string, request: CreateTokenRequest | DerivedToken, sha256: string): Answer<TokenView> {
  const lifeS = request.life_s ?? (request.kind === 'registration' ? REGISTRATION_LIFE_S : null)
  const row: load.TokenRow = {
    id,
    kind: request.kind,
    sha256,
    name: request.name,
    scope: request.kind === 'registration' ? null : (request.scope ?? 'build'),
    createdAt: now,
    expiresAt: lifeS === null ? null : now + lifeS * 1000,
    maxUses: request.kind === 'registration' ? (request.max_uses ?? null) : null,
    usedBy: [],
    lastUsedAt: null,
    revokedAt: null,
    parent: request.kind === 'session' || request.kind === 'login' ? request.parent : null,
  }
  load.tokens.insert(on, row)
  return { ok: true, value: tokenView(row) }
}

export function revokeToken({ on, now }: Event, id: string): Answer<TokenView> {
  const row = load.tokens.get(on, { id })
  if (!row) return problem(404, 'token-unknown', 'No such token', `There is no token with the id ${id}. "kedge token list" shows them.`)
  if (row.revokedAt === null) load.tokens.update(on, { id }, { revokedAt: now })
  return { ok: true, value: tokenView({ ...row, revokedAt: row.revokedAt ?? now }) }
}

/** Counts a use, once per agent: a repeated registration after a lost reply is the same use [C1.2]. */
export function useRegistrationToken({ on, now }: Event, sha256: string, agent: AgentId): AgentAnswer<never> | null {
  const row = load.token(on, sha256)
  const refuse = (message: string) => ({ ok: false, code: 'token_invalid', message }) as const
  if (!row) return refuse('this registration token is not known here')
  if (row.kind !== 'registration') return refuse(`a registration token is needed here, and this is a token for ${row.kind === 'api' ? 'the API' : 'people'}`)
  if (row.usedBy.includes(agent)) return null
  if (row.revokedAt !== null) return refuse('this registration token was revoked')
  if (row.expiresAt !== null && row.expiresAt <= now) return refuse('this registration token has expired')
  if (row.maxUses !== null && row.usedBy.length >= row.maxUses) return refuse(`this registration token was used ${row.usedBy.length} times, as often as it may be`)
  load.tokens.update(on, { id: row.id }, { usedBy: [...row.usedBy, agent], lastUsedAt: now })
  return null
}

function isIdInForce({ on, now }: Event, id: string): boolean {
  const row = load.tokens.get(on, { id })
  return row !== null && isInForce(row, now)
}

function isInForce(token: load.TokenRow, now: number): boolean {
  return token.revokedAt === null && (token.expiresAt === null || token.expiresAt > now)
}
