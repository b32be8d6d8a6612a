/**
 * Brings one attempt's log to the coordinator: from the last acknowledged byte of the spooled file, one PUT at a time,
 * then the seal. Each reply says how many bytes are stored, and that, not what was sent, is where it goes on [C12.1], so
 * lost, repeated and late calls all heal. It never gives up for want of an answer; only the coordinator ends it.
 *
 * What one would get wrong: `finish` does not mean that the log is ended there. The job's result travels by sync and
 * never waits for this [C12.4]; this may go on for hours after it.
 */
import type { z } from 'zod'
import { LOG_PUT_BYTES, logReply, sealReply } from '../../schema/attempt.ts'
import type { AttemptId } from '../../schema/job.ts'
import { ask, type Answer } from '../exchange.ts'
import type { Clock, Disk, Network } from '../platform.ts'
import type { LogEnd } from './measure.ts'
import { createPace } from './pace.ts'
import { readSent, writeSent, type Sent } from './sent.ts'

export interface UploadOptions {
  /** The spooled file; it may not be there yet. */
  readonly path: string
  readonly attempt: AttemptId
  readonly token: string
  /** Of the coordinator, without a path. */
  readonly url: string
  readonly network: Network
  readonly disk: Disk
  readonly clock: Clock
  /** Of one PUT or seal, with its body and its reply [D29]. */
  readonly callTimeoutMs: number
  /** How long to wait after no answer; the loop's `createBackoff`. */
  readonly backoff: { next(retryAfterMs?: number): number; reset(): void }
  /** Milliseconds between sends that nobody watches: the last reply's `log_ms`. Asked again each time. */
  readonly pace: () => number
  /** For a person: why the log is given up, or that it must be sent once more. */
  readonly note?: (sentence: string) => void
}

export interface Uploader {
  /** The file has this many bytes now; `onGrowth` of the writer. */
  grow(bytes: number): void
  /** Somebody watches: send at once. Each reply to a PUT says whether that is still so. */
  watch(): void
  /** The file is whole: send the rest and seal it. */
  finish(end: LogEnd): void
  /** `sealed`: the coordinator has all of it. `gone`: it will never take it. Nothing of it is in flight any more. */
  readonly done: Promise<'sealed' | 'gone' | 'stopped'>
  /** Gives up the call in flight; another uploader goes on where the coordinator stands. */
  stop(): void
}

/** A coordinator that takes less than this at once takes nothing. */
const LEAST_PUT_BYTES = 4 * 1024

type Step = 'again' | 'wait' | 'sealed' | 'gone'

