/**
 * What is said when no route matches: the methods that the path does take, or the route that was probably meant. Both
 * are read from the app's own table of routes, so they cannot fall behind it.
 */
import type { Hono } from 'hono'
import type { HttpContext, HttpEnvironment } from './context.ts'
import { nearest } from '../../schema/nearest.ts'
import { problem } from './problem.ts'

interface Known {
  readonly method: string
  /** `/projects/:slug`. */
  readonly path: string
}

/** The answer to a request that no route took: a problem to throw, or a reply to OPTIONS. */
export function answerUnmatched(app: Hono<HttpEnvironment>, c: HttpContext): Response {
  const known = app.routes.filter((route) => route.method !== 'ALL' && !route.path.includes('*'))
  const allowed = methodsAt(known, c.req.path)
  if (allowed.length > 0) {
    const allow = [...allowed, 'OPTIONS'].join(', ')
    if (c.req.method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } })
    throw problem(405, { code: 'method-not-allowed', detail: `${c.req.method} is not a method of ${shown(c.req.path)}; it takes ${allowed.join(', ')}.`, headers: { allow } })
  }
  const meant = nearestRoute(known, c.req.path)
  throw problem(404, { code: 'route-unknown', detail: `Nothing is at ${shown(c.req.path)}.${meant ? ` Did you mean ${meant}?` : ''}` })
}

function methodsAt(known: readonly Known[], path: string): string[] {
  const methods = new Set<string>()
  for (const route of known) {
    if (!matches(route.path, path)) continue
    methods.add(route.method)
    if (route.method === 'GET') methods.add('HEAD')
  }
  return [...methods].sort()
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return wanted.length === given.length && wanted.every((segment, index) => (segment.startsWith(':') ? given[index] !== '' : segment === given[index]))
}

/** The route whose path is nearest, as `/api/v1/projects/{slug}`. */
function nearestRoute(known: readonly Known[], path: string): string | null {
  const given = path.split('/')
  const spelled = new Map<string, string>()
  for (const { path: pattern } of known) {
    // A parameter takes what stands in its place, so only the fixed words are compared.
    const filled = pattern.split('/').map((segment, index) => (segment.startsWith(':') ? given[index] || segment : segment))
    spelled.set(filled.join('/'), pattern)
  }
  const pattern = spelled.get(nearest(path, spelled.keys()) ?? '')
  return pattern === undefined ? null : pattern.replace(/:(\w+)(?:\{[^}]*\})?/g, '{$1}')
}

function shown(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}…` : path
}
