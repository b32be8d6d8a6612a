/**
 * What every route can rely on: the Worker's bindings, the page's nonce, and who calls. `principal` is there only
 * behind `may(…)` of `auth.ts`; agents have none.
 */
import type { Context } from 'hono'
import type { Environment } from '../environment.ts'
import type { Principal, SchedulerApi } from '../objects/scheduler-api.ts'
import type { Verification } from './agent-credentials.ts'

export interface HttpEnvironment {
  Bindings: Environment
  Variables: { nonce: string; principal: Principal }
}
export type HttpContext = Context<HttpEnvironment>

/** An id is hashed from its name, which is not worth doing at every request. */
const ids = new WeakMap<Environment['SCHEDULER'], DurableObjectId>()

/** The one Scheduler of this installation's one cluster. */
export function scheduler({ SCHEDULER }: Environment): SchedulerApi {
  let id = ids.get(SCHEDULER)
  if (id === undefined) {
    id = SCHEDULER.idFromName('default')
    ids.set(SCHEDULER, id)
  }
  return SCHEDULER.get(id)
}

/** What an agent's signed token is checked with. */
export function verification(c: HttpContext): Verification {
  return { key: c.env.KEDGE_SIGNING_KEY ?? '', now: Date.now() }
}

/** Scheme, host and port under which the caller reached us, for absolute URLs and for the check of `Origin`. */
export function ownOrigin(c: HttpContext): string {
  const url = new URL(c.req.url)
  // A proxy that ends TLS before us says so here; whoever forges it only spoils the answer to himself.
  if (c.req.header('x-forwarded-proto') === 'https') url.protocol = 'https:'
  return url.origin
}
