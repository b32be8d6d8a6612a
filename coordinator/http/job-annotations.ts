/** Annotations of a build, as its running jobs write and remove them: beside what `job.ts` has, with the same token. */
import { Hono } from 'hono'
import { ANNOTATION_LIMITS } from '../../schema/annotations.ts'
import { annotate, removeAnnotation, type AnnotateReply, type RemoveAnnotationReply } from '../../schema/job-calls.ts'
import { sha256Hex } from '../trust/tokens.ts'
import { scheduler, type HttpEnvironment } from './context.ts'
import { idempotencyKey, neededIdempotencyKey, readBody, readQuery } from './input.ts'
import { callerOf } from './job.ts'
import { valueOf } from './problem.ts'

/** JSON may make six bytes of one. */
const BODY_BYTES = 6 * ANNOTATION_LIMITS.bodyBytes + 4096

export const jobAnnotationRoutes = new Hono<HttpEnvironment>()

jobAnnotationRoutes.post('/v1/attempts/:attempt/annotations', async (c) => {
  const attempt = callerOf(c)
  const asked = await readBody(c, annotate, BODY_BYTES)
  const key = asked.append ? neededIdempotencyKey(c, 'What is appended') : idempotencyKey(c)
  const bytes = valueOf(await scheduler(c.env).annotate(attempt, { asked, key, digest: sha256Hex(JSON.stringify(asked)) }))
  return c.json({ bytes } satisfies AnnotateReply)
})

jobAnnotationRoutes.delete('/v1/attempts/:attempt/annotations', async (c) => {
  const attempt = callerOf(c)
  const removed = valueOf(await scheduler(c.env).removeAnnotation(attempt, readQuery(c, removeAnnotation)))
  return c.json({ removed } satisfies RemoveAnnotationReply)
})
