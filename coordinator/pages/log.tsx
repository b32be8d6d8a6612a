/**
 * The log of one attempt, as it stands. `build.island.ts` goes on from exactly where this ends, which the element says:
 * the byte, the line's number and the pen. Only the last lines are shown; everything is behind "Full log".
 */
import { raw } from 'hono/html'
import type { AttemptView } from '../../schema/api.ts'
import { createAnsi } from './ansi.ts'
import { lineHtml } from './log-line.ts'

/** What has been read of a log: its end, or all of it. */
export interface LogText {
  readonly bytes: Uint8Array
  /** Offset of the first of them in the whole log. */
  readonly from: number
  /** Length of the whole log so far. */
  readonly total: number
  /** Nothing will follow. */
  readonly ended: boolean
}

export const LOG = {
  /** Read from the end; the rest is behind "Full log". */
  bytes: 512 * 1024,
  lines: 5000,
} as const

interface RenderedLog {
  readonly lines: readonly string[]
  /** Number of the first of them; null where what comes before was not read. */
  readonly first: number | null
  /** Of the line that has no newline yet. */
  readonly unfinished: string | null
  /** Where that line begins. */
  readonly resume: number
  readonly pen: string
}

/** Lines of HTML, at most the last `LOG.lines`. */
export function renderLog({ bytes, from }: LogText): RenderedLog {
  const start = from === 0 ? 0 : bytes.indexOf(0x0a) + 1
  const end = bytes.lastIndexOf(0x0a) + 1
  const ansi = createAnsi()
  const lines = ansi.push(bytes.subarray(start, Math.max(start, end)))
  const pen = ansi.pen()
  ansi.push(bytes.subarray(Math.max(start, end)))
  const shown = lines.slice(-LOG.lines)
  return { lines: shown, first: from === 0 ? lines.length - shown.length + 1 : null, unfinished: ansi.unfinished(), resume: from + Math.max(start, end), pen }
}

interface LogProps {
  readonly job: string
  readonly attempt: AttemptView
  /** Null when this answer is for a page that has its log already, and follows it. */
  readonly text: LogText | null
}

export function Log({ job, attempt, text }: LogProps) {
  const path = `/api/v1/jobs/${job}/log?attempt=${attempt.fence}`
  const log = text === null ? null : renderLog(text)
  const isCut = log !== null && (log.first === null || log.first > 1)
  return (
    <section class="log" aria-label={`Log of attempt ${attempt.fence}`}>
      <div class="log-head">
        <h3>Log</h3>
        <span class="log-state" data-keep="log-state" />
        <button type="button" class="quiet follow" data-keep="follow" aria-pressed="false" hidden>Follow</button>
        <a href={path}>Full log</a>
      </div>
      <div
        class="lines ansi"
        tabindex={0}
        role="region"
        aria-label="Log lines"
        data-keep={`log-${attempt.id}`}
        data-url={path}
        data-live={String(!(text?.ended ?? false))}
        data-resume={String(log?.resume ?? 0)}
        data-next={log?.first === null ? '' : String((log?.first ?? 1) + (log?.lines.length ?? 0))}
        data-pen={log?.pen ?? ''}
      >
        <p class="earlier" hidden={!isCut}>
          Earlier output is not shown here. <a href={path}>Full log</a>
        </p>
        {log && raw(log.lines.map((html, index) => lineHtml(html, log.first === null ? null : log.first + index)).join(''))}
        {log && log.unfinished !== null && raw(lineHtml(log.unfinished, log.first === null ? null : log.first + log.lines.length, { open: true }))}
        {text !== null && text.total === 0 && <p class="nothing">{text.ended ? 'It printed nothing.' : 'Nothing printed yet.'}</p>}
      </div>
    </section>
  )
}
