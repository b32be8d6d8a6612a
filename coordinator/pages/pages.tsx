/**
 * The pages' routes: each reads views from the Scheduler and renders them; forms end in a redirect, so that reloading
 * repeats nothing. Who may is decided before, in `worker.ts`; refusals become pages in `http/shell.ts`.
 */
import { Hono } from 'hono'
import { branchName, createBuildRequest, retryRequest, type AnnotationView, type AttemptView, type BuildView, type CreateBuildRequest } from '../../schema/api.ts'
import type { ArtifactPage } from '../../schema/artifacts.ts'
import { BUILD_STATES, type AttemptId } from '../../schema/job.ts'
import buildIsland from '../../dist/islands/build.txt'
import liveIsland from '../../dist/islands/live.txt'
import { ownOrigin, scheduler, type HttpContext, type HttpEnvironment } from '../http/context.ts'
import { readForm } from '../http/input.ts'
import { readLog } from '../http/log.ts'
import { mistakes } from '../http/mistakes.ts'
import { problem, ProblemError, valueOf } from '../http/problem.ts'
import { buildNumberOf, slugOf, stepOf } from '../http/route.ts'
import { sha256Hex } from '../trust/tokens.ts'
import { AgentsPage } from './agents.tsx'
import { annotationKeysOf } from './annotations.tsx'
import { answersOf, type AskForm } from './ask.tsx'
import { BuildDetails, select, type Selection } from './build.tsx'
import { buildPath, BuildsPage, type BuildsQuery } from './builds.tsx'
import { buildWithEmoji } from './emoji.ts'
import { document, type PageFrame } from './layout.tsx'
import { LOG, type LogText } from './log.tsx'
import { BUILD_FIELDS, ProjectPage, type BuildForm } from './project.tsx'
import { ProjectsPage } from './projects.tsx'

const PAGE_OF_BUILDS = 50
const NOTHING_TYPED: BuildForm = { values: {}, problem: null }

export const pageRoutes = new Hono<HttpEnvironment>()

pageRoutes.get('/', async (c) => {
  const query = buildsQuery(c)
  const page = valueOf(await scheduler(c.env).builds(filterOf(null, query), ownOrigin(c)))
  return show(c, <BuildsPage frame={frameOf(c)} page={page} query={query} origin={ownOrigin(c)} islands={[liveIsland]} />)
})

pageRoutes.get('/agents', async (c) => {
  const agents = await scheduler(c.env).agents()
  return show(c, <AgentsPage frame={frameOf(c)} agents={agents} origin={ownOrigin(c)} islands={[liveIsland]} />)
})

pageRoutes.get('/projects', async (c) => {
  const projects = await scheduler(c.env).projects()
  return show(c, <ProjectsPage frame={frameOf(c)} projects={projects} origin={ownOrigin(c)} islands={[liveIsland]} />)
})

pageRoutes.get('/projects/:slug', (c) => showProject(c, NOTHING_TYPED))

pageRoutes.post('/projects/:slug/builds', async (c) => {
  const slug = slugOf(c)
  const form = await readForm(c, 1024 * 1024)
  const values = Object.fromEntries(BUILD_FIELDS.map((name) => [name, form.get(name)?.replace(/\r\n/g, '\n').trim() ?? '']))
  const asked = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''))
  const request = createBuildRequest.safeParse(asked)
  if (!request.success) {
    const errors = mistakes(request.error, createBuildRequest, asked)
    return showProject(c, { values, problem: { detail: 'The build was not started; see what is marked.', errors } }, 422)
  }
  const started = await scheduler(c.env).createBuild(slug, request.data, { idempotencyKey: keyOf(form.get('key'), request.data), origin: ownOrigin(c) })
  if (!started.ok) return showProject(c, { values, problem: started.problem }, 422)
  return c.redirect(buildPath(started.value), 303)
})

// Where a form that was refused left the browser: reloading leads back to the form.
pageRoutes.get('/projects/:slug/builds', (c) => c.redirect(`/projects/${slugOf(c)}`, 303))

pageRoutes.get('/projects/:slug/builds/:number', async (c) => showBuild(c, valueOf(await scheduler(c.env).build(slugOf(c), buildNumberOf(c), ownOrigin(c)))))

pageRoutes.post('/projects/:slug/builds/:number/cancel', async (c) => {
  const build = valueOf(await scheduler(c.env).cancelBuild(slugOf(c), buildNumberOf(c), ownOrigin(c)))
  return c.redirect(buildPath(build), 303)
})

pageRoutes.post('/projects/:slug/builds/:number/retry', async (c) => {
  const only = (await readForm(c)).get('only')
  const request = retryRequest.safeParse(only === null || only === '' ? {} : { only })
  if (!request.success) throw problem(422, { code: 'body-invalid', detail: '"only" must be "failed", or absent to retry all jobs.' })
  const build = valueOf(await scheduler(c.env).retryBuild(slugOf(c), buildNumberOf(c), request.data, ownOrigin(c)))
  return c.redirect(buildPath(build), 303)
})

pageRoutes.post('/projects/:slug/builds/:number/jobs/:id/retry', async (c) => {
  const build = valueOf(await scheduler(c.env).retryJob(c.req.param('id'), ownOrigin(c)))
  return c.redirect(buildPath(build), 303)
})

