/** Gitea and Forgejo. They take states that nobody knows without a word, so ours must be right. */
import type { ForgeApi } from './forge-api.ts'

export const gitea: ForgeApi = {
  names: [2, 2],
  scope: 'an access token with write:repository',
  request: (forge, { path, sha, state, context, description, url }) => ({
    url: `${forge.url}/api/v1/repos/${path.split('/').map(encodeURIComponent).join('/')}/statuses/${sha}`,
    headers: { authorization: `token ${forge.token}` },
    body: { state, context, description, target_url: url },
  }),
}
