/**
 * Values that a job has told its agent to hide in what it prints from then on (`kedge redactor add`): a file of records,
 * each ended by a zero byte. The job appends before it prints, and the agent looks before it lets go what was printed;
 * so nobody need tell the other that it is done.
 */
import { appendFileSync, closeSync, openSync, readSync, statSync } from 'node:fs'

/** Of one job; each value is looked for in every byte that it prints. */
export const REDACTION_BYTES = 64 * 1024

/** Throws what the disk says. */
export function appendRedactions(path: string, values: readonly string[]): void {
  appendFileSync(path, values.map((value) => `${value}\0`).join(''), { mode: 0o600 }) // one write: others may append at the same time
}

export function redactionBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * Asks for those that are new since it was asked last; none is the usual answer, and costs a look at the file's length.
 * A job that spoils its own file hides nothing more: that is no failure of the machine.
 */
export function newRedactions(path: string): () => readonly string[] {
  let seen = 0
  return () => {
    try {
      if (seen >= REDACTION_BYTES || redactionBytes(path) <= seen) return []
      const text = readFrom(path, seen)
      const end = text.lastIndexOf(0) + 1 // what is not ended is not whole
      seen += end
      return text.subarray(0, end).toString('utf8').split('\0').slice(0, -1)
    } catch {
      return []
    }
  }
}

/** No more than a job may have. */
function readFrom(path: string, seen: number): Buffer {
  const text = Buffer.alloc(REDACTION_BYTES - seen)
  const file = openSync(path, 'r')
  try {
    return text.subarray(0, readSync(file, text, 0, text.byteLength, seen))
  } finally {
    closeSync(file)
  }
}
