/**
 * The REST API of people and scripts, `/api/v1`: each route says who may, what it takes, and which of the Scheduler's
 * calls answers it. No rule of what a build is lives here. The job's log is in `log.ts`.
 */
import { Hono } from 'hono'
import { z } from 'zod'
import { branchName, createBuildRequest, createProjectRequest, createTokenRequest, LIMITS, projectSlug, retryRequest, unblockRequest } from '../../schema/api.ts'
import { AGENT_ID, BUILD_STATES } from '../../schema/job.ts'
import type { BuildsFilter } from '../objects/scheduler-api.ts'
import { newToken, sha256Hex } from '../trust/tokens.ts'
import type { HttpEnvironment } from './context.ts'
import { idempotencyKey } from './input.ts'
import { valueOf } from './problem.ts'
import { buildNumberOf, idOf, route, slugOf, stepOf } from './route.ts'
import { LOGIN_LINK_SECONDS } from './session.ts'

const DEFAULT_PAGE = 30
const AGENT = { pattern: AGENT_ID, code: 'agent-unknown', means: 'an agent: an agent id is "a_" and 20 characters of a-z and 0-9; GET /api/v1/agents lists them' }
const JOB = { pattern: /^J\d{1,9}-\d{1,9}-\d{1,6}$/, code: 'job-unknown', means: 'a job: a job id looks like J1-82-1; a build shows those of its jobs' }
const TOKEN = { pattern: /^[\w-]{1,64}$/, code: 'token-unknown', means: "a token's id; GET /api/v1/tokens lists them" }

const projectBuildsQuery = z.strictObject({
  state: z.enum(BUILD_STATES).optional(),
  branch: branchName.optional(),
  limit: z
    .string()
    .refine((text) => /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= LIMITS.pageOfBuilds, `must be a whole number from 1 to ${LIMITS.pageOfBuilds}`)
    .transform(Number)
    .optional(),
  cursor: z
    .string()
    .regex(/^[\w.~:-]{1,256}$/, 'must be the "next_cursor" of an earlier page, unchanged')
    .optional(),
})
const buildsQuery = projectBuildsQuery.extend({ project: projectSlug.optional() })

const newTokenRequest = createTokenRequest
  .refine((request) => request.kind === 'api' || request.scope === undefined, { path: ['scope'], message: 'belongs to API tokens only; a registration token lets agents join and nothing else' })
  .refine((request) => request.kind === 'registration' || request.max_uses === undefined, { path: ['max_uses'], message: 'belongs to registration tokens only' })

export const apiRoutes = new Hono<HttpEnvironment>().basePath('/api/v1')

// Projects
route(apiRoutes, 'GET /projects', { scope: 'read', answer: async ({ c, scheduler }) => c.json(await scheduler.projects()) })
route(apiRoutes, 'POST /projects', {
  scope: 'admin',
  body: createProjectRequest,
  answer: async ({ c, body, scheduler }) => {
    const project = valueOf(await scheduler.createProject(body))
    return c.json(project, 201, { location: `/api/v1/projects/${project.slug}` })
  },
})
route(apiRoutes, 'GET /projects/:slug', { scope: 'read', answer: async ({ c, scheduler }) => c.json(valueOf(await scheduler.project(slugOf(c)))) })

