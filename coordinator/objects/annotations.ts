/** Annotations of a build, as its jobs write and remove them and as people read them. */
import type { AnnotationView } from '../../schema/api.ts'
import type { AttemptId } from '../../schema/job.ts'
import type { RemoveAnnotation } from '../../schema/job-calls.ts'
import { writeAnnotation, type AnnotationKey } from '../core/annotations.ts'
import type { BuildRow, JobRow } from '../core/decision.ts'
import * as load from '../store/load.ts'
import { annotationViews } from '../store/read-annotations.ts'
import type { Sql } from '../store/sql.ts'
import { currentJob } from './current-attempt.ts'
import type { Event } from './event.ts'
import { problem, type AnnotateCall, type Answer } from './scheduler-api.ts'

/** Answers with the bytes of the body as it is now; a repetition of an append by its key appends nothing. */
export function annotate(event: Event, attempt: AttemptId, { asked, key, digest }: AnnotateCall): Answer<number> {
  const title = 'The annotation was not written'
  const current = currentJob(event, attempt, { title, noMore: 'annotates nothing any more' })
  if (!current.ok) return current
  const place = placeOf(current.job, asked)
  const before = load.annotation(event.on, place)
  const appended = asked.append && key !== null ? `annotate ${attempt} ${key}` : null
  const repeated = appended === null ? null : load.dedup(event.on, appended)
  if (repeated !== null && repeated !== digest) return problem(422, 'idempotency-key-reused', title, 'This Idempotency-Key appended something else before. Use a new key for a new call.')
  if (repeated !== null) return { ok: true, value: before?.bytes ?? 0 }
  const written = writeAnnotation(place, asked, { ...load.annotationsHeld(event.on, place), before }, event.now)
  if ('detail' in written) return { ok: false, problem: written }
  for (const change of written.changes) event.apply(change)
  if (appended !== null) load.dedups.insert(event.on, { key: appended, answer: digest, at: event.now }, { orReplace: true })
  return { ok: true, value: written.row.bytes }
}

/** Answers with whether there was one. */
export function removeAnnotation(event: Event, attempt: AttemptId, asked: RemoveAnnotation): Answer<boolean> {
  const current = currentJob(event, attempt, { title: 'The annotation was not removed', noMore: 'removes nothing any more' })
  if (!current.ok) return current
  const key = placeOf(current.job, asked)
  if (load.annotation(event.on, key) === null) return { ok: true, value: false }
  event.apply({ kind: 'annotation.delete', key })
  return { ok: true, value: true }
}

/** With their bodies, in the order in which they are shown. */
export function annotationsOf(on: Sql, build: Pick<BuildRow, 'project' | 'number'>): readonly AnnotationView[] {
  return annotationViews(load.annotationsOfBuild(on, build))
}

function placeOf({ project, build, n }: JobRow, { scope, context }: RemoveAnnotation): AnnotationKey {
  return { project, build, n: scope === 'job' ? n : 0, context }
}
