/** `kedge annotate` and `kedge annotation remove` at work. */
import { setTimeout as pause } from 'node:timers/promises'
import { ANNOTATION_DEFAULTS, ANNOTATION_LIMITS, ANNOTATION_SCOPES, mistakeInBody, mistakeInContext, type AnnotationScope } from '../../schema/annotations.ts'
import { ANNOTATION_STYLES, annotateReply, removeAnnotationReply, type Annotate, type RemoveAnnotation } from '../../schema/job-calls.ts'
import { didYouMean } from '../../schema/nearest.ts'
import { createClient, postOnce, untilAnswered } from './client.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { piped } from './piped.ts'
import { redacted } from './redacted.ts'
import { replyOf } from './replies.ts'
import { isThisJob, runningJob } from './running-job.ts'
import { firstOf, present, wholeNumber } from './settings.ts'

interface PlaceFlags {
  readonly context?: string
  readonly scope?: string
  readonly job?: string
}

interface AnnotateFlags extends PlaceFlags {
  readonly style?: string
  readonly append?: boolean
  readonly priority?: string
  readonly redactedVars?: string
}

const WRITTEN = replyOf(annotateReply)
const REMOVED = replyOf(removeAnnotationReply)

export async function annotateBuild(given: string | undefined, flags: AnnotateFlags, surroundings: Surroundings): Promise<ExitCode> {
  const { environment } = surroundings
  const job = runningJob(environment, 'People see annotations on the page of the build.')
  const place = placeOf(flags, surroundings)
  const style = oneOf(ANNOTATION_STYLES, '--style', flags.style ?? present(environment['BUILDKITE_ANNOTATION_STYLE']))
  const priority = flags.priority ?? present(environment['BUILDKITE_ANNOTATION_PRIORITY'])
  const append = flags.append ?? ['true', '1'].includes(environment['BUILDKITE_ANNOTATION_APPEND'] ?? '')
  const body = redacted(bodyOf(given, surroundings), { what: 'the annotation', patterns: flags.redactedVars, surroundings })
  if (body === '' && style === undefined && priority === undefined) throw new Failure(EXIT.usage, 'there is nothing to show: give a body, or write it to standard input. Without a body, --style and --priority change an annotation that is there.')
  const mistake = body === '' ? null : mistakeInBody(body)
  if (mistake !== null) throw new Failure(EXIT.usage, `the annotation ${mistake}.`)
  const asked: Annotate = {
    ...place,
    append: append && body !== '',
    ...(body === '' ? {} : { body }),
    ...(style === undefined ? {} : { style }),
    ...(priority === undefined ? {} : { priority: wholeNumber({ text: priority, from: '--priority' }, ANNOTATION_LIMITS.priority) }),
  }
  await postOnce(createClient(job), `/v1/attempts/${job.attempt}/annotations`, WRITTEN, { body: asked, pause })
  return EXIT.ok
}

export async function removeAnnotation(flags: PlaceFlags, surroundings: Surroundings): Promise<ExitCode> {
  const job = runningJob(surroundings.environment, 'People see annotations on the page of the build.')
  const place = placeOf(flags, surroundings)
  const client = createClient(job)
  const { removed } = await untilAnswered(() => client.delete(`/v1/attempts/${job.attempt}/annotations?${new URLSearchParams(Object.entries(place))}`, REMOVED), pause)
  if (!removed) surroundings.note(`the ${place.scope} has no annotation "${place.context}": nothing was removed.`)
  return EXIT.ok
}

function bodyOf(given: string | undefined, surroundings: Surroundings): string {
  if (given !== undefined && given !== '') return given
  return surroundings.input.isPiped() ? piped(surroundings, { what: 'body', otherwise: '' }) : ''
}

function placeOf({ context, scope, job }: PlaceFlags, { environment }: Surroundings): RemoveAnnotation {
  const own = present(environment['KEDGE_JOB_ID'])
  if (job !== undefined && !isThisJob(job, environment)) throw new Failure(EXIT.usage, `--job can only be the job that this runs in${own === undefined ? '' : `, ${own}`}, not "${job}": leave it out. To annotate for another job, do it in that one.`)
  const named = firstOf({ flag: ['--context', context], variable: ['BUILDKITE_ANNOTATION_CONTEXT', environment['BUILDKITE_ANNOTATION_CONTEXT']], otherwise: ANNOTATION_DEFAULTS.context })
  const text = named.text === '' ? ANNOTATION_DEFAULTS.context : named.text // as there: a blank one is the default
  const mistake = mistakeInContext(text)
  if (mistake !== null) throw new Failure(EXIT.usage, `${named.from} ${mistake}.`)
  const about: AnnotationScope = oneOf(ANNOTATION_SCOPES, '--scope', scope ?? present(environment['BUILDKITE_ANNOTATION_SCOPE'])) ?? ANNOTATION_DEFAULTS.scope
  return { context: text, scope: about }
}

function oneOf<One extends string>(known: readonly One[], flag: string, given: string | undefined): One | undefined {
  if (given === undefined || given === '') return undefined
  const found = known.find((one) => one === given)
  if (found === undefined) throw new Failure(EXIT.usage, `${flag} must be ${known.slice(0, -1).join(', ')} or ${known.at(-1)}, not "${given}"${didYouMean(given, known) || '.'}`)
  return found
}
