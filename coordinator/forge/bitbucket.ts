/** Bitbucket Cloud: a status is known by its key, which is short; a token with a colon in it is a user and an app password. */
import type { Status } from '../core/notify.ts'
import { sha256Hex } from '../trust/tokens.ts'
import type { ForgeApi } from './forge-api.ts'

const STATES: Readonly<Record<Status, string>> = { pending: 'INPROGRESS', success: 'SUCCESSFUL', failure: 'FAILED', error: 'STOPPED' }
const KEY_CHARACTERS = 40

export const bitbucket: ForgeApi = {
  names: [2, 2],
  scope: 'a repository access token with repository:write, or user:app-password',
  request: (forge, { path, sha, branch, state, context, description, url }) => ({
    url: `${apiOf(forge.url)}/repositories/${path.split('/').map(encodeURIComponent).join('/')}/commit/${sha}/statuses/build`,
    headers: { authorization: forge.token.includes(':') ? `Basic ${btoa(forge.token)}` : `Bearer ${forge.token}` },
    body: { key: keyOf(context), state: STATES[state], name: context, description, url, ...(branch === null ? {} : { refname: branch }) },
  }),
}

function keyOf(context: string): string {
  return context.length <= KEY_CHARACTERS ? context : `${context.slice(0, KEY_CHARACTERS - 9)}-${sha256Hex(context).slice(0, 8)}`
}

function apiOf(url: string): string {
  return new URL(url).hostname === 'bitbucket.org' ? 'https://api.bitbucket.org/2.0' : `${url}/2.0`
}
