/** What a running job asks of the coordinator, through the command `kedge` that its agent gives it; with the job's own token. */
import { z } from 'zod'
import { ANNOTATION_DEFAULTS, ANNOTATION_LIMITS, ANNOTATION_SCOPES, mistakeInBody, mistakeInContext } from './annotations.ts'
import { mistakeInKey, mistakeInValue } from './meta-data.ts'

/** `POST /v1/attempts/{id}/pipeline`, with an `Idempotency-Key`: the steps follow the one that the job belongs to. */
export const pipelineUpload = z.strictObject({
  /** In the one spelling of `pipeline/canonical.ts`, its variables filled in. `pipeline/read-steps.ts` judges it. */
  pipeline: z.unknown(),
  /** All steps of the build that have not begun give way to these. */
  replace: z.boolean().default(false),
})
export type PipelineUpload = z.input<typeof pipelineUpload>

/** How much they became; the same again when the same upload is repeated. */
export const pipelineUploadReply = z.object({ steps: z.number().int().nonnegative(), jobs: z.number().int().nonnegative() })
export type PipelineUploadReply = z.infer<typeof pipelineUploadReply>

const metaDataKey = z.string().superRefine(judgedBy(mistakeInKey))

/** `POST /v1/attempts/{id}/meta-data/set`: while the attempt is its job's current one. The same again changes nothing. Bounds are in `meta-data.ts`. */
export const metaDataSet = z.strictObject({ key: metaDataKey, value: z.string().superRefine(judgedBy(mistakeInValue)) })
export type MetaDataSet = z.infer<typeof metaDataSet>

/** `POST /v1/attempts/{id}/meta-data/get`: the key is in the body, because an address cannot hold every key. */
export const metaDataGet = z.strictObject({ key: metaDataKey })
export type MetaDataGet = z.infer<typeof metaDataGet>

/** Null: nobody set it. Of `set`, the value that it has now. */
export const metaDataReply = z.object({ value: z.string().nullable() })
export type MetaDataReply = z.infer<typeof metaDataReply>

/** `GET /v1/attempts/{id}/meta-data`: in the order of their bytes. */
export const metaDataKeysReply = z.object({ keys: z.array(z.string()) })
export type MetaDataKeysReply = z.infer<typeof metaDataKeysReply>

/** How an annotation looks; the first is what it has unless it says so. */
export const ANNOTATION_STYLES = ['default', 'info', 'warning', 'error', 'success'] as const
export type AnnotationStyle = (typeof ANNOTATION_STYLES)[number]

const annotationPlace = {
  context: z.string().superRefine(judgedBy(mistakeInContext)).default(ANNOTATION_DEFAULTS.context),
  /** Of a job: its own annotations, apart from those of its build. */
  scope: z.enum(ANNOTATION_SCOPES).default(ANNOTATION_DEFAULTS.scope),
}

/** `POST /v1/attempts/{id}/annotations`, with an `Idempotency-Key` where it appends. What is left out stays as the annotation has it. */
export const annotate = z.strictObject({
  ...annotationPlace,
  body: z.string().superRefine(judgedBy(mistakeInBody)).optional(),
  style: z.enum(ANNOTATION_STYLES).optional(),
  priority: z.number().int().min(ANNOTATION_LIMITS.priority.from).max(ANNOTATION_LIMITS.priority.to).optional(),
  append: z.boolean().default(false),
})
export type Annotate = z.infer<typeof annotate>

/** How much its body has now. */
export const annotateReply = z.object({ bytes: z.number().int().nonnegative() })
export type AnnotateReply = z.infer<typeof annotateReply>

/** `DELETE /v1/attempts/{id}/annotations?context=…&scope=…` */
export const removeAnnotation = z.strictObject(annotationPlace)
export type RemoveAnnotation = z.infer<typeof removeAnnotation>

/** `false`: there was none. */
export const removeAnnotationReply = z.object({ removed: z.boolean() })
export type RemoveAnnotationReply = z.infer<typeof removeAnnotationReply>

/** Its key or id; null: the step of the job that asks. */
const step = z.string().min(1).max(200).nullable()

/** `POST /v1/attempts/{id}/steps/get`. */
export const stepGet = z.strictObject({ step })
export type StepGet = z.infer<typeof stepGet>

/** In the words of Buildkite, since scripts compare with them. */
export const stepAttributes = z.object({
  id: z.string(),
  key: z.string().nullable(),
  label: z.string().nullable(),
  type: z.enum(['command', 'wait', 'input', 'trigger', 'group']),
  state: z.enum(['ignored', 'waiting_for_dependencies', 'ready', 'running', 'failing', 'finished']),
  outcome: z.enum(['neutral', 'passed', 'soft_failed', 'hard_failed', 'errored']),
})
export type StepAttributes = z.infer<typeof stepAttributes>
export const stepReply = z.object({ step: stepAttributes })
export type StepReply = z.infer<typeof stepReply>

/** `POST /v1/attempts/{id}/steps/update`, with an `Idempotency-Key`. */
export const stepUpdate = z.strictObject({ step, attribute: z.string(), value: z.string(), append: z.boolean().default(false) })
export type StepUpdate = z.infer<typeof stepUpdate>
export const stepUpdateReply = z.object({ updated: z.literal(true) })
export type StepUpdateReply = z.infer<typeof stepUpdateReply>

/** `POST /v1/attempts/{id}/steps/cancel`: all its unfinished jobs, or builds. The same again changes nothing. */
export const stepCancel = z.strictObject({ step })
export type StepCancel = z.infer<typeof stepCancel>
export const stepCancelReply = z.object({ id: z.string() })
export type StepCancelReply = z.infer<typeof stepCancelReply>

/** `POST /v1/attempts/{id}/build/cancel`: the build that the job is of. The same again changes nothing. */
export const buildCancel = z.strictObject({})
/** Its number. */
export const buildCancelReply = z.object({ build: z.number().int() })
export type BuildCancelReply = z.infer<typeof buildCancelReply>

function judgedBy(mistakeIn: (text: string) => string | null) {
  return (text: string, context: z.RefinementCtx<string>) => {
    const message = mistakeIn(text)
    if (message !== null) context.addIssue({ code: 'custom', message })
  }
}
