/**
 * The Worker: every route of Kedge by name, and the two Durable Objects. It decides nothing; what all requests share is
 * in `http/shell.ts`. Order matters only where people are let in: `may(…)` stands before what it guards.
 */
import { Hono } from 'hono'
import { sweepArtifacts } from './artifact-store.ts'
import { artifactMs, type Environment } from './environment.ts'
import { agentRoutes } from './http/agent.ts'
import { apiRoutes } from './http/api.ts'
import { artifactRoutes } from './http/artifacts.ts'
import { attemptRoutes } from './http/attempt.ts'
import { may } from './http/auth.ts'
import type { HttpEnvironment } from './http/context.ts'
import { jobArtifactRoutes } from './http/job-artifacts.ts'
import { jobRoutes } from './http/job.ts'
import { jobAnnotationRoutes } from './http/job-annotations.ts'
import { jobStepRoutes } from './http/job-steps.ts'
import { logRoutes } from './http/log.ts'
import { sessionRoutes } from './http/session.ts'
import { createShell } from './http/shell.ts'
import { pageRoutes } from './pages/pages.tsx'

export { JobLog } from './objects/job-log.ts'
export { Scheduler } from './objects/scheduler.ts'

const app = createShell()

// Agents: their own credentials, their own refusals.
app.route('/', agentRoutes)
app.route('/', attemptRoutes)
app.route('/', jobRoutes)
app.route('/', jobAnnotationRoutes)
app.route('/', jobStepRoutes)
app.route('/', jobArtifactRoutes)

// People.
app.route('/', sessionRoutes)
app.route('/', apiRoutes)
app.route('/', artifactRoutes)
app.use('/api/v1/jobs/*', may('read'))
app.route('/', logRoutes)
app.route('/', guarded(pageRoutes))

export default {
  fetch: app.fetch,
  /** Once a day (`triggers` of wrangler.toml; `agent/embedded.ts`): what has been kept for long enough is removed. */
  scheduled: async (_: ScheduledController, env: Environment) => {
    await sweepArtifacts(env, Date.now() - artifactMs(env))
  },
}

/** Pages are read with `read`; their forms start, cancel and retry, which takes `build`. */
function guarded(pages: Hono<HttpEnvironment>): Hono<HttpEnvironment> {
  const read = may('read')
  const build = may('build')
  const app = new Hono<HttpEnvironment>()
  for (const path of ['/', '/agents', '/projects/*']) app.use(path, (c, next) => (c.req.method === 'GET' || c.req.method === 'HEAD' ? read(c, next) : build(c, next)))
  return app.route('/', pages)
}
