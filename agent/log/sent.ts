/**
 * `log.sent` beside a log: how far the coordinator had it, so that a restart does not send a gigabyte anew. A help only:
 * it is not fsynced, and when it is missing, torn or wrong the coordinator's next reply corrects it [C12.1]. The epoch
 * matters a little more, and a wrong one costs one more mismatch.
 */
import { z } from 'zod'
import type { Disk } from '../platform.ts'

const sentFile = z.object({ epoch: z.union([z.literal(1), z.literal(2)]), bytes: z.number().int().nonnegative() })
export type Sent = z.infer<typeof sentFile>

const NOTHING: Sent = { epoch: 1, bytes: 0 }

export async function readSent(disk: Disk, logPath: string): Promise<Sent> {
  try {
    const bytes = await disk.read(`${logPath}.sent`)
    return bytes === null ? NOTHING : sentFile.parse(JSON.parse(new TextDecoder().decode(bytes))) // mostly there is none yet
  } catch {
    return NOTHING
  }
}

/** Never throws: on a full disk the log is still sent. */
export async function writeSent(disk: Disk, logPath: string, sent: Sent): Promise<void> {
  await disk.write(`${logPath}.sent`, new TextEncoder().encode(JSON.stringify(sent))).catch(() => undefined)
}
