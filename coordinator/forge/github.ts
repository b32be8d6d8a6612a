/** GitHub and GitHub Enterprise: the newest status of a context counts; 1000 for one commit and context. */
import type { ForgeApi } from './forge-api.ts'

export const github: ForgeApi = {
  names: [2, 2],
  scope: 'a fine-grained token with "Commit statuses: write", or a classic one with repo:status',
  request: (forge, { path, sha, state, context, description, url }) => ({
    url: `${apiOf(forge.url)}/repos/${path.split('/').map(encodeURIComponent).join('/')}/statuses/${sha}`,
    headers: { authorization: `Bearer ${forge.token}`, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' },
    body: { state, context, description, target_url: url },
  }),
}

function apiOf(url: string): string {
  return new URL(url).hostname === 'github.com' ? 'https://api.github.com' : `${url}/api/v3`
}