// Builds
route(apiRoutes, 'POST /projects/:slug/builds', {
  scope: 'build',
  body: createBuildRequest,
  answer: async ({ c, body, scheduler, origin }) => {
    const build = valueOf(await scheduler.createBuild(slugOf(c), body, { idempotencyKey: idempotencyKey(c), origin }))
    return c.json(build, 201, { location: `/api/v1/projects/${build.project}/builds/${build.number}` })
  },
})
route(apiRoutes, 'GET /projects/:slug/builds', {
  scope: 'read',
  query: projectBuildsQuery,
  answer: async ({ c, query, scheduler, origin }) => c.json(valueOf(await scheduler.builds(filterOf(slugOf(c), query), origin))),
})
route(apiRoutes, 'GET /builds', {
  scope: 'read',
  query: buildsQuery,
  answer: async ({ c, query, scheduler, origin }) => c.json(valueOf(await scheduler.builds(filterOf(query.project ?? null, query), origin))),
})
route(apiRoutes, 'GET /projects/:slug/builds/:number', {
  scope: 'read',
  answer: async ({ c, scheduler, origin }) => c.json(valueOf(await scheduler.build(slugOf(c), buildNumberOf(c), origin))),
})
route(apiRoutes, 'GET /projects/:slug/builds/:number/annotations', {
  scope: 'read',
  answer: async ({ c, scheduler }) => c.json(valueOf(await scheduler.annotations(slugOf(c), buildNumberOf(c)))),
})
route(apiRoutes, 'GET /projects/:slug/builds/:number/meta-data', {
  scope: 'read',
  answer: async ({ c, scheduler }) => c.json(valueOf(await scheduler.metaDataOfBuild(slugOf(c), buildNumberOf(c)))),
})
route(apiRoutes, 'POST /projects/:slug/builds/:number/cancel', {
  scope: 'build',
  answer: async ({ c, scheduler, origin }) => c.json(valueOf(await scheduler.cancelBuild(slugOf(c), buildNumberOf(c), origin))),
})
route(apiRoutes, 'POST /projects/:slug/builds/:number/retry', {
  scope: 'build',
  body: retryRequest,
  answer: async ({ c, body, scheduler, origin }) => c.json(valueOf(await scheduler.retryBuild(slugOf(c), buildNumberOf(c), body, origin))),
})

route(apiRoutes, 'POST /jobs/:id/retry', {
  scope: 'build',
  answer: async ({ c, scheduler, origin }) => c.json(valueOf(await scheduler.retryJob(idOf(c, JOB), origin))),
})
route(apiRoutes, 'POST /projects/:slug/builds/:number/steps/:id/unblock', {
  scope: 'build',
  body: unblockRequest,
  answer: async ({ c, body, principal, scheduler, origin }) => c.json(valueOf(await scheduler.unblock(slugOf(c), buildNumberOf(c), stepOf(c), { by: principal.name, given: body.fields }, origin))),
})

// Agents
route(apiRoutes, 'GET /agents', { scope: 'read', answer: async ({ c, scheduler }) => c.json(await scheduler.agents()) })
for (const action of ['drain', 'resume', 'revoke'] as const) {
  route(apiRoutes, `POST /agents/:id/${action}`, { scope: 'admin', answer: async ({ c, scheduler }) => c.json(valueOf(await scheduler.changeAgent(idOf(c, AGENT), action))) })
}

// Tokens: the text of one is in the reply that makes it, and nowhere else ever.
route(apiRoutes, 'GET /tokens', { scope: 'admin', answer: async ({ c, scheduler }) => c.json(await scheduler.tokens()) })
route(apiRoutes, 'POST /tokens', {
  scope: 'admin',
  body: newTokenRequest,
  answer: async ({ c, body, scheduler }) => {
    const token = newToken(body.kind === 'api' ? 'api' : 'reg')
    const view = valueOf(await scheduler.storeToken(body, sha256Hex(token)))
    return c.json({ ...view, token }, 201)
  },
})
route(apiRoutes, 'DELETE /tokens/:id', { scope: 'admin', answer: async ({ c, scheduler }) => c.json(valueOf(await scheduler.revokeToken(idOf(c, TOKEN)))) })
route(apiRoutes, 'POST /login-links', {
  scope: 'admin',
  answer: async ({ c, principal, scheduler, origin }) => {
    const token = newToken('lgn')
    const view = valueOf(await scheduler.storeToken({ kind: 'login', name: principal.name, scope: principal.scope, life_s: LOGIN_LINK_SECONDS, parent: principal.root }, sha256Hex(token)))
    return c.json({ url: `${origin}/sign-in?token=${token}`, expires_at: view.expires_at }, 201)
  },
})

function filterOf(project: string | null, { state, branch, limit, cursor }: z.infer<typeof projectBuildsQuery>): BuildsFilter {
  return { project, limit: limit ?? DEFAULT_PAGE, ...(state ? { state } : {}), ...(branch ? { branch } : {}), ...(cursor ? { cursor } : {}) }
}
