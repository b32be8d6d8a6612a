/**
 * The file of one attempt's log. It is only ever appended to, because what lies in it may already be at the
 * coordinator [I16]: of a log longer than the limit its head is stored as it comes, and the marker and the last bytes
 * follow at the end. Nothing reaches the file unmasked [I22], and nothing here grows with the log.
 */
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { LOG_LIMIT_BYTES, LOG_TAIL_BYTES } from '../../schema/attempt.ts'
import { bytesInWords } from '../../schema/bytes.ts'
import type { Appender, Disk } from '../platform.ts'
import type { Mask } from './mask.ts'
import { measureLog, type LogEnd } from './measure.ts'
import { createTail } from './tail.ts'

export interface LogLimits {
  /** Stored as they come; the file can become longer by a marker and `tailBytes`. */
  readonly limitBytes: number
  /** Of what comes after, the last so many bytes are kept. */
  readonly tailBytes: number
}

export const LOG_LIMITS: LogLimits = { limitBytes: LOG_LIMIT_BYTES, tailBytes: LOG_TAIL_BYTES }

export interface LogWriter {
  /** Resolves when the operating system has the bytes that could be let go: await it, it is the back pressure. Rejects when the disk does. */
  write(chunk: Uint8Array): Promise<void>
  /** Lets go what was held back, makes the file durable, and says what a seal must name. Never writes again. */
  end(): Promise<LogEnd>
  /** Makes durable what a disk in trouble kept `end` from doing: before a result names that log. Costs nothing when `end` did it. Rejects when the disk does. */
  harden(): Promise<void>
  /** Calls with the file's length whenever it has grown. */
  onGrowth(call: (bytes: number) => void): void
}

/** Makes no file before there is a byte for it: a silent job pays nothing. */
export function openLog(path: string, { mask, disk, limits = LOG_LIMITS }: { readonly mask: Mask; readonly disk: Disk; readonly limits?: LogLimits }): LogWriter {
  const hash = createHash('sha256')
  const tail = createTail(limits.tailBytes)
  const grew: ((bytes: number) => void)[] = []
  let file: Appender | null = null
  let bytes = 0
  let failure: { readonly error: unknown } | null = null
  let isDurable = false
  let ended: Promise<LogEnd> | null = null
  /** Writes of one log go one after the other, in the order of their calls. */
  let last: Promise<void> = Promise.resolve()

  const append = async (chunk: Uint8Array): Promise<void> => {
    if (chunk.byteLength === 0) return
    file ??= await disk.append(path)
    await file.write(chunk)
    hash.update(chunk)
    bytes += chunk.byteLength
    for (const call of grew) call(bytes)
  }
  const store = async (masked: Uint8Array): Promise<void> => {
    if (failure !== null) throw failure.error // the file may end in half a write: nothing may follow it
    try {
      const room = Math.max(0, limits.limitBytes - bytes)
      await append(masked.subarray(0, room))
      tail.push(masked.subarray(room))
    } catch (error) {
      failure = { error }
      throw error
    }
  }
  const inOrder = (step: () => Promise<void>): Promise<void> => {
    const done = last.then(step)
    last = done.catch(() => undefined) // whoever called hears of it; the next one finds `failure`
    return done
  }
  /** Its name as well: the result that tells of it may come through a power failure although nobody was told that it would. */
  const harden = async (open: Appender): Promise<void> => {
    await open.sync()
    await disk.syncFolder(dirname(path))
    isDurable = true
  }
  const hardenLater = async (): Promise<void> => {
    if (file === null || isDurable) return
    const open = await disk.append(path)
    try {
      await harden(open)
    } finally {
      await open.close()
    }
  }
  const close = async (): Promise<LogEnd> => {
    const rest = mask.end()
    await inOrder(async () => {
      await store(rest)
      const { dropped, pieces } = tail.take()
      if (dropped > 0) await append(marker(dropped, limits))
      for (const piece of pieces) await append(piece)
      if (file !== null) await harden(file)
    }).catch((error: unknown) => {
      failure ??= { error } // what the disk took is what the log is; a result must not be lost for its log
    })
    await file?.close().catch(() => undefined) // an error of an earlier write, told once more
    return failure === null ? { bytes, sha256: hash.digest('hex') } : await measureLog(path, disk)
  }

  return {
    write: (chunk) => {
      if (ended !== null) return Promise.reject(new Error(`the log ${path} has ended`))
      const masked = mask.push(chunk)
      return inOrder(() => store(masked))
    },
    end: () => (ended ??= close()),
    harden: hardenLater,
    onGrowth: (call) => void grew.push(call),
  }
}

function marker(dropped: number, limits: LogLimits): Uint8Array {
  return new TextEncoder().encode(`\n[kedge: ${dropped} bytes are left out here: the log is longer than ${bytesInWords(limits.limitBytes)}. Its last ${bytesInWords(limits.tailBytes)} follow.]\n`)
}
