/** Which buttons a person sees. Only a courtesy: `http/auth.ts` decides what is taken. */
import type { Principal } from '../objects/scheduler-api.ts'

export function mayBuild(principal: Principal | null): boolean {
  return principal !== null && principal.scope !== 'read'
}
