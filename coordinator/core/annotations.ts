/**
 * Annotations of a build: what one becomes when a job writes it again or appends to it, and whether more of them fit.
 * What a body and a context may be was judged before, where they came in (`schema/annotations.ts`).
 */
import type { Problem } from '../../schema/api.ts'
import { ANNOTATION_DEFAULTS, ANNOTATION_LIMITS, mistakeInBody } from '../../schema/annotations.ts'
import type { Annotate } from '../../schema/job-calls.ts'
import { utf8Bytes } from '../../schema/utf8.ts'
import type { AnnotationRow, Change } from './decision.ts'

/** What the build has already. */
export interface Annotated {
  readonly annotations: number
  readonly bytes: number
  /** The one that is written again; null: there is none. */
  readonly before: AnnotationRow | null
}

export type AnnotationKey = Pick<AnnotationRow, 'project' | 'build' | 'n' | 'context'>

export interface Written {
  readonly changes: readonly Change[]
  readonly row: AnnotationRow
}

/** What is left out stays as it was; no change where all is as it was. */
export function writeAnnotation(key: AnnotationKey, asked: Annotate, { annotations, bytes: held, before }: Annotated, now: number): Written | Problem {
  const body = asked.body === undefined ? before?.body : asked.append ? `${before?.body ?? ''}${asked.body}` : asked.body
  if (body === undefined) return refused('annotation-empty', `There is no annotation ${JSON.stringify(key.context)} yet, so it needs a body. Without one only the style and priority of an annotation that is there can be changed.`)
  const row: AnnotationRow = {
    ...key,
    style: asked.style ?? before?.style ?? ANNOTATION_DEFAULTS.style,
    priority: asked.priority ?? before?.priority ?? ANNOTATION_DEFAULTS.priority,
    createdAt: before?.createdAt ?? now,
    updatedAt: now,
    bytes: utf8Bytes(body),
    body,
  }
  if (before !== null && before.body === row.body && before.style === row.style && before.priority === row.priority) return { changes: [], row: before }
  const tooLong = mistakeInBody(body)
  if (tooLong !== null) return refused('annotation-too-long', `With this the annotation ${JSON.stringify(key.context)} would have ${row.bytes} bytes: it ${tooLong}.`)
  if (before === null && annotations >= ANNOTATION_LIMITS.annotations) return refused('annotations-full', `The build has ${annotations} annotations, the most that one may have. Write into one that is there (--context), or append to it (--append).`)
  const bytesAfter = held - (before?.bytes ?? 0) + row.bytes
  if (bytesAfter > ANNOTATION_LIMITS.bytes && bytesAfter > held) return refused('annotations-full', `With this the annotations of the build would have ${bytesAfter} bytes, and they may have ${ANNOTATION_LIMITS.bytes} together. Show the part that people need, and keep the rest in the log.`)
  return { changes: [{ kind: 'annotation.put', row }], row }
}

function refused(code: string, detail: string): Problem {
  return { title: 'The annotation was not written', status: 422, code, detail }
}

/** The greatest priority first, then the oldest; contexts settle what is left. */
export function inShownOrder<Row extends Pick<AnnotationRow, 'priority' | 'createdAt' | 'context'>>(rows: readonly Row[]): readonly Row[] {
  return rows.toSorted((a, b) => b.priority - a.priority || a.createdAt - b.createdAt || (a.context < b.context ? -1 : 1))
}
