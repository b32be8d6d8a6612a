/** Annotations of a build as people see them. A build without any costs one seek, and a view without bodies reads none. */
import type { AnnotationSummary, AnnotationView } from '../../schema/api.ts'
import { jobId } from '../../schema/job.ts'
import { inShownOrder } from '../core/annotations.ts'
import type { AnnotationRow, BuildRow } from '../core/decision.ts'
import * as load from './load.ts'
import type { Sql } from './sql.ts'

export function annotationSummaries(on: Sql, build: Pick<BuildRow, 'project' | 'number'>): readonly AnnotationSummary[] {
  return inShownOrder(load.annotationsWithoutBodies(on, build)).map(summary)
}

export function annotationViews(rows: readonly AnnotationRow[]): readonly AnnotationView[] {
  return inShownOrder(rows).map((row) => ({ ...summary(row), body: row.body }))
}

function summary({ project, build, n, context, style, priority, createdAt, updatedAt, bytes }: Omit<AnnotationRow, 'body'>): AnnotationSummary {
  return { job: n === 0 ? null : jobId({ project, build, n }), context, style, priority, created_at: new Date(createdAt).toISOString(), updated_at: new Date(updatedAt).toISOString(), bytes }
}
