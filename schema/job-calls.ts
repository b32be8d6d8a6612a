/** What a running job asks of the coordinator, through the command `kedge` that its agent gives it; with the job's own token. */
import { z } from 'zod'

/** `POST /v1/attempts/{id}/pipeline`, with an `Idempotency-Key`: the steps follow the one that the job belongs to. */
export const pipelineUpload = z.strictObject({
  /** In the one spelling of `pipeline/canonical.ts`, its variables filled in. `pipeline/read-steps.ts` judges it. */
  pipeline: z.unknown(),
})
export type PipelineUpload = z.infer<typeof pipelineUpload>

/** How much they became; the same again when the same upload is repeated. */
export const pipelineUploadReply = z.object({ steps: z.number().int().nonnegative(), jobs: z.number().int().nonnegative() })
export type PipelineUploadReply = z.infer<typeof pipelineUploadReply>
