/**
 * The logs of all attempts: each masked and spooled while its build prints, and on its way to the coordinator until that
 * has it whole. They go their own way: no result, no verdict and no next job waits for one [C12.3].
 */
import type { AttemptId } from '../schema/job.ts'
import type { Assignment } from '../schema/sync.ts'
import { createMask } from './log/mask.ts'
import { createUploader, type Uploader } from './log/upload.ts'
import { openLog, type LogLimits } from './log/writer.ts'
import type { Backoff } from './loop/backoff.ts'
import type { Platform } from './platform.ts'
import type { AttemptLog } from './runner/attempt.ts'
import type { Spool } from './spool/results.ts'

export interface AttemptLogsOptions {
  readonly spool: Spool
  readonly platform: Platform
  readonly url: string
  readonly limits: LogLimits
  /** Of the agent itself; an attempt's own token is masked as well [I22]. */
  readonly secrets: readonly string[]
  /** Of one call. */
  readonly callTimeoutMs: number
  newBackoff(): Backoff
  /** Milliseconds between sends that nobody watches, as the last reply said. */
  pace(): number
  note(text: string): void
  /** One more log needs nothing any more. */
  sealed(): void
}

export interface AttemptLogs {
  open(assignment: Assignment): AttemptLog
  /** Goes on with those of an earlier boot. */
  resume(attempts: readonly AttemptId[]): void
  watch(attempt: AttemptId): void
  isOnItsWay(attempt: AttemptId): boolean
  /** On their way. */
  count(): number
  stop(): void
}

export function createAttemptLogs({ spool, platform: { disk, network, clock }, url, limits, secrets, callTimeoutMs, newBackoff, pace, note, sealed }: AttemptLogsOptions): AttemptLogs {
  const uploads = new Map<AttemptId, Uploader>()
  /** Somebody waits for the first byte of these. */
  const watched = new Set<AttemptId>()

  const upload = (attempt: AttemptId, token: string): Uploader => {
    const uploader = createUploader({ path: spool.logPath(attempt), attempt, token, url, network, disk, clock, callTimeoutMs, backoff: newBackoff(), pace, note })
    uploads.set(attempt, uploader)
    void uploader.done.then(async () => {
      uploads.delete(attempt)
      await spool.logSealed(attempt)
      sealed()
    })
    return uploader
  }

  return {
    open: ({ attempt, token }) => {
      const writer = openLog(spool.logPath(attempt), { mask: createMask([...secrets, token]), disk, limits })
      let uploader: Uploader | null = null // not before there is a byte: a silent job costs nothing
      let bytes = 0
      writer.onGrowth((grown) => {
        bytes = grown
        uploader ??= upload(attempt, token)
        if (watched.delete(attempt)) uploader.watch()
        uploader.grow(grown)
      })
      return {
        write: (chunk) => writer.write(chunk),
        bytes: () => bytes,
        end: async () => {
          const end = await writer.end()
          watched.delete(attempt)
          uploader?.finish(end)
          return end
        },
      }
    },
    resume: (attempts) => {
      for (const attempt of attempts) {
        const token = spool.token(attempt)
        if (token === null) {
          void spool.logSealed(attempt) // nothing opens it at the coordinator any more
          continue
        }
        const uploader = upload(attempt, token)
        spool.logEnd(attempt).then((end) => uploader.finish(end), (error: unknown) => note(`the log of ${attempt} cannot be read, so it stays here until the next start: ${error instanceof Error ? error.message : String(error)}`))
      }
    },
    watch: (attempt) => {
      const uploader = uploads.get(attempt)
      if (uploader === undefined) watched.add(attempt)
      else uploader.watch()
    },
    isOnItsWay: (attempt) => uploads.has(attempt),
    count: () => uploads.size,
    stop: () => {
      for (const uploader of uploads.values()) uploader.stop()
    },
  }
}
