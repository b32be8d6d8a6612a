/**
 * Artifacts for people. What jobs upload is hostile to whoever looks at it: a page of theirs must never be one of ours. So
 * it is only ever sent to be saved, as a type that no browser runs, and under a policy that lets it do nothing.
 */
import { Hono } from 'hono'
import { z } from 'zod'
import { ARTIFACT_LIMITS } from '../../schema/artifacts.ts'
import { readArtifact } from '../artifact-store.ts'
import { artifactGone, byteRange } from './artifact-bytes.ts'
import type { HttpEnvironment } from './context.ts'
import { valueOf } from './problem.ts'
import { buildNumberOf, route, slugOf } from './route.ts'

export const artifactRoutes = new Hono<HttpEnvironment>().basePath('/api/v1')

const listQuery = z.strictObject({ job: z.string().max(80).optional(), cursor: z.string().max(ARTIFACT_LIMITS.pathBytes + 80).optional() })

route(artifactRoutes, 'GET /projects/:slug/builds/:number/artifacts', {
  scope: 'read',
  query: listQuery,
  answer: async ({ c, query, scheduler, origin }) => c.json(valueOf(await scheduler.artifacts(slugOf(c), buildNumberOf(c), { job: query.job, after: query.cursor }, origin))),
})

route(artifactRoutes, 'GET /projects/:slug/builds/:number/artifacts/:id{.+}', {
  scope: 'read',
  answer: async ({ c, scheduler, origin }) => {
    const artifact = valueOf(await scheduler.artifact(slugOf(c), buildNumberOf(c), c.req.param('id') ?? '', origin))
    const { range, headers, status } = byteRange(c.req.header('range'), artifact.bytes)
    const body = await readArtifact(c.env, artifact, range)
    if (body === null) throw artifactGone(artifact.path, c.env)
    return new Response(body, { status, headers: { ...headers, ...HARMLESS, 'content-disposition': savedAs(artifact.path), etag: `"${artifact.sha256}"` } })
  },
})

/** Saved whatever it says that it is, and without a right to anything where somebody opens it all the same. */
const HARMLESS = { 'content-type': 'application/octet-stream', 'content-security-policy': "default-src 'none'; sandbox" } as const

/** RFC 6266: the name as it is for those that read it so, and what is left of it in ASCII for others. */
function savedAs(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const exactly = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
  return `attachment; filename="${name.replace(/[^\x20-\x7e]|["\\%]/g, '_')}"; filename*=UTF-8''${exactly}`
}
