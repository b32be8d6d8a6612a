/** GitLab, whose projects may lie in groups of groups. It refuses a status that is as it was before. */
import type { Status } from '../core/notify.ts'
import type { ForgeApi } from './forge-api.ts'

const STATES: Readonly<Record<Status, string>> = { pending: 'pending', success: 'success', failure: 'failed', error: 'canceled' }

export const gitlab: ForgeApi = {
  names: [2, 20],
  scope: 'a project or group access token with the scope api, of a developer or more',
  request: (forge, { path, sha, branch, state, context, description, url }) => ({
    url: `${forge.url}/api/v4/projects/${encodeURIComponent(path)}/statuses/${sha}`,
    headers: { 'private-token': forge.token },
    body: { state: STATES[state], name: context, description, target_url: url, ...(branch === null ? {} : { ref: branch }) },
  }),
  isThere: (status, body) => status === 400 && body.includes('Cannot transition status'),
}
