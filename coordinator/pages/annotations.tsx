/**
 * What jobs wrote onto the page of their build. Rendering costs time, and a page that is looked at asks again every two
 * seconds: it says which annotations it has (`data-keep`), and is sent them again only when one changed.
 */
import { raw } from 'hono/html'
import type { AnnotationSummary, AnnotationView } from '../../schema/api.ts'
import { sha256Hex } from '../trust/tokens.ts'
import { renderMarkdown } from './markdown.ts'

export const SHOWN = {
  /** Characters of one body; what is longer is cut at a line. */
  characters: 64 * 1024,
  /** Of all on one page together. */
  charactersTogether: 256 * 1024,
} as const

/** Names what is shown; another name means that something changed. */
export function annotationsKey(annotations: readonly AnnotationSummary[]): string {
  const text = annotations.map(({ job, context, style, priority, updated_at: at, bytes }) => JSON.stringify([job, context, style, priority, at, bytes])).join()
  return `annotations-${sha256Hex(text).slice(0, 20)}`
}

/** Of all that a page with this job on it shows. */
export function annotationKeysOf(annotations: readonly AnnotationSummary[], job: string | null): readonly string[] {
  return [null, job].flatMap((of) => {
    const some = annotations.filter((one) => one.job === of)
    return some.length === 0 ? [] : [annotationsKey(some)]
  })
}

interface AnnotationsProps {
  /** From `annotationsKey`, of these alone. */
  readonly name: string
  /** Null when the page has them already. */
  readonly annotations: readonly AnnotationView[] | null
  /** Where the bodies are, whole. */
  readonly whole: string
  /** Below which the artifacts of the build are. */
  readonly artifacts: string
  readonly about: 'the build' | 'this job'
}

export function Annotations({ name, annotations, whole, artifacts, about }: AnnotationsProps) {
  let left: number = SHOWN.charactersTogether
  return (
    <section class="annotations" aria-label={`Annotations of ${about}`} data-keep={name}>
      {annotations?.map((annotation) => {
        const shown = beginning(annotation.body, Math.min(left, SHOWN.characters))
        left -= shown.length
        return (
          <article class={`annotation as-${annotation.style}`} aria-label={`${NAMES[annotation.style]}: ${annotation.context}`} tabindex={0}>
            {raw(renderMarkdown(shown, artifacts))}
            {shown.length < annotation.body.length && (
              <p class="hint">
                It is longer than what is shown here. <a href={whole}>All of it</a>
              </p>
            )}
          </article>
        )
      })}
    </section>
  )
}

const NAMES = { default: 'Note', info: 'Information', warning: 'Warning', error: 'Error', success: 'Success' } as const

/** As many whole lines as fit; of a line that is longer, its beginning. */
export function beginning(text: string, most: number): string {
  if (text.length <= most) return text
  const end = text.lastIndexOf('\n', most) + 1
  return (end > 0 ? text.slice(0, end) : text.slice(0, most)).toWellFormed()
}
