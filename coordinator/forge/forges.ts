/** Whatever forge a repository is on: which one that is, and how the repository is called there. */
import type { Forge, ForgeKind } from '../../schema/forges.ts'
import { NO_REPOSITORY } from '../core/notify.ts'
import { bitbucket } from './bitbucket.ts'
import type { ForgeApi } from './forge-api.ts'
import { gitea } from './gitea.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { addressOf } from './repository.ts'

export const FORGES: Readonly<Record<ForgeKind, ForgeApi>> = { github, gitlab, gitea, bitbucket }

export type Found = { readonly ok: true; readonly forge: Forge; readonly path: string } | { readonly ok: false; readonly why: string }

/** The forge of a repository, and how that calls it. */
export function forgeOf(repository: string | null, forges: readonly Forge[]): Found {
  if (repository === null) return { ok: false, why: NO_REPOSITORY }
  const address = addressOf(repository)
  if (address === null) return { ok: false, why: 'the repository of the project is a path on a machine, so there is no forge to tell' }
  const ofHost = forges.filter(({ url }) => new URL(url).hostname === address.host)
  const forge = ofHost.find(({ url }) => new URL(url).host === address.hostAndPort) ?? ofHost[0]
  if (forge === undefined) return { ok: false, why: `there are no credentials for ${address.host}: add {"url":"https://${address.host}","token":"…"} to the secret KEDGE_FORGES` }
  const prefix = new URL(forge.url).pathname.replace(/^\/+|\/+$/g, '')
  const path = prefix !== '' && address.isWeb && address.path.startsWith(`${prefix}/`) ? address.path.slice(prefix.length + 1) : address.path
  const { names: [least, most] } = FORGES[forge.kind]
  const names = path.split('/')
  if (names.length < least || names.length > most || names.includes('')) return { ok: false, why: `"${path}" is not the name of a repository on ${address.host}` }
  return { ok: true, forge, path }
}
