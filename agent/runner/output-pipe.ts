/**
 * The one pipe that a command prints to, stdout and stderr alike, so that its lines stay in the order in which they were
 * printed. Node's own `stdio: 'pipe'` would be two sockets: the order between them is lost, and `echo >/dev/stderr` fails.
 *
 * A pipe without a native module: a FIFO, opened at both ends and deleted at once. Its old path stays visible as the name
 * of the open file, so holding it shows that a process belongs to the command (`process-tree.ts`).
 */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../platform.ts'

/** Starting `mkfifo` stops the whole agent for 10 to 25 ms; a stock makes that a fraction of one per command. */
const STOCK = 64
/** Whoever still holds the pipe when the processes of the command are gone may keep it open this long [C14.2], */
const CLOSE_MS = 5000
/** and print this much: more than a pipe holds. */
const CLOSE_BYTES = 1024 * 1024
const CHECK_MS = 100

export interface OutputPipe {
  /** What its open ends are called; no other pipe is. */
  readonly path: string
  /** For the child's stdio; then `closeWriteEnd`, or the end would never be read. */
  readonly writeEnd: number
  closeWriteEnd(): void
  /** Hands everything on, one chunk at a time, until all writers have closed it. Rejects when `output` does. */
  read(output: (chunk: Uint8Array) => Promise<void>): Promise<void>
  /** From now on only bytes that are already there count; `read` ends soon, whoever holds the pipe. */
  lastBytes(clock: Clock): void
}

interface Ends {
  readonly path: string
  readonly readEnd: number
  readonly writeEnd: number
}

const stock: Ends[] = []

/** Throws the operating system's error when no pipe can be made (no space, too many open files). */
export function openOutputPipe(): OutputPipe {
  if (stock.length === 0) stock.push(...makeEnds())
  const ends = stock.pop()
  if (ends === undefined) throw new Error('cannot make a pipe for the output of a command')
  return outputPipe(ends)
}

function makeEnds(): Ends[] {
  const folder = mkdtempSync(join(tmpdir(), 'kedge-output-'))
  const made: Ends[] = []
  try {
    const paths = Array.from({ length: STOCK }, (_, n) => join(folder, String(n)))
    const { status, stderr, error } = spawnSync('mkfifo', ['-m', '600', ...paths], { encoding: 'utf8' })
    if (status !== 0) throw error ?? new Error(`cannot make a pipe for the output of a command in ${folder}: ${stderr.trim()}`)
    for (const path of paths) {
      // The reader first, without waiting for a writer; both are closed in every child by default.
      const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      made.push({ path, readEnd, writeEnd: openSync(path, constants.O_WRONLY) })
    }
    return made
  } catch (error) {
    for (const { readEnd, writeEnd } of made) for (const end of [readEnd, writeEnd]) closeSync(end)
    throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function outputPipe({ path, readEnd, writeEnd }: Ends): OutputPipe {
  let socket: Socket | null = null
  let isHandingOn = false
  let bytesLeft = Number.POSITIVE_INFINITY
  let isOpen = true

  async function read(output: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    socket = new Socket({ fd: readEnd, readable: true, writable: false })
    try {
      for await (const chunk of socket as AsyncIterable<Uint8Array>) { // no encoding is set: chunks are bytes
        bytesLeft -= chunk.length
        isHandingOn = true
        await output(chunk)
        isHandingOn = false
        if (bytesLeft <= 0) break
      }
    } catch (error) {
      if (bytesLeft === Number.POSITIVE_INFINITY) throw error // otherwise: we closed it ourselves
    } finally {
      isOpen = false
    }
  }

  function lastBytes(clock: Clock): void {
    bytesLeft = CLOSE_BYTES
    let waitedMs = 0
    const check = (): void => {
      if (!isOpen) return
      // Time in which we ourselves are slow to take the output is not the holder's.
      if (!isHandingOn) waitedMs += CHECK_MS
      if (waitedMs >= CLOSE_MS) socket?.destroy()
      else clock.after(CHECK_MS, check)
    }
    clock.after(CHECK_MS, check)
  }

  return { path, writeEnd, closeWriteEnd: () => closeSync(writeEnd), read, lastBytes }
}
