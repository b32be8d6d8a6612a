/**
 * What a running job calls, for its build: with its own token, which its agent made of the attempt's. Refusals are
 * problems, as to people: it is a person's script that reads them.
 */
import { Hono } from 'hono'
import { metaDataGet, metaDataSet, pipelineUpload, type MetaDataKeysReply, type MetaDataReply, type PipelineUploadReply } from '../../schema/job-calls.ts'
import type { Json } from '../../schema/pipeline/json.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import { readPipeline } from '../../schema/pipeline/read-steps.ts'
import type { AttemptId } from '../../schema/job.ts'
import { pipelineInvalid } from '../pipeline-invalid.ts'
import { sha256Hex } from '../trust/tokens.ts'
import { jobOf } from './agent-credentials.ts'
import { scheduler, verification, type HttpContext, type HttpEnvironment } from './context.ts'
import { neededIdempotencyKey, readBody } from './input.ts'
import { problem, ProblemError, valueOf } from './problem.ts'

export const jobRoutes = new Hono<HttpEnvironment>()

jobRoutes.post('/v1/attempts/:attempt/pipeline', async (c) => {
  const attempt = callerOf(c)
  const key = neededIdempotencyKey(c, 'An upload')
  const body = await readBody(c, pipelineUpload, PIPELINE_LIMITS.bytes)
  const pipeline = body.pipeline as Json // made by JSON.parse
  const read = readPipeline(pipeline)
  if (!read.ok) throw new ProblemError(pipelineInvalid(read.mistakes))
  const value = valueOf(await scheduler(c.env).uploadPipeline(attempt, { pipeline: read.pipeline, replace: body.replace, key, digest: sha256Hex(`${body.replace ? 'replace ' : ''}${JSON.stringify(pipeline)}`) }))
  return c.json(value satisfies PipelineUploadReply)
})

jobRoutes.post('/v1/attempts/:attempt/meta-data/set', async (c) => {
  const attempt = callerOf(c)
  const value = valueOf(await scheduler(c.env).setMetaData(attempt, await readBody(c, metaDataSet)))
  return c.json({ value } satisfies MetaDataReply)
})

jobRoutes.post('/v1/attempts/:attempt/meta-data/get', async (c) => {
  const attempt = callerOf(c)
  const { key } = await readBody(c, metaDataGet)
  return c.json({ value: valueOf(await scheduler(c.env).metaData(attempt, key)) } satisfies MetaDataReply)
})

jobRoutes.get('/v1/attempts/:attempt/meta-data', async (c) => {
  const keys = valueOf(await scheduler(c.env).metaDataKeys(callerOf(c)))
  return c.json({ keys: [...keys] } satisfies MetaDataKeysReply)
})

/** The attempt whose job calls. */
export function callerOf(c: HttpContext): AttemptId {
  const attempt = jobOf(c.req.header('authorization'), c.req.param('attempt') ?? '', verification(c))
  if (attempt.ok) return attempt.value
  const { status = 401, code, message } = attempt
  throw problem(code === 'bad_request' ? 400 : status === 403 ? 403 : 401, { code: code.replaceAll('_', '-'), detail: `${message.charAt(0).toUpperCase()}${message.slice(1)}.` })
}