pageRoutes.post('/projects/:slug/builds/:number/steps/:id/unblock', async (c) => {
  const given = answersOf(await readForm(c, 1024 * 1024))
  const [slug, number, step] = [slugOf(c), buildNumberOf(c), stepOf(c)]
  const answered = await scheduler(c.env).unblock(slug, number, step, { by: c.get('principal').name, given }, ownOrigin(c))
  if (answered.ok) return c.redirect(buildPath(answered.value), 303)
  if (answered.problem.code !== 'answers-invalid') throw new ProblemError(answered.problem)
  return showBuild(c, valueOf(await scheduler(c.env).build(slug, number, ownOrigin(c))), { step, given, problem: answered.problem })
})

// As above: where a form that was refused left the browser.
pageRoutes.get('/projects/:slug/builds/:number/steps/:id/unblock', (c) => c.redirect(`/projects/${slugOf(c)}/builds/${buildNumberOf(c)}`, 303))

async function showBuild(c: HttpContext, stored: BuildView, form: AskForm | null = null): Promise<Response> {
  const build = buildWithEmoji(stored)
  const selection = select(build, { job: c.req.query('job'), attempt: c.req.query('attempt') })
  // A page that refreshes itself follows its log already.
  const [log, annotations, artifacts] = await Promise.all([selection.attempt === null || isRefresh(c) ? null : readTail(c, selection.attempt), readAnnotations(c, build, selection.job?.id ?? null), readArtifacts(c, build, selection)])
  return show(c, <BuildDetails frame={frameOf(c)} build={build} selection={selection} log={log} annotations={annotations} artifacts={artifacts} form={form} islands={[liveIsland, buildIsland]} />, form === null ? 200 : 422)
}

/** Of the selected job, once it has ended: until then the page asks every two seconds, and would ask the Scheduler twice. */
async function readArtifacts(c: HttpContext, { project, number }: BuildView, { job, attempt }: Selection): Promise<ArtifactPage | null> {
  if (job === null || attempt === null || attempt.finished_at === null) return null
  const found = await scheduler(c.env).artifacts(project, number, { job: job.id }, ownOrigin(c))
  return found.ok ? found.value : null
}

async function showProject(c: HttpContext, form: BuildForm, status: 200 | 422 = 200): Promise<Response> {
  const query = buildsQuery(c)
  const slug = slugOf(c)
  const [project, page] = await Promise.all([scheduler(c.env).project(slug), scheduler(c.env).builds(filterOf(slug, query), ownOrigin(c))])
  return show(c, <ProjectPage frame={frameOf(c)} project={valueOf(project)} page={valueOf(page)} query={query} form={form} formKey={crypto.randomUUID()} islands={[liveIsland]} />, status)
}

function show(c: HttpContext, page: unknown, status: 200 | 422 = 200): Response | Promise<Response> {
  return c.html(document(page), status)
}

function frameOf(c: HttpContext): PageFrame {
  return { nonce: c.get('nonce'), principal: c.get('principal') ?? null, now: Date.now(), isRefresh: isRefresh(c) }
}

function isRefresh(c: HttpContext): boolean {
  return c.req.header('x-kedge-refresh') !== undefined
}

/** What is shown of them, unless the page has it already; null then. */
async function readAnnotations(c: HttpContext, build: BuildView, job: string | null): Promise<readonly AnnotationView[] | null> {
  const has = new Set(c.req.header('x-kedge-refresh')?.split(' '))
  if (annotationKeysOf(build.annotations, job).every((key) => has.has(key))) return null
  return valueOf(await scheduler(c.env).annotations(build.project, build.number))
}

/** What the address asks to see; a field that a form left empty asks for nothing. */
function buildsQuery(c: HttpContext): BuildsQuery {
  const [state, branch, cursor] = ['state', 'branch', 'cursor'].map((name) => c.req.query(name)?.trim() || undefined)
  const known = BUILD_STATES.find((one) => one === state)
  if (state !== undefined && known === undefined) throw problem(400, { code: 'query-invalid', detail: `${JSON.stringify(state.slice(0, 80))} is not a state of builds: ${BUILD_STATES.join(', ')} are.` })
  if (branch !== undefined && !branchName.safeParse(branch).success) throw problem(400, { code: 'query-invalid', detail: `${JSON.stringify(branch.slice(0, 80))} is not a branch name that git accepts.` })
  return { state: known, branch, cursor }
}

function filterOf(project: string | null, { state, branch, cursor }: BuildsQuery) {
  return { project, limit: PAGE_OF_BUILDS, ...(state ? { state } : {}), ...(branch ? { branch } : {}), ...(cursor ? { cursor } : {}) }
}

/** The end of an attempt's log; null when it cannot be read now, since the rest of the page can still be shown. */
async function readTail(c: HttpContext, attempt: AttemptView): Promise<LogText | null> {
  const hasEnded = attempt.finished_at !== null
  if (hasEnded && attempt.log_bytes === 0) return { bytes: new Uint8Array(), from: 0, total: 0, ended: true }
  try {
    const log = await readLog(c.env, attempt.id as AttemptId, { from: -LOG.bytes, hasEnded }) // ids of views are the Scheduler's own
    const bytes = new Uint8Array(await new Response(log.body).arrayBuffer())
    return { bytes, from: log.from, total: log.size, ended: log.isSealed }
  } catch (error) {
    console.error(`kedge: the log of ${attempt.id} could not be read for its page`, error)
    return null
  }
}

/** The same form sent twice starts one build [I2]; the same key with other fields is another build, since "back" keeps the key. */
function keyOf(key: string | null, request: CreateBuildRequest): string | null {
  return key === null || !/^[\w-]{1,64}$/.test(key) ? null : `form-${sha256Hex(`${key} ${JSON.stringify(request)}`)}`
}
