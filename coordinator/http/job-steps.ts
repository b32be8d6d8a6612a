/** What a running job asks of the steps of its build. Refusals are problems, as in `job.ts`. */
import { Hono } from 'hono'
import { buildCancel, stepCancel, stepGet, stepUpdate, type BuildCancelReply, type StepCancelReply, type StepReply, type StepUpdateReply } from '../../schema/job-calls.ts'
import { scheduler, type HttpEnvironment } from './context.ts'
import { neededIdempotencyKey, readBody } from './input.ts'
import { callerOf } from './job.ts'
import { valueOf } from './problem.ts'

export const jobStepRoutes = new Hono<HttpEnvironment>()

jobStepRoutes.post('/v1/attempts/:attempt/steps/get', async (c) => {
  const attempt = callerOf(c)
  const { step } = await readBody(c, stepGet)
  return c.json({ step: valueOf(await scheduler(c.env).step(attempt, step)) } satisfies StepReply)
})

jobStepRoutes.post('/v1/attempts/:attempt/steps/update', async (c) => {
  const attempt = callerOf(c)
  const key = neededIdempotencyKey(c, 'A change of a step')
  valueOf(await scheduler(c.env).updateStep(attempt, { ...(await readBody(c, stepUpdate)), key }))
  return c.json({ updated: true } satisfies StepUpdateReply)
})

jobStepRoutes.post('/v1/attempts/:attempt/steps/cancel', async (c) => {
  const attempt = callerOf(c)
  const { step } = await readBody(c, stepCancel)
  return c.json({ id: valueOf(await scheduler(c.env).cancelStep(attempt, step)) } satisfies StepCancelReply)
})

jobStepRoutes.post('/v1/attempts/:attempt/build/cancel', async (c) => {
  const attempt = callerOf(c)
  await readBody(c, buildCancel)
  return c.json({ build: valueOf(await scheduler(c.env).cancelOwnBuild(attempt)) } satisfies BuildCancelReply)
})