export function createUploader(options: UploadOptions): Uploader {
  const { path, attempt, token, url, network, disk, clock, callTimeoutMs, backoff, note = () => undefined } = options
  const stopping = new AbortController()
  const pace = createPace({ clock, pace: options.pace, fullBytes: LOG_PUT_BYTES })
  let wake = (): void => undefined
  let end: LogEnd | null = null
  /** Plain bytes that the coordinator has; the next PUT starts here. */
  let stored = 0
  let epoch: 1 | 2 = 1
  let putBytes = LOG_PUT_BYTES
  let retryAfterMs: number | undefined
  /** The longest that the file was said to be. */
  let grown = 0
  let noted: Sent = { epoch: 1, bytes: 0 }

  const call = <T>(method: 'PUT' | 'POST', at: string, body: Uint8Array | string, reply: z.ZodType<T>): Promise<Answer<T>> =>
    ask({ network, clock, url: `${url}/v1/attempts/${attempt}/${at}`, method, credential: token, body, reply, timeoutMs: callTimeoutMs, signal: stopping.signal })

  const goOnAt = async (size: number): Promise<void> => {
    stored = size
    pace.sent(size)
    backoff.reset()
    if (epoch === noted.epoch && size < noted.bytes + LOG_PUT_BYTES) return // a short log pays no file for it
    noted = { epoch, bytes: size }
    await writeSent(disk, path, noted)
  }

  const refused = async (answer: Exclude<Answer<unknown>, { kind: 'reply' }>, bodyBytes: number): Promise<Step> => {
    retryAfterMs = answer.retryAfterMs ?? undefined
    if (answer.kind === 'none') return 'wait'
    const { code, message, size, retry } = answer.error
    switch (code) {
      case 'log_gap':
        if (size === undefined || size === stored) return 'wait' // it contradicts itself: not worth a loop without pause
        await goOnAt(size)
        return 'again'
      case 'log_sealed':
        return 'sealed'
      case 'log_mismatch':
        if (epoch === 2) return giveUp('it does not match what was sent, even sent anew')
        note(`The log of ${attempt} differs at the coordinator and is sent once more from its beginning.`)
        epoch = 2
        await goOnAt(0)
        return 'again'
      case 'payload_too_large':
        if (bodyBytes <= LEAST_PUT_BYTES) return giveUp(message)
        putBytes = Math.max(LEAST_PUT_BYTES, Math.floor(bodyBytes / 2))
        return 'again'
      default: // 410 for an attempt that is superseded and done with, or a code of a later version: it says itself whether to try again
        return retry ? 'wait' : giveUp(message)
    }
  }
  const giveUp = (why: string): Step => {
    note(`The log of ${attempt} is kept no longer: the coordinator does not take it: ${why}`)
    return 'gone'
  }

  const put = async (): Promise<Step> => {
    let piece: Uint8Array | null
    try {
      piece = await disk.readRange(path, stored, Math.min(putBytes, (end?.bytes ?? Infinity) - stored))
    } catch (error) {
      note(`The log of ${attempt} waits: ${path} cannot be read now: ${error instanceof Error ? error.message : String(error)}`) // too many open files, say
      return 'wait'
    }
    if (piece === null || piece.byteLength === 0) {
      if (end !== null) return await seal(end) // the disk has lost the rest, but an answer that was never heard may have been a yes to all of it
      pace.grow(stored) // less is there than was announced: wait for more
      return 'again'
    }
    pace.sending()
    const answer = await call('PUT', `log?offset=${stored}${epoch === 2 ? '&epoch=2' : ''}`, piece, logReply)
    if (answer.kind !== 'reply') return await refused(answer, piece.byteLength)
    pace.watched(answer.value.watched)
    if (answer.value.size === stored) return 'wait' // it took nothing
    await goOnAt(answer.value.size)
    return 'again'
  }
  const seal = async ({ bytes, sha256 }: LogEnd): Promise<Step> => {
    const answer = await call('POST', `log/seal${epoch === 2 ? '?epoch=2' : ''}`, JSON.stringify({ bytes, sha256 }), sealReply)
    if (answer.kind === 'reply') return 'sealed'
    const isShort = answer.kind === 'refused' && answer.error.code === 'log_gap' && stored < bytes
    if (isShort && (answer.error.size ?? 0) <= stored) return giveUp(`${path} ends at ${stored} bytes, before the ${bytes} of its result. Is the disk damaged?`)
    return await refused(answer, 0)
  }

  /** Until `ms` have passed (null: for as long as it takes) or something changed. */
  const pause = (ms: number | null): Promise<void> =>
    new Promise((resolve) => {
      const takeBack = ms === null ? () => undefined : clock.after(ms, () => wake())
      wake = () => {
        takeBack()
        wake = () => undefined
        resolve()
      }
    })

  const carry = async (): Promise<'sealed' | 'gone' | 'stopped'> => {
    noted = await readSent(disk, path)
    epoch = noted.epoch
    stored = noted.bytes
    pace.sent(stored)
    pace.grow(Math.max(grown, (await disk.size(path).catch(() => null)) ?? 0))
    let isOverdue = false
    while (!stopping.signal.aborted) {
      // Leaves by the coordinator's word, by an empty log's end, or when told to stop; never for want of an answer.
      if (end?.bytes === 0) return 'sealed' // nothing to store: no object is made for it
      const due = pace.due()
      if (end === null && (due === null || (due > 0 && !isOverdue))) {
        await pause(due)
        continue
      }
      retryAfterMs = undefined
      const step = end !== null && stored >= end.bytes ? await seal(end) : await put()
      if (step === 'sealed' || step === 'gone') return stopping.signal.aborted ? 'stopped' : step
      isOverdue = step === 'wait'
      if (isOverdue) await pauseFully(backoff.next(retryAfterMs))
    }
    return 'stopped'
  }
  /** As `pause`, but new output does not end it: whoever asked for patience gets it. */
  const pauseFully = async (ms: number): Promise<void> => {
    for (let until = clock.monotonic() + ms, left = ms; left > 0 && !stopping.signal.aborted; left = until - clock.monotonic()) await pause(left)
  }

  return {
    grow: (bytes) => {
      grown = bytes
      if (pace.grow(bytes)) wake()
    },
    watch: () => {
      pace.watched(true)
      wake()
    },
    finish: (whole) => {
      end = whole
      wake()
    },
    done: carry(), // it rejects only for a mistake in here
    stop: () => {
      stopping.abort()
      wake()
    },
  }
}
