/**
 * One way to declare a REST route: which scope, which query, which body. A route that names no query or body takes none,
 * so nothing that a person sends is ever silently ignored. The caller is known and allowed before anything is read.
 */
import type { Hono } from 'hono'
import { z } from 'zod'
import { projectSlug, type Scope } from '../../schema/api.ts'
import type { Principal, SchedulerApi } from '../objects/scheduler-api.ts'
import { may } from './auth.ts'
import { ownOrigin, scheduler, type HttpContext, type HttpEnvironment } from './context.ts'
import { readBody, readQuery } from './input.ts'
import { problem } from './problem.ts'

const nothing = z.strictObject({})
type Nothing = z.infer<typeof nothing>

/** What a route's function is given: everything checked. */
export interface Asked<Query, Body> {
  readonly query: Query
  readonly body: Body
  readonly scheduler: SchedulerApi
  readonly principal: Principal
  /** For absolute URLs. */
  readonly origin: string
  readonly c: HttpContext
}

interface Declaration<Query, Body> {
  readonly scope: Scope
  readonly query?: z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  readonly answer: (asked: Asked<Query, Body>) => Response | Promise<Response>
}

/** Adds `GET /path` or `POST /path` and so on to the app. */
export function route<Query = Nothing, Body = Nothing>(app: Hono<HttpEnvironment>, line: `${'GET' | 'POST' | 'DELETE'} /${string}`, declaration: Declaration<Query, Body>): void {
  const [method, path] = line.split(' ') as [string, string] // the type of `line` holds one space
  const querySchema = declaration.query ?? (nothing as unknown as z.ZodType<Query>) // without a schema, Query is Nothing
  const bodySchema = declaration.body ?? (nothing as unknown as z.ZodType<Body>) // likewise
  app.on(method, path, may(declaration.scope), async (c) => {
    const query = readQuery(c, querySchema)
    const body = method === 'GET' ? ({} as Body) : await readBody(c, bodySchema) // no GET declares a body
    return declaration.answer({ query, body, scheduler: scheduler(c.env), principal: c.get('principal'), origin: ownOrigin(c), c })
  })
}

/** `:slug` of the path. */
export function slugOf(c: HttpContext): string {
  const slug = c.req.param('slug') ?? ''
  const checked = projectSlug.safeParse(slug)
  if (checked.success) return slug
  throw problem(404, { code: 'project-unknown', detail: `${quoted(slug)} cannot be a project: its slug ${checked.error.issues[0]?.message ?? 'is malformed'}.` })
}

/** `:number` of the path. */
export function buildNumberOf(c: HttpContext): number {
  const text = c.req.param('number') ?? ''
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw problem(404, { code: 'build-unknown', detail: `${quoted(text)} cannot be a build: a build number is a whole number from 1, such as 82.` })
}

/** `:id` of the path, which must look like this. */
export function idOf(c: HttpContext, { pattern, code, means }: { readonly pattern: RegExp; readonly code: string; readonly means: string }): string {
  const id = c.req.param('id') ?? ''
  if (pattern.test(id)) return id
  throw problem(404, { code, detail: `${quoted(id)} cannot be ${means}.` })
}

const STEP = { pattern: /^[\w.:-]{1,100}$/, code: 'step-unknown', means: "a step: name it by its key, or by its number as the build's steps show it" }

/** `:id` of the path, where it names a step. */
export function stepOf(c: HttpContext): string {
  return idOf(c, STEP)
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
