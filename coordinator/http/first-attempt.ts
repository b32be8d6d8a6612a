/**
 * The log of a job that no agent has taken yet, followed: the stream stays open, and becomes that of the first attempt.
 * It is kept in the Worker, so that it costs the Scheduler a look now and then, and no object is awake for it. A look is
 * a subrequest, of which the platform allows a request only so many: then it closes without an `end`, which tells an
 * `EventSource` to come again.
 */
import type { JobLogs } from '../objects/scheduler-api.ts'

/** With what comes before and after them, below the 50 subrequests of a free plan. */
export const MOST_LOOKS = 40
const LOOK_FIRST_MS = 500
const LOOK_LAST_MS = 5000

export interface FirstAttempt {
  look(): Promise<JobLogs>
  /** The events of the newest attempt's log. */
  follow(attempt: JobLogs['attempts'][number]): Promise<ReadableStream<Uint8Array> | null>
  /** Resolves after `ms`, or when the reader has gone. */
  pause(ms: number, signal: AbortSignal): Promise<void>
}

export function untilFirstAttempt({ look, follow, pause }: FirstAttempt): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  const gone = new AbortController()
  let looks = -1
  let log: ReadableStreamDefaultReader<Uint8Array> | null = null
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      looks += 1
      if (looks === 0) return controller.enqueue(text.encode('retry: 1000\n: waits for an agent\n\n'))
      if (log === null) {
        await pause(Math.min(LOOK_FIRST_MS * 2 ** looks, LOOK_LAST_MS), gone.signal)
        if (gone.signal.aborted) return
        const job = await look()
        const attempt = job.attempts.at(-1)
        if (attempt === undefined) {
          if (job.ended) controller.enqueue(text.encode('event: end\ndata: {"size":0,"sealed":true}\n\n'))
          else if (looks < MOST_LOOKS) return controller.enqueue(text.encode(': waits\n\n'))
          return controller.close()
        }
        const body = await follow(attempt)
        if (body === null) return controller.close()
        log = body.getReader()
        if (gone.signal.aborted) return void log.cancel()
      }
      const { done, value } = await log.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      gone.abort()
      await log?.cancel()
    },
  })
}
