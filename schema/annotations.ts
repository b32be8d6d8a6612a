/**
 * Annotations: Markdown that jobs write onto the page of their build. What a body and a context may be; what one build
 * may hold is kept in `coordinator/core/annotations.ts`.
 */
import { utf8Bytes } from './utf8.ts'

export const ANNOTATION_LIMITS = {
  /** Of one annotation, with all that was appended. */
  bodyBytes: 1024 * 1024,
  contextCharacters: 100,
  /** Of one build. */
  annotations: 100,
  /** Bodies of one build together. */
  bytes: 4 * 1024 * 1024,
  priority: { from: 1, to: 10 },
} as const

/** How an annotation is told apart, and how it stands among others, unless it says so. */
export const ANNOTATION_DEFAULTS = { context: 'default', style: 'default', priority: 3, scope: 'build' } as const

/** What an annotation is about. */
export const ANNOTATION_SCOPES = ['build', 'job'] as const
export type AnnotationScope = (typeof ANNOTATION_SCOPES)[number]

/** What is wrong with it, as it goes on after the name of what is wrong; null: nothing. */
export function mistakeInContext(context: string): string | null {
  if (context.trim() === '') return 'must not be empty or white space only'
  if (context.length > ANNOTATION_LIMITS.contextCharacters) return `must have at most ${ANNOTATION_LIMITS.contextCharacters} characters`
  return mistakeInText(context)
}

/** Likewise. */
export function mistakeInBody(body: string): string | null {
  if (body === '') return 'must not be empty; leave it out to keep the body that the annotation has'
  if (body.length > ANNOTATION_LIMITS.bodyBytes || utf8Bytes(body) > ANNOTATION_LIMITS.bodyBytes) return `must be at most ${ANNOTATION_LIMITS.bodyBytes / 1024} KiB; show the part that people need, and keep the rest in the log`
  return mistakeInText(body)
}

function mistakeInText(text: string): string | null {
  if (text.includes('\0')) return 'must not hold a NUL character'
  return text.isWellFormed() ? null : 'must not hold half of a character (an unpaired surrogate)'
}
